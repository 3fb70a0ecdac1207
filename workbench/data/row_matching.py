"""The rows of two tables matched by a key: a column of each that holds the same values, each value once.

Values are compared as text first, then as numbers, so that 007 and 7, or 15 and 15.0, are the same id if no other value
of the column is. Names of columns and orders of rows do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.data import column_types

Columns: TypeAlias = "Mapping[str, pd.Series[Any]]"
"""Columns by name, as texts; a missing value is NaN."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,3})?")
# More digits than an id has, so that numbers are not rounded.
_EXACT = Context(prec=200)


class RowKey(NamedTuple):
    """A column of each table with the same values, each once."""

    left: str
    right: str
    rows: Array
    """(rows,): the row of the right table that has the value of each row of the left one."""
    rank: tuple[bool, bool, bool, bool]
    """How well the names agree: the preferred column, equal names, equal names without case; and equal texts."""


def to_columns(frame: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """Return the columns of a frame as texts."""
    return {str(name): column_types.texts(frame[name].reset_index(drop=True)) for name in frame.columns}


def find_keys(left: Columns, right: Columns, preferred: str | None = None) -> list[RowKey]:
    """Return the keys whose names agree best; several are equally good.

    Args:
        left: the columns of one table.
        right: the columns of the other.
        preferred: the column of the right table that is the key if it can be.
    """
    keys = list(_find_pairs(left, right, preferred, as_text=True))
    if not any(key.rank[0] or key.rank[1] for key in keys):
        # A column of the same name with other notations is a better key than one of another name.
        ours, theirs = ({name: to_numbers(each) for name, each in columns.items()} for columns in (left, right))
        keys += _find_pairs(ours, theirs, preferred, as_text=False)
    best = max((key.rank for key in keys), default=None)
    return [key for key in keys if key.rank == best]


def to_numbers(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Return texts without surrounding blanks, numbers in one notation: 007 and 7.0 are 7."""
    codes, values = pd.factorize(texts)
    written = np.array([_to_number(str(value).strip()) for value in values] + [np.nan], dtype=object)
    return pd.Series(written[codes], index=texts.index, dtype=object)


def is_key(texts: pd.Series[Any]) -> bool:
    """Return whether every row has a value of its own."""
    return bool(texts.notna().all() and texts.is_unique)


def numbers_rows(texts: pd.Series[Any]) -> tuple[int, Array] | None:
    """Return the first number, 0 or 1, and (rows,) the place of each row, if a column numbers rows in any order."""
    numbers = pd.to_numeric(to_numbers(texts), errors="coerce").to_numpy(dtype="float64")
    ascending = np.sort(numbers)
    for start in (0, 1):
        if np.array_equal(ascending, np.arange(start, len(numbers) + start)):
            return start, numbers.astype("int64") - start
    return None


def share_values(left: pd.Series[Any], right: pd.Series[Any]) -> float:
    """Return the share of the distinct values of either column that the other has too, the larger of both."""
    ours, theirs = set(left.dropna()), set(right.dropna())
    return len(ours & theirs) / max(1, min(len(ours), len(theirs)))


def is_reordered(left: pd.Series[Any], right: pd.Series[Any]) -> bool:
    """Return whether two columns hold the same values equally often, in another order."""
    if len(left) != len(right) or (left.to_numpy() == right.to_numpy()).all():
        return False
    return not left.isna().any() and not right.isna().any() and sorted(left) == sorted(right)


def _find_pairs(left: Columns, right: Columns, preferred: str | None, *, as_text: bool) -> Iterator[RowKey]:
    """Yield each pair of columns that hold the same values, each once."""
    ours = {name: values for name, values in left.items() if len(values) and is_key(values)}
    rows = {len(values) for values in ours.values()}
    theirs = {name: pd.Index(values) for name, values in right.items() if len(values) in rows and is_key(values)}
    for name, values in ours.items():
        for other, index in theirs.items():
            if values.iloc[0] not in index:
                continue
            found = index.get_indexer(pd.Index(values))
            if (found >= 0).all():
                rank = other == preferred, name == other, name.lower() == other.lower(), as_text
                yield RowKey(name, other, found, rank)


def _to_number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        return text
    return format(Decimal(text).normalize(_EXACT), "f")
