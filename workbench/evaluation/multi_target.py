"""Metrics of several targets: the weighted mean of the targets' scores, and the score of a single target.

The targets are the columns of `y`, (rows, targets) float64 with class numbers or values. The predictions of all targets
are adjacent columns of (rows, outputs): one column for values or for the probability of the second of two classes, and
one column per class for more classes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from workbench.errors import EvaluationError, format_list
from workbench.evaluation.metrics import LowerBounds, Metric

if TYPE_CHECKING:
    from workbench.array import Array
    from workbench.config import TaskType

TASKS: frozenset[TaskType] = frozenset({"multilabel", "multitarget"})
# Characters that MLflow does not allow in the name of a metric.
_FORBIDDEN = re.compile(r"[^\w .:/-]")


@dataclass(frozen=True)
class TargetMetric:
    """The metric of one target among several, with the columns of its target and predictions."""

    target: str
    metric: Metric
    place: int
    """The target's column in `y`."""
    start: int
    stop: int
    """The target's columns in the predictions are `start` to `stop - 1`."""
    classes: int
    """The number of classes; 0 for values."""
    weight: float = 1.0
    """The weight of the score in the mean."""
    scale: float = 1.0
    """The divisor of the score when scores of different metrics are averaged."""

    @property
    def name(self) -> str:
        """The name of the score: TARGET.METRIC."""
        return f"{_FORBIDDEN.sub('_', self.target)}.{self.metric.name}"

    def y(self, y: Array) -> Array:
        """Return (rows,) the target's column of `y`: class numbers as int64, or values."""
        column = y[:, self.place]
        return column.astype("int64") if self.classes else column

    def predictions(self, predictions: Array) -> Array:
        """Return the target's predictions, (rows,) or (rows, classes)."""
        width = self.stop - self.start
        return predictions[:, self.start] if width == 1 else predictions[:, self.start : self.stop]

    def score(self, y: Array, predictions: Array, sample_weight: Array | None = None) -> float:
        """Return the target's score in the unit of its metric, given the targets and predictions of all targets."""
        return self.metric.score(self.y(y), self.predictions(predictions), sample_weight)


@dataclass(frozen=True)
class MultiTargetMetric(Metric):
    """The weighted mean of the targets' scores; with different metrics, of scores relative to a constant's."""

    parts: tuple[TargetMetric, ...] = ()

    @property
    def signature(self) -> str:
        """The targets with their metrics and weights, in one line."""
        return f"{self.name} of {', '.join(f'{part.name} × {part.weight:g}' for part in self.parts)}"

    @property
    def bounds(self) -> LowerBounds:
        """The least prediction of each column that is allowed."""
        return [part.metric.lowest for part in self.parts for _ in range(part.start, part.stop)]

    def score(self, y: Array, predictions: Array, sample_weight: Array | None = None) -> float:
        """Return the score; NaN if a target's score is undefined for these rows.

        Args:
            y: (rows, targets) class numbers or values.
            predictions: (rows, outputs) predictions, the outputs of a target in adjacent columns.
            sample_weight: (rows,) the weight of each row.

        Raises:
            EvaluationError: the shapes do not match, or a prediction is not finite.
        """
        if y.ndim != 2 or predictions.ndim != 2 or len(y) != len(predictions):
            raise EvaluationError(
                f"metric {self.name!r} must get targets (rows, targets) and predictions (rows, outputs). "
                f"Received: shapes {y.shape} and {predictions.shape}."
            )
        total = sum(part.weight for part in self.parts)
        scores = (part.weight * part.score(y, predictions, sample_weight) / part.scale for part in self.parts)
        return sum(scores) / total


@dataclass(frozen=True)
class SingleTargetMetric(Metric):
    """The metric of one target, computed from the targets and predictions of all targets."""

    part: TargetMetric | None = None

    @classmethod
    def of(cls, part: TargetMetric) -> SingleTargetMetric:
        """Return the metric that scores a single target."""
        metric = part.metric
        return cls(
            part.name,
            metric.direction,
            metric.wants,
            TASKS,
            metric.loss,
            metric.transform,
            metric.function,
            ranks=metric.ranks,
            part=part,
        )

    def score(self, y: Array, predictions: Array, sample_weight: Array | None = None) -> float:
        """Return the target's score; see `MultiTargetMetric.score`."""
        return cast("TargetMetric", self.part).score(y, predictions, sample_weight)


def combine_metrics(parts: Sequence[TargetMetric], y: Array) -> MultiTargetMetric:
    """Return the metric of several targets.

    If all targets have the same metric, or all metrics are maximised, the scores are averaged as they are. Different
    metrics that are minimised are put on a common scale first: each score is divided by that of the best constant, so
    that 1 means no better than the constant.

    Args:
        parts: the metrics of the targets, in the order of their columns.
        y: (rows, targets) the targets of the training rows.

    Raises:
        EvaluationError: some metrics are minimised and others maximised.
    """
    first = parts[0].metric
    directions = {part.metric.direction for part in parts}
    if len(directions) > 1:
        received = format_list([f"{part.target}: {part.metric.name} ({part.metric.direction})" for part in parts], 8)
        raise EvaluationError(
            f"metrics of several targets must all be minimised or all be maximised. Received: {received}. "
            "Choose log_loss beside rmse or mae, or roc_auc beside r2, for each under targets."
        )
    name = first.name
    if any(part.metric.name != first.name for part in parts):
        minimized = first.direction == "minimize"
        name = "relative_loss" if minimized else "mean_score"
        parts = [replace(part, scale=_score_constant(part, y)) for part in parts] if minimized else parts
    return MultiTargetMetric(
        name,
        first.direction,
        "probabilities",
        TASKS,
        first.loss,
        "none",
        _refuse_common_formula,
        ranks=any(part.metric.ranks for part in parts),
        parts=tuple(parts),
    )


def _score_constant(part: TargetMetric, y: Array) -> float:
    """Return the score of the best constant prediction on the training rows; 1 if it is 0 or undefined."""
    import numpy as np

    target = part.y(y)
    if part.classes:
        frequencies = np.bincount(target, minlength=part.classes) / len(target)
        constant = np.full(len(target), frequencies[1]) if part.classes == 2 else np.tile(frequencies, (len(target), 1))
    elif part.metric.transform == "log1p":
        constant = np.full(len(target), np.expm1(np.log1p(target).mean()))
    else:
        constant = np.full(len(target), np.median(target) if part.metric.loss == "absolute_error" else target.mean())
    score = part.metric.score(target, constant)
    return score if np.isfinite(score) and score > 0 else 1.0


def _refuse_common_formula(y: Array, predictions: Array, weight: Array | None) -> float:
    """Raise an error, because each target has a formula of its own."""
    raise EvaluationError("several targets have no formula in common. Use `score`.")
