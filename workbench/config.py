"""A study file: YAML read into a frozen StudyConfig. Checks form only; each room checks its own words.

`config` knows no family, metric, sampler or column: `study.open` asks the rooms that own them.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from workbench.errors import ConfigError, did_you_mean

Task = Literal["binary", "multiclass", "regression"]
FoldKind = Literal["holdout", "kfold", "stratified", "group", "group_stratified", "time", "column"]
ColumnKind = Literal["number", "boolean", "category", "date", "text"]
ArrayKind = Literal["image", "sequence", "table"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]


class _Part(BaseModel):
    """A frozen mapping of the study file in which unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataConfig(_Part):
    """Where the rows come from, and what their columns are."""

    train: str
    """A table (.csv, .tsv, .csv.gz, .parquet), arrays (.npz), or sklearn:NAME, openml:ID, kaggle:COMPETITION."""
    test: str | None = None
    """The rows to predict, in the same form as `train`."""
    sample_submission: str | None = None
    """The competition's example: the submission gets its columns, order and ids."""
    target: str | None = None
    """The column to predict. Needed for tables, known for arrays and sklearn: sources."""
    id: str | None = None
    """The column that names the rows; it never becomes a feature."""
    group: str | None = None
    """The column whose equal values must not be split over folds; it never becomes a feature."""
    time: str | None = None
    """The column that orders the rows for `folds: {kind: time}`; it stays a feature."""
    weight: str | None = None
    """The column with sample weights for training; it never becomes a feature."""
    drop: tuple[str, ...] = ()
    """Columns to leave out."""
    types: Mapping[str, ColumnKind | ArrayKind] = Field(default_factory=dict)
    """What a column is where the guess is wrong, as in {zip: category}; for .npz {x: image}."""
    positive: str | int | float | bool | None = None
    """The positive class of a binary target; the last in sorted order unless given."""
    target_transform: Literal["none", "log1p"] | None = None
    """What a regression model is trained on; follows from the metric unless given."""


class FoldsConfig(_Part):
    """How rows are set apart for validation."""

    kind: FoldKind | None = None
    """Follows from task and data when left out: group, else stratified for classes, else kfold."""
    folds: int = Field(5, ge=2, le=100)
    """How many folds."""
    repeats: int = Field(1, ge=1, le=100)
    """How often the rows are dealt anew (kfold and stratified)."""
    seed: int = Field(7, ge=0)
    """The seed of the deal; not the study's seed, so that folds stay when that changes."""
    fraction: float = Field(0.2, gt=0, lt=1)
    """The share of rows that `holdout` sets apart."""
    column: str | None = None
    """For `column`: the column of fold numbers that you bring; empty or negative: always training."""

    @model_validator(mode="after")
    def _consistent(self) -> "FoldsConfig":
        if (self.kind == "column") != (self.column is not None):
            raise ValueError("folds: kind 'column' and the key 'column' go together")
        if self.repeats > 1 and self.kind not in (None, "kfold", "stratified"):
            raise ValueError(f"repeats above 1 needs kind kfold or stratified, not {self.kind!r}")
        return self


class SearchConfig(_Part):
    """How long and how to search."""

    trials: int | None = Field(None, ge=1)
    """Finished trials (complete or pruned) that the study should reach in all."""
    minutes: float | None = Field(None, gt=0)
    """Minutes that one call may take, ensemble and submission included."""
    sampler: str = "tpe"
    """The Optuna sampler that suggests hyperparameters."""
    pruner: str = "median"
    """The Optuna pruner that ends a trial after a poor fold; `none` runs every fold."""
    workers: int | None = Field(None, ge=1)
    """Trials at the same time, one thread each; the number of cores unless given."""


class EnsembleConfig(_Part):
    """How the trials are blended."""

    method: str = "nelder_mead"
    """How weights are found: nelder_mead, greedy, uniform or best."""
    members: int = Field(25, ge=1, le=1000)
    """The most members that an ensemble may have."""


