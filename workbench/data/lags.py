"""Lag features: lags and window means of earlier rows, computed without leakage from later ones.

A row uses what is known when its inputs are: its own inputs, those of earlier rows of its series, and the target from
`data.horizon` steps back. Only the length of a time step and the list of columns are learnt on training rows.
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
from workbench.data.target import TargetColumns
from workbench.data.timestamps import TimeColumns, TimeSteps
from workbench.errors import DataError, format_list

# Categories with more levels than this get no lag features.
_MOST_LEVELS = 10
# Times that differ by less than this share of a step are equal.
_SAME = 1e-4

Frame = pd.DataFrame | None


@dataclass(frozen=True)
class LagFeatures:
    """The lag features of a table, and the past rows that the features of new rows are computed from."""

    clock: TimeColumns
    steps: TimeSteps | None
    """None if the only new column is the date that is joined from its parts."""
    series: tuple[str, ...] = ()
    """The columns that identify a series."""
    lags: tuple[int, ...] = ()
    windows: tuple[int, ...] = ()
    horizon: int | None = None
    target: str = ""
    numbers: tuple[str, ...] = ()
    """The numeric columns with lag features."""
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The categories with the shares of their levels in windows."""
    kept: tuple[str, ...] = ()
    """The new columns that vary over the training rows."""
    last: float = 0.0
    """The step of the last training row."""
    past: Mapping[str, Any] = field(default_factory=dict)
    """Steps, series and values of the training rows that new rows look back at, and of the rows to predict."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The time and series columns that rows must have."""
        return (*self.clock.names, *self.series)

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """The kind of each new column."""
        return {name: "date" if name == self._date else "number" for name in self.kept}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> LagFeatures:
        """Return the features that `dataclasses.asdict` described, also after a round trip through JSON."""
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
        rows = self._extract(raw, x, table)
        _check_once(rows, self, table)
        _check_horizon(self.horizon, rows, self.last, table)
        empty = rows.select(np.zeros(len(x), dtype=bool))
        past = _LagInputs.read(self.past, rows.moments.dtype) if self.past else empty
        # A new row replaces the past row of the same series and time.
        given = set(zip(rows.series, np.round(rows.steps, 3), strict=True))
        known = zip(past.series, np.round(past.steps, 3), strict=True)
        past = past.select(np.array([each not in given for each in known], dtype=bool))
        added = self._compute(past.concat(rows)).iloc[len(past.steps) :]
        return self._append(x, added, rows.moments)

    def _extract(self, raw: pd.DataFrame, x: pd.DataFrame, table: str, y: Array | None = None) -> _LagInputs:
        """Extract the inputs of the features from rows; without `y` their target is unknown."""
        moments = self.clock.moments(raw, table)
        steps = np.zeros(len(x)) if self.steps is None else self.steps.count(moments)
        values = {name: x[name].to_numpy() for name in (*self.numbers, *self.levels)}
        if self.horizon is not None:
            values[self.target] = np.full(len(x), np.nan) if y is None else np.asarray(y, dtype=np.float64)
        return _LagInputs(steps, _series(raw, self.series, table), values, moments)

    def _compute(self, rows: _LagInputs) -> pd.DataFrame:
        """Compute the lag and window columns of all rows."""
        lag_windows = _LagWindows(rows)
        added: dict[str, Array] = {}
        for name in self.numbers:
            added |= {f"{name} lag {lag}": lag_windows.lag(rows.values[name], lag) for lag in self.lags}
            added |= {f"{name} mean {window}": lag_windows.mean(rows.values[name], window) for window in self.windows}
        for name, levels in self.levels.items():
            values = pd.Series(rows.values[name], dtype=object)
            for level in levels:
                shares = (values == level).astype("float64").where(values.notna()).to_numpy()
                added |= {f"{name}={level} mean {window}": lag_windows.mean(shares, window) for window in self.windows}
        if self.horizon is not None:
            known, ahead = rows.values[self.target], self.horizon
            lags = sorted({ahead, *(lag for lag in self.lags if lag > ahead)})
            added |= {f"{self.target} lag {lag}": lag_windows.lag(known, lag) for lag in lags}
            for window in self.windows:
                added[f"{self.target} mean {window} lag {ahead}"] = lag_windows.mean(known, window, ahead)
        return pd.DataFrame(added, index=range(len(rows.steps)))

    @property
    def _date(self) -> str | None:
        return "-".join(self.clock.names) if len(self.clock.names) > 1 else None

    @property
    def _reach(self) -> int:
        """The number of steps that a row looks back."""
        ahead = self.horizon or 0
        return max([ahead + 1, *(lag + 1 for lag in self.lags), *(ahead + window for window in self.windows)])

    def _split(
        self, added: pd.DataFrame, moments: Array, x: pd.DataFrame, x_test: Frame, x_other: Frame
    ) -> tuple[pd.DataFrame, Frame, Frame]:
        """Append the lag features to training rows, rows to predict and rows without a target.

        The rows of `added` and `moments` are in the order `x`, `x_other`, `x_test`.
        """
        count, start = len(x), len(moments) - (0 if x_test is None else len(x_test))
        return (
            self._append(x, added[:count], moments[:count]),
            None if x_test is None else self._append(x_test, added[start:], moments[start:]),
            None if x_other is None else self._append(x_other, added[count:start], moments[count:start]),
        )

    def _append(self, x: pd.DataFrame, added: pd.DataFrame, moments: Array) -> pd.DataFrame:
        if self._date is not None:
            added = added.assign(**{self._date: moments})
        return pd.concat([x, added[list(self.kept)].set_axis(x.index)], axis=1)


