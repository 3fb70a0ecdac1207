"""A study file as a frozen object, and its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr

from workbench.config.schema import (
    ConfigSection,
    DataConfig,
    EnsembleConfig,
    FoldsConfig,
    Name,
    SearchConfig,
    TargetConfig,
    TaskType,
    TrainingConfig,
    Whole,
)
from workbench.errors import ConfigError, format_value


class StudyConfig(ConfigSection):
    """A study: its data, metric, folds, model families and budgets."""

    name: Name
    """The study's identity, and the name of its experiment."""
    data: DataConfig
    """The data files, and the roles of their columns."""
    task: TaskType | None = None
    """The task; inferred from the target by default."""
    targets: Mapping[str, TargetConfig] = Field(default_factory=dict)
    """With several targets: settings of single targets, by the target's name."""
    metric: str | None = None
    """The metric to optimise; log_loss for classes and rmse for numbers by default. With several targets, the weighted
    mean of their scores is optimised."""
    also: tuple[str, ...] = ()
    """Further metrics, which are computed and logged but not optimised."""
    folds: FoldsConfig = FoldsConfig()
    """How the rows are split for validation."""
    families: tuple[str, ...] = Field(min_length=1)
    """The model families to search, by name or `file.py:Name`, in the order of their first trials."""
    class_weight: Literal["balanced"] | None = None
    """`balanced` weights classes by the inverse of their frequency in training."""
    search: SearchConfig = SearchConfig()
    """The budget and the strategy of the search."""
    training: TrainingConfig = TrainingConfig()
    """How neural networks are trained."""
    ensemble: EnsembleConfig = EnsembleConfig()
    """How the trials are blended."""
    seed: Whole = Field(default=7, ge=0)
    """The random seed of samplers and models."""
    deterministic: bool = Field(default=False, strict=True)
    """Whether neural networks use only deterministic operations, even where these are slower."""

    _file: Path = PrivateAttr(Path("study.yaml"))

    @classmethod
    def of(cls, document: Mapping[str, Any], file: Path) -> StudyConfig:
        """Return the config of a document that was read from `file`.

        Raises:
            ValidationError: pydantic's error for a key or a value that is not valid.
        """
        config = cls.model_validate(document)
        config._file = file
        return config

    @property
    def file(self) -> Path:
        """The file that the study was read from, as the user gave its path."""
        return self._file

    def resolve(self, path: str) -> Path:
        """Return `path` relative to the study file's folder or, if it exists only there, to the current folder."""
        beside = self._file.resolve().parent / path
        return beside if beside.exists() or not Path(path).exists() else Path(path).resolve()

    def error(self, key: str, expected: str, received: object, hint: str = "") -> ConfigError:
        """Return the error for a `key` of this file, with a message in the common pattern."""
        return ConfigError(f"{self._file}: {key} {expected}. Received: {format_value(received)}.{hint}")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a study file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **StudyConfig.model_json_schema()}
