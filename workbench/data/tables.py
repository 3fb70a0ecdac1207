"""Tables -> Dataset, and the reader of new tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import ColumnKind, StudyConfig
from workbench.data import column_types, labelled_rows, lags, new_data, table_files, target, text_files, validation
from workbench.data.cache import Cache
from workbench.data.column_types import FittedColumn
from workbench.data.csv_header import form, read_header
from workbench.data.dataset import Dataset, Kind, NewData, NewRows
from workbench.data.lags import LagFeatures
from workbench.data.notation import Notation
from workbench.data.timestamps import TimeColumns
from workbench.errors import DataError, format_list


@dataclass(frozen=True)
class TableReader:
    """Reads new tables with the column kinds that were learnt on the training rows."""

    kind: Kind
    source: str
    """The name of the training data, for messages."""
    id_column: str | None
    columns: Mapping[str, FittedColumn]
    """The raw feature columns in the order in which models take them."""
    numbers: tuple[str, ...]
    """The columns in which a word is an error; columns that `data.types` sets to number are not among them."""
    optional: tuple[str, ...]
    lags: LagFeatures | None = None
    notations: Mapping[str, Notation] = field(default_factory=dict)
    """The notation of each column of a text table."""
    image_format = None

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """The kind of each column as models see it, lag features included."""
        derived = self.lags.kinds if self.lags else {}
        return {name: column.kind for name, column in self.columns.items()} | derived

    def read(self, rows: NewRows, *, cache: Cache | None = None) -> NewData:
        """Read a table; see `Reader.read`."""
        exact = [self.id_column] if self.id_column else []
        raw = new_data.open_table(rows, source=self.source, exact=exact, notations=self.notations)
        return self.read_frame(raw.frame, raw.name)

    def read_frame(self, frame: pd.DataFrame, name: str) -> NewData:
        """Read a frame called `name` in messages.

        Raises:
            DataError: columns are missing, or hold values that they must not hold.
        """
        x, row_ids = self.impose(frame, name)
        return NewData(self.add_lags(frame, x, name), row_ids)

    def impose(self, frame: pd.DataFrame, name: str, more: tuple[str, ...] = ()) -> tuple[pd.DataFrame, Array]:
        """Return the feature columns, each as its kind, and the ids; the frame must also have the columns `more`."""
        needed = [*(self.lags.needs if self.lags else ()), *self.columns, *more]
        new_data.check_columns(frame, needed, name=name, source=self.source)
        self.check_values(frame, name)
        id_column = self.id_column if self.id_column in frame else None
        return column_types.impose(frame, self.columns), ids(frame, id_column, name)

    def check_values(self, frame: pd.DataFrame | None, name: str) -> None:
        """Check that columns of numbers and of dates hold them; without a frame there is nothing to check.

        Raises:
            DataError: a column of numbers has words, or most values of a column of dates cannot be read.
        """
        if frame is None:
            return
        column_types.check_numbers(frame, self.numbers, name)
        column_types.check_dates(frame, self.columns, name)

    def add_lags(self, frame: pd.DataFrame, x: pd.DataFrame, name: str) -> pd.DataFrame:
        """Append the lag features, if the study has some, to the features of a raw frame."""
        return x if self.lags is None else self.lags.append_to(x, frame, name)

    def document(self) -> dict[str, Any]:
        """Return the reader as JSON values."""
        return new_data.make_document(
            kind=self.kind,
            source=self.source,
            npz=False,
            id_column=self.id_column,
            columns=dict(self.columns),
            numbers=self.numbers,
            optional=self.optional,
            windows=self.lags,
            notations=dict(self.notations),
        )


def load_tables(config: StudyConfig, train: Path, test: Path | None) -> Dataset:
    """Read the tables of a study and build its Dataset.

    Raises:
        ConfigError: a key names a column that is not there.
        SourceError: a file cannot be opened.
        DataError: a table cannot be learnt from.
    """
    exact = [config.data.id] if config.data.id else []
    content = table_files.read_content(train, exact, missing=config.data.missing)
    rows = table_files.read_content(test, exact, notations=content.notations) if test else None
    return build(
        config,
        content.frame,
        rows.frame if rows else None,
        notations=content.notations,
        notes=(*content.notes, *(rows.notes if rows else ()), *note_markers(config, train, content.frame)),
        names=(train.name, test.name if test else ""),
    )


def note_markers(config: StudyConfig, train: Path, frame: pd.DataFrame) -> tuple[str, ...]:
    """Return a note on each target of a text table in which a text such as NA is read as missing."""
    notes = []
    for name in config.data.targets:
        if form(train) != "text" or name not in frame or frame[name].notna().all() or name in config.data.missing:
            continue
        counts = text_files.count_markers(train, read_header(train), name)
        shown = format_list([f"{count} times {marker!r}" for marker, count in counts.items() if marker])
        if shown:
            remedy = f"if it is a class, set data.missing: {{{name}: []}}"
            notes.append(f"{train.name}: read {shown} in the target {name!r} as missing; {remedy}")
    return tuple(notes)


def build(
    config: StudyConfig,
    train: pd.DataFrame,
    test: pd.DataFrame | None,
    *,
    names: tuple[str, str],
    notations: Mapping[str, Notation] = MappingProxyType({}),
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Build a Dataset from frames; the kinds of columns are learnt on the training rows alone.

    `names` are the names of both tables, for messages; `notations` say how the columns of new rows are written.

    Raises:
        ConfigError: a key names a column that is not there.
        DataError: ids repeat, no row has a target, or no feature is left.
    """
    data = config.data
    targets = validation.check_columns(config, list(map(str, train.columns)), names[0])
    if test is not None:
        validation.check_test(config, train.columns, test.columns, train=names[0], test=names[1], targets=targets)
    train, unlabelled, left_out = labelled_rows.split_table(config, train, names[0])
    encoded = target.encode_targets(config, train)
    excluded = {*targets, *validation.not_features(config)}
    features = train[[name for name in train.columns if name not in excluded and not validation.is_unnamed(name)]]
    learnt = column_types.learn(features, config)
    x, dropped = drop_uninformative(column_types.impose(features, learnt), names[0])
    learnt = {name: learnt[name] for name in map(str, x.columns)}
    lagged = lags.add_lags(config, train, test, x, target=encoded, learnt=learnt, names=names, unlabelled=unlabelled)
    id_columns, id_name = [data.id] if data.id else [], data.id or "id"
    example = train[list(dict.fromkeys([*id_columns, *lagged.needs, *learnt]))].head().reset_index(drop=True)
    reader = _fit_reader(config, x, learnt, lagged.lags, id_name if id_name in example else None, notations)
    reader.check_values(test, names[1])
    return Dataset(
        kind=reader.kind,
        x=lagged.x.reset_index(drop=True),
        ids=train.index.to_numpy() if data.id is None else ids(train, data.id, names[0]),
        x_test=lagged.x_test,
        unlabelled=lagged.unlabelled,
        test_ids=None if test is None else ids(test, data.id, names[1]),
        id_name=id_name,
        columns=reader.kinds,
        reader=reader,
        example=example,
        notes=(*notes, *_note_unnamed(train), *left_out, *dropped, *_note_values(train, learnt), *lagged.notes),
        **encoded._asdict(),
        **roles(config, train, names[0]),
    )


