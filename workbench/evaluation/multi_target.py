"""Metrics of several targets: the weighted mean of one score a target, and each of these by itself.

The targets of a row are the columns of `y`, (rows, targets) float64, class numbers or values; their predictions lie
beside each other in (rows, outputs): a column for a value or the probability of the second of two classes, and a column
a class where there are more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from workbench.errors import EvaluationError, format_list
from workbench.evaluation.metrics import Metric

if TYPE_CHECKING:
    from workbench.array import Array
    from workbench.config import TaskType

TASKS: frozenset[TaskType] = frozenset({"multilabel", "multitarget"})
# What a metric logger takes of a target's name.
_UNSUITED = re.compile(r"[^\w .:/-]")


@dataclass(frozen=True)
class TargetMetric:
    """One target among several: where it stands, and how it is scored."""

    target: str
    metric: Metric
    place: int
    """Its column of `y`."""
    start: int
    stop: int
    """Its columns of the predictions, from the first up to, without, the last."""
    classes: int
    """How many classes it has; 0 for values."""
    weight: float = 1.0
    """How much its score counts beside those of the others."""
    scale: float = 1.0
    """What its score is divided by, where scores of different metrics are averaged."""

    @property
    def name(self) -> str:
        """What its score is called."""
        return f"{_UNSUITED.sub('_', self.target)}.{self.metric.name}"

    def y(self, y: Array) -> Array:
        """Return its column of the targets, (rows,): class numbers as int64, or values."""
        column = y[:, self.place]
        return column.astype("int64") if self.classes else column

    def predictions(self, predictions: Array) -> Array:
        """Return its predictions, (rows,) or (rows, classes)."""
        width = self.stop - self.start
        return predictions[:, self.start] if width == 1 else predictions[:, self.start : self.stop]

    def score(self, y: Array, predictions: Array, sample_weight: Array | None = None) -> float:
        """Return its score in its metric's own unit, from the targets and predictions of all of them."""
        return self.metric.score(self.y(y), self.predictions(predictions), sample_weight)


@dataclass(frozen=True)
class MultiTargetMetric(Metric):
    """The weighted mean of the targets' scores; of different metrics, each as a share of a constant's score."""

    parts: tuple[TargetMetric, ...] = ()

    @property
    def facts(self) -> str:
        """The targets with their metrics and weights."""
        return f"{self.name} of {', '.join(f'{part.name} × {part.weight:g}' for part in self.parts)}"

    def score(self, y: Array, predictions: Array, sample_weight: Array | None = None) -> float:
        """Return the score; NaN where that of a target has no meaning on these rows.

        Args:
            y: (rows, targets) class numbers or values.
            predictions: (rows, outputs), those of a target beside each other.
            sample_weight: (rows,) how much each row counts.

        Raises:
            EvaluationError: shapes do not fit, or a prediction is not finite.
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
    """The metric of one target, asked with the targets and predictions of all."""

    part: TargetMetric | None = None

    @classmethod
    def of(cls, part: TargetMetric) -> SingleTargetMetric:
        """Return what scores a target by itself."""
        own = part.metric
        known = (part.name, own.direction, own.wants, TASKS, own.loss, own.transform, own.function)
        return cls(*known, part=part)

    def score(self, y: Array, predictions: Array, sample_weight: Array | None = None) -> float:
        """Return the target's score; see `MultiTargetMetric.score`."""
        return cast("TargetMetric", self.part).score(y, predictions, sample_weight)


def multi_target_metric(parts: Sequence[TargetMetric], y: Array) -> MultiTargetMetric:
    """Return the metric of several targets.

    One metric of all of them is averaged as it is. Different ones are put on one scale where less is better: each
    score is divided by that of the best constant, so that 1 is worth nothing; where more is better they are averaged.

    Args:
        parts: the targets, in the order of their columns.
        y: (rows, targets) the training rows' targets.

    Raises:
        EvaluationError: of one metric less is better, of another more.
    """
    first = parts[0].metric
    directions = {part.metric.direction for part in parts}
    if len(directions) > 1:
        shown = format_list([f"{part.target}: {part.metric.name} ({part.metric.direction})" for part in parts], 8)
        raise EvaluationError(
            f"metrics of several targets must all be minimised or all be maximised. Received: {shown}. "
            "Choose log_loss beside rmse or mae, or roc_auc beside r2, for each under targets."
        )
    name = first.name
    if any(part.metric.name != first.name for part in parts):
        minimized = first.direction == "minimize"
        name = "relative_loss" if minimized else "mean_score"
        parts = [replace(part, scale=_constant(part, y)) for part in parts] if minimized else parts
    return MultiTargetMetric(
        name,
        first.direction,
        "probabilities",
        TASKS,
        first.loss,
        "none",
        _no_formula,
        parts=tuple(parts),
    )


def _constant(part: TargetMetric, y: Array) -> float:
    """Return the score of the best constant on the training rows; 1 where that is 0 or has no meaning."""
    import numpy as np

    own = part.y(y)
    if part.classes:
        shares = np.bincount(own, minlength=part.classes) / len(own)
        constant = np.full(len(own), shares[1]) if part.classes == 2 else np.tile(shares, (len(own), 1))
    elif part.metric.transform == "log1p":
        constant = np.full(len(own), np.expm1(np.log1p(own).mean()))
    else:
        constant = np.full(len(own), np.median(own) if part.metric.loss == "absolute_error" else own.mean())
    score = part.metric.score(own, constant)
    return score if np.isfinite(score) and score > 0 else 1.0


def _no_formula(y: Array, predictions: Array, weight: Array | None) -> float:
    """Refuse to be asked: each target has a formula of its own."""
    raise EvaluationError("several targets have no formula in common. Ask `score`.")
