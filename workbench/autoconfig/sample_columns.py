"""The columns of a sample submission: which holds the ids, and which hold predictions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workbench.autoconfig.profile import DataProfile, looks_like_id

if TYPE_CHECKING:
    import pandas as pd


def list_prediction_columns(profile: DataProfile) -> list[str]:
    """Return the columns of the sample submission that hold predictions: all but that of the ids.

    Columns that identify a row besides the id, such as a date, are in the test rows. They are left out too, unless the
    sample has no others.
    """
    if profile.sample is None:
        return []
    id_, test = find_sample_id(profile), profile.test
    others = [name for name in map(str, profile.sample.columns) if name != id_]
    return [name for name in others if test is None or name not in test.columns] or others


def find_sample_id(profile: DataProfile) -> str | None:
    """Return the column of the sample submission that holds the ids, or None without a sample.

    It is the column with the values of a column of the test rows, of the same name if possible; else a column that the
    test or training rows have and that names each row once; else the first.
    """
    sample = profile.sample
    if sample is None:
        return None
    return next(_id_candidates(profile, sample), str(sample.columns[0]))


def unique_texts(series: pd.Series[Any]) -> set[str]:
    """Return the distinct values as texts, whole numbers without a fraction."""
    return {str(value).removesuffix(".0") for value in series.dropna().unique()}


def _id_candidates(profile: DataProfile, sample: pd.DataFrame) -> Iterator[str]:
    """Yield the columns of the sample that may hold the ids, the most certain first."""
    names = sorted(map(str, sample.columns), key=lambda name: not looks_like_id(name))
    unique = [name for name in names if sample[name].is_unique and sample[name].notna().all()]
    test = profile.test
    if test is not None:
        yield from (name for name in unique if name in test.columns and _have_equal_values(sample[name], test[name]))
        for other in sorted(map(str, test.columns), key=lambda name: not looks_like_id(name)):
            yield from (name for name in unique if _have_equal_values(sample[name], test[other]))
    known = test if test is not None else profile.train
    yield from (name for name in unique if name in known.columns and name in profile.train.columns)


def _have_equal_values(shown: pd.Series[Any], values: pd.Series[Any]) -> bool:
    """Return whether two columns have the same distinct values, whatever their order and dtype."""
    distinct = values.dropna().unique()
    if len(distinct) != len(shown):
        return False
    if shown.dtype.kind in "iu" and values.dtype.kind in "iu":
        return sorted(shown.tolist()) == sorted(distinct.tolist())
    return _plain_ids(shown) == _plain_ids(values)


def _plain_ids(series: pd.Series[Any]) -> set[str]:
    """Return distinct values as texts without leading zeros, which one of two files may have lost."""
    return {text.lstrip("0") for text in unique_texts(series)}