def _fit_reader(
    config: StudyConfig,
    x: pd.DataFrame,
    learnt: Mapping[str, FittedColumn],
    lag_features: LagFeatures | None,
    id_column: str | None,
    notations: Mapping[str, Notation],
) -> TableReader:
    """Return the reader of new rows for training features `x` of the kinds `learnt`."""
    known = {*learnt, *(lag_features.needs if lag_features else ()), id_column}
    return TableReader(
        kind="text" if any(column.kind == "text" for column in learnt.values()) else "table",
        source=Path(config.data.train).name,
        id_column=id_column,
        columns=learnt,
        numbers=strict_numbers(learnt, config),
        optional=tuple(name for name in learnt if x[name].isna().any()),
        lags=lag_features,
        notations={name: each for name, each in notations.items() if name in known},
    )


def strict_numbers(columns: Mapping[str, FittedColumn], config: StudyConfig) -> tuple[str, ...]:
    """Return the columns of new rows in which a word is an error: numbers that `data.types` does not name."""
    return tuple(name for name, each in columns.items() if each.kind == "number" and name not in config.data.types)


class Roles(TypedDict):
    """The fields of `Dataset` that are neither features nor target."""

    groups: Array | None
    time: Array | None
    weight: Array | None
    fold_column: Array | None


