"""What every source becomes: rows to learn from, rows to predict, and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, TypeAlias

from workbench.array import Array
from workbench.config import ColumnKind, SingleTask, TaskType

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data.lags import LagFeatures
    from workbench.data.long_format import LongLayout
    from workbench.data.memmap import MemmapArray

# Strings, so that naming the types loads neither library.
Rows: TypeAlias = "pd.DataFrame | Array | MemmapArray"
Kind = Literal["table", "text", "image", "sequence", "mixed"]
"""What a row is; text: a table with a column of texts, whatever else it has; mixed: with images among its columns."""
Class = str | int | float | bool


@dataclass(frozen=True)
class Target:
    """One of several targets."""

    name: str
    task: SingleTask
    classes: tuple[Class, ...] | None = None
    """The class that each number stands for; of two, the second is the positive one."""

    @property
    def outputs(self) -> int:
        """The width of its predictions: a column per class when there are more than two, else one."""
        return len(self.classes) if self.classes is not None and len(self.classes) > 2 else 1

    def values(self, y: Array) -> Array:
        """Return its column of `Dataset.y` as it was before it was encoded: labels, or values."""
        import numpy as np

        return y if self.classes is None else np.array(self.classes, dtype=object)[y.astype(int)]


def output_spans(targets: Sequence[Target]) -> list[slice]:
    """Return which columns of predictions, (rows, outputs), belong to each of several targets."""
    ends = accumulate(target.outputs for target in targets)
    return [slice(end - target.outputs, end) for target, end in zip(targets, ends, strict=True)]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training set, and the rows to predict where there are any.

    A table's columns are float64 (number, and boolean as 0 and 1), object (category and text), datetime64[ns] (date) or
    `Pictures` (image); a missing value is NaN, or NaT. Images are (rows, height, width[, channels]),
    sequences (rows, steps, channels), both float32 or uint8; large ones, and images in files, lie on disk (`MemmapArray`).
    In a sequence NaN is a missing value; a step is padding when it and all later ones are NaN in all channels.
    """

    kind: Kind
    """What a row is."""
    task: TaskType
    """What is asked about a row."""
    x: Rows
    """The features of the training rows."""
    y: Array
    """(rows,): int64 class numbers, or float64 values; of several targets either, (rows, targets) float64."""
    ids: Array
    """(rows,): unique names of the training rows."""
    target: str
    """The name of what is predicted; of several targets, their names."""
    id_name: str = "id"
    """The name of the id column; ids are row numbers from 0 where there is none."""
    x_test: Rows | None = None
    """The features of the rows to predict, in the same form as `x`."""
    test_ids: Array | None = None
    """(test rows,): unique names of the rows to predict."""
    classes: tuple[Class, ...] | None = None
    """The class that each number in `y` stands for; of a binary task, the second is the positive one."""
    targets: tuple[Target, ...] = ()
    """Several targets, in the order of the columns of `y`; none where there is one."""
    columns: Mapping[str, ColumnKind] = field(default_factory=dict)
    """A table's columns in the order of `x`, and what each is."""
    date_formats: Mapping[str, str] = field(default_factory=dict)
    """How the dates of a column are written, where they are text."""
    windows: LagFeatures | None = None
    """What a table's rows are shown of their past, in the last of the columns."""
    example: Rows | None = None
    """A few training rows as they came, with their id where a column has it, without the target."""
    pixels: tuple[str, ...] = ()
    """Of images that came as a table, the columns of their pixels."""
    long: LongLayout | None = None
    """Of sequences that came as a long table, how it became these."""
    groups: Array | None = None
    """(rows,): rows of one group must not be split over folds."""
    time: Array | None = None
    """(rows,): what orders the rows; datetime64[ns], numbers, or strings that sort."""
    weight: Array | None = None
    """(rows,): float64 sample weights for training."""
    fold_column: Array | None = None
    """(rows,): the fold numbers that the user brought; float64, NaN where there is none."""
    sample: pd.DataFrame | None = None
    """The sample submission as read."""
    notes: tuple[str, ...] = ()
    """What was left out or assumed, a sentence each."""
