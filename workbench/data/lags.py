"""What rows are shown of their own past: lags and window means in order of time, made without looking ahead.

A row sees what was known when its own inputs were: its inputs, those of earlier rows of its series, and the target
from `data.horizon` steps back. Nothing is fitted; only what a step is and which columns there are is learnt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import ColumnKind, StudyConfig, TaskType
from workbench.data import column_types
from workbench.data.column_types import FittedColumn
from workbench.data.timestamps import TimeColumns, TimeSteps
from workbench.errors import DataError, format_list

# A category with more levels than this is not followed through time.
_MOST_LEVELS = 10
# Two moments that are closer than this share of a step are the same.
_SAME = 1e-4


@dataclass(frozen=True)
class LagFeatures:
    """What a table's rows are shown beside their own columns, and the rows that new ones may look back at."""

    clock: TimeColumns
    steps: TimeSteps | None
    """None where there is nothing to look back at, but the parts of a date to join."""
    series: tuple[str, ...] = ()
    """The columns that tell series apart."""
    lags: tuple[int, ...] = ()
    windows: tuple[int, ...] = ()
    horizon: int | None = None
    target: str = ""
    numbers: tuple[str, ...] = ()
    """The columns whose earlier values are shown."""
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The categories whose levels are counted in windows."""
    kept: tuple[str, ...] = ()
    """The new columns that vary over the training rows."""
    last: float = 0.0
    """The step of the last training row."""
    past: Mapping[str, Any] = field(default_factory=dict)
    """The last training rows that a later row may look back at, and all rows to predict: steps, series, values."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns without which rows have no past."""
        return (*self.clock.names, *self.series)

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """The new columns, and what each is."""
        return {name: "date" if name == self._date else "number" for name in self.kept}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> LagFeatures:
        """Return what `dataclasses.asdict` made of one, through JSON."""
        known: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
        }
        clock, steps = document["clock"], document["steps"]
        known["clock"] = TimeColumns(tuple(clock["names"]), FittedColumn(*clock["first"]))
        known["steps"] = steps and TimeSteps(**steps)
        known["levels"] = {name: tuple(levels) for name, levels in document["levels"].items()}
        return cls(**known)

    def append_to(self, x: pd.DataFrame, raw: pd.DataFrame, table: str) -> pd.DataFrame:
        """Append the new columns to the features of rows that come after training.

        Args:
            x: the rows, each column as its kind.
            raw: the same rows as they came.
            table: the table's name, for messages.

        Raises:
            DataError: a row has no time or series, or two have the same.
        """
        rows = self._rows(raw, x, table)
        _check_once(rows, self, table)
        _check_horizon(self.horizon, rows, self.last, table)
        past = _Rows.read(self.past, rows.moments.dtype) if self.past else rows.cut(np.zeros(len(x), dtype=bool))
        # A row that is known already is given anew.
        given = set(zip(rows.series, np.round(rows.steps, 3), strict=True))
        known = zip(past.series, np.round(past.steps, 3), strict=True)
        past = past.cut(np.array([each not in given for each in known], dtype=bool))
        made = self._made(past.joined(rows)).iloc[len(past.steps) :]
        return self._joined(x, made, rows.moments)

    def _rows(self, raw: pd.DataFrame, x: pd.DataFrame, table: str, y: Array | None = None) -> _Rows:
        """Return what is needed of some rows; without `y` their target is not known."""
        moments = self.clock.moments(raw, table)
        steps = np.zeros(len(x)) if self.steps is None else self.steps.count(moments)
        values = {name: x[name].to_numpy() for name in (*self.numbers, *self.levels)}
        if self.horizon is not None:
            values[self.target] = np.full(len(x), np.nan) if y is None else np.asarray(y, dtype=np.float64)
        return _Rows(steps, _series(raw, self.series, table), values, moments)

    def _made(self, rows: _Rows) -> pd.DataFrame:
        """Return the new columns of all rows, those that look back."""
        look = _Look(rows)
        made: dict[str, Array] = {}
        for name in self.numbers:
            made |= {f"{name} lag {lag}": look.lag(rows.values[name], lag) for lag in self.lags}
            made |= {f"{name} mean {window}": look.mean(rows.values[name], window) for window in self.windows}
        for name, levels in self.levels.items():
            values = pd.Series(rows.values[name], dtype=object)
            for level in levels:
                shares = (values == level).astype("float64").where(values.notna()).to_numpy()
                made |= {f"{name}={level} mean {window}": look.mean(shares, window) for window in self.windows}
        if self.horizon is not None:
            known, ahead = rows.values[self.target], self.horizon
            lags = sorted({ahead, *(lag for lag in self.lags if lag > ahead)})
            made |= {f"{self.target} lag {lag}": look.lag(known, lag) for lag in lags}
            for window in self.windows:
                made[f"{self.target} mean {window} lag {ahead}"] = look.mean(known, window, ahead)
        return pd.DataFrame(made, index=range(len(rows.steps)))

    @property
    def _date(self) -> str | None:
        return "-".join(self.clock.names) if len(self.clock.names) > 1 else None

    @property
    def _reach(self) -> int:
        """The most steps that a row looks back."""
        ahead = self.horizon or 0
        return max([ahead + 1, *(lag + 1 for lag in self.lags), *(ahead + window for window in self.windows)])

    def _joined(self, x: pd.DataFrame, made: pd.DataFrame, moments: Array) -> pd.DataFrame:
        if self._date is not None:
            made = made.assign(**{self._date: moments})
        return pd.concat([x, made[list(self.kept)].set_axis(x.index)], axis=1)


