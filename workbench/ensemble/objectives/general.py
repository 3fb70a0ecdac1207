"""Any metric, computed as it is."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from workbench.array import Array
from workbench.ensemble.multi_target_scorer import MultiTargetScorer, score_factors
from workbench.ensemble.objectives.log_loss import LogLoss
from workbench.ensemble.objectives.protocol import Indices
from workbench.ensemble.objectives.squared_error import SquaredError
from workbench.ensemble.objectives.total import WeightedSum
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.ensemble.scorer import Scorer
from workbench.evaluation.multi_target import MultiTargetMetric

Surrogate = LogLoss | SquaredError | WeightedSum

# The rows of a subsample for the first search.
_SUBSAMPLE_ROWS = 20_000
# The weight of the tie break, as a share of a row: less than a step of a metric that counts rows.
_TIE_BREAK = 1e-3


class MetricObjective:
    """Any metric, computed as it is; `predictions` is (models, rows[, classes]).

    A metric of labels is a step function. `tie_break` times the `surrogate`, which is less than a step, breaks its ties
    towards better probabilities.
    """

    def __init__(
        self,
        predictions: Array,
        scorer: Scorer | MultiTargetScorer,
        surrogate: Surrogate | None = None,
        tie_break: float = 0.0,
    ) -> None:
        """Keep the predictions, the scorer, and the surrogate with its weight."""
        self.predictions = predictions
        self.scorer = scorer
        self.surrogate = surrogate
        self.tie_break = tie_break

    @classmethod
    def of(cls, matrix: PredictionMatrix) -> MetricObjective:
        """Return the objective of a matrix; the surrogate is log loss for classes, squared error for values."""
        surrogate, tie_break = _surrogate(matrix)
        predictions = np.stack(matrix.members).astype(np.float64, copy=False)
        return cls(predictions, matrix.scorer, surrogate, tie_break)

    @property
    def models(self) -> int:
        """The number of weights."""
        return len(self.predictions)

    def loss(self, weights: Array) -> float:
        """Return the metric to minimise with the tie break; infinite where it is not defined."""
        loss = self.plain_loss(weights)
        return loss + self.tie_break * self.surrogate.loss(weights) if self.surrogate and self.tie_break else loss

    def plain_loss(self, weights: Array) -> float:
        """Return the metric to minimise, without the tie break."""
        return self.scorer.loss(np.tensordot(weights, self.predictions, axes=1))

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return the difference of two losses; the loss itself where the metric is not defined at `weights`."""
        loss = self.loss(weights)
        start = loss if math.isfinite(loss) else 0.0
        return lambda others: self.loss(others) - start

    def losses_if_added(self, counts: Array) -> Array:
        """Compute the metric once a model, with the tie break."""
        total, size = np.tensordot(counts, self.predictions, axes=1), counts.sum() + 1
        losses = np.array([self.scorer.loss((total + member) / size) for member in self.predictions])
        if self.surrogate and self.tie_break:
            losses += self.tie_break * self.surrogate.losses_if_added(counts)
        return losses

    def subset(self, models: Indices) -> MetricObjective:
        """Return the objective over some of the models."""
        surrogate = self.surrogate.subset(models) if self.surrogate else None
        return MetricObjective(self.predictions[models], self.scorer, surrogate, self.tie_break)

    def subsample(self) -> MetricObjective | None:
        """Return the objective over a regular subsample of many rows; on few rows a step function would differ."""
        step = self.predictions.shape[1] // _SUBSAMPLE_ROWS
        if step < 2:
            return None
        surrogate = self.surrogate.subsample() if self.surrogate else None
        tie_break = self.tie_break if surrogate else 0.0
        return MetricObjective(
            np.ascontiguousarray(self.predictions[:, ::step]),
            self.scorer.subset(slice(None, None, step)),
            surrogate,
            tie_break,
        )

    def gradient(self, weights: Array) -> None:
        """Return None: the metric may have no gradient."""

    def hessian(self, weights: Array) -> None:
        """Return None: the metric may have no Hessian."""

    def gap(self, weights: Array, gradient: Array | None = None) -> None:
        """Return None: no certificate exists for a metric that need not be convex."""

    def score(self, loss: float) -> float:
        """Return the metric's value, with the tie break."""
        return self.scorer.metric.loss_of(loss)


def _surrogate(matrix: PredictionMatrix) -> tuple[Surrogate | None, float]:
    """Return a smooth surrogate of the metric, and its weight as a tie break."""
    if matrix.multi_target_metric is not None:
        return _surrogates(matrix, matrix.multi_target_metric)
    if matrix.classified:
        return LogLoss.of(matrix), _TIE_BREAK / len(matrix.y) if matrix.metric.wants == "labels" else 0.0
    return (SquaredError.of(matrix) if matrix.members[0].ndim == 1 else None), 0.0


def _surrogates(matrix: PredictionMatrix, metric: MultiTargetMetric) -> tuple[Surrogate | None, float]:
    """Return the mean of several targets' surrogates, squared errors as shares of the variance, and its weight."""
    parts: list[LogLoss | SquaredError] = []
    factors = []
    for part, weight in zip(matrix.parts, score_factors(metric), strict=True):
        surrogate, _ = _surrogate(part)
        if surrogate is None or isinstance(surrogate, WeightedSum):
            return None, 0.0
        parts.append(surrogate)
        factors.append(weight / (float(np.var(part.y)) or 1.0) if isinstance(surrogate, SquaredError) else weight)
    has_steps = any(part.metric.wants == "labels" for part in matrix.parts)
    return WeightedSum(parts, np.array(factors)), _TIE_BREAK / len(matrix.y) if has_steps else 0.0
