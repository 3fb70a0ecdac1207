"""The times of rows, from one column or the parts of a date, and the time steps between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import StudyConfig
from workbench.data import column_types
from workbench.data.column_types import FittedColumn
from workbench.errors import DataError

_PARTS = {
    "year": (1678, 2261),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}
_OF_DAY = ("hour", "minute", "second")
_SECONDS = {"hour": 3600, "minute": 60, "second": 1}


@dataclass(frozen=True)
class TimeColumns:
    """The columns of `data.time`: one column that sorts, or the parts of a date."""

    names: tuple[str, ...]
    """The columns: one, or the parts of a date from the largest down."""
    first: FittedColumn
    """The kind of the first column."""

    @classmethod
    def of(cls, config: StudyConfig, frame: pd.DataFrame, table: str) -> TimeColumns:
        """Learn the format of `data.time` on training rows.

        Args:
            config: the study file, with `data.time`.
            frame: the training rows as they came.
            table: the table's name, for messages.

        Raises:
            DataError: the columns are not the parts of a date in order.
        """
        names = config.data.time
        first = column_types.learn(frame[[names[0]]], config)[names[0]]
        most = {"number": len(_PARTS), "date": 1 + len(_OF_DAY)}.get(first.kind, 1)
        if len(names) > most:
            raise DataError(
                f"{table}: the columns of data.time must be one, or the parts of a date from the largest down: year, "
                f"month, day, hour, minute, second, or a date and then hour, minute, second. Received: {len(names)} "
                f"columns, the first, {names[0]!r}, of kind {first.kind}. Put them in that order."
            )
        return cls(names, first)

    def moments(self, frame: pd.DataFrame, table: str) -> Array:
        """Return the times of rows, (rows,) datetime64[ns], numbers, or strings that sort.

        Raises:
            DataError: a row has none.
        """
        name = self.names[0]
        values = column_types.impose(frame[[name]], {name: self.first})[name]
        _check(values.isna(), name, "have a value", table)
        if len(self.names) == 1:
            moments: Array = values.to_numpy()
            return moments
        if self.first.kind == "date":
            parts = dict(zip(_OF_DAY, self.names[1:], strict=False))
            spans = {part: _part(frame[column], part, table) for part, column in parts.items()}
            days = values.dt.normalize()
            seconds = sum(amounts * _SECONDS[part] for part, amounts in spans.items())
            dates: Array = (days + pd.to_timedelta(seconds, unit="s")).dt.as_unit("ns").to_numpy()
            return dates
        return self._dates(frame, table)

    def _dates(self, frame: pd.DataFrame, table: str) -> Array:
        """Return the dates of year, month and further parts; missing parts are the first of their kind."""
        parts = dict(zip(_PARTS, self.names, strict=False))
        amounts = {"month": 1, "day": 1} | {part: _part(frame[name], part, table) for part, name in parts.items()}
        dates = pd.to_datetime(pd.DataFrame(amounts, index=frame.index), errors="coerce")
        _check(dates.isna(), self.names[min(2, len(self.names) - 1)], "be a day of its month", table)
        return dates.dt.as_unit("ns").to_numpy()


@dataclass(frozen=True)
class TimeSteps:
    """The length of a time step, and the origin that steps are counted from."""

    unit: Literal["number", "time", "month", "month end"]
    """Numbers, nanoseconds, or months if every time is the same day of its month, or the last day."""
    origin: float
    size: float
    """The length of a step in the unit: the median distance of consecutive times."""

    @classmethod
    def of(cls, moments: Array, table: str) -> TimeSteps:
        """Learn the time step on training rows.

        Raises:
            DataError: the times are neither dates nor numbers, or are all equal.
        """
        if moments.dtype.kind not in "Mf":
            raise DataError(
                f"{table}: data.time must hold dates or numbers for lags and windows. Received: "
                f"{str(moments[0])!r}. Name its form with data.types, or remove data.lags and data.windows."
            )
        unit: Any = "number" if moments.dtype.kind == "f" else _unit(moments)
        distinct = np.unique(_amounts(moments, unit))
        if len(distinct) < 2:
            raise DataError(f"{table}: data.time must have different values. Received: one. Remove data.time.")
        distances = np.sort(np.diff(distinct))
        return cls(unit, float(distinct[0]), float(distances[len(distances) // 2]))

    def count(self, moments: Array) -> Array:
        """Return the distance of each time from the origin in steps, (rows,) with fractions."""
        origin = int(self.origin) if self.unit == "time" else self.origin
        counted: Array = (_amounts(moments, self.unit) - origin) / self.size
        return counted

    def __str__(self) -> str:
        """Return the length of a step as text."""
        if self.unit == "time":
            return str(pd.Timedelta(int(self.size), unit="ns")).removeprefix("0 days ")
        return f"{self.size:g} {'in data.time' if self.unit == 'number' else 'months'}"


def _part(series: pd.Series[Any], part: str, table: str) -> pd.Series[Any]:
    """Return a checked part of dates."""
    name, (least, most) = str(series.name), _PARTS[part]
    values = column_types.impose(series.to_frame(), {name: FittedColumn("number")})[name]
    _check(~(values.between(least, most) & (values % 1 == 0)), name, f"be the {part}, {least} to {most},", table)
    return values.astype("int64")


def _check(unfit: pd.Series[bool], name: str, wanted: str, table: str) -> None:
    if unfit.any():
        raise DataError(
            f"{table}: column {name!r} (data.time) must {wanted} in every row. Received: {int(unfit.sum())} "
            f"rows that do not, the first is row {unfit.idxmax()}. Correct them, or remove data.time."
        )


def _unit(moments: Array) -> str:
    """Return a unit of months if all dates are the same day of the month, or its last, at the same time of day."""
    dates = pd.DatetimeIndex(np.unique(moments))
    if len(dates) < 2 or (dates != dates.normalize() + (dates[0] - dates[0].normalize())).any():
        return "time"
    return "month" if (dates.day == dates.day[0]).all() else "month end" if dates.is_month_end.all() else "time"


def _amounts(moments: Array, unit: str) -> Array:
    """Convert times to numbers of their unit; int64 nanoseconds are exact."""
    if unit == "number":
        return moments
    if unit == "time":
        return moments.astype("datetime64[ns]").astype(np.int64)
    dates = pd.DatetimeIndex(moments) + pd.Timedelta(days=int(unit == "month end"))
    # Other days of the month become fractions, which keeps the order.
    days = (dates - dates.to_period("M").to_timestamp()) / pd.Timedelta(days=32)
    return (dates.year * 12 + dates.month + days).to_numpy(np.float64)
