"""Inference of the time structure of a table: time columns, series, lags, and whether later rows are predicted."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.autoconfig.profile import DataProfile
from workbench.config import StudyConfig
from workbench.errors import DataError, format_list

if TYPE_CHECKING:
    import pandas as pd

    from workbench.array import Array
    from workbench.data.timestamps import TimeSteps

# Names of columns that hold a part of a date, from the largest part down.
_DATE_PARTS = {
    "year": re.compile(r"(?i)^(year|yr|yyyy)$"),
    "month": re.compile(r"(?i)^(month|mon|mnth|mo|mm)$"),
    "day": re.compile(r"(?i)^(day|dom|dd|day_of_month)$"),
    "hour": re.compile(r"(?i)^(hour|hr|hh)$"),
    "minute": re.compile(r"(?i)^(minute|min)$"),
}
# Rows that are examined to recognise a column of dates.
_DATE_ROWS = 2000
# Each column gives several lagged columns, so no lags are proposed for tables with more columns than this.
_MAX_INPUTS = 25
# Columns that are tried in pairs as the identifier of the series.
_MAX_SERIES_COLUMNS = 6
# A day in nanoseconds.
_DAY = 86_400e9


@dataclass(frozen=True)
class TimeStructure:
    """The proposed settings of a study that concern time."""

    columns: tuple[str, ...] = ()
    """A column of dates, or the columns of the parts of a date from the largest down."""
    test_is_later: bool = False
    """Whether every test row is later than every training row."""
    series: tuple[str, ...] = ()
    """The columns that identify the series; each series has one row per time."""
    lags: tuple[int, ...] = ()
    windows: tuple[int, ...] = ()
    horizon: int | None = None
    """The number of steps from the last training row to the last test row."""

    @property
    def note(self) -> str:
        """The structure in one line, or an empty string if there is no time column."""
        if not self.columns:
            return ""
        names = format_list(self.columns, 6)
        if not self.test_is_later:
            return f"perhaps a time: {names}; if later rows are to be predicted, set data.time (see the file)"
        note = f"time: {names}; all rows to predict are later, so folds are in order of time"
        if not self.lags:
            return note
        lags, windows = format_list(self.lags), format_list(self.windows)
        return f"{note}, and rows get their inputs at lags {lags} and their means over {windows} steps"


def infer_time(profile: DataProfile, features: list[str]) -> TimeStructure:
    """Return the time structure of a table.

    Args:
        profile: the data.
        features: the columns of the table except id, targets and dropped columns.
    """
    from workbench.data.timestamps import TimeSteps

    train, test = profile.train[features], profile.test
    for columns in _time_candidates(train):
        times = _read_times(train, columns)
        if times is None:
            continue
        test_times = None if test is None or not set(columns) <= set(test.columns) else _read_times(test, columns)
        if test_times is None or not test_times.min() > times.max():
            # Columns such as year and month are common. They are proposed only if the test rows are later.
            if len(columns) == 1:
                return TimeStructure(columns)
            continue
        try:
            steps = TimeSteps.of(times, "")
        except DataError:
            return TimeStructure(columns, test_is_later=True)
        horizon = math.ceil(steps.count(test_times).max() - steps.count(times).max())
        series = _find_series(train, columns)
        lags, windows = ((), ()) if series is None or not _has_inputs(train, columns, series) else _choose_lags(steps)
        return TimeStructure(columns, True, (series or ()) if lags else (), lags, windows, horizon)
    return TimeStructure()


def _time_candidates(frame: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """Yield the columns that may be the time: a column of dates, with its hour and minute columns; parts of a date."""
    from workbench import data

    numbers = [str(name) for name in frame.columns if frame[name].dtype.kind in "iu"]
    parts = {
        part: next((name for name in numbers if pattern.match(name)), None) for part, pattern in _DATE_PARTS.items()
    }
    others = frame.loc[:, [frame[name].dtype.kind not in "biuf" for name in frame.columns]]
    for name, kind in data.kinds(others.head(_DATE_ROWS)).items():
        if kind == "date" and others[name].notna().all():
            clock = tuple(itertools.takewhile(bool, (parts["hour"], parts["minute"])))
            if clock and not _has_time_of_day(others[name]):
                yield (name, *[part for part in clock if part])
            yield (name,)
    date = tuple(part for part in itertools.takewhile(bool, parts.values()) if part)
    if len(date) > 1:
        yield date


def _has_time_of_day(dates: pd.Series) -> bool:
    """Return whether dates have a time of day."""
    times = _read_times(dates.to_frame(), (str(dates.name),))
    return times is None or bool((times.astype("datetime64[D]") != times).any())


def _read_times(frame: pd.DataFrame, columns: tuple[str, ...]) -> Array | None:
    """Return (rows,) the times in the columns, or None if they hold no times."""
    from workbench.data.timestamps import TimeColumns

    document = {"name": "draft", "data": {"train": "", "time": list(columns)}, "families": ["linear"]}
    config = StudyConfig.model_validate(document)
    try:
        return TimeColumns.of(config, frame, "").moments(frame, "")
    except DataError:
        return None


def _find_series(frame: pd.DataFrame, time: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the columns that distinguish rows of equal time: zero, one or two; None if no two columns do."""
    if not frame.duplicated(list(time)).any():
        return ()
    others = [str(name) for name in frame.columns if name not in time and frame[name].dtype.kind != "f"]
    levels = {name: frame[name].nunique() for name in others if frame[name].notna().all()}
    few = sorted((name for name in levels if 1 < levels[name] <= len(frame) / 4), key=lambda name: levels[name])
    paired = few[-_MAX_SERIES_COLUMNS:]
    candidates = itertools.chain(((name,) for name in few), itertools.combinations(paired, 2))
    return next((each for each in candidates if not frame.duplicated([*time, *each]).any()), None)


def _has_inputs(frame: pd.DataFrame, time: tuple[str, ...], series: tuple[str, ...]) -> bool:
    """Return whether there are numbers that change over time, and not too many columns to add their lags."""
    inputs = [name for name in map(str, frame.columns) if name not in (*time, *series)]
    numbers = [name for name in inputs if frame[name].dtype.kind in "iuf" and frame[name].nunique() > 1]
    return bool(numbers) and len(inputs) <= _MAX_INPUTS


def _choose_lags(steps: TimeSteps) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return lags and windows for the length of a step: the last step, and the next longer season."""
    if steps.unit in ("month", "month end"):
        return (1, 12), (3, 12)
    if steps.unit == "number":
        return (1,), (3, 12)
    if steps.size <= _DAY / 2:
        day = round(_DAY / steps.size)
        return (1, day), (day, 3 * day)
    return ((1, 7), (7, 28)) if steps.size < 7 * _DAY else ((1, 4), (4, 13))
