"""Dataset: the form that every source is read into, with the reader of new rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

from workbench.array import Array
from workbench.config import ColumnKind, SingleTask, TaskType

if TYPE_CHECKING:
    import os

    import pandas as pd

    from workbench.data.cache import Cache
    from workbench.data.image_decoding import ImageFormat
    from workbench.data.memmap import MemmapArray

# Strings, so that naming the types loads neither library.
Rows: TypeAlias = "pd.DataFrame | Array | MemmapArray"
NewRows: TypeAlias = "str | os.PathLike[str] | pd.DataFrame | Array"
"""Rows to predict: a file in the form of the training data, a frame, or an array of images or sequences."""
Kind = Literal["table", "text", "image", "sequence", "mixed"]
"""The kind of a row. text: a table with a text column; mixed: a table with image columns."""
Class = str | int | float | bool


@dataclass(frozen=True)
class Target:
    """One of several targets."""

    name: str
    task: SingleTask
    classes: tuple[Class, ...] | None = None
    """The class of each class number; in a binary task the second is the positive one."""

    @property
    def outputs(self) -> int:
        """The number of prediction columns: one per class for three classes or more, else one."""
        return len(self.classes) if self.classes is not None and len(self.classes) > 2 else 1

    def values(self, y: Array) -> Array:
        """Decode its column of `Dataset.y` into labels or values."""
        import numpy as np

        return y if self.classes is None else np.array(self.classes, dtype=object)[y.astype(int)]


def output_spans(targets: Sequence[Target]) -> list[slice]:
    """Return the columns of predictions, (rows, outputs), that belong to each of several targets."""
    ends = accumulate(target.outputs for target in targets)
    return [slice(end - target.outputs, end) for target, end in zip(targets, ends, strict=True)]


class NewData(NamedTuple):
    """Rows to predict in the form that models take."""

    x: Rows
    ids: Array
    """(rows,): the ids; row numbers if the rows have none."""


class Reader(Protocol):
    """Reads new rows in the form of the training rows; fitted by the loader, and stored as JSON.

    `workbench.data.reader_document` restores one from its document.
    """

    @property
    def id_column(self) -> str | None:
        """The column or array of ids; new rows may lack it."""

    @property
    def optional(self) -> tuple[str, ...]:
        """The columns with missing values in training, which a server's client may leave out."""

    @property
    def kinds(self) -> Mapping[str, ColumnKind]:
        """The kind of each column of a table as models see it; empty for arrays."""

    @property
    def image_format(self) -> ImageFormat | None:
        """The format that image files are decoded to; None if no images are decoded."""

    def read(self, rows: NewRows, *, cache: Cache | None = None) -> NewData:
        """Read rows to predict.

        Args:
            rows: a file, a frame or an array.
            cache: keeps decoded images and large sequences on disk; without it they are held in memory.

        Raises:
            SourceError: the file cannot be opened.
            DataError: the rows lack columns, or a column holds values that it must not hold.
        """

    def document(self) -> dict[str, Any]:
        """Return the reader as JSON values."""


class SampleAlignment(NamedTuple):
    """The ids of the sample submission, and the test rows that they name."""

    id_column: str
    """The column of the sample that holds the ids; all others hold predictions."""
    rows: Array | None
    """(sample rows,): the test row of each row of the sample; None without test rows."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """The training rows, and the rows to predict if the study has some.

    The columns of a table are float64 (number, and boolean as 0 and 1), object (category and text), datetime64[ns]
    (date) or `ImageArray` (image); a missing value is NaN or NaT. Images are (rows, height, width[, channels]) and
    sequences (rows, steps, channels), both float32 or uint8. Large arrays and decoded image files lie on disk
    (`MemmapArray`). In a sequence NaN is a missing value; a step is padding if it and all later steps are NaN in all
    channels.
    """

    kind: Kind
    task: TaskType
    x: Rows
    """The features of the training rows."""
    y: Array
    """(rows,): int64 class numbers, or float64 values; for several targets (rows, targets) float64."""
    ids: Array
    """(rows,): unique ids of the training rows."""
    target: str
    """The name of the target, or the names of several."""
    id_name: str = "id"
    """The name of the id column; without one, ids are row numbers from 0."""
    x_test: Rows | None = None
    """The features of the rows to predict, in the form of `x`."""
    unlabelled: pd.DataFrame | None = None
    """The features of the training rows of a table that have no target, in the form of `x`. They are no rows of `x`."""
    test_ids: Array | None = None
    """(test rows,): unique ids of the rows to predict."""
    classes: tuple[Class, ...] | None = None
    """The class of each number in `y`; in a binary task the second is the positive one."""
    targets: tuple[Target, ...] = ()
    """Several targets in the order of the columns of `y`; empty for a single target."""
    columns: Mapping[str, ColumnKind] = field(default_factory=dict)
    """The kind of each column of a table, in the order of `x`."""
    reader: Reader | None = None
    """Reads new rows in the form of `x`; every loader sets it."""
    example: Rows | None = None
    """A few raw training rows with their id, without the target."""
    groups: Array | None = None
    """(rows,): rows of one group are not split over folds."""
    time: Array | None = None
    """(rows,): orders the rows; datetime64[ns], numbers, or strings that sort."""
    weight: Array | None = None
    """(rows,): float64 sample weights for training."""
    fold_column: Array | None = None
    """(rows,): the user's fold numbers; float64, NaN for rows that only train."""
    sample: pd.DataFrame | None = None
    """The sample submission; its ids are as written."""
    alignment: SampleAlignment | None = None
    """The test rows of the sample's rows; None without a sample."""
    notes: tuple[str, ...] = ()
    """The loader's omissions and assumptions, one sentence each."""
