"""What the data say of time: which columns tell it, whether later rows are predicted, how far to look back."""

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

_PARTS = {
    "year": re.compile(r"(?i)^(year|yr|yyyy)$"),
    "month": re.compile(r"(?i)^(month|mon|mnth|mo|mm)$"),
    "day": re.compile(r"(?i)^(day|dom|dd|day_of_month)$"),
    "hour": re.compile(r"(?i)^(hour|hr|hh)$"),
    "minute": re.compile(r"(?i)^(minute|min)$"),
}
# What a date is shows in as many rows.
_DATE_ROWS = 2000
# More columns than this would be a table of several hundred with what they were.
_MOST_INPUTS = 25
# Columns that are tried, one and two at a time, for telling series apart.
_MOST_SERIES = 6
_DAY = 86_400e9


@dataclass(frozen=True)
class TimeStructure:
    """What a study would say of time."""

    time: tuple[str, ...] = ()
    """A column of dates, or the parts of a date from the largest down."""
    later: bool = False
    """Whether every row to predict is later than every training row."""
    series: tuple[str, ...] = ()
    """The columns that tell rows of one time apart."""
    lags: tuple[int, ...] = ()
    windows: tuple[int, ...] = ()
    ahead: int | None = None
    """How many steps after the last training row the last row to predict is."""

    @property
    def note(self) -> str:
        """What was found, in a line; empty where there is no time."""
        if not self.time:
            return ""
        named = format_list(self.time, 6)
        if not self.later:
            return f"perhaps a time: {named}; if later rows are to be predicted, set data.time (see the file)"
        back = f", and rows are shown their inputs at lags {format_list(self.lags)} and over {format_list(self.windows)} steps"
        return f"time: {named}; all rows to predict are later, so folds are in order of time{back if self.lags else ''}"


def infer_time(evidence: DataProfile, features: list[str]) -> TimeStructure:
    """Look for time in a table; `features` are its columns beside id, target and what is dropped."""
    from workbench.data.timestamps import TimeSteps

    train, test = evidence.train[features], evidence.test
    for time in _times(train):
        moments = _moments(train, time)
        if moments is None:
            continue
        new = None if test is None or not set(time) <= set(test.columns) else _moments(test, time)
        if new is None or not new.min() > moments.max():
            # A year and what follows it are common, and say little unless they tell what is later.
            if len(time) == 1:
                return TimeStructure(time)
            continue
        try:
            steps = TimeSteps.of(moments, "")
        except DataError:
            return TimeStructure(time, later=True)
        ahead = math.ceil(steps.count(new).max() - steps.count(moments).max())
        series = _series(train, time)
        lags, windows = _spans(steps) if series is not None and _inputs(train, time, series) else ((), ())
        return TimeStructure(time, True, (series or ()) if lags else (), lags, windows, ahead)
    return TimeStructure()


def _times(frame: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """Yield what may be the time: a column of dates, with the hour where it has a column of its own; parts of dates."""
    from workbench import data

    numbers = [str(name) for name in frame.columns if frame[name].dtype.kind in "iu"]
    parts = {part: next((name for name in numbers if form.match(name)), None) for part, form in _PARTS.items()}
    words = frame.loc[:, [frame[name].dtype.kind not in "biuf" for name in frame.columns]]
    for name, kind in data.kinds(words.head(_DATE_ROWS)).items():
        if kind == "date" and words[name].notna().all():
            rest = tuple(itertools.takewhile(bool, (parts["hour"], parts["minute"])))
            if rest and not _timed(words[name]):
                yield (name, *[part for part in rest if part])
            yield (name,)
    found = tuple(part for part in itertools.takewhile(bool, parts.values()) if part)
    if len(found) > 1:
        yield found


def _timed(series: pd.Series) -> bool:
    """Tell whether dates have a time of day."""
    moments = _moments(series.to_frame(), (str(series.name),))
    return moments is None or bool((moments.astype("datetime64[D]") != moments).any())


def _moments(frame: pd.DataFrame, time: tuple[str, ...]) -> Array | None:
    """Return when rows were; None where these columns do not tell."""
    from workbench.data.timestamps import TimeColumns

    known = {"name": "draft", "data": {"train": "", "time": list(time)}, "families": ["linear"]}
    config = StudyConfig.model_validate(known)
    try:
        return TimeColumns.of(config, frame, "").moments(frame, "")
    except DataError:
        return None


def _series(frame: pd.DataFrame, time: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the columns that tell rows of one time apart: none, one or two; None where none do."""
    if not frame.duplicated(list(time)).any():
        return ()
    others = [str(name) for name in frame.columns if name not in time and frame[name].dtype.kind != "f"]
    levels = {name: frame[name].nunique() for name in others if frame[name].notna().all()}
    few = sorted((name for name in levels if 1 < levels[name] <= len(frame) / 4), key=lambda name: levels[name])
    most = few[-_MOST_SERIES:]
    tried = itertools.chain(((name,) for name in few), itertools.combinations(most, 2))
    return next((each for each in tried if not frame.duplicated([*time, *each]).any()), None)


def _inputs(frame: pd.DataFrame, time: tuple[str, ...], series: tuple[str, ...]) -> bool:
    """Tell whether there are columns worth following through time, and not too many."""
    inputs = [name for name in map(str, frame.columns) if name not in (*time, *series)]
    numbers = [name for name in inputs if frame[name].dtype.kind in "iuf" and frame[name].nunique() > 1]
    return bool(numbers) and len(inputs) <= _MOST_INPUTS


def _spans(steps: TimeSteps) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return lags and windows that suit the length of a step: the last one, and the season that is near."""
    if steps.unit in ("month", "month end"):
        return (1, 12), (3, 12)
    if steps.unit == "number":
        return (1,), (3, 12)
    if steps.size <= _DAY / 2:
        day = round(_DAY / steps.size)
        return (1, day), (day, 3 * day)
    return ((1, 7), (7, 28)) if steps.size < 7 * _DAY else ((1, 4), (4, 13))
