"""The sections of a study file: keys, types, defaults.

The docstring of a field is its description in editors (JSON Schema) and in the documentation.
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
"""The task. The last two have several targets: all binary, or of any kind."""
SingleTask = Literal["binary", "multiclass", "regression"]
FoldKind = Literal["holdout", "kfold", "stratified", "group", "group_stratified", "time", "column"]
ColumnKind = Literal["number", "boolean", "category", "date", "text", "image"]
ArrayKind = Literal["image", "sequence", "table"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
# Strict: a quoted '5' or a `yes` in place of a number is a mistake, not a number.
Whole = Annotated[int, Field(strict=True)]
Side = Annotated[int, Field(strict=True, ge=1, le=4096)]
Amount = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Steps = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Columns = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"items": {"type": "string"}, "type": "array"}]}),
]
"""A column or a list of columns."""
Target = Annotated[
    str | tuple[str, ...] | None,
    PlainValidator(lambda value: _parse_target(value)),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"items": {"type": "string"}, "type": "array"}, {"type": "null"}]}),
]
"""A target column or a list of them."""


def _parse_target(value: object) -> str | tuple[str, ...] | None:
    """Return one target column, or several different ones."""
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
    """Return a class label unchanged, before pydantic converts its type."""
    if not isinstance(value, str | int | float | bool | None):
        raise ValueError("must be one class: a text, a number, true or false")
    return value


class ConfigSection(BaseModel):
    """A frozen section of the study file that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataConfig(ConfigSection):
    """The rows, and the meaning of their columns."""

    train: str
    """The training rows: a table (.csv, .tsv, .csv.gz, .parquet), arrays (.npz, IDX), a folder of images with a
    sub-folder for each class, or sklearn:NAME, openml:ID, kaggle:COMPETITION."""
    test: str | None = None
    """The rows to predict, in the same form as `train`; for images a folder of them."""
    images: str | None = None
    """The folder of the image files that one or more columns of the table `train` name."""
    steps: str | None = None
    """The column that orders the steps of one `id`. It marks a long table: all rows of one `id` are one sequence."""
    labels: str | None = None
    """For a long table, a table with one row for each `id`: the target, and group, weight or folds if they are set."""
    image_size: tuple[Side, Side] | None = None
    """Height and width to which images are resized. Default: the median size, with a longer side of at most 128."""
    corrupt: Literal["refuse", "skip"] = "refuse"
    """The treatment of training images that cannot be decoded: `refuse` stops with an error, `skip` leaves them out."""
    sample_submission: str | None = None
    """The competition's sample submission. The submission gets its columns, order and ids."""
    target: Target = None
    """The column to predict, or a list of columns. Required for tables; arrays and sklearn: sources know theirs."""
    id: str | None = None
    """The column that identifies the rows. It is never a feature."""
    group: str | None = None
    """Rows with an equal value in this column stay in one fold. It is never a feature."""
    time: Columns = ()
    """The column that orders the rows for `folds: {kind: time}`; or the columns with the parts of a date, the largest
    first, such as [year, month, day, hour] or [date, hour]. They stay features."""
    series: Columns = ()
    """The column or columns that separate series, such as stores or stations. Each series has its own past."""
    lags: tuple[Steps, ...] = ()
    """Lag features: the inputs of this many steps earlier, such as [1, 24]."""
    windows: tuple[Steps, ...] = ()
    """Window features: means of the inputs over the last steps, the current one included, such as [24, 72]."""
    horizon: Steps | None = None
    """The number of steps ahead to predict. Lagged targets that are at least this many steps old become features.
    Default: the target is never a feature."""
    weight: str | None = None
    """The column with sample weights for training. It is never a feature."""
    drop: tuple[str, ...] = ()
    """Columns to leave out."""
    unlabelled: Literal["drop", "refuse"] = "drop"
    """The treatment of training rows without a target, or without one of several: `drop` leaves them out, `refuse`
    stops with an error."""
    types: Mapping[str, Literal[ColumnKind, ArrayKind]] = Field(default_factory=dict)
    """Corrections of inferred column types, such as {zip: category}. For .npz, or a table with one column for each
    pixel: {x: image}. A column of names of files in `images` has the type image."""
    missing: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """For a column of a text table, the values that mean missing. Default: empty, NA, N/A, NaN, NULL and the like. With
    {continent: []} NA is a continent."""
    positive: str | int | float | bool | None = None
    """The positive class of a binary target. Default: the last class in sorted order."""
    target_transform: Literal["none", "log1p"] | None = None
    """The transform of a regression target for training. Default: it follows from the metric; for absolute errors log1p
    if the target is non-negative with a long tail."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns; empty if the source defines them."""
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
    """One of several targets, where it differs from the defaults."""

    task: SingleTask | None = None
    """The task of this target. Default: inferred from its values."""
    metric: str | None = None
    """The metric of this target. Default: the study's metric if it suits the target, else log_loss for classes and rmse
    for numbers."""
    weight: Amount = Field(default=1.0, gt=0)
    """The weight of this target in the score and in the loss of neural networks."""
    loss: Literal["squared_error", "absolute_error"] | None = None
    """The loss for a numeric target. Default: it follows from the metric."""
    positive: str | int | float | bool | None = None
    """The positive class of a binary target. Default: the last class in sorted order."""
    transform: Literal["none", "log1p"] | None = None
    """The transform of a numeric target for training. Default: it follows from the metric and the values."""

    @field_validator("positive", mode="before")
    @classmethod
    def _check_positive(cls, value: object) -> object:
        return check_label(value)


