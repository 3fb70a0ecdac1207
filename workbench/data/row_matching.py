"""The rows of two tables matched by a key: a column of each that holds the same values, each value once.

Values are compared as text first, then without surrounding blanks, then as numbers. So 007 and 7, or 15 and 15.0, are
the same id if no other value of the column is. Names of columns and orders of rows do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
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
    rank: tuple[bool, bool, bool, int]
    """The agreement of the names: the preferred column, equal names, equal names without case; and the notations."""


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
    keys: list[RowKey] = []
    for loss, notation in enumerate(NOTATIONS):
        # A column of the same name in another notation is a better key than one of another name.
        if any(key.rank[0] or key.rank[1] for key in keys):
            break
        ours, theirs = ({name: notation(each) for name, each in columns.items()} for columns in (left, right))
        keys += _find_pairs(ours, theirs, preferred, loss)
    best = max((key.rank for key in keys), default=None)
    return [key for key in keys if key.rank == best]


def keep(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Return texts as they are."""
    return texts


def strip(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Return texts without surrounding blanks."""
    return texts.str.strip()


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
    """Return the number of distinct values that two columns share, as a share of those of the column that has more."""
    return max(_share_texts(notation(left), notation(right)) for notation in NOTATIONS)


def to_common_notation(left: pd.Series[Any], right: pd.Series[Any]) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Return two columns in the notation in which they share the most values."""
    pairs = [(notation(left), notation(right)) for notation in NOTATIONS]
    return max(pairs, key=lambda pair: _share_texts(*pair))


def _share_texts(left: pd.Series[Any], right: pd.Series[Any]) -> float:
    ours, theirs = set(left.dropna()), set(right.dropna())
    return len(ours & theirs) / max(1, len(ours), len(theirs))


def have_equal_values(left: pd.Series[Any], right: pd.Series[Any]) -> bool:
    """Return whether two columns hold the same values equally often, and none is missing."""
    complete = len(left) == len(right) and not left.isna().any() and not right.isna().any()
    return complete and sorted(left) == sorted(right)


def is_reordered(left: pd.Series[Any], right: pd.Series[Any]) -> bool:
    """Return whether two columns hold the same values equally often, in another order."""
    for notation in NOTATIONS:
        ours, theirs = notation(left), notation(right)
        if have_equal_values(ours, theirs):
            return bool((ours.to_numpy() != theirs.to_numpy()).any())
    return False


def _find_pairs(left: Columns, right: Columns, preferred: str | None, loss: int) -> Iterator[RowKey]:
    """Yield each pair of columns that hold the same values, each once; `loss` is the place of the notation."""
    ours = {name: values for name, values in left.items() if len(values) and is_key(values)}
    rows = {len(values) for values in ours.values()}
    theirs = {name: pd.Index(values) for name, values in right.items() if len(values) in rows and is_key(values)}
    for name, values in ours.items():
        for other, index in theirs.items():
            if values.iloc[0] not in index:
                continue
            found = index.get_indexer(pd.Index(values))
            if (found >= 0).all():
                rank = other == preferred, name == other, name.lower() == other.lower(), -loss
                yield RowKey(name, other, found, rank)


def _to_number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        return text
    return format(Decimal(text).normalize(_EXACT), "f")


NOTATIONS: tuple[Callable[[pd.Series[Any]], pd.Series[Any]], ...] = (keep, strip, to_numbers)
"""The notations in which values are compared, the closest to the file first."""
