"""The sections of a study file: the type, the limits and the description of each key.

The docstring below a key becomes its description in the JSON Schema, which editors show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

TaskType = Literal["binary", "multiclass", "regression", "multilabel", "multitarget"]
"""The task of a study. The last two have several targets: all binary (multilabel), or of any kind (multitarget)."""
SingleTask = Literal["binary", "multiclass", "regression"]
FoldKind = Literal["holdout", "kfold", "stratified", "group", "group_stratified", "time", "column"]
ColumnKind = Literal["number", "boolean", "category", "date", "text", "image"]
ArrayKind = Literal["image", "sequence", "table"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
# Strict types: a quoted '5' or a `yes` in place of a number is a mistake and is not converted.
Whole = Annotated[int, Field(strict=True)]
Side = Annotated[int, Field(strict=True, ge=1, le=4096)]
Amount = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Steps = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Columns = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"items": {"type": "string"}, "type": "array"}]}),
]
"""One column or a list of columns."""
Target = Annotated[
    str | tuple[str, ...] | None,
    PlainValidator(lambda value: _parse_target(value)),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"items": {"type": "string"}, "type": "array"}, {"type": "null"}]}),
]
"""One target column or several."""


def _parse_target(value: object) -> str | tuple[str, ...] | None:
    """Return the target column, or a tuple of several; a list of one is that one."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list | tuple):
        raise PydanticKnownError("string_type")
    if not value or not all(isinstance(name, str) for name in value):
        raise ValueError("must be a column, or a list of columns in quotes")
    if len(set(value)) < len(value):
        raise ValueError("must have different columns")
    return value[0] if len(value) == 1 else tuple(value)


def check_label(value: object) -> object:
    """Return a class label with the type that it has in YAML, so that pydantic does not convert it."""
    if not isinstance(value, str | int | float | bool | None):
        raise ValueError("must be one class: a text, a number, true or false")
    return value


class ConfigSection(BaseModel):
    """A frozen mapping of the study file in which unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataConfig(ConfigSection):
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
    def _check_positive(cls, value: object) -> object:
        return check_label(value)

    @model_validator(mode="after")
    def _check_several_targets(self) -> DataConfig:
        if isinstance(self.target, tuple):
            for key in ("positive", "target_transform", "horizon"):
                if getattr(self, key) is not None:
                    raise ValueError(f"must have one target for {key}")
        return self

    @model_validator(mode="after")
    def _check_time(self) -> DataConfig:
        given = [key for key in ("series", "lags", "windows", "horizon") if getattr(self, key)]
        if given and not self.time:
            raise ValueError(f"must have the key time for {given[0]}")
        if self.series and given == ["series"]:
            raise ValueError("must have lags, windows or a horizon for series")
        for key in ("time", "series", "lags", "windows"):
            if len(set(getattr(self, key))) < len(getattr(self, key)):
                raise ValueError(f"must have different entries in {key}")
        return self


class TargetConfig(ConfigSection):
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
    def _check_positive(cls, value: object) -> object:
        return check_label(value)


class FoldsConfig(ConfigSection):
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
    def _check_consistency(self) -> FoldsConfig:
        if (self.kind == "column") != (self.column is not None):
            raise ValueError("must have both or neither of kind 'column' and the key column")
        if self.repeats > 1 and self.kind not in (None, "kfold", "stratified"):
            raise ValueError("must be of kind kfold or stratified for repeats above 1")
        return self


class SearchConfig(ConfigSection):
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


class PretrainedConfig(ConfigSection):
    """What the family `pretrained` starts from."""

    base: str | None = None
    """An architecture of keras.applications, or a model of your own, `file.keras`; architectures are searched unless
    given."""
    weights: str | None = None
    """An architecture's weights: a file, a folder of files such as MobileNetV2.weights.h5, `imagenet` (Keras fetches
    them), or `none`."""
    similar: bool = Field(default=False, strict=True)
    """Whether the base was trained on images like these; what is tried first follows from it."""


class WordVectorsConfig(ConfigSection):
    """Vectors of words, learnt from other texts, for nets that read."""

    file: str | None = None
    """Their file: a word and its numbers a line, as GloVe and word2vec write it, also .gz."""
    tuned: bool | None = Field(default=None, strict=True)
    """Whether a net may change the vectors; searched unless given."""

    @model_validator(mode="after")
    def _check_consistency(self) -> WordVectorsConfig:
        if self.tuned is not None and self.file is None:
            raise ValueError("must have a file of vectors for tuned to mean something")
        return self


class TrainingConfig(ConfigSection):
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
    def _check_shared(cls, shared: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        if any(len(set(columns)) < 2 for columns in shared):
            raise ValueError("must have two columns or more in every list")
        every = [column for columns in shared for column in columns]
        if len(set(every)) < len(every):
            raise ValueError("must have no column twice")
        return shared


class EnsembleConfig(ConfigSection):
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
    def _check_consistency(self) -> EnsembleConfig:
        if self.seeds > 1 and self.final != "refit":
            raise ValueError("must have final 'refit' for seeds above 1")
        return self
