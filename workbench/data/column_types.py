"""The kinds of columns, learnt on training rows and imposed on new rows.

Columns are float64 (number; boolean as 0 and 1), object (category and text) or datetime64[ns] (date). Values that are
missing or do not fit the kind are NaN or NaT.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workbench.config import ColumnKind, StudyConfig
from workbench.data import date_formats
from workbench.data.notation import MARKERS
from workbench.errors import ConfigError, DataError, format_list

_PAIRS = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"})
_BOOLEAN = {"true": 1.0, "yes": 1.0, "t": 1.0, "y": 1.0, "1": 1.0}
_BOOLEAN |= {"false": 0.0, "no": 0.0, "f": 0.0, "n": 0.0, "0": 0.0}

# In scripts without spaces each character counts as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
# The characters of a value that are looked at to recognise text.
_LONG = 500
# Models compute in single precision.
_LARGEST = float(np.finfo("float32").max)


class FittedColumn(NamedTuple):
    """The kind of a column, and the format of its dates if they are text."""

    kind: ColumnKind
    date_format: str | None = None


def kinds(frame: pd.DataFrame) -> dict[str, ColumnKind]:
    """Recognise the kind of each column.

    Strings are numbers if all are, apart from markers of missing values such as `?`; booleans if they are true and
    false, yes and no, t and f or y and n; dates if 95 % of them are; text if most differ and they are long; otherwise
    categories. Numbers stay numbers, 0 and 1 included.
    """
    return {str(name): _recognise(frame[name]).kind for name in frame.columns}


def learn(frame: pd.DataFrame, config: StudyConfig) -> dict[str, FittedColumn]:
    """Learn the kinds of columns on training rows; `data.types` overrides what is recognised.

    Raises:
        ConfigError: no value of a column is of the kind that `data.types` sets.
    """
    types: Mapping[str, Any] = config.data.types
    learnt = {}
    for name in map(str, frame.columns):
        series = frame[name]
        if name not in types:
            learnt[name] = _recognise(series)
            continue
        learnt[name] = FittedColumn(types[name], _find_requested_format(series) if types[name] == "date" else None)
        if series.notna().any() and _convert(series, learnt[name]).isna().all():
            raise _kind_error(config, name, series)
    return learnt


def _find_requested_format(series: pd.Series[Any]) -> str | None:
    """Return the format of a column that the study file calls a date."""
    if series.dtype.kind in "iuf" and date_formats.is_serial(series, requested=True):
        return date_formats.SERIAL
    return date_formats.recognise(texts(series), requested=True)


def note_dates(frame: pd.DataFrame, columns: Mapping[str, FittedColumn]) -> tuple[str, ...]:
    """Return a note on each column of dates that are not written as in ISO 8601."""
    dates = {name: column.date_format for name, column in columns.items() if column.date_format is not None}
    examples = {name: texts(frame[name].dropna().head(1)) for name in dates}
    notes = (date_formats.describe(name, examples[name].iloc[0], str(dates[name])) for name in dates)
    return tuple(note for note in notes if note)


def impose(frame: pd.DataFrame, columns: Mapping[str, FittedColumn]) -> pd.DataFrame:
    """Convert the learnt columns, in their order, to their kinds; values that do not fit become missing."""
    return pd.DataFrame({name: _convert(frame[name], column) for name, column in columns.items()})


def check_numbers(frame: pd.DataFrame, names: Iterable[str], table: str) -> None:
    """Refuse words, other than markers of missing values, in columns of numbers.

    `table` is the table's name, for messages.

    Raises:
        DataError: a column has words.
    """
    for name in (name for name in names if not pd.api.types.is_numeric_dtype(frame[name].dtype)):
        distinct = texts(frame[name]).dropna().str.strip().unique()
        written = pd.Series([value for value in distinct if value.lower() not in MARKERS], dtype=object)
        words = written[_numbers(written).isna()]
        if len(words):
            raise DataError(
                f"{table}: column {name!r} must hold numbers, as in training. Received: "
                f"{format_list(map(repr, words), 3)}. Correct them, or leave them empty."
            )


def check_dates(frame: pd.DataFrame, columns: Mapping[str, FittedColumn], table: str) -> None:
    """Refuse dates of another format than in training; single values that are no dates become missing.

    Args:
        frame: the raw rows.
        columns: the learnt columns.
        table: the table's name, for messages.

    Raises:
        DataError: most values of a column of dates cannot be read.
    """
    for name, column in columns.items():
        if column.date_format is None or pd.api.types.is_datetime64_any_dtype(frame[name].dtype):
            continue
        written = texts(frame[name]).dropna().str.strip()
        distinct = pd.Series(written.unique(), dtype=object)
        unreadable = date_formats.find_unreadable(distinct, column.date_format)
        if written.isin(unreadable).sum() > len(written) / 2:
            raise DataError(
                f"{table}: column {name!r} must hold dates written as in training. Received: "
                f"{format_list(map(repr, unreadable), 3)}. Write the dates of both tables alike."
            )


def count_too_large(series: pd.Series[Any]) -> int:
    """Return the number of values that are infinite or beyond single precision, and so are read as missing."""
    if series.dtype.kind != "f" and not pd.api.types.is_float_dtype(series.dtype):
        return 0
    return int((series.abs() > _LARGEST).sum())


def texts(series: pd.Series[Any]) -> pd.Series[Any]:
    """Convert values to strings, blank ones to NaN, whole floats to the text of integers."""
    codes, values = pd.factorize(series)
    written = np.array([_text(value) for value in values] + [np.nan], dtype=object)
    # factorize codes missing values as -1, which indexes the NaN at the end.
    return pd.Series(written[codes], index=series.index, dtype=object)


def _text(value: Any) -> str | float:
    """Return the text of a value, the same for integers and whole floats."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    text = str(value)
    return text if text.strip() else np.nan


