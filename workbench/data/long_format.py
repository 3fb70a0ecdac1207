"""A long table, with a row for each step of each sequence -> Dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import StudyConfig
from workbench.data import column_types, memmap, padding, tables, target, validation
from workbench.data.cache import Cache
from workbench.data.column_types import FittedColumn
from workbench.data.dataset import Dataset
from workbench.data.memmap import MemmapArray
from workbench.errors import DataError, format_list

# Of a category's values, so many have a channel of their own: those that are there most often.
_LEVELS = 20
# A sequence that is longer than so many times what nearly all are would pad all the others.
_TOO_LONG, _NEARLY_ALL = 4, 0.99
# An x of more bytes than this lies on disk, where it is put in blocks of so many bytes.
_LARGE, _BLOCK = memmap.LARGE, 16 * 2**20
_MOST = float(np.finfo("float32").max)
# So many rows of the first sequence show what such a table is.
_EXAMPLE = 100


@dataclass(frozen=True)
class LongLayout:
    """How a long table becomes sequences; learnt on the training rows."""

    id: str
    """The column whose equal values are one sequence."""
    steps: str
    """The column that orders the rows of a sequence."""
    order: FittedColumn
    """What the column of steps holds: numbers or dates."""
    columns: Mapping[str, FittedColumn]
    """The columns of values: numbers, booleans and categories."""
    levels: Mapping[str, tuple[str, ...]]
    """Of each category, the values that have a channel of their own, which is 1 where they are."""
    length: int
    """How many steps all sequences are padded to, or cut at."""
    uneven: bool
    """Whether the steps are not equally far apart: then a last channel says how far it is from the one before."""
    gaps: tuple[str, ...]
    """The columns in which training rows lack a value."""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> LongLayout:
        """Return what `dataclasses.asdict` made of it, read back from JSON."""
        return cls(
            **{
                **document,
                "order": FittedColumn(*document["order"]),
                "columns": {name: FittedColumn(*column) for name, column in document["columns"].items()},
                "levels": {name: tuple(levels) for name, levels in document["levels"].items()},
                "gaps": tuple(document["gaps"]),
            }
        )


class SequenceData(NamedTuple):
    """What a long table became."""

    x: Array | MemmapArray
    """(sequences, steps, channels) float32."""
    ids: Array
    """(sequences,): their names, in the order in which the table has them first."""
    cut: int
    """How many of them had more steps than there are."""


class _Order(NamedTuple):
    """The rows of a long table, sequence after sequence and step after step."""

    rows: Array
    """(rows,): their numbers in the table."""
    sequence: Array
    """(rows,): the number of the sequence of each."""
    moment: Array
    """(rows,): where they are in it: numbers, or seconds."""
    ids: Array
    """(sequences,): their names."""

    @property
    def lengths(self) -> Array:
        """(sequences,): how many steps each has."""
        return np.bincount(self.sequence)


def load_long(
    config: StudyConfig,
    train: Path,
    test: Path | None,
    labels: Path | None,
    *,
    sample: pd.DataFrame | None = None,
    cache: Cache | None = None,
) -> Dataset:
    """Read long tables, and the table of labels where there is one, and build a Dataset of sequences.

    Raises:
        ConfigError: a key names a column that is not there.
        SourceError: a file cannot be opened.
        DataError: steps repeat or are missing, an id has two targets or none, or no column of values is left.
    """
    names = train.name, test.name if test else "", labels.name if labels else ""
    exact = [config.data.id] if config.data.id else []
    frame, notes = tables.read_with_notes(train, exact)
    rows = None if test is None else tables.read_table(test, exact)
    told = None if labels is None else tables.read_table(labels, exact)
    targets = validation.check_long(config, frame.columns, names[0], None if told is None else (told.columns, names[2]))
    if rows is not None:
        validation.check_test(config, frame.columns, rows.columns, train=names[0], test=names[1], targets=targets)
    column = _steps(config, frame, names[0])
    order = _ordered(frame, str(config.data.id), str(config.data.steps), column, names[0])
    layout, dropped = _learn(config, frame, order, column, targets, names[0])
    found = _beside(config, frame, told, order, (names[0], names[2]))
    new = None if rows is None else read(rows, layout, names[1], cache)
    return Dataset(
        kind="sequence",
        x=_packed(frame, order, layout, cache),
        ids=order.ids,
        x_test=None if new is None else new.x,
        test_ids=None if new is None else new.ids,
        id_name=layout.id,
        example=_example(frame, order, layout),
        long=layout,
        sample=sample,
        notes=(*notes, *dropped, *_cut(new, names[1]), *found.notes),
        **target.encode_targets(config, found.frame)._asdict(),
        **tables.roles(config, found.frame, names[2] or names[0]),
    )


def _cut(new: SequenceData | None, name: str) -> tuple[str, ...]:
    """Say of how many sequences to predict the end was not looked at."""
    if new is None or not new.cut:
        return ()
    return (f"cut {new.cut} of {len(new.ids)} sequences of {name} at step {new.x.shape[1]:,}, where training ends",)


def read(frame: pd.DataFrame, layout: LongLayout, name: str, cache: Cache | None = None) -> SequenceData:
    """Return the sequences of a long table that is read as the training rows were.

    Args:
        frame: the table, with all columns that the layout names.
        layout: what was learnt on the training rows.
        name: the table's, for messages.
        cache: where a large result is kept; without it, it is held in memory.

    Raises:
        DataError: an id or a step is missing, or a step is there twice.
    """
    order = _ordered(frame, layout.id, layout.steps, layout.order, name)
    return SequenceData(_packed(frame, order, layout, cache), order.ids, int((order.lengths > layout.length).sum()))


def _steps(config: StudyConfig, frame: pd.DataFrame, name: str) -> FittedColumn:
    """Return what the column of steps holds."""
    column = str(config.data.steps)
    order = column_types.learn(frame[[column]], config)[column]
    if order.kind not in ("number", "date"):
        few = format_list((repr(value) for value in frame[column].dropna().unique()[:3].tolist()), 3)
        raise DataError(
            f"{name}: column {column!r} (data.steps) must hold numbers or dates. Received: values like {few}. Set "
            "data.steps to the column that orders the rows of an id."
        )
    return order


def _ordered(frame: pd.DataFrame, id_: str, steps: str, column: FittedColumn, name: str) -> _Order:
    """Return the rows by sequence and step.

    Raises:
        DataError: an id or a step is missing, or an id has a step twice.
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
    # In nanoseconds dates keep their order exactly.
    exact = moments.to_numpy().astype("int64") if column.kind == "date" else moments.to_numpy()
    rows = np.lexsort((exact, sequence))
    sequence, exact = sequence[rows], exact[rows]
    twice = (np.diff(sequence) == 0) & (np.diff(exact) == 0)
    if twice.any():
        first = int(rows[twice.argmax()])
        raise DataError(
            f"{name}: column {steps!r} (data.steps) must tell the rows of an id apart. Received: "
            f"{frame[steps].iloc[first]} twice for {id_} {frame[id_].iloc[first]}. Remove one, or set another "
            "data.steps."
        )
    seconds = 1e9 if column.kind == "date" else 1
    return _Order(rows, sequence, (exact - exact.min()) / seconds, ids)