class FoldsConfig(ConfigSection):
    """The split of rows for validation."""

    kind: FoldKind | None = None
    """The kind of split. Default: `group` if `data.group` is set, else `stratified` for classes, else `kfold`."""
    folds: Whole = Field(default=5, ge=2, le=100)
    """The number of folds."""
    repeats: Whole = Field(default=1, ge=1, le=100)
    """The number of times the rows are split again with another seed (kfold and stratified)."""
    seed: Whole = Field(default=7, ge=0)
    """The seed of the split. It is independent of the study's `seed`, so folds stay the same when that changes."""
    fraction: Amount = Field(default=0.2, gt=0, lt=1)
    """The fraction of the rows that `holdout` validates on."""
    column: str | None = None
    """For the kind `column`: the column with your own fold numbers. An empty or negative value means training only."""

    @model_validator(mode="after")
    def _check_consistency(self) -> FoldsConfig:
        if (self.kind == "column") != (self.column is not None):
            raise ValueError("must have both or neither of kind 'column' and the key column")
        if self.repeats > 1 and self.kind not in (None, "kfold", "stratified"):
            raise ValueError("must be of kind kfold or stratified for repeats above 1")
        return self


class SearchConfig(ConfigSection):
    """The budget and the method of the search."""

    trials: Whole | None = Field(default=None, ge=1)
    """The total number of finished trials (complete or pruned) of the study."""
    minutes: Amount | None = Field(default=None, gt=0)
    """The time limit of one call in minutes, ensemble and submission included."""
    sampler: str = "tpe"
    """The Optuna sampler that suggests hyperparameters: tpe, random, cmaes, qmc or brute_force."""
    goal: Literal["score", "ensemble"] = "score"
    """The sampler's objective: the trial's own `score`, or what the trial adds to the present `ensemble` (tpe
    only)."""
    pruner: str = "paired"
    """The rule that stops poor trials: paired, median, percentile, halving, hyperband, wilcoxon, or `none`."""
    workers: Whole | None = Field(default=None, ge=1)
    """The number of concurrent trials, which share the cores. Default: the number of cores."""
    trial_seconds: Amount | None = Field(default=None, gt=0)
    """A trial that runs longer is stopped and recorded as failed: out of time."""
    trial_memory: Amount | None = Field(default=None, gt=0)
    """A trial that uses more gigabytes of memory is stopped and recorded as failed: out of memory."""
    disk: Amount | None = Field(default=None, gt=0)
    """The search ends when the home uses this many gigabytes."""
    gpus: Literal["shared", "assigned"] = "shared"
    """Whether every trial sees all GPUs (`shared`), or each worker has its own (`assigned`)."""
    system_metrics: bool = Field(default=False, strict=True)
    """Log each trial's use of processor, memory and GPUs to MLflow every few seconds."""