def roles(config: StudyConfig, frame: pd.DataFrame, name: str) -> Roles:
    """Return groups, time, weights and fold numbers as the study file names their columns.

    Raises:
        DataError: values are missing, or are not numbers where numbers are needed.
    """

    def role(key: str, column: str | None) -> Array | None:
        return None if column is None else _role(key, frame[column], name, config)

    return Roles(
        groups=role("data.group", config.data.group),
        time=TimeColumns.of(config, frame, name).moments(frame, name) if config.data.time else None,
        weight=role("data.weight", config.data.weight),
        fold_column=role("folds.column", config.folds.column),
    )


def _role(key: str, series: pd.Series[Any], name: str, config: StudyConfig) -> Array:
    """Return one of these columns, checked."""
    column = series.to_frame()
    number = {str(series.name): column_types.FittedColumn("number")}
    if key == "data.group":
        values = series if series.dtype.kind in "iub" else column_types.texts(series)
    else:
        values = column_types.impose(column, number).iloc[:, 0]
    # An empty fold number marks a row that only trains; a word is an error.
    unfit = values.isna() & (series.notna() if key == "folds.column" else True)
    if unfit.any():
        wanted = "have a value" if key == "data.group" else "be a finite number"
        raise DataError(
            f"{name}: column {series.name!r} ({key}) must {wanted} in every row. Received: {int(unfit.sum())} "
            f"rows that do not, the first is row {unfit.idxmax()}. Correct them, or remove {key}."
        )
    if key == "data.weight" and ((values < 0).any() or not values.any()):
        raise DataError(
            f"{name}: column {series.name!r} ({key}) must hold weights of 0 or more, not all 0. "
            f"Received: a smallest weight of {values.min():g}. Correct them, or remove {key}."
        )
    return values.to_numpy()


def ids(frame: pd.DataFrame, column: str | None, name: str) -> Array:
    """Return the ids of rows, integers or strings; row numbers without an id column.

    Raises:
        DataError: an id is missing, or occurs twice.
    """
    if column is None:
        return np.arange(len(frame))
    series = frame[column]
    if series.isna().any():
        raise DataError(
            f"{name}: column {column!r} (data.id) must have a value in every row. Received: "
            f"{int(series.isna().sum())} rows without. Fill them, or remove data.id."
        )
    duplicates = series[series.duplicated()].unique()
    if len(duplicates):
        raise DataError(
            f"{name}: column {column!r} (data.id) must name each row once. Received twice or more: "
            f"{format_list(map(repr, duplicates.tolist()), 5)}. Remove the repeated rows, or set another data.id."
        )
    if series.dtype.kind == "f" and (series % 1 == 0).all():
        series = series.astype("int64")
    return series.to_numpy() if series.dtype.kind in "iu" else column_types.texts(series).to_numpy()


def drop_uninformative(x: pd.DataFrame, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Drop columns that are empty or constant, with a note on each; `name` is the table's, for messages.

    Raises:
        DataError: no column is left.
    """
    empty = [column for column in x.columns if x[column].isna().all()]
    constant = [column for column in x.columns if column not in empty and x[column].nunique(dropna=False) == 1]
    kept = x.drop(columns=[*empty, *constant])
    if kept.columns.empty:
        raise DataError(
            f"{name}: must have a feature that varies. Received: none of {len(x.columns)} columns does, id, target "
            "and dropped ones aside. Check data.drop and the file."
        )
    notes = [f"dropped {column!r}: empty" for column in empty]
    return kept, (*notes, *(f"dropped {column!r}: constant" for column in constant))


def _note_values(train: pd.DataFrame, learnt: Mapping[str, FittedColumn]) -> tuple[str, ...]:
    """Return a note on each column of dates in an unusual form, and of numbers that single precision cannot hold."""
    counts = {name: column_types.count_too_large(train[name]) for name in learnt}
    return column_types.note_dates(train, learnt) + tuple(
        f"read {count} {'values' if count > 1 else 'value'} of {name!r} as missing: infinite, or beyond 3.4e38"
        for name, count in counts.items()
        if count
    )


def _note_unnamed(frame: pd.DataFrame) -> tuple[str, ...]:
    return tuple(f"dropped {name!r}: a column without a name" for name in frame.columns if validation.is_unnamed(name))