def _learn(
    config: StudyConfig, frame: pd.DataFrame, order: _Order, steps: FittedColumn, targets: Sequence[str], name: str
) -> tuple[LongLayout, tuple[str, ...]]:
    """Decide on the training rows what becomes of each column, and how long sequences are; say what is left out."""
    apart = {*targets, str(config.data.steps), *validation.not_features(config)}
    features = frame[[column for column in frame.columns if column not in apart and not validation.is_unnamed(column)]]
    learnt = column_types.learn(features, config)
    odd = {column: kind for column, (kind, _) in learnt.items() if kind in ("date", "text")}
    learnt = {column: each for column, each in learnt.items() if column not in odd}
    values, dropped = tables.informative(column_types.impose(features, learnt), name)
    learnt = {column: each for column, each in learnt.items() if column in values}
    levels = {column: _levels(values[column]) for column, each in learnt.items() if each.kind == "category"}
    within = np.diff(order.sequence) == 0
    between = np.diff(order.moment)[within]
    length, cut = _length(order.lengths)
    notes = [f"left out {column!r}: a {kind} in a sequence" for column, kind in odd.items()]
    notes += [
        f"kept the {_LEVELS} most frequent of the {values[c].nunique()} values of {c!r}"
        for c in levels
        if values[c].nunique() > _LEVELS
    ]
    return LongLayout(
        id=str(config.data.id),
        steps=str(config.data.steps),
        order=steps,
        columns=learnt,
        levels=levels,
        length=length,
        uneven=bool(len(between)) and not np.allclose(between, between[0]),
        gaps=tuple(column for column in learnt if values[column].isna().any()),
    ), (*notes, *dropped, *cut)


