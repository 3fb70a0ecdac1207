"""A study file: YAML read into a frozen StudyConfig. Checks form only; each room checks its own words.

`config` knows no family, metric, sampler or column: `study.open` asks the rooms that own them.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticKnownError

from workbench.errors import ConfigError, did_you_mean, listed

Task = Literal["binary", "multiclass", "regression", "multilabel", "multitarget"]
"""What is asked about a row; the last two are of several targets: all of two classes, or of any kind."""
SingleTask = Literal["binary", "multiclass", "regression"]
FoldKind = Literal["holdout", "kfold", "stratified", "group", "group_stratified", "time", "column"]
ColumnKind = Literal["number", "boolean", "category", "date", "text", "image"]
ArrayKind = Literal["image", "sequence", "table"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
# Strict: a quoted '5' or a `yes` where a number belongs is a slip of the pen, not a number.
Whole = Annotated[int, Field(strict=True)]
Side = Annotated[int, Field(strict=True, ge=1, le=4096)]
Amount = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Steps = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Columns = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"items": {"type": "string"}, "type": "array"}]}),
]
"""One column, or a list of some."""
Target = Annotated[
    str | tuple[str, ...] | None,
    PlainValidator(lambda value: _target(value)),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"items": {"type": "string"}, "type": "array"}, {"type": "null"}]}),
]
"""One column to predict, or several."""


def _target(value: object) -> str | tuple[str, ...] | None:
    """Return one column to predict, or several that differ."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list | tuple):
        raise PydanticKnownError("string_type")
    if not value or not all(isinstance(name, str) for name in value):
        raise ValueError("must be a column, or a list of columns in quotes")
    if len(set(value)) < len(value):
        raise ValueError("must have different columns")
    return value[0] if len(value) == 1 else tuple(value)


def one_class(value: object) -> object:
    """Return a class as it is written, before pydantic makes another type of it."""
    if not isinstance(value, str | int | float | bool | None):
        raise ValueError("must be one class: a text, a number, true or false")
    return value


class _Part(BaseModel):
    """A frozen mapping of the study file in which unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataConfig(_Part):
    """Where the rows come from, and what their columns are."""

    train: str
    """A table (.csv, .tsv, .csv.gz, .parquet), arrays (.npz, IDX), a folder of images with a sub-folder for each class,
    or sklearn:NAME, openml:ID, kaggle:COMPETITION."""
    test: str | None = None
    """The rows to predict, in the same form as `train`; where that is images, a folder of them."""
    images: str | None = None
    """The folder of the images whose files a column of the table `train` names, or several columns."""
    steps: str | None = None
    """The column that orders the steps within one `id`; it says that the table is long: all rows of one `id` are one
    sequence."""
    labels: str | None = None
    """Of a long table, the table with a row for each `id`: the target, and group, weight or folds if they are there."""
    image_size: tuple[Side, Side] | None = None
    """Height and width that images are stretched to; the median, at most 128, unless given."""
    corrupt: Literal["refuse", "skip"] = "refuse"
    """Whether training images that cannot be decoded are refused, or left out."""
    sample_submission: str | None = None
    """The competition's example: the submission gets its columns, order and ids."""
    target: Target = None
    """The column to predict, or a list of several. Needed for tables, known for arrays and sklearn: sources."""
    id: str | None = None
    """The column that names the rows; it never becomes a feature."""
    group: str | None = None
    """The column whose equal values must not be split over folds; it never becomes a feature."""
    time: Columns = ()
    """The column that orders the rows for `folds: {kind: time}`, or the columns of a date's parts from the largest
    down, as in [year, month, day, hour] or [date, hour]; they stay features."""
    series: Columns = ()
    """The column, or columns, that tell series apart, as stores or stations; each has a past of its own."""
    lags: tuple[Steps, ...] = ()
    """Steps of time back at which rows are shown their inputs, as in [1, 24]."""
    windows: tuple[Steps, ...] = ()
    """Steps of time up to a row over which its inputs are averaged, as in [24, 72]."""
    horizon: Steps | None = None
    """How many steps ahead is predicted: the target is shown to rows from so many steps back. Unless given, never."""
    weight: str | None = None
    """The column with sample weights for training; it never becomes a feature."""
    drop: tuple[str, ...] = ()
    """Columns to leave out."""
    types: Mapping[str, Literal[ColumnKind, ArrayKind]] = Field(default_factory=dict)
    """What a column is where the guess is wrong, as in {zip: category}; for .npz, or a table of pixels, {x: image}.
    A column of a table that names files of `images` is of the kind image."""
    positive: str | int | float | bool | None = None
    """The positive class of a binary target; the last in sorted order unless given."""
    target_transform: Literal["none", "log1p"] | None = None
    """What a regression model is trained on; follows from the metric unless given: for absolute errors log1p where the
    target is an amount with a long tail."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to predict; none where the source knows its own."""
        return self.target if isinstance(self.target, tuple) else () if self.target is None else (self.target,)

    @field_validator("positive", mode="before")
    @classmethod
    def _label(cls, value: object) -> object:
        return one_class(value)

    @model_validator(mode="after")
    def _several(self) -> "DataConfig":
        if isinstance(self.target, tuple):
            for key in ("positive", "target_transform", "horizon"):
                if getattr(self, key) is not None:
                    raise ValueError(f"must have one target for {key}")
        return self

    @model_validator(mode="after")
    def _in_time(self) -> "DataConfig":
        asked = [key for key in ("series", "lags", "windows", "horizon") if getattr(self, key)]
        if asked and not self.time:
            raise ValueError(f"must have the key time for {asked[0]}")
        if self.series and asked == ["series"]:
            raise ValueError("must have lags, windows or a horizon for series")
        for key in ("time", "series", "lags", "windows"):
            if len(set(getattr(self, key))) < len(getattr(self, key)):
                raise ValueError(f"must have different entries in {key}")
        return self


