"""The columns of a sample submission: which holds the ids, and which hold predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.autoconfig.profile import DataProfile

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
    """Return the column of the sample submission that holds the ids, or None without a sample."""
    return None if profile.sample is None else str(profile.sample.columns[0])


def unique_texts(series: pd.Series[Any]) -> set[str]:
    """Return the distinct values as texts, whole numbers without a fraction."""
    return {str(value).removesuffix(".0") for value in series.dropna().unique()}