class PretrainedConfig(ConfigSection):
    """The base of the family `pretrained`."""

    base: str | None = None
    """An architecture of keras.applications, or your own model `file.keras`. Default: several architectures are
    searched."""
    weights: str | None = None
    """The weights of the architecture: a file, a folder of files such as MobileNetV2.weights.h5, `imagenet` (Keras
    downloads them), or `none`."""
    similar: bool = Field(default=False, strict=True)
    """Whether the base was trained on images similar to these. It decides what is tried first."""


class WordVectorsConfig(ConfigSection):
    """Pretrained word vectors for neural networks that read text."""

    file: str | None = None
    """The file: one word and its numbers a line, as written by GloVe and word2vec, also gzipped."""
    tuned: bool | None = Field(default=None, strict=True)
    """Whether training may change the vectors. Default: searched."""

    @model_validator(mode="after")
    def _check_consistency(self) -> WordVectorsConfig:
        if self.tuned is not None and self.file is None:
            raise ValueError("must have a file of vectors for tuned to mean something")
        return self


class TrainingConfig(ConfigSection):
    """The training of neural networks. What is not set here is searched."""

    epochs: Whole = Field(default=100, ge=1)
    """The maximum number of epochs."""
    early_stopping: Whole | None = Field(default=9, ge=1)
    """Training stops after this many epochs without a better validation loss; null for never. The best weights are
    kept."""
    reduce_on_plateau: bool = Field(default=True, strict=True)
    """Reduce the learning rate when the loss stops improving, with the schedule `plateau`."""
    schedule: Literal["plateau", "cosine", "step"] | None = None
    """The learning-rate schedule. Default: searched."""
    terminate_on_nan: bool = Field(default=True, strict=True)
    """Stop training when the loss is not a number."""
    csv_log: str | None = None
    """A folder for the losses of every epoch: FAMILY-TRIAL/REPEAT-FOLD/log.csv."""
    checkpoint: str | None = None
    """A folder for the best weights during training: FAMILY-TRIAL/REPEAT-FOLD/best.weights.h5."""
    tensorboard: str | None = None
    """A folder for TensorBoard logs: FAMILY-TRIAL/REPEAT-FOLD. Needs the package tensorboard."""
    callbacks: tuple[str, ...] = ()
    """Your own Keras callbacks, `file.py:Name`. Each training creates them anew without arguments."""
    pretrained: PretrainedConfig = PretrainedConfig()
    """The base of the family `pretrained`."""
    word_vectors: WordVectorsConfig = WordVectorsConfig()
    """Pretrained word vectors for neural networks that read text."""
    shared: tuple[tuple[str, ...], ...] = ()
    """Columns that share layers, such as [[photo_1, photo_2]]: images, texts or categories. Families without a branch
    for each kind of column ignore it."""

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
    """The blend of the trials."""

    method: str | None = None
    """The method that finds the weights: nelder_mead, convex, greedy, uniform, best, rank or stack. Default:
    nelder_mead, or a simpler blend where its cross-fitted score is clearly better."""
    members: Whole = Field(default=25, ge=1, le=1000)
    """The maximum number of members."""
    final: Literal["folds", "refit"] = "folds"
    """The models that predict new rows: the mean of each member's fold models (`folds`; with folds in time order the
    last model), or each member trained again on all rows (`refit`)."""
    seeds: Whole = Field(default=1, ge=1, le=100)
    """The number of refits of each member, each with its own seed. Their mean predicts."""
    weights: Literal["shared", "target", "class"] | None = None
    """Whether a member has one weight (`shared`), one for each target, or one for each class. Default: by target for
    several targets where that has the better cross-fitted score, otherwise shared."""

    @model_validator(mode="after")
    def _check_consistency(self) -> EnsembleConfig:
        if self.seeds > 1 and self.final != "refit":
            raise ValueError("must have final 'refit' for seeds above 1")
        return self