class TargetConfig(_Part):
    """One of several targets, where it is not like the others."""

    task: SingleTask | None = None
    """Inferred from its values when left out."""
    metric: str | None = None
    """How it is scored; the study's metric where that suits it, else log_loss for classes and rmse for numbers."""
    weight: Amount = Field(default=1.0, gt=0)
    """How much it counts beside the others, in the score and in what nets minimise."""
    loss: Literal["squared_error", "absolute_error"] | None = None
    """What models of numbers minimise; follows from the metric unless given."""
    positive: str | int | float | bool | None = None
    """The positive class of two; the last in sorted order unless given."""
    transform: Literal["none", "log1p"] | None = None
    """What models of numbers are trained on; follows from metric and values unless given."""

    @field_validator("positive", mode="before")
    @classmethod
    def _label(cls, value: object) -> object:
        return one_class(value)


class FoldsConfig(_Part):
    """How rows are set apart for validation."""

    kind: FoldKind | None = None
    """Follows from task and data when left out: group, else stratified for classes, else kfold."""
    folds: Whole = Field(default=5, ge=2, le=100)
    """How many folds."""
    repeats: Whole = Field(default=1, ge=1, le=100)
    """How often the rows are dealt anew (kfold and stratified)."""
    seed: Whole = Field(default=7, ge=0)
    """The seed of the deal; not the study's seed, so that folds stay when that changes."""
    fraction: Amount = Field(default=0.2, gt=0, lt=1)
    """The share of rows that `holdout` sets apart."""
    column: str | None = None
    """For `column`: the column of fold numbers that you bring; empty or negative: always training."""

    @model_validator(mode="after")
    def _consistent(self) -> "FoldsConfig":
        if (self.kind == "column") != (self.column is not None):
            raise ValueError("must have both or neither of kind 'column' and the key column")
        if self.repeats > 1 and self.kind not in (None, "kfold", "stratified"):
            raise ValueError("must be of kind kfold or stratified for repeats above 1")
        return self


class SearchConfig(_Part):
    """How long and how to search."""

    trials: Whole | None = Field(default=None, ge=1)
    """Finished trials (complete or pruned) that the study should reach in all."""
    minutes: Amount | None = Field(default=None, gt=0)
    """Minutes that one call may take, ensemble and submission included."""
    sampler: str = "tpe"
    """The Optuna sampler that suggests hyperparameters."""
    goal: Literal["score", "ensemble"] = "score"
    """What the sampler learns from: a trial's own score, or what it would add to the present ensemble (tpe only)."""
    pruner: str = "paired"
    """Who ends a poor trial early: paired, median, percentile, halving, hyperband, wilcoxon; `none` runs every fold."""
    workers: Whole | None = Field(default=None, ge=1)
    """Trials at the same time; they share the cores. The number of cores unless given."""
    trial_seconds: Amount | None = Field(default=None, gt=0)
    """Seconds after which a trial is stopped and recorded as failed, out of time."""
    trial_memory: Amount | None = Field(default=None, gt=0)
    """Gigabytes of memory at which a trial is stopped and recorded as failed, out of memory."""
    disk: Amount | None = Field(default=None, gt=0)
    """Gigabytes that the home may take on disk; the search ends there."""
    gpus: Literal["shared", "assigned"] = "shared"
    """Whether every trial sees all GPUs, or each worker one of its own."""
    system_metrics: bool = Field(default=False, strict=True)
    """Whether MLflow is told what each trial uses of processor, memory and GPUs, every few seconds."""