def uses_lags(config: StudyConfig) -> bool:
    """Tell whether a study asks for the past of its rows."""
    return bool(config.data.lags or config.data.windows or config.data.horizon)


class LaggedData(NamedTuple):
    """A study's rows with what they are shown of their past."""

    lags: LagFeatures | None
    x: pd.DataFrame
    x_test: pd.DataFrame | None
    notes: tuple[str, ...] = ()

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """The new columns, and what each is."""
        return self.lags.kinds if self.lags else {}

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns without which rows have no past."""
        return self.lags.needs if self.lags else ()


def add_lags(
    config: StudyConfig,
    train: pd.DataFrame,
    test: pd.DataFrame | None,
    x: pd.DataFrame,
    *,
    y: Array,
    task: TaskType,
    learnt: Mapping[str, FittedColumn],
    names: tuple[str, str],
) -> LaggedData:
    """Make the new columns that a study asks for, of training rows and rows to predict together.

    Args:
        config: the study file.
        train: the training rows as they came.
        test: the rows to predict as they came, where there are any.
        x: the training rows, each column as its kind.
        y: their target.
        task: what is asked of it.
        learnt: what the columns of `x` hold.
        names: the tables' names, for messages.

    Raises:
        ConfigError: the target's past is asked for where it cannot be shown.
        DataError: a row has no time or series, two rows of a series have the same time, or new names are taken.
    """
    _check(config, task)
    x_test = None if test is None else column_types.impose(test, learnt)
    if not uses_lags(config) and len(config.data.time) < 2:
        return LaggedData(None, x, x_test)
    windows = _learn(config, train, x, learnt, names[0])
    rows = windows._rows(train, x, names[0], y)
    count, last = len(x), float(rows.steps.max())
    first = last
    if test is not None and x_test is not None:
        new = windows._rows(test, x_test, names[1])
        _check_horizon(windows.horizon, new, last, names[1])
        rows, first = rows.joined(new), min(last, float(new.steps.min()))
    _check_once(rows, windows, " and ".join(filter(None, names)))
    made = windows._made(rows)
    _check_free([*made, *filter(None, [windows._date])], train, names[0])
    varied = [str(name) for name in made if made[name][:count].nunique(dropna=False) > 1]
    windows = replace(
        windows,
        kept=(*varied, *filter(None, [windows._date])),
        last=last,
        past=rows.cut(rows.steps > first - windows._reach).written() if windows.steps else {},
    )
    if x_test is not None:
        x_test = windows._joined(x_test, made[count:], rows.moments[count:])
    return LaggedData(
        windows, windows._joined(x, made[:count], rows.moments[:count]), x_test, _notes(windows, len(varied))
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """What the past is made of, row by row."""

    steps: Array
    series: Array
    values: Mapping[str, Array]
    moments: Array

    def joined(self, later: _Rows) -> _Rows:
        values = {name: np.concatenate([own, later.values[name]]) for name, own in self.values.items()}
        steps, series = np.concatenate([self.steps, later.steps]), np.concatenate([self.series, later.series])
        return _Rows(steps, series, values, np.concatenate([self.moments, later.moments]))

    def cut(self, rows: Array) -> _Rows:
        values = {name: own[rows] for name, own in self.values.items()}
        return _Rows(self.steps[rows], self.series[rows], values, self.moments[rows])

    def written(self) -> dict[str, Any]:
        """Return steps, series and values as plain lists."""
        values = {name: own.tolist() for name, own in self.values.items()}
        return {"steps": self.steps.tolist(), "series": self.series.tolist(), "values": values}

    @classmethod
    def read(cls, known: Mapping[str, Any], dtype: Any) -> _Rows:
        """Return what `written` made; when the rows were is told by their steps alone, not by moments of `dtype`."""
        steps = np.array(known["steps"], dtype=np.float64)
        values = {
            name: np.array(own) if _plain(own) else np.array(own, dtype=object) for name, own in known["values"].items()
        }
        return cls(steps, np.array(known["series"], dtype=object), values, np.zeros(len(steps), dtype))


class _Look:
    """Rows in order of series and time, and how far each sees."""

    def __init__(self, rows: _Rows) -> None:
        codes = pd.factorize(rows.series)[0]
        self._order = np.lexsort((rows.steps, codes))
        self._steps = rows.steps[self._order]
        starts = np.flatnonzero(np.diff(codes[self._order], prepend=-1))
        self._series = list(zip(starts, [*starts[1:], len(codes)], strict=True))
        self._ends: dict[int, Array] = {}

    def lag(self, values: Array, lag: int) -> Array:
        """Return for each row the newest value from `lag` steps back and less than one step more; NaN without."""
        ends, starts, own = self._upto(lag), self._upto(lag + 1), values[self._order]
        return self._back(np.where(ends > starts, own[ends - 1], np.nan))

    def mean(self, values: Array, window: int, lag: int = 0) -> Array:
        """Return for each row the mean over `window` steps that end `lag` steps back; NaN where nothing is known."""
        ends, starts, own = self._upto(lag), self._upto(lag + window), values[self._order]
        sums = np.concatenate([[0.0], np.nancumsum(own)])
        counts = np.concatenate([[0], np.cumsum(~np.isnan(own))])
        count = counts[ends] - counts[starts]
        means = np.full(len(own), np.nan)
        np.divide(sums[ends] - sums[starts], count, out=means, where=count > 0)
        # Running sums round by what went before; in single precision a mean is the same after any past.
        return self._back(means.astype(np.float32).astype(np.float64))

    def _upto(self, lag: int) -> Array:
        """Return for each sorted row how many come before the moment `lag` steps back, that moment included."""
        if lag not in self._ends:
            ends = np.empty(len(self._steps), dtype=np.int64)
            for start, end in self._series:
                own = self._steps[start:end]
                ends[start:end] = start + np.searchsorted(own, own - lag + _SAME, side="right")
            self._ends[lag] = ends
        return self._ends[lag]

    def _back(self, made: Array) -> Array:
        """Return values of sorted rows in the rows' own order."""
        back = np.empty(len(made))
        back[self._order] = made
        return back


