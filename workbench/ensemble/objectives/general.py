"""Any metric, asked as it is."""

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

Surrogate = LogLoss | SquaredError | WeightedSum

# A first search looks at so many rows of more.
_FEWER_ROWS = 20_000
# Less than a step of a metric that counts rows: so much of a row.
_WHIFF = 1e-3


class MetricObjective:
    """Any metric, asked as it is; `predictions` is (models, rows[, classes]).

    A metric that moves in steps says nothing between them, so `whiff` of the `surrogate`, less than a step,
    breaks ties towards better probabilities.
    """

    def __init__(
        self,
        predictions: Array,
        judge: Scorer | MultiTargetScorer,
        surrogate: Surrogate | None = None,
        whiff: float = 0.0,
    ) -> None:
        """Keep what the metric is asked with."""
        self.predictions = predictions
        self.judge = judge
        self.surrogate = surrogate
        self.whiff = whiff

    @classmethod
    def of(cls, bank: PredictionMatrix) -> MetricObjective:
        """Return the objective of a bank; classes have log loss as a surrogate, values squared error."""
        surrogate, whiff = _surrogate(bank)
        predictions = np.stack(bank.members).astype(np.float64, copy=False)
        return cls(predictions, bank.judge, surrogate, whiff)

    @property
    def models(self) -> int:
        """The number of weights."""
        return len(self.predictions)

    def loss(self, weights: Array) -> float:
        """Return the metric to minimise and a whiff of the surrogate; infinite where it is not defined."""
        loss = self.plain_loss(weights)
        return loss + self.whiff * self.surrogate.loss(weights) if self.surrogate and self.whiff else loss

    def plain_loss(self, weights: Array) -> float:
        """Return the metric to minimise, and no whiff."""
        return self.judge.loss(np.tensordot(weights, self.predictions, axes=1))

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return the difference of two losses; the loss itself where the metric is not defined at `weights`."""
        loss = self.loss(weights)
        start = loss if math.isfinite(loss) else 0.0
        return lambda others: self.loss(others) - start

    def losses_if_added(self, counts: Array) -> Array:
        """Ask the metric once a model; ties are broken as in `loss`."""
        total, size = np.tensordot(counts, self.predictions, axes=1), counts.sum() + 1
        losses = np.array([self.judge.loss((total + member) / size) for member in self.predictions])
        if self.surrogate and self.whiff:
            losses += self.whiff * self.surrogate.losses_if_added(counts)
        return losses

    def only(self, models: Indices) -> MetricObjective:
        """Return the objective over some of the models."""
        surrogate = self.surrogate.only(models) if self.surrogate else None
        return MetricObjective(self.predictions[models], self.judge, surrogate, self.whiff)

    def fewer(self) -> MetricObjective | None:
        """Return the objective over every so manieth row, of many: on few a metric that moves in steps is another."""
        step = self.predictions.shape[1] // _FEWER_ROWS
        if step < 2:
            return None
        surrogate = self.surrogate.fewer() if self.surrogate else None
        whiff = self.whiff if surrogate else 0.0
        return MetricObjective(
            np.ascontiguousarray(self.predictions[:, ::step]),
            self.judge.only(slice(None, None, step)),
            surrogate,
            whiff,
        )

    def slopes(self, weights: Array) -> None:
        """Return None: the metric may have no gradient."""

    def curvature(self, weights: Array) -> None:
        """Return None: the metric may have no curvature."""

    def gap(self, weights: Array, slopes: Array | None = None) -> None:
        """Return None: no certificate exists for a metric that need not be convex."""

    def score(self, loss: float) -> float:
        """Return the metric's own value, the whiff left in."""
        return self.judge.metric.loss_of(loss)


def _surrogate(bank: PredictionMatrix) -> tuple[Surrogate | None, float]:
    """Return a smooth stand-in for the metric, and how much of it breaks the metric's ties."""
    if bank.several is not None:
        return _surrogates(bank)
    if bank.classified:
        return LogLoss.of(bank), _WHIFF / len(bank.y) if bank.metric.wants == "labels" else 0.0
    return (SquaredError.of(bank) if bank.members[0].ndim == 1 else None), 0.0


def _surrogates(bank: PredictionMatrix) -> tuple[Surrogate | None, float]:
    """Return the mean of several targets' stand-ins, squared errors as shares of the variance, and how much of it."""
    found: list[LogLoss | SquaredError] = []
    factors = []
    for part, weight in zip(bank.parts, score_factors(bank.several) if bank.several else (), strict=True):
        surrogate, _ = _surrogate(part)
        if surrogate is None or isinstance(surrogate, WeightedSum):
            return None, 0.0
        found.append(surrogate)
        factors.append(weight / (float(np.var(part.y)) or 1.0) if isinstance(surrogate, SquaredError) else weight)
    stepped = any(part.metric.wants == "labels" for part in bank.parts)
    return WeightedSum(found, np.array(factors)), _WHIFF / len(bank.y) if stepped else 0.0
