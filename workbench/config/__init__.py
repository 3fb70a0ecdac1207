"""A study file: YAML read into a frozen StudyConfig. Checks form only; each room checks its own words.

`config` knows no family, metric, sampler or column: `study.open` asks the rooms that own them.

parts      what each key may hold, and what it is for
study      a study file as a whole, and its schema for editors
mistakes   what is wrong with one, and what to write instead
reading    YAML -> StudyConfig
masking    stars in the place of secrets
"""

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