class StudyConfig(_Part):
    """One question: data, metric, folds, families, budgets. Read it with `load`."""

    name: Name
    """The study's identity, and the name of its experiment."""
    data: DataConfig
    """Where the rows come from, and what their columns are."""
    task: Task | None = None
    """Inferred from the target when left out."""
    metric: str | None = None
    """What is optimised; log_loss for classes and rmse for numbers when left out."""
    also: tuple[str, ...] = ()
    """Further metrics, shown and logged, not optimised."""
    folds: FoldsConfig = FoldsConfig()
    """How rows are set apart for validation."""
    families: tuple[str, ...] = Field(min_length=1)
    """The model families to search, in the order in which they first get a turn."""
    class_weight: Literal["balanced"] | None = None
    """Weigh classes by the inverse of their frequency in training."""
    search: SearchConfig = SearchConfig()
    """How long and how to search."""
    ensemble: EnsembleConfig = EnsembleConfig()
    """How the trials are blended."""
    seed: int = Field(7, ge=0)
    """The seed of samplers and models."""

    _file: Path = PrivateAttr(Path("study.yaml"))

    @property
    def file(self) -> Path:
        """The file that the study was read from, as the user named it."""
        return self._file

    def resolve(self, path: str) -> Path:
        """Return `path`, seen from the study file's folder first and from the current folder second."""
        beside = self._file.resolve().parent / path
        return beside if beside.exists() or not Path(path).exists() else Path(path).resolve()

    def error(self, key: str, expected: str, received: object, hint: str = "") -> ConfigError:
        """Return the error for a `key` of this file, in the one sentence all errors share."""
        return ConfigError(f"{self._file}: {key} {expected}. Received: {received!r}.{hint}")


def load(file: str | os.PathLike[str], **overrides: Any) -> StudyConfig:
    """Read a study file.

    Args:
        file: the study file.
        overrides: keys to replace, as in `seed=3`.

    Raises:
        ConfigError: the file is missing, is not YAML, or a key or value does not fit.
    """
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        near = sorted(p.name for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        hint = did_you_mean(path.name, near) or " Make one with 'workbench init TRAIN.csv'."
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).{hint}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: must be a UTF-8 text file. Received: {error.reason}.") from error
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: must be YAML. {getattr(error, 'problem', error)}.") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: must be a mapping with name, data and families. Received: {document!r}.")
    try:
        config = StudyConfig.model_validate({**document, **overrides})
    except ValidationError as error:
        raise ConfigError(f"{path}: {_sentence(error)}") from error
    config._file = path
    return config


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a study file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **StudyConfig.model_json_schema()}


def _sentence(error: ValidationError) -> str:
    """Say the first thing that is wrong, and how many more there are."""
    # A key that is misspelt is also missing; the misspelling is what helps.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _keys(first["loc"][:-1])
        hint = did_you_mean(first["loc"][-1], known) or f" Known keys: {', '.join(known)}."
        return f"{key} is not a key of a study file.{hint}{more}"
    if first["type"] == "missing":
        return f"{key} is missing. Add it to the file.{more}"
    message = first["msg"].removeprefix("Value error, ")
    hint = ""
    if first["type"] == "literal_error":
        expected = str(first["ctx"]["expected"])
        hint = did_you_mean(first["input"], expected.replace("'", "").replace(" or ", ", ").split(", "))
        message = f"must be {expected}"
    else:
        message = message.replace("Input should be", "must be").replace("String should", "must")
    return f"{key} {message}. Received: {first['input']!r}.{hint}{more}"


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the mapping at `location` may have."""
    part: Any = StudyConfig
    for name in location:
        field = part.model_fields.get(str(name)) if isinstance(part, type) else None
        part = field.annotation if field else None
    return list(part.model_fields) if isinstance(part, type) and issubclass(part, BaseModel) else []


if __name__ == "__main__":
    print(json.dumps(schema(), indent=1))