def uses_lags(config: StudyConfig) -> bool:
    """Return whether a study has lag features."""
    return bool(config.data.lags or config.data.windows or config.data.horizon)


class LaggedData(NamedTuple):
    """A study's rows with their lag features."""

    lags: LagFeatures | None
    x: pd.DataFrame
    x_test: pd.DataFrame | None
    unlabelled: pd.DataFrame | None
    """The training rows without a target."""
    notes: tuple[str, ...] = ()

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """The kind of each new column."""
        return self.lags.kinds if self.lags else {}

    @property
    def needs(self) -> tuple[str, ...]:
        """The time and series columns that rows must have."""
        return self.lags.needs if self.lags else ()


def add_lags(
    config: StudyConfig,
    train: pd.DataFrame,
    test: pd.DataFrame | None,
    x: pd.DataFrame,
    *,
    target: TargetColumns,
    learnt: Mapping[str, FittedColumn],
    names: tuple[str, str],
    unlabelled: pd.DataFrame | None = None,
) -> LaggedData:
    """Add the lag features of a study to training rows and rows to predict.

    Rows without a target are among the past of others, and get lag features too; those without a time or a series are
    left out.

    Args:
        config: the study file.
        train: the training rows as they came.
        test: the rows to predict as they came, if the study has some.
        x: the training rows, each column as its kind.
        target: their encoded target.
        learnt: the kinds of the columns of `x`.
        names: the tables' names, for messages.
        unlabelled: the training rows without a target as they came, if there are some.

    Raises:
        ConfigError: lags of the target do not go with the task or the folds.
        DataError: a row has no time or series, two rows of a series have the same time, or a new name is taken.
    """
    _check(config, target.task)
    follows = uses_lags(config) or len(config.data.time) > 1
    if follows and unlabelled is not None:
        unlabelled = unlabelled.dropna(subset=[*config.data.time, *config.data.series])
    x_test, x_other = (None if rows is None else column_types.impose(rows, learnt) for rows in (test, unlabelled))
    if not follows:
        return LaggedData(None, x, x_test, x_other)
    features = _learn(config, pd.concat([train, unlabelled]), x, learnt, names[0])
    rows = features._extract(train, x, names[0], target.y)
    count, last = len(x), float(rows.steps.max())
    first = last
    if unlabelled is not None and x_other is not None:
        rows = rows.concat(features._extract(unlabelled, x_other, names[0]))
    if test is not None and x_test is not None:
        new = features._extract(test, x_test, names[1])
        _check_horizon(features.horizon, new, last, names[1])
        rows, first = rows.concat(new), min(last, float(new.steps.min()))
    _check_once(rows, features, " and ".join(filter(None, names)))
    added = features._compute(rows)
    _check_free([*added, *filter(None, [features._date])], train, names[0])
    varied = [str(name) for name in added if added[name][:count].nunique(dropna=False) > 1]
    features = replace(
        features,
        kept=(*varied, *filter(None, [features._date])),
        last=last,
        past=rows.select(rows.steps > first - features._reach).to_lists() if features.steps else {},
    )
    return LaggedData(features, *features._split(added, rows.moments, x, x_test, x_other), _note(features, len(varied)))


@dataclass(frozen=True, eq=False)
class _LagInputs:
    """The inputs of lag features by row."""

    steps: Array
    series: Array
    values: Mapping[str, Array]
    moments: Array

    def concat(self, later: _LagInputs) -> _LagInputs:
        values = {name: np.concatenate([own, later.values[name]]) for name, own in self.values.items()}
        steps, series = np.concatenate([self.steps, later.steps]), np.concatenate([self.series, later.series])
        return _LagInputs(steps, series, values, np.concatenate([self.moments, later.moments]))

    def select(self, rows: Array) -> _LagInputs:
        values = {name: own[rows] for name, own in self.values.items()}
        return _LagInputs(self.steps[rows], self.series[rows], values, self.moments[rows])

    def to_lists(self) -> dict[str, Any]:
        """Return steps, series and values as lists, for JSON."""
        values = {name: own.tolist() for name, own in self.values.items()}
        return {"steps": self.steps.tolist(), "series": self.series.tolist(), "values": values}

    @classmethod
    def read(cls, known: Mapping[str, Any], dtype: Any) -> _LagInputs:
        """Restore what `to_lists` returned; steps hold the times, and moments of `dtype` are empty."""
        steps = np.array(known["steps"], dtype=np.float64)
        values = {
            name: np.array(column) if _has_no_text(column) else np.array(column, dtype=object)
            for name, column in known["values"].items()
        }
        return cls(steps, np.array(known["series"], dtype=object), values, np.zeros(len(steps), dtype))


