"""What is logged of a trial as MLflow's metrics: scores, the score of each fold, curves thinned, and what it used.

MLflow draws a chart for every key, in a section named by what comes before its last `/`, and lays the runs that are
chosen over one another in it. So `val_loss/fold_0` and its like stand side by side under `val_loss`, and
`val_loss/mean`, beside them, is the one line by which trials compare; `view` lays the folds over one another.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from workbench.trial import TrialResult

# MLflow takes no longer names.
_LONGEST_NAME = 250
# Points of a curve, and of all that a trial used, that are shown; `curves.parquet` has the curves whole.
_MOST_POINTS = 100

Curve = Mapping[str, Sequence[float]]
T = TypeVar("T")


class RunMetric(NamedTuple):
    """A value of a metric."""

    name: str
    value: float
    step: int = 0
    stamp: int | None = None
    """When it was so, in milliseconds of the epoch; with the run where it does not matter."""


def metric_name(name: str) -> str:
    """Return a name as MLflow takes one: few signs beside letters and digits, and no path that leads elsewhere."""
    plain = re.sub(r"[^\w.\-/: ]", "_", name)
    return posixpath.normpath(f"/{plain}").lstrip("/")[:_LONGEST_NAME]


def trial_metrics(result: TrialResult, metric: str) -> list[RunMetric]:
    """Return the points of a result whose score is called `metric`."""
    single = {metric: result.score, "std": result.std, "seconds": result.seconds, **result.also, **result.size}
    points = [RunMetric(name, value) for name, value in single.items() if value is not None]
    points += [RunMetric("fold_score", score, step) for step, score in enumerate(result.fold_scores)]
    # A chart each for hundreds tells nothing: of folds dealt repeatedly the first deal is shown, and of what is
    # no loss, as a learning rate, the mean alone.
    for (repeat, fold), curve in result.curves.items():
        if repeat == 0:
            points += _line(f"fold_{fold}", {name: curve[name] for name in curve if name == "epoch" or "loss" in name})
    return points + _line("mean", _mean(result))


def usage_metrics(samples: Iterable[Mapping[str, float]]) -> list[RunMetric]:
    """Return the points of what a trial used of the machine: `time`, in seconds of the epoch, and values by name."""
    rows = _thinned(list(samples))
    return [
        RunMetric(f"system/{name}", value, step, int(1000 * row["time"]))
        for step, row in enumerate(rows)
        for name, value in row.items()
        if name != "time"
    ]


def _line(where: str, curve: Curve) -> list[RunMetric]:
    epochs = curve.get("epoch", [])
    return [
        RunMetric(f"{name}/{where}", value, int(epoch))
        for name, values in curve.items()
        if name != "epoch"
        for epoch, value in _thinned(list(zip(epochs, values, strict=True)))
    ]


def _mean(result: TrialResult) -> Curve:
    """Return the mean of the finished folds' curves, as far as the shortest of them goes: each point of all folds."""
    curves = [curve for curve in result.curves.values() if curve.get("epoch")]
    # A fold that was cut off comes last, and would end the mean where it was cut.
    curves = curves[: len(result.fold_scores)] or curves
    if not curves:
        return {}
    common = sorted(set.intersection(*(set(curve["epoch"]) for curve in curves)))
    names = [name for name in curves[0] if name != "epoch" and all(name in curve for curve in curves)]
    places = [[list(curve["epoch"]).index(epoch) for epoch in common] for curve in curves]
    mean: dict[str, Sequence[float]] = {"epoch": common}
    for name in names:
        values = [np.asarray(curve[name])[at] for curve, at in zip(curves, places, strict=True)]
        mean[name] = np.mean(values, axis=0).tolist()
    return mean


def _thinned(rows: Sequence[T]) -> Sequence[T]:
    return rows[:: -(-len(rows) // _MOST_POINTS) or 1]
