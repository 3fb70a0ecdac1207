"""Tables on disk -> frames -> Dataset."""

from __future__ import annotations

import lzma
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import StudyConfig
from workbench.data import column_types, lags, target, validation
from workbench.data.csv_header import COMPRESSIONS, SUFFIXES, Header, form, read_header
from workbench.data.dataset import Dataset
from workbench.data.timestamps import TimeColumns
from workbench.errors import DataError, SourceError, format_list

# "None" is a level of many a category and not among them; a number's column has its own markers.
_MISSING = ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null"]


def read_table(path: str | Path, exact: Iterable[str] = ()) -> pd.DataFrame:
    """Read a .csv, .tsv (compressed or not) or .parquet file.

    `exact` names columns whose values must come out as they were written: integers where all are plain ones,
    strings otherwise, so that an id 007 stays one.

    Raises:
        SourceError: the file cannot be opened.
        DataError: it is not a table, or has no rows.
    """
    return read_with_notes(Path(path), exact)[0]


def read_with_notes(path: Path, exact: Iterable[str] = ()) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a table as `read_table` does; return also what was assumed, a sentence each."""
    kind = form(path)
    if kind not in ("text", "parquet"):
        raise DataError(f"{path}: must be a table. Received: a file named {path.name!r}. Known: {SUFFIXES}.")
    notes: tuple[str, ...] = ()
    if kind == "parquet":
        frame = _read_parquet(path)
    else:
        frame, notes = _read_text(path, read_header(path), list(exact))
    if frame.empty:
        raise DataError(f"{path}: must have rows. Received: a table of {len(frame.columns)} columns and no rows.")
    return frame, notes


def load_tables(config: StudyConfig, train: Path, test: Path | None, *, sample: pd.DataFrame | None = None) -> Dataset:
    """Read the tables of a study and build its Dataset.

    Raises:
        ConfigError: a key names a column that is not there.
        SourceError: a file cannot be opened.
        DataError: a table cannot be learnt from.
    """
    exact = [config.data.id] if config.data.id else []
    frame, notes = read_with_notes(train, exact)
    rows = read_with_notes(test, exact)[0] if test else None
    return build(config, frame, rows, sample=sample, notes=notes, names=(train.name, test.name if test else ""))


def build(
    config: StudyConfig,
    train: pd.DataFrame,
    test: pd.DataFrame | None,
    *,
    names: tuple[str, str],
    sample: pd.DataFrame | None = None,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Build a Dataset from frames; what columns are is decided on the training rows alone.

    `names` are the tables' names for messages.

    Raises:
        ConfigError: a key names a column that is not there.
        DataError: ids repeat, target values are missing, or no feature is left.
    """
    data = config.data
    targets = validation.check_columns(config, list(map(str, train.columns)), names[0])
    if test is not None:
        validation.check_test(config, train.columns, test.columns, train=names[0], test=names[1], targets=targets)
    asked = target.encode_targets(config, train)
    apart = {*targets, *validation.not_features(config)}
    features = train[[name for name in train.columns if name not in apart and not validation.is_unnamed(name)]]
    learnt = column_types.learn(features, config)
    x, dropped = informative(column_types.impose(features, learnt), names[0])
    learnt = {name: learnt[name] for name in map(str, x.columns)}
    kinds = {name: column.kind for name, column in learnt.items()}
    shown = lags.add_lags(config, train, test, x, y=asked.y, task=asked.task, learnt=learnt, names=names)
    return Dataset(
        kind="text" if "text" in kinds.values() else "table",
        x=shown.x,
        ids=ids(train, data.id, names[0]),
        x_test=shown.x_test,
        test_ids=None if test is None else ids(test, data.id, names[1]),
        id_name=data.id or "id",
        columns=kinds | shown.kinds,
        windows=shown.windows,
        date_formats={name: column.date_format for name, column in learnt.items() if column.date_format},
        example=train[list(dict.fromkeys([*([data.id] if data.id else []), *shown.needs, *learnt]))].head(),
        sample=sample,
        notes=(*notes, *_unnamed_notes(train), *dropped, *shown.notes),
        **asked._asdict(),
        **roles(config, train, names[0]),
    )


class Roles(TypedDict):
    """What stands beside features and target, by the names that Dataset gives it."""

    groups: Array | None
    time: Array | None
    weight: Array | None
    fold_column: Array | None