class _LagWindows:
    """Rows sorted by series and time, with the window of earlier rows of each."""

    def __init__(self, rows: _LagInputs) -> None:
        codes = pd.factorize(rows.series)[0]
        self._order = np.lexsort((rows.steps, codes))
        self._steps = rows.steps[self._order]
        starts = np.flatnonzero(np.diff(codes[self._order], prepend=-1))
        self._spans = list(zip(starts, [*starts[1:], len(codes)], strict=True))
        self._ends: dict[int, Array] = {}

    def lag(self, values: Array, lag: int) -> Array:
        """Return for each row the newest value from `lag` to less than `lag` + 1 steps back; NaN without one."""
        ends, starts, own = self._count_until(lag), self._count_until(lag + 1), values[self._order]
        return self._unsort(np.where(ends > starts, own[ends - 1], np.nan))

    def mean(self, values: Array, window: int, lag: int = 0) -> Array:
        """Return for each row the mean over the `window` steps that end `lag` steps back; NaN without values."""
        ends, starts, own = self._count_until(lag), self._count_until(lag + window), values[self._order]
        sums = np.concatenate([[0.0], np.nancumsum(own)])
        counts = np.concatenate([[0], np.cumsum(~np.isnan(own))])
        count = counts[ends] - counts[starts]
        means = np.full(len(own), np.nan)
        np.divide(sums[ends] - sums[starts], count, out=means, where=count > 0)
        # Running sums round depending on earlier rows; single precision makes a mean independent of them.
        return self._unsort(means.astype(np.float32).astype(np.float64))

    def _count_until(self, lag: int) -> Array:
        """Return for each sorted row the number of rows up to and including the time `lag` steps back."""
        if lag not in self._ends:
            ends = np.empty(len(self._steps), dtype=np.int64)
            for start, end in self._spans:
                own = self._steps[start:end]
                ends[start:end] = start + np.searchsorted(own, own - lag + _SAME, side="right")
            self._ends[lag] = ends
        return self._ends[lag]

    def _unsort(self, added: Array) -> Array:
        """Return values of sorted rows in the original order."""
        back = np.empty(len(added))
        back[self._order] = added
        return back


def _learn(
    config: StudyConfig, raw: pd.DataFrame, x: pd.DataFrame, learnt: Mapping[str, FittedColumn], table: str
) -> LagFeatures:
    """Learn the time step and the columns with lag features; none is computed yet."""
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
    """Refuse lags of the target without a regression, or with folds that train on rows after the validation rows."""
    if config.data.horizon is None:
        return
    if task != "regression":
        raise config.error("data.horizon", "must go with a regression", f"a task {task!r}", " Remove it.")
    if config.folds.kind != "time":
        hint = " Set folds.kind to 'time', or remove data.horizon."
        raise config.error("folds.kind", "must be 'time' beside data.horizon", config.folds.kind, hint)


def _series(raw: pd.DataFrame, names: Sequence[str], table: str) -> Array:
    """Return the series of each row."""
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


def _check_once(rows: _LagInputs, features: LagFeatures, table: str) -> None:
    """Refuse two rows of one series at one time, because neither is the other's past."""
    if features.steps is None:
        return
    series = features.series
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


def _check_horizon(horizon: int | None, rows: _LagInputs, last: float, table: str) -> None:
    """Refuse rows more than `horizon` steps after the last training row."""
    ahead = float(rows.steps.max()) - last
    if horizon is not None and ahead > horizon + _SAME:
        raise DataError(
            f"{table}: rows must lie at most data.horizon steps after the last training row. Received: a horizon of "
            f"{horizon}, and a row {ahead:g} steps after. Set data.horizon to {int(np.ceil(ahead))} or more."
        )


def _check_free(names: Sequence[Any], train: pd.DataFrame, table: str) -> None:
    """Refuse columns with the names of lag features."""
    taken = [str(name) for name in names if name in train]
    if taken:
        raise DataError(
            f"{table}: columns must not have the names of new ones. Received: {format_list(map(repr, taken))}. "
            "Rename them."
        )


def _note(features: LagFeatures, added: int) -> tuple[str, ...]:
    if features.steps is None:
        return ()
    shown = len(features.numbers) + len(features.levels)
    return (f"{shown} columns are followed through time in steps of {features.steps}: {added} new columns",)


def _has_no_text(values: Sequence[Any]) -> bool:
    return not any(isinstance(value, str) for value in values)