def _learn(
    config: StudyConfig, raw: pd.DataFrame, x: pd.DataFrame, learnt: Mapping[str, FittedColumn], table: str
) -> LagFeatures:
    """Return what is to be made; nothing is made yet."""
    data = config.data
    clock = TimeColumns.of(config, raw, table)
    if not uses_lags(config):
        return LagFeatures(clock, None)
    inputs = [name for name in map(str, x.columns) if name not in (*clock.names, *data.series)]
    inputs = inputs if data.lags or data.windows else []
    found = {name: sorted(set(x[name].dropna())) for name in inputs if learnt[name].kind == "category" and data.windows}
    return LagFeatures(
        clock=clock,
        steps=TimeSteps.of(clock.moments(raw, table), table),
        series=data.series,
        lags=data.lags,
        windows=data.windows,
        horizon=data.horizon,
        target=str(data.target),
        numbers=tuple(name for name in inputs if learnt[name].kind in ("number", "boolean")),
        levels={name: tuple(levels) for name, levels in found.items() if len(levels) <= _MOST_LEVELS},
    )


def _check(config: StudyConfig, task: TaskType) -> None:
    """Refuse the target's past where it cannot be shown, or where later rows could train what predicts earlier ones."""
    if config.data.horizon is None:
        return
    if task != "regression":
        raise config.error("data.horizon", "must go with a regression", f"a task {task!r}", " Remove it.")
    if config.folds.kind != "time":
        hint = " Set folds.kind to 'time', or remove data.horizon."
        raise config.error("folds.kind", "must be 'time' beside data.horizon", config.folds.kind, hint)