def roles(config: StudyConfig, frame: pd.DataFrame, name: str) -> Roles:
    """Return what the study file names beside features and target.

    Raises:
        DataError: values are missing, or are no numbers where numbers are needed.
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
    """Return one column beside the features, checked for its use."""
    alone = series.to_frame()
    number = {str(series.name): column_types.FittedColumn("number")}
    if key == "data.group":
        values = series if series.dtype.kind in "iub" else column_types.texts(series)
    else:
        values = column_types.impose(alone, number).iloc[:, 0]
    # An empty cell among fold numbers means always training; a word means a mistake.
    unfit = values.isna() & (series.notna() if key == "folds.column" else True)
    if unfit.any():
        wanted = "have a value" if key == "data.group" else "be a finite number"
        raise DataError(
            f"{name}: column {series.name!r} ({key}) must {wanted} in every row. Received: {int(unfit.sum())} "
            f"rows that do not, the first is row {int(unfit.to_numpy().argmax())}. Correct them, or remove {key}."
        )
    if key == "data.weight" and ((values < 0).any() or not values.any()):
        raise DataError(
            f"{name}: column {series.name!r} ({key}) must hold weights of 0 or more, not all 0. "
            f"Received: a smallest weight of {values.min():g}. Correct them, or remove {key}."
        )
    return values.to_numpy()


def ids(frame: pd.DataFrame, column: str | None, name: str) -> Array:
    """Return the rows' names: integers or strings; row numbers where no column names them.

    Raises:
        DataError: a name is missing, or there twice.
    """
    if column is None:
        return np.arange(len(frame))
    series = frame[column]
    if series.isna().any():
        raise DataError(
            f"{name}: column {column!r} (data.id) must have a value in every row. Received: "
            f"{int(series.isna().sum())} rows without. Fill them, or remove data.id."
        )
    twice = series[series.duplicated()].unique()
    if len(twice):
        raise DataError(
            f"{name}: column {column!r} (data.id) must name each row once. Received twice or more: "
            f"{format_list(map(repr, twice.tolist()), 5)}. Remove the repeated rows, or set another data.id."
        )
    if series.dtype.kind == "f" and (series % 1 == 0).all():
        series = series.astype("int64")
    return series.to_numpy() if series.dtype.kind in "iu" else column_types.texts(series).to_numpy()


def informative(x: pd.DataFrame, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Leave out columns that are empty or constant; say which. `name` is the table's, for messages.

    Raises:
        DataError: none is left.
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


def _unnamed_notes(frame: pd.DataFrame) -> tuple[str, ...]:
    return tuple(f"dropped {name!r}: a column without a name" for name in frame.columns if validation.is_unnamed(name))


def _read_text(path: Path, header: Header, exact: list[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a .csv or .tsv file as UTF-8, else as Latin-1, and note that."""
    options: dict[str, Any] = {
        "sep": header.separator,
        "decimal": header.decimal,
        "compression": COMPRESSIONS.get(path.suffix.lower()),
        "keep_default_na": False,
        "na_values": _MISSING,
        "low_memory": False,
        "index_col": False,
        "dtype": {name: "str" for name in exact if name in header.columns},
    }
    notes: tuple[str, ...] = ()
    try:
        # Without this, pandas cuts off what stands in a row behind its last column.
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            try:
                frame = pd.read_csv(path, encoding="utf-8-sig", **options)
            except UnicodeDecodeError:
                frame = pd.read_csv(path, encoding="latin-1", **options)
                notes = (f"read {path.name} as Latin-1: it is not UTF-8",)
    except (pd.errors.ParserError, pd.errors.ParserWarning, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(
            f"{path}: must be a table with {len(header.columns)} columns in every row. Received: "
            f"{str(error).strip().rstrip('.')}. Correct the file."
        ) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error}). Check that it is there, and whole.") from error
    for name in options["dtype"]:
        frame[name] = as_written(frame[name])
    return frame, notes


def as_written(series: pd.Series[Any]) -> pd.Series[Any]:
    """Return strings as integers where each is the plain writing of one, else as they are."""
    if series.notna().all() and series.str.fullmatch(r"0|-?[1-9]\d{0,17}").all():
        return series.astype("int64")
    return series


def _read_parquet(path: Path) -> pd.DataFrame:
    """Read a .parquet file; an index with a name becomes a column."""
    try:
        frame = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}). Check data.train and data.test.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: must be a Parquet file. Received: {error}. Write it again.") from error
    frame = frame.reset_index(drop=frame.index.names == [None])
    frame.columns = frame.columns.map(str)
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"{path}: column names must differ. Received: {twice!r} twice. Rename one of them.")
    for name in (name for name in frame if frame[name].dtype == object):
        nested = frame[name].map(lambda value: isinstance(value, (list, dict, np.ndarray)))
        if nested.any():
            raise DataError(
                f"{path}: column {name!r} must hold single values. Received: lists or structures. Unfold them."
            )
    return frame
