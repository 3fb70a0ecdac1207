"""Long tables, with a row for each step of a sequence -> Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import StudyConfig
from workbench.data import column_types, labelled_rows, long_reader, table_files, tables, target, validation
from workbench.data.cache import Cache
from workbench.data.column_types import FittedColumn
from workbench.data.dataset import Dataset
from workbench.data.labelled_rows import LabelledRows
from workbench.data.long_reader import LongLayout, LongReader, SequenceData, StepOrder
from workbench.errors import DataError, format_list

# The most frequent levels of a category that get an indicator channel.
_LEVELS = 20
# Sequences are cut at the 99th percentile of lengths if the longest is more than 4 times as long, because all others
# would be padded to it.
_TOO_LONG, _NEARLY_ALL = 4, 0.99
# The most rows of the example.
_EXAMPLE = 100


def load_long(
    config: StudyConfig,
    train: Path,
    test: Path | None,
    labels: Path | None,
    *,
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
    frame, notations, notes = table_files.read_content(train, exact, missing=config.data.missing)
    rows = None if test is None else table_files.read_table(test, exact, notations=notations)
    label_frame = None if labels is None else table_files.read_table(labels, exact, missing=config.data.missing)
    label_columns = None if label_frame is None else (label_frame.columns, names[2])
    targets = validation.check_long(config, frame.columns, names[0], label_columns)
    if rows is not None:
        validation.check_test(config, frame.columns, rows.columns, train=names[0], test=names[1], targets=targets)
    steps = _learn_steps(config, frame, names[0])
    order = long_reader.order_steps(frame, str(config.data.id), str(config.data.steps), steps, names[0])
    layout, dropped = _learn_layout(config, frame, order, steps, targets, names[0])
    metadata = _collect_metadata(config, frame, label_frame, order, (names[0], names[2]))
    new = None if rows is None else long_reader.read_sequences(rows, layout, names[1], cache)
    x = metadata.labelled.select(long_reader.pack(frame, order, layout, cache))
    numbers = tables.strict_numbers(layout.columns, config)
    return Dataset(
        kind="sequence",
        x=x,
        ids=metadata.labelled.select(order.ids),
        x_test=None if new is None else new.x,
        test_ids=None if new is None else new.ids,
        id_name=layout.id,
        reader=LongReader(Path(config.data.train).name, layout, numbers, tuple(x.shape[1:]), notations),
        example=_example(frame, order, layout),
        notes=(*notes, *dropped, *_note_cut(new, names[1]), *metadata.notes),
        **target.encode_targets(config, metadata.frame)._asdict(),
        **tables.roles(config, metadata.frame, names[2] or names[0]),
    )


def _note_cut(new: SequenceData | None, name: str) -> tuple[str, ...]:
    """Return a note on the sequences to predict that are cut at the training length."""
    if new is None or not new.cut:
        return ()
    return (f"cut {new.cut} of {len(new.ids)} sequences of {name} at step {new.x.shape[1]:,}, where training ends",)


def _learn_steps(config: StudyConfig, frame: pd.DataFrame, name: str) -> FittedColumn:
    """Return the kind of the step column."""
    column = str(config.data.steps)
    steps = column_types.learn(frame[[column]], config)[column]
    if steps.kind not in ("number", "date"):
        few = format_list((repr(value) for value in frame[column].dropna().unique()[:3].tolist()), 3)
        raise DataError(
            f"{name}: column {column!r} (data.steps) must hold numbers or dates. Received: values like {few}. Set "
            "data.steps to the column that orders the rows of an id."
        )
    return steps


def _learn_layout(
    config: StudyConfig, frame: pd.DataFrame, order: StepOrder, steps: FittedColumn, targets: Sequence[str], name: str
) -> tuple[LongLayout, tuple[str, ...]]:
    """Learn the columns, levels and length of sequences on the training rows; note what is left out."""
    excluded = {*targets, str(config.data.steps), *validation.not_features(config)}
    names = [column for column in frame.columns if column not in excluded and not validation.is_unnamed(column)]
    features = frame[names]
    learnt = column_types.learn(features, config)
    unusable = {column: kind for column, (kind, _) in learnt.items() if kind in ("date", "text")}
    learnt = {column: each for column, each in learnt.items() if column not in unusable}
    values, dropped = tables.drop_uninformative(column_types.impose(features, learnt), name)
    learnt = {column: each for column, each in learnt.items() if column in values}
    levels = {column: _choose_levels(values[column]) for column, each in learnt.items() if each.kind == "category"}
    within = np.diff(order.sequence) == 0
    between = np.diff(order.moment)[within]
    length, cut = _choose_length(order.lengths)
    notes = [f"left out {column!r}: a {kind} in a sequence" for column, kind in unusable.items()]
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


def _choose_levels(values: pd.Series[Any]) -> tuple[str, ...]:
    """Return the levels of a category that get a channel: the most frequent; of two levels only the first."""
    counts = values.value_counts()
    levels = sorted(map(str, counts.index), key=lambda level: (-counts[level], level))
    return tuple(levels[:1] if len(levels) == 2 else levels[:_LEVELS])


def _choose_length(lengths: Array) -> tuple[int, tuple[str, ...]]:
    """Return the number of steps: that of the longest sequence unless it is far longer than the others."""
    longest, usual = int(lengths.max()), int(np.quantile(lengths, _NEARLY_ALL, method="lower"))
    if longest <= _TOO_LONG * usual:
        return longest, ()
    number = int((lengths > usual).sum())
    return usual, (f"cut {number} of {len(lengths)} sequences at step {usual:,}: the longest has {longest:,}",)


class _Metadata(NamedTuple):
    """The values that belong to a sequence as a whole."""

    frame: pd.DataFrame
    """(labelled sequences,): the target and the other columns that the study file names."""
    labelled: LabelledRows
    """The sequences that have a target."""
    notes: tuple[str, ...]


def _collect_metadata(
    config: StudyConfig, frame: pd.DataFrame, labels: pd.DataFrame | None, order: StepOrder, names: tuple[str, str]
) -> _Metadata:
    """Return one value per sequence for each column that the study file names: from the labels or the long table.

    Raises:
        DataError: no id has a label, some have none and that is refused, or a column of the long table changes within
            an id.
    """
    data = config.data
    keys = {"data.group": data.group, "data.weight": data.weight}
    keys |= {f"data.target[{n}]" if n else "data.target": name for n, name in enumerate(data.targets)}
    keys |= {"folds.column": config.folds.column} | {f"data.time[{n}]": name for n, name in enumerate(data.time)}
    columns = {key: column for key, column in keys.items() if column is not None}
    metadata, notes = pd.DataFrame(index=range(len(order.ids))), tuple[str, ...]()
    if labels is not None:
        aligned, notes = _align_labels(config, labels, order.ids, names)
        metadata = aligned[[column for column in dict.fromkeys(columns.values()) if column in aligned]]
    more = {
        column: _constant_values(frame, column, order, f"{names[0]}: column {column!r} ({key})", str(data.id))
        for key, column in columns.items()
        if column not in metadata
    }
    metadata = metadata.assign(**more)
    labelled = labelled_rows.find_labelled(config, metadata, names[1] or names[0], unit="sequences")
    return _Metadata(labelled.select(metadata), labelled, (*notes, *labelled.notes))


def _align_labels(
    config: StudyConfig, labels: pd.DataFrame, ids: Array, names: tuple[str, str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the row of labels of each sequence; its values are missing if the labels lack the id."""
    id_ = str(config.data.id)
    label_ids = pd.Index(pd.Series(tables.ids(labels, id_, names[1])).astype(str))
    places = label_ids.get_indexer(pd.Index(pd.Series(ids).astype(str)))
    lacking = places < 0
    if lacking.all() or (lacking.any() and config.data.unlabelled == "refuse"):
        lacks = format_list(map(repr, ids[lacking].tolist()), 3)
        raise DataError(
            f"{names[1]} must have a row for each {id_} of {names[0]}. It lacks {lacks}. Add them, or remove their "
            f"rows from {names[0]}."
        )
    unused = len(label_ids) - int((~lacking).sum())
    notes = (f"left out {unused} rows of {names[1]}, whose {id_} is not in {names[0]}",) if unused else ()
    if not lacking.any():
        return labels.iloc[places].reset_index(drop=True), notes
    return labels.reset_index(drop=True).reindex(places).reset_index(drop=True), notes


def _constant_values(frame: pd.DataFrame, column: str, order: StepOrder, where: str, id_: str) -> pd.Series[Any]:
    """Return the value of a column that is constant within each sequence."""
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


def _example(frame: pd.DataFrame, order: StepOrder, layout: LongLayout) -> pd.DataFrame:
    """Return the first raw rows of the first sequence."""
    first = order.rows[order.sequence == 0][: min(_EXAMPLE, layout.length)]
    example: pd.DataFrame = frame.iloc[first].reset_index(drop=True)
    return example[[layout.id, layout.steps, *layout.columns]]