class PretrainedConfig(_Part):
    """What the family `pretrained` starts from."""

    base: str | None = None
    """An architecture of keras.applications, or a model of your own, `file.keras`; architectures are searched unless
    given."""
    weights: str | None = None
    """An architecture's weights: a file, a folder of files such as MobileNetV2.weights.h5, `imagenet` (Keras fetches
    them), or `none`."""
    similar: bool = Field(default=False, strict=True)
    """Whether the base was trained on images like these; what is tried first follows from it."""


class WordVectorsConfig(_Part):
    """Vectors of words, learnt from other texts, for nets that read."""

    file: str | None = None
    """Their file: a word and its numbers a line, as GloVe and word2vec write it, also .gz."""
    tuned: bool | None = Field(default=None, strict=True)
    """Whether a net may change the vectors; searched unless given."""

    @model_validator(mode="after")
    def _consistent(self) -> "WordVectorsConfig":
        if self.tuned is not None and self.file is None:
            raise ValueError("must have a file of vectors for tuned to mean something")
        return self


class TrainingConfig(_Part):
    """How nets are trained; what is not said here is in their search space."""

    epochs: Whole = Field(default=100, ge=1)
    """The most epochs that a net is trained for."""
    early_stopping: Whole | None = Field(default=9, ge=1)
    """Epochs without a better validation loss after which training ends; null: never. The best weights are kept."""
    reduce_on_plateau: bool = Field(default=True, strict=True)
    """Whether the learning rate falls when the loss stands still, where the schedule is `plateau`."""
    schedule: Literal["plateau", "cosine", "step"] | None = None
    """The schedule of the learning rate, where it is not to be searched."""
    terminate_on_nan: bool = Field(default=True, strict=True)
    """Whether training ends when the loss is not a number."""
    csv_log: str | None = None
    """A folder for the losses of every epoch: FAMILY-TRIAL/REPEAT-FOLD/log.csv."""
    checkpoint: str | None = None
    """A folder for the best weights while a net still trains: FAMILY-TRIAL/REPEAT-FOLD/best.weights.h5."""
    tensorboard: str | None = None
    """A folder for TensorBoard's logs, FAMILY-TRIAL/REPEAT-FOLD; needs the extra `tensorboard`."""
    callbacks: tuple[str, ...] = ()
    """Keras callbacks of your own, `file.py:Name`; each is made anew, without arguments, for every training."""
    pretrained: PretrainedConfig = PretrainedConfig()
    """What the family `pretrained` starts from."""
    word_vectors: WordVectorsConfig = WordVectorsConfig()
    """Vectors of words for the nets that read."""
    shared: tuple[tuple[str, ...], ...] = ()
    """Columns that go through the same layers, as in [[photo_1, photo_2]]: images, texts or categories. It is heeded by
    families that have a branch for each kind of column."""

    @field_validator("shared")
    @classmethod
    def _apart(cls, shared: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        if any(len(set(columns)) < 2 for columns in shared):
            raise ValueError("must have two columns or more in every list")
        every = [column for columns in shared for column in columns]
        if len(set(every)) < len(every):
            raise ValueError("must have no column twice")
        return shared


class EnsembleConfig(_Part):
    """How the trials are blended."""

    method: str = "nelder_mead"
    """How weights are found: nelder_mead, convex, greedy, uniform, best, rank or stack."""
    members: Whole = Field(default=25, ge=1, le=1000)
    """The most members that an ensemble may have."""
    final: Literal["folds", "refit"] = "folds"
    """What predicts new rows: the mean of each member's fold models (in order of time the last one), or the member
    trained once more on all rows."""
    seeds: Whole = Field(default=1, ge=1, le=100)
    """How many times `refit` trains each member, with a seed of its own each; the mean predicts."""
    weights: Literal["shared", "target", "class"] | None = None
    """Whether a member has one weight, one for each target, or one for each class. Unless given, several targets have
    their own where that is worth more on rows that the weights have not seen, and all else is shared."""

    @model_validator(mode="after")
    def _consistent(self) -> "EnsembleConfig":
        if self.seeds > 1 and self.final != "refit":
            raise ValueError("must have final 'refit' for seeds above 1")
        return self


class StudyConfig(_Part):
    """One question: data, metric, folds, families, budgets. Read it with `load`."""

    name: Name
    """The study's identity, and the name of its experiment."""
    data: DataConfig
    """Where the rows come from, and what their columns are."""
    task: Task | None = None
    """Inferred from the target when left out."""
    targets: Mapping[str, TargetConfig] = Field(default_factory=dict)
    """Of several targets, by name: what is particular of some of them."""
    metric: str | None = None
    """What is optimised; log_loss for classes and rmse for numbers when left out. Of several targets: the weighted mean
    of each one's score."""
    also: tuple[str, ...] = ()
    """Further metrics, shown and logged, not optimised."""
    folds: FoldsConfig = FoldsConfig()
    """How rows are set apart for validation."""
    families: tuple[str, ...] = Field(min_length=1)
    """The model families to search, by name or `file.py:Name`, in the order in which they first get a turn."""
    class_weight: Literal["balanced"] | None = None
    """Weigh classes by the inverse of their frequency in training."""
    search: SearchConfig = SearchConfig()
    """How long and how to search."""
    training: TrainingConfig = TrainingConfig()
    """How nets are trained."""
    ensemble: EnsembleConfig = EnsembleConfig()
    """How the trials are blended."""
    seed: Whole = Field(default=7, ge=0)
    """The seed of samplers and models."""
    deterministic: bool = Field(default=False, strict=True)
    """Whether nets use only operations that give the same bits each time, where that costs speed."""

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
        return ConfigError(f"{self._file}: {key} {expected}. Received: {_shown(received)}.{hint}")


def load(file: str | os.PathLike[str], **overrides: Any) -> StudyConfig:
    """Read a study file.

    Args:
        file: the study file.
        overrides: keys to replace, as in `seed=3`.

    Raises:
        ConfigError: the file is missing, is not YAML, or a key or value does not fit.
    """
    path = Path(file)
    document = _parsed(path, _text(path))
    if not isinstance(document, dict):
        raise ConfigError(
            f"{path}: must be a mapping with name, data and families. Received: {_shown(document)}.{_no_study(path)}"
        )
    try:
        config = StudyConfig.model_validate({**document, **overrides})
    except ValidationError as error:
        raise ConfigError(f"{path}: {_sentence(error)}") from error
    config._file = path
    return config


# What gives a secret away: a word before it, a place in a URL, or a form that keys of well-known services have.
_SECRETS = (
    re.compile(r"(?P<before>\w+://[^\s:/@]*:)[^\s/@]+(?=@)"),
    re.compile(
        r"(?i)(?P<before>\w*(?:password|passwd|secret|token|credential|api[_-]?key|access[_-]?key)\w*['\"]?\s*[:=]\s*)"
        r"(?:\"[^\"]*\"|'[^']*'|[^\s&#,}\]]+)"
    ),
    re.compile(r"(?P<before>\b(?:gh[pousr]_|hf_|sk-|xox[a-z]-|AKIA|KGAT_))[\w-]{12,}"),
)


def masked(text: str) -> str:
    """Return a text, as of a study file, with stars in the place of what looks like a password, a token or a key."""
    for secret in _SECRETS:
        text = secret.sub(lambda found: f"{found['before']}***", text)
    return text


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a study file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **StudyConfig.model_json_schema()}


