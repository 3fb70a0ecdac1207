"""The study file: YAML that is read into a frozen StudyConfig.

Only the form is checked here. The names of families, metrics, samplers and columns are checked by the packages that own
them when `study.open` calls them.

schema        the sections of a study file: the type, the limits and the description of each key
study_config  a study file as a whole, and its JSON Schema
messages      pydantic's errors as one-line messages
study_file    YAML -> StudyConfig
secrets       masks passwords, tokens and keys in text
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
from workbench.config.study_config import StudyConfig, json_schema
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
    "json_schema",
    "load",
    "mask_secrets",
]