def _levels(values: pd.Series[Any]) -> tuple[str, ...]:
    """Return the values of a category that get a channel; of two, one tells the other."""
    counts = values.value_counts()
    found = sorted(map(str, counts.index), key=lambda level: (-counts[level], level))
    return tuple(found[:1] if len(found) == 2 else found[:_LEVELS])


def _length(lengths: Array) -> tuple[int, tuple[str, ...]]:
    """Return how many steps there are to be, those of the longest sequence unless it is far longer than the others."""
    longest, usual = int(lengths.max()), int(np.quantile(lengths, _NEARLY_ALL, method="lower"))
    if longest <= _TOO_LONG * usual:
        return longest, ()
    number = int((lengths > usual).sum())
    return usual, (f"cut {number} of {len(lengths)} sequences at step {usual:,}: the longest has {longest:,}",)


class _Beside(NamedTuple):
    """What is known of each sequence."""

    frame: pd.DataFrame
    """(sequences,): the target, and what else the study file names."""
    notes: tuple[str, ...]


def _beside(
    config: StudyConfig, frame: pd.DataFrame, labels: pd.DataFrame | None, order: _Order, names: tuple[str, str]
) -> _Beside:
    """Return one value for each sequence of what the study file names: from the labels, else from the long table.

    Raises:
        DataError: an id has no label, or a column of the long table changes within an id.
    """
    data = config.data
    keys = {"data.group": data.group, "data.weight": data.weight}
    keys |= {f"data.target[{n}]" if n else "data.target": name for n, name in enumerate(data.targets)}
    keys |= {"folds.column": config.folds.column} | {f"data.time[{n}]": name for n, name in enumerate(data.time)}
    wanted = {key: column for key, column in keys.items() if column is not None}
    found, notes = pd.DataFrame(index=range(len(order.ids))), tuple[str, ...]()
    if labels is not None:
        told, notes = _labelled(labels, str(data.id), order.ids, names)
        found = told[[column for column in dict.fromkeys(wanted.values()) if column in told]]
    more = {
        column: _constant(frame, column, order, f"{names[0]}: column {column!r} ({key})", str(data.id))
        for key, column in wanted.items()
        if column not in found
    }
    return _Beside(found.assign(**more), notes)