def _kind_error(config: StudyConfig, name: str, series: pd.Series[Any]) -> ConfigError:
    kind = config.data.types[name]
    few = format_list((repr(value) for value in series.dropna().unique()[:3].tolist()), 3)
    hint = f" Its values are like {few}. Try category, or leave it to be recognised."
    return config.error(f"data.types.{name}", "must be what the column holds", kind, hint)


def _recognise(series: pd.Series[Any]) -> FittedColumn:
    """Recognise the kind of a column by its dtype, else by its distinct strings."""
    if pd.api.types.is_bool_dtype(series.dtype):
        return FittedColumn("boolean")
    if series.dtype.kind in "iuf" and date_formats.is_serial(series):
        return FittedColumn("date", date_formats.SERIAL)
    if pd.api.types.is_numeric_dtype(series.dtype) or series.dtype.kind == "m":
        return FittedColumn("number")
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return FittedColumn("date")
    strings = texts(series).dropna()
    counts = strings.value_counts()
    distinct = [value.strip() for value in counts.index]
    lowered = {value.lower() for value in distinct[:10]}
    if len(distinct) <= 2 and distinct and any(lowered <= pair for pair in _PAIRS):
        return FittedColumn("boolean")
    if _are_numbers(distinct):
        return FittedColumn("number")
    date_format = date_formats.recognise(strings)
    if date_format is not None:
        return FittedColumn("date", date_format)
    return FittedColumn("text" if _is_text(distinct, len(strings)) else "category")


def _are_numbers(distinct: list[str]) -> bool:
    """Return whether all values but markers are numbers; a leading zero marks a code, not a number."""
    values = pd.Series([value for value in distinct if value.lower() not in MARKERS], dtype=object)
    if values.empty or _numbers(values[:200]).isna().any():
        return False
    return not (_numbers(values).isna().any() or values.str.match(r"[+-]?0\d").any())


def _numbers(values: pd.Series[Any]) -> pd.Series[Any]:
    numbers: pd.Series[Any] = pd.to_numeric(values, errors="coerce")
    return numbers


def _is_text(distinct: list[str], rows: int) -> bool:
    """Return whether strings are sentences: many distinct ones, of several words, not mostly names and numbers.

    Names and addresses have words that start with capitals and digits; sentences mostly do not. Long strings count as
    text in any case.
    """
    if len(distinct) <= min(rows / 2, 1000):
        return False
    words = [_WORD.findall(value[:_LONG]) for value in distinct[:1000]]
    count = sum(map(len, words))
    usual = sum(word[0].isalpha() and not word[0].isupper() for found in words for word in found)
    spaced = sum(len(value[:_LONG].split()) for value in distinct[:1000]) / len(words)
    several = count / len(words) > 3 and (spaced > 3 or count / len(words) > 8)
    return several and (usual > 0.3 * count or count / len(words) > 15)


def _convert(series: pd.Series[Any], column: FittedColumn) -> pd.Series[Any]:
    """Convert one column to its kind."""
    if column.kind == "number":
        return _as_numbers(series)
    if column.kind == "boolean":
        return texts(series).str.strip().str.lower().map(_BOOLEAN).astype("float64")
    if column.kind != "date":
        return texts(series)
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return date_formats.to_nanoseconds(series)
    if column.date_format == date_formats.SERIAL and pd.api.types.is_numeric_dtype(series.dtype):
        return date_formats.from_serial(series)
    if column.date_format is None:
        return pd.Series(np.datetime64("NaT", "ns"), index=series.index)
    return _by_value(texts(series), lambda values: date_formats.parse(values, column.date_format))


def _as_numbers(series: pd.Series[Any]) -> pd.Series[Any]:
    """Convert to float64; values that are no numbers, infinite or beyond single precision become NaN."""
    if series.dtype.kind == "m":
        series = series.dt.total_seconds()
    if pd.api.types.is_numeric_dtype(series.dtype):
        numbers = series.astype("float64")
    else:
        numbers = _by_value(texts(series), _numbers).astype("float64")
    return numbers.where(numbers.abs() <= _LARGEST)


def _by_value(strings: pd.Series[Any], read: Callable[[pd.Series[Any]], pd.Series[Any]]) -> pd.Series[Any]:
    """Apply `read` to the distinct stripped values, and map each value to its result."""
    codes, values = pd.factorize(strings)
    results = read(pd.Series(values, dtype=object).str.strip())
    return pd.Series(results.array.take(codes, allow_fill=True), index=strings.index)