class _Loader(yaml.SafeLoader):
    """YAML's safe loader; a key that stands twice in one mapping is refused, where YAML lets the last one win."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return a mapping whose keys differ; `<<` may stand in it more than once."""
        node = super().compose_mapping_node(anchor)
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for place, key in enumerate(keys):
            if any(key.value == other.value for other in keys[:place]):
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
        return node


_YAML_HINTS = {
    "'\\t'": " Indent with spaces, not with tabs.",
    "mapping values": " Put a value that holds ': ' in quotes.",
    "stands twice": " Remove one of them.",
}


def _text(path: Path) -> str:
    """Return what the file holds."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).{_instead(path)}") from error
    except UnicodeDecodeError as error:
        received = f"byte 0x{error.object[error.start]:02x} at position {error.start}"
        hint = _no_study(path) or " Save it as UTF-8."
        raise ConfigError(f"{path}: must be a UTF-8 text file. Received: {received}.{hint}") from error


def _parsed(path: Path, text: str) -> Any:
    """Return what YAML makes of the text."""
    try:
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        hints = (hint for words, hint in _YAML_HINTS.items() if words in str(problem))
        sentence = f"{path}{where}: is not YAML: {problem or error}.{next(hints, _no_study(path))}"
        raise ConfigError(" ".join(sentence.split())) from error


def _instead(path: Path) -> str:
    """Say what could be read in place of a file that cannot."""
    folder = path if path.is_dir() else path.parent
    near = sorted(each.name for each in folder.glob("*.y*ml")) if folder.is_dir() else []
    if path.is_dir():
        return f" Name a study file in it: {listed(near)}." if near else " Name a study file."
    if path.exists():
        return " Check who may read it."
    return did_you_mean(path.name, near) or " Make one with 'workbench init TRAIN.csv'."


def _no_study(path: Path) -> str:
    """Say how data become a study, where the file's name is none of a study file."""
    return "" if path.suffix.lower() in (".yaml", ".yml") else f" From data, make one with 'workbench init {path}'."