def _series(raw: pd.DataFrame, names: Sequence[str], table: str) -> Array:
    """Return the name of each row's series."""
    found = np.full(len(raw), "", dtype=object)
    for name in names:
        words = column_types.texts(raw[name])
        if words.isna().any():
            raise DataError(
                f"{table}: column {name!r} (data.series) must have a value in every row. Received: "
                f"{int(words.isna().sum())} rows without. Fill them, or remove data.series."
            )
        found = found + words.to_numpy(dtype=object) + "\n"
    return found


def _check_once(rows: _Rows, windows: LagFeatures, table: str) -> None:
    """Refuse rows of one series and one time: none of them is the other's past."""
    if windows.steps is None:
        return
    series = windows.series
    codes = pd.factorize(rows.series)[0]
    order = np.lexsort((rows.steps, codes))
    same = (np.diff(codes[order]) == 0) & (np.diff(rows.steps[order]) < _SAME)
    if same.any():
        moment = rows.moments[order[same.argmax()]]
        raise DataError(
            f"{table}: every time must come once{' in a series' if series else ''} for lags and windows. Received: "
            f"{pd.Timestamp(moment) if rows.moments.dtype.kind == 'M' else moment} twice"
            f"{f', and {int(same.sum()) - 1} more' if same.sum() > 1 else ''}. "
            f"{'Add to' if series else 'Set'} data.series the column that tells such rows apart."
        )


def _check_horizon(horizon: int | None, rows: _Rows, last: float, table: str) -> None:
    """Refuse rows further ahead than the target is known for."""
    ahead = float(rows.steps.max()) - last
    if horizon is not None and ahead > horizon + _SAME:
        raise DataError(
            f"{table}: rows must lie at most data.horizon steps after the last training row. Received: a horizon of "
            f"{horizon}, and a row {ahead:g} steps after. Set data.horizon to {int(np.ceil(ahead))} or more."
        )


def _check_free(names: Sequence[Any], train: pd.DataFrame, table: str) -> None:
    """Refuse columns that have the names of new ones."""
    taken = [str(name) for name in names if name in train]
    if taken:
        raise DataError(
            f"{table}: columns must not have the names of new ones. Received: {format_list(map(repr, taken))}. "
            "Rename them."
        )


def _notes(windows: LagFeatures, made: int) -> tuple[str, ...]:
    if windows.steps is None:
        return ()
    shown = len(windows.numbers) + len(windows.levels)
    return (f"{shown} columns are followed through time in steps of {windows.steps}: {made} new columns",)


def _plain(values: Sequence[Any]) -> bool:
    return not any(isinstance(value, str) for value in values)
