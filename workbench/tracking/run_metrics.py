"""The metrics of a trial's run: scores, fold scores, thinned curves, and resource usage.

MLflow draws a chart for every metric, in a section named by the part before the last `/`, and draws the selected runs
over one another in it. So `val_loss/fold_0` and its like stand side by side under `val_loss`. `val_loss/mean`, beside
them, is the one line by which trials compare; `run_view` draws the folds over one another.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from workbench.trial import TrialResult

# MLflow's limit on names.
_MAX_NAME = 250
# The points of a curve, and of the resource usage, that are logged; `curves.parquet` has the whole curves.
_MAX_POINTS = 100

Curve = Mapping[str, Sequence[float]]
T = TypeVar("T")


class RunMetric(NamedTuple):
    """A value of a metric."""

    name: str
    value: float
    step: int = 0
    timestamp: int | None = None
    """Milliseconds of the epoch; None for the run's start, if the time does not matter."""


def metric_name(name: str) -> str:
    """Return a name that MLflow accepts: few characters beside letters and digits, and no path outside of the run."""
    plain = re.sub(r"[^\w.\-/: ]", "_", name)
    return posixpath.normpath(f"/{plain}").lstrip("/")[:_MAX_NAME]


def trial_metrics(result: TrialResult, metric: str) -> list[RunMetric]:
    """Return the metrics of a result, whose score is named `metric`."""
    single = {metric: result.score, "std": result.std, "seconds": result.seconds, "training_length": result.length}
    single |= {**result.also, **result.size}
    metrics = [RunMetric(name, value) for name, value in single.items() if value is not None]
    metrics += [RunMetric("fold_score", score, step) for step, score in enumerate(result.fold_scores)]
    # Hundreds of charts would be useless: with repeated folds only the first repeat is logged, and only the mean of
    # values that are no losses, such as a learning rate.
    for (repeat, fold), curve in result.curves.items():
        if repeat == 0:
            losses = {name: curve[name] for name in curve if name == "epoch" or "loss" in name}
            metrics += _curve_metrics(f"fold_{fold}", losses)
    return metrics + _curve_metrics("mean", _mean_curve(result))


def usage_metrics(samples: Iterable[Mapping[str, float]]) -> list[RunMetric]:
    """Return the metrics of a trial's resource usage: `time`, in seconds of the epoch, and values by name."""
    return [
        RunMetric(f"system/{name}", value, step, int(1000 * sample["time"]))
        for step, sample in enumerate(_thin(list(samples)))
        for name, value in sample.items()
        if name != "time"
    ]


def _curve_metrics(suffix: str, curve: Curve) -> list[RunMetric]:
    epochs = curve.get("epoch", [])
    return [
        RunMetric(f"{name}/{suffix}", value, int(epoch))
        for name, values in curve.items()
        if name != "epoch"
        for epoch, value in _thin(list(zip(epochs, values, strict=True)))
    ]


def _mean_curve(result: TrialResult) -> Curve:
    """Return the mean of the finished folds' curves at the epochs that all of them have."""
    curves = [curve for curve in result.curves.values() if curve.get("epoch")]
    # An interrupted fold comes last, and would cut the mean where it ends.
    curves = curves[: len(result.fold_scores)] or curves
    if not curves:
        return {}
    epochs = sorted(set.intersection(*(set(curve["epoch"]) for curve in curves)))
    names = [name for name in curves[0] if name != "epoch" and all(name in curve for curve in curves)]
    indices = [[list(curve["epoch"]).index(epoch) for epoch in epochs] for curve in curves]
    mean: dict[str, Sequence[float]] = {"epoch": epochs}
    for name in names:
        values = [np.asarray(curve[name])[index] for curve, index in zip(curves, indices, strict=True)]
        mean[name] = np.mean(values, axis=0).tolist()
    return mean


def _thin(points: Sequence[T]) -> Sequence[T]:
    return points[:: -(-len(points) // _MAX_POINTS) or 1]
