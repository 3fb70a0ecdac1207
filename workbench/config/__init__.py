"""Study file -> frozen StudyConfig. Only the form is checked here; each package checks its own words.

`config` knows no family, metric, sampler or column: `study.open` asks the packages that own them.

    schema        the sections of a study file: keys, types, defaults
    study_config  a study file as a whole, and its JSON Schema for editors
    messages      validation errors in one sentence, with a suggestion
    study_file    YAML -> StudyConfig
    secrets       masks passwords and tokens
"""

from __future__ import annotations

from workbench.config.schema import (
    ColumnKind,
    DataConfig,
    EnsembleConfig,
    FoldKind,
    FoldsConfig,
    PretrainedConfig,
    SearchConfig,
    SingleTask,
    TargetConfig,
    TaskType,
    TrainingConfig,
    WordVectorsConfig,
)
from workbench.config.secrets import mask_secrets
from workbench.config.study_config import StudyConfig, schema
from workbench.config.study_file import load

__all__ = [
    "ColumnKind",
    "DataConfig",
    "EnsembleConfig",
    "FoldKind",
    "FoldsConfig",
    "PretrainedConfig",
    "SearchConfig",
    "SingleTask",
    "StudyConfig",
    "TargetConfig",
    "TaskType",
    "TrainingConfig",
    "WordVectorsConfig",
    "load",
    "mask_secrets",
    "schema",
]
