"""A study file as a whole: a frozen configuration, and its JSON Schema."""

from __future__ import annotations

import os
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
from workbench.files import make_absolute


class StudyConfig(ConfigSection):
    """A study: data, metric, folds, families, budget. Read it with `load`."""

    name: Name
    """The identity of the study, and the name of its MLflow experiment."""
    data: DataConfig
    """The rows, and the meaning of their columns."""
    task: TaskType | None = None
    """The task. Default: inferred from the target."""
    targets: Mapping[str, TargetConfig] = Field(default_factory=dict)
    """For several targets: settings of single targets by name."""
    metric: str | None = None
    """The metric to optimise. Default: log_loss for classes, rmse for numbers. For several targets: the weighted mean
    of the scores."""
    also: tuple[str, ...] = ()
    """Further metrics that are reported and logged, not optimised."""
    folds: FoldsConfig = FoldsConfig()
    """The split of rows for validation."""
    families: tuple[str, ...] = Field(min_length=1)
    """The model families to search, by name or `file.py:Name`, in the order of their first trials."""
    class_weight: Literal["balanced"] | None = None
    """Weight classes by the inverse of their frequency in training."""
    search: SearchConfig = SearchConfig()
    """The budget and the method of the search."""
    training: TrainingConfig = TrainingConfig()
    """The training of neural networks."""
    ensemble: EnsembleConfig = EnsembleConfig()
    """The blend of the trials."""
    seed: Whole = Field(default=7, ge=0)
    """The random seed of samplers and models."""
    deterministic: bool = Field(default=False, strict=True)
    """Use only operations that give the same bits each time in neural networks, at the cost of speed."""

    _file: Path = PrivateAttr(Path("study.yaml"))

    @classmethod
    def of(cls, document: Mapping[str, Any], file: Path) -> StudyConfig:
        """Return the configuration of a document that was read from a file.

        Raises:
            ValidationError: pydantic's error for a key or a value that is not valid.
        """
        config = cls.model_validate(document)
        config._file = file
        return config

    @property
    def file(self) -> Path:
        """The study file, as the user named it."""
        return self._file

    def resolve(self, path: str) -> Path:
        """Return `path` relative to the study file's folder if it exists there, else to the current folder.

        Links are not followed, so that a file keeps the name that the user gave it. Where a study file is a link, the
        folder of its target comes last.
        """
        folders = (self._file.parent, Path(), Path(os.path.realpath(self._file)).parent)
        found = [make_absolute(folder / path) for folder in folders]
        return next((each for each in found if os.path.lexists(each)), found[0])

    def error(self, key: str, expected: str, received: object, hint: str = "") -> ConfigError:
        """Return the error of a `key` of this file, in the sentence that all errors share."""
        return ConfigError(f"{self._file}: {key} {expected}. Received: {format_value(received)}.{hint}")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a study file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **StudyConfig.model_json_schema()}