# What pydantic's errors are in our sentence, filled in from their context.
_MUST = {
    "string_type": "must be text",
    "string_pattern_mismatch": "must be letters, digits, '_', '.' and '-', the first a letter or a digit",
    "string_too_long": "must have at most {max_length} characters",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "too_short": "must have at least {min_length} entry",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}
_UNKNOWN = ("extra_forbidden", "invalid_key")


def _sentence(error: ValidationError) -> str:
    """Say the first thing that is wrong, and how many more there are."""
    # A key that is misspelt is also missing; the misspelling is what helps.
    first = min(error.errors(), key=lambda e: e["type"] not in _UNKNOWN)
    others = error.error_count() - 1
    more = f" ({others} more {'mistake' if others == 1 else 'mistakes'})" if others else ""
    location = tuple(part for part in first["loc"] if part != "[key]")
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    key = " ".join(key.split())
    if first["type"] in _UNKNOWN:
        key = key if first["type"] == "extra_forbidden" else _shown(first["input"])
        return f"{key} is not a key of a study file.{_right_key(location)}{more}"
    if first["type"] == "missing":
        return f"{key} is missing. Add it to the file.{more}"
    must = _MUST.get(first["type"], first["msg"]).format(**first.get("ctx", {}))
    return f"{key} {must}. Received: {_shown(first['input'])}.{_remedy(first, location)}{more}"


def _remedy(error: ErrorDetails, location: tuple[int | str, ...]) -> str:
    """Say what to write in place of a value that does not fit."""
    kind, value = error["type"], error["input"]
    if value is None:
        return " Fill it in, or remove the line."
    if kind == "literal_error":
        expected = str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
        return did_you_mean(value, expected.split(", "))
    if kind == "string_type" and not isinstance(value, list | dict):
        return " Put it in quotes."
    if kind in ("int_type", "float_type") and isinstance(value, str) and value.strip().isdigit():
        return " Remove the quotes."
    if kind == "tuple_type" and isinstance(value, str):
        return f" Write [{value}]."
    if kind == "model_type":
        return f" Its keys: {listed(_keys(location), 20)}."
    return ""


def _right_key(location: tuple[int | str, ...]) -> str:
    """Say which key was meant: the same one elsewhere, one that is spelt like it, or those that there are."""
    *above, key = location
    for place, known in _places():
        if key in known:
            return f" It belongs {f'under {place}' if place else 'at the top of the file'}."
    known = _keys(tuple(above))
    return did_you_mean(key, known) or f" Known keys: {listed(known, 20)}."


def _places() -> Iterator[tuple[str, list[str]]]:
    """Yield every mapping of a study file by its key, with the keys that it may have."""
    yield "", _keys(())
    for name in _keys(()):
        yield name, _keys((name,))


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the mapping at `location` may have."""
    part: type[BaseModel] = StudyConfig
    for name in location:
        field = part.model_fields.get(str(name))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        part = field.annotation
    return list(part.model_fields)


def _shown(value: object, most: int = 60) -> str:
    """Return a value as a message shows it: on one line, cut where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    words = repr(value) if isinstance(value, str | int | float | list | dict) else str(value)
    return words if len(words) <= most else f"{words[: most - 1]}…"


if __name__ == "__main__":
    print(json.dumps(schema(), indent=1))
