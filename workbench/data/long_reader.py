"""The layout of a long table's sequences, learnt on the training rows, and the reader of new long tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import ColumnKind
from workbench.data import column_types, memmap, new_data, padding, tables
from workbench.data.cache import Cache
from workbench.data.column_types import FittedColumn
from workbench.data.dataset import NewData, NewRows
from workbench.data.memmap import MemmapArray
from workbench.data.notation import Notation
from workbench.errors import DataError

# An x of more bytes than this lies on disk and is written in blocks of _BLOCK bytes.
_LARGE, _BLOCK = memmap.LARGE, 16 * 2**20
_MOST = float(np.finfo("float32").max)


@dataclass(frozen=True)
class LongLayout:
    """The layout by which a long table becomes sequences, learnt on the training rows."""

    id: str
    """The column whose equal values are one sequence."""
    steps: str
    """The column that orders the rows of a sequence."""
    order: FittedColumn
    """The kind of the step column: number or date."""
    columns: Mapping[str, FittedColumn]
    """The value columns: numbers, booleans and categories."""
    levels: Mapping[str, tuple[str, ...]]
    """For each category, the levels with an indicator channel."""
    length: int
    """The number of steps that all sequences are padded to or cut at."""
    uneven: bool
    """Whether steps are unevenly spaced; then a last channel holds the distance to the previous step."""
    gaps: tuple[str, ...]
    """The columns with missing values in training."""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> LongLayout:
        """Return the layout that `dataclasses.asdict` described, also after a round trip through JSON."""
        return cls(
            **{
                **document,
                "order": FittedColumn(*document["order"]),
                "columns": {name: FittedColumn(*column) for name, column in document["columns"].items()},
                "levels": {name: tuple(levels) for name, levels in document["levels"].items()},
                "gaps": tuple(document["gaps"]),
            }
        )


@dataclass(frozen=True)
class LongReader:
    """Reads new long tables as sequences."""

    source: str
    """The name of the training data, for messages."""
    layout: LongLayout
    numbers: tuple[str, ...]
    """The columns in which a word is an error."""
    shape: tuple[int, ...]
    """(steps, channels)."""
    notations: Mapping[str, Notation] = field(default_factory=dict)
    """The notation of each column of a text table."""
    image_format = None

    @property
    def id_column(self) -> str | None:
        """The column whose equal values are one sequence."""
        return self.layout.id

    @property
    def optional(self) -> tuple[str, ...]:
        """The columns with missing values in training."""
        return self.layout.gaps

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """The kind of each value column."""
        return {name: column.kind for name, column in self.layout.columns.items()}

    def read(self, rows: NewRows, *, cache: Cache | None = None) -> NewData:
        """Read a long table; see `Reader.read`."""
        name, frame, _ = new_data.open_table(rows, source=self.source, exact=[self.layout.id], notations=self.notations)
        needed = (self.layout.id, self.layout.steps, *self.layout.columns)
        what = "columns of id, steps and values"
        new_data.check_columns(frame, needed, name=name, source=self.source, what=what)
        column_types.check_numbers(frame, self.numbers, name)
        sequences = read_sequences(frame, self.layout, name, cache)
        return NewData(sequences.x, sequences.ids)

    def document(self) -> dict[str, Any]:
        """Return the reader as JSON values."""
        return new_data.make_document(
            kind="sequence",
            source=self.source,
            npz=False,
            id_column=self.layout.id,
            columns=dict(self.layout.columns),
            numbers=self.numbers,
            optional=self.layout.gaps,
            shape=self.shape,
            long=self.layout,
            notations=dict(self.notations),
        )


class SequenceData(NamedTuple):
    """The sequences of a long table."""

    x: Array | MemmapArray
    """(sequences, steps, channels) float32."""
    ids: Array
    """(sequences,): their ids in order of first appearance."""
    cut: int
    """The number of sequences that were longer than the layout and are cut."""


class StepOrder(NamedTuple):
    """The rows of a long table sorted by sequence and step."""

    rows: Array
    """(rows,): row numbers in the table."""
    sequence: Array
    """(rows,): the sequence number of each row."""
    moment: Array
    """(rows,): the position in the sequence, a number or seconds."""
    ids: Array
    """(sequences,): their ids."""

    @property
    def lengths(self) -> Array:
        """(sequences,): the number of steps."""
        return np.bincount(self.sequence)


def read_sequences(frame: pd.DataFrame, layout: LongLayout, name: str, cache: Cache | None = None) -> SequenceData:
    """Return the sequences of a new long table.

    Args:
        frame: the table, with all columns that the layout names.
        layout: the layout that was learnt on the training rows.
        name: the table's name, for messages.
        cache: keeps a large result on disk; without it the result is held in memory.

    Raises:
        DataError: an id or a step is missing, or a step occurs twice.
    """
    order = order_steps(frame, layout.id, layout.steps, layout.order, name)
    return SequenceData(pack(frame, order, layout, cache), order.ids, int((order.lengths > layout.length).sum()))


def order_steps(frame: pd.DataFrame, id_: str, steps: str, column: FittedColumn, name: str) -> StepOrder:
    """Sort the rows by sequence and step.

    Raises:
        DataError: an id or a step is missing, or a step occurs twice in an id.
    """
    ids = tables.ids(frame[[id_]].drop_duplicates(), id_, name)
    moments = column_types.impose(frame[[steps]], {steps: column})[steps]
    if moments.isna().any():
        raise DataError(
            f"{name}: column {steps!r} (data.steps) must hold a {column.kind} in every row. Received: "
            f"{int(moments.isna().sum())} rows that do not, the first is row {int(moments.isna().argmax())}. Correct "
            "them."
        )
    sequence = pd.factorize(frame[id_])[0]
    # Integer nanoseconds keep the exact order of dates.
    exact = moments.to_numpy().astype("int64") if column.kind == "date" else moments.to_numpy()
    rows = np.lexsort((exact, sequence))
    sequence, exact = sequence[rows], exact[rows]
    duplicate = (np.diff(sequence) == 0) & (np.diff(exact) == 0)
    if duplicate.any():
        first = int(rows[duplicate.argmax()])
        raise DataError(
            f"{name}: column {steps!r} (data.steps) must tell the rows of an id apart. Received: "
            f"{frame[steps].iloc[first]} twice for {id_} {frame[id_].iloc[first]}. Remove one, or set another "
            "data.steps."
        )
    seconds = 1e9 if column.kind == "date" else 1
    return StepOrder(rows, sequence, (exact - exact.min()) / seconds, ids)


def pack(frame: pd.DataFrame, order: StepOrder, layout: LongLayout, cache: Cache | None) -> Array | MemmapArray:
    """Return (sequences, steps, channels) float32; on disk if that is large and there is a cache."""
    channels = _channels(frame, layout)[order.rows]
    if layout.uneven:
        gap = np.diff(order.moment, prepend=0.0)
        gap[np.flatnonzero(np.diff(order.sequence, prepend=-1))] = 0
        channels = np.column_stack([channels, gap.astype("float32")])
    lengths = order.lengths
    size = len(lengths) * layout.length * channels.shape[1] * channels.itemsize
    if cache is None or size <= _LARGE:
        return _pad(channels, lengths, layout.length)
    digest = hashlib.sha256(channels.data)
    digest.update(lengths.data)
    key = {"long": digest.hexdigest(), "shape": channels.shape, "steps": layout.length}
    count = max(1, _BLOCK // (size // len(lengths)))

    def write(folder: Path) -> None:
        memmap.save_blocks(folder, len(lengths), _blocks(channels, lengths, layout.length, count))

    return memmap.open_saved(cache.entry(key, write))


def _blocks(channels: Array, lengths: Array, steps: int, count: int) -> Iterator[Array]:
    """Yield the padded sequences, at most `count` at a time."""
    ends = np.cumsum([0, *lengths])
    for start in range(0, len(lengths), count):
        stop = min(start + count, len(lengths))
        yield _pad(channels[ends[start] : ends[stop]], lengths[start:stop], steps)


def _pad(channels: Array, lengths: Array, steps: int) -> Array:
    """Return the sequences cut at `steps` and padded with NaN."""
    x = np.full((len(lengths), steps, channels.shape[1]), np.nan, "float32")
    place = np.arange(len(channels)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    x[padding.real_steps(steps, lengths)] = channels[place < steps]
    return x


def _channels(frame: pd.DataFrame, layout: LongLayout) -> Array:
    """Return the values of all rows, (rows, channels) float32: one channel per column, and per level of a category."""
    channels = []
    for name, column in layout.columns.items():
        values = column_types.impose(frame[[name]], {name: column})[name]
        if column.kind != "category":
            # Values beyond the range of float32 become missing.
            channels.append(values.where(values.abs() < _MOST).to_numpy("float32"))
            continue
        missing = values.isna().to_numpy()
        channels += [np.where(missing, np.nan, values == level).astype("float32") for level in layout.levels[name]]
    return np.column_stack(channels)