def _labelled(
    labels: pd.DataFrame, id_: str, ids: Array, names: tuple[str, str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the row of each sequence in the table of labels."""
    own = pd.Index(pd.Series(tables.ids(labels, id_, names[1])).astype(str))
    places = own.get_indexer(pd.Index(pd.Series(ids).astype(str)))
    if (places < 0).any():
        lacks = format_list(map(repr, ids[places < 0].tolist()), 3)
        raise DataError(
            f"{names[1]} must have a row for each {id_} of {names[0]}. It lacks {lacks}. Add them, or remove their "
            f"rows from {names[0]}."
        )
    unused = len(own) - len(places)
    notes = (f"left out {unused} rows of {names[1]}, whose {id_} is not in {names[0]}",) if unused else ()
    return labels.iloc[places].reset_index(drop=True), notes


def _constant(frame: pd.DataFrame, column: str, order: _Order, where: str, id_: str) -> pd.Series[Any]:
    """Return the one value that a column has in all rows of each sequence."""
    series = frame[column].iloc[order.rows]
    starts = np.flatnonzero(np.diff(order.sequence, prepend=-1))
    codes = pd.factorize(series, use_na_sentinel=False)[0]
    changes = codes != codes[starts][order.sequence]
    if changes.any():
        first = order.sequence[changes.argmax()]
        few = format_list(map(repr, series[order.sequence == first].unique()[:3].tolist()), 3)
        raise DataError(
            f"{where} must have one value in all rows of an id. Received: {few} for {id_} {order.ids[first]}. Correct "
            "them, or name a table with a row for each id as data.labels."
        )
    return series.iloc[starts].reset_index(drop=True)


def _packed(frame: pd.DataFrame, order: _Order, layout: LongLayout, cache: Cache | None) -> Array | MemmapArray:
    """Return (sequences, steps, channels), on disk where that is large and there is a cache."""
    channels = _channels(frame, layout)[order.rows]
    if layout.uneven:
        gap = np.diff(order.moment, prepend=0.0)
        gap[np.flatnonzero(np.diff(order.sequence, prepend=-1))] = 0
        channels = np.column_stack([channels, gap.astype("float32")])
    lengths = order.lengths
    size = len(lengths) * layout.length * channels.shape[1] * channels.itemsize
    if cache is None or size <= _LARGE:
        return _padded(channels, lengths, layout.length)
    words = hashlib.sha256(channels.data)
    words.update(lengths.data)
    made_from = {"long": words.hexdigest(), "shape": channels.shape, "steps": layout.length}
    most = max(1, _BLOCK // (size // len(lengths)))

    def keep(folder: Path) -> None:
        memmap.save_blocks(folder, len(lengths), _blocks(channels, lengths, layout.length, most))

    return memmap.open_saved(cache.entry(made_from, keep))


def _blocks(channels: Array, lengths: Array, steps: int, most: int) -> Iterator[Array]:
    """Yield the padded sequences, at most so many at a time."""
    ends = np.cumsum([0, *lengths])
    for start in range(0, len(lengths), most):
        stop = min(start + most, len(lengths))
        yield _padded(channels[ends[start] : ends[stop]], lengths[start:stop], steps)


def _padded(channels: Array, lengths: Array, steps: int) -> Array:
    """Return sequences of which nothing is left but so many steps, with NaN behind those that have fewer."""
    x = np.full((len(lengths), steps, channels.shape[1]), np.nan, "float32")
    place = np.arange(len(channels)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    x[padding.real_steps(steps, lengths)] = channels[place < steps]
    return x


def _channels(frame: pd.DataFrame, layout: LongLayout) -> Array:
    """Return the values of all rows, (rows, channels) float32: a column each, of categories one for each level."""
    made = []
    for name, column in layout.columns.items():
        values = column_types.impose(frame[[name]], {name: column})[name]
        if column.kind != "category":
            # What float32 cannot hold is as good as missing.
            made.append(values.where(values.abs() < _MOST).to_numpy("float32"))
            continue
        missing = values.isna().to_numpy()
        made += [np.where(missing, np.nan, values == level).astype("float32") for level in layout.levels[name]]
    return np.column_stack(made)


def _example(frame: pd.DataFrame, order: _Order, layout: LongLayout) -> pd.DataFrame:
    """Return the first steps of the first sequence, as they came."""
    first = order.rows[order.sequence == 0][: min(_EXAMPLE, layout.length)]
    shown: pd.DataFrame = frame.iloc[first].reset_index(drop=True)
    return shown[[layout.id, layout.steps, *layout.columns]]
