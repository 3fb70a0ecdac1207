"""Squared error, reduced to the Gram matrix of the residuals: RMSE and R²."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from workbench.array import Array
from workbench.ensemble.objectives.protocol import Indices, normalize_row_weights
from workbench.ensemble.prediction_matrix import PredictionMatrix


class SquaredError:
    """Mean squared error of a mixture, w'Gw; `gram` (models, models) is the mean product of residuals.

    `variance` is the target's where the metric is R², and None where it is RMSE.
    """

    def __init__(self, gram: Array, variance: float | None = None) -> None:
        """Keep the matrix."""
        self.gram = gram
        self.variance = variance

    @classmethod
    def of(cls, matrix: PredictionMatrix) -> SquaredError:
        """Return the objective of a prediction matrix of values."""
        residuals = np.stack([member - matrix.y for member in matrix.members]).astype(np.float64, copy=False)
        share = normalize_row_weights(matrix)
        share = np.full(len(matrix.y), 1 / len(matrix.y)) if share is None else share
        variance = float(share @ (matrix.y - share @ matrix.y) ** 2) if matrix.metric.name == "r2" else None
        return cls((residuals * share) @ residuals.T, variance)

    @property
    def models(self) -> int:
        """The number of weights."""
        return len(self.gram)

    def loss(self, weights: Array) -> float:
        """Return the mean squared error."""
        return max(0.0, float(weights @ self.gram @ weights))

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return the expanded square: where errors nearly cancel, a difference of losses has few digits."""
        pull = self.gram @ weights
        pull -= weights @ pull

        def change(others: Array) -> float:
            move = others - weights
            return float(2 * pull @ move + move @ self.gram @ move)

        return change

    def losses_if_added(self, counts: Array) -> Array:
        """Expand the square for all models at once."""
        pull = self.gram @ counts
        losses: Array = (counts @ pull + 2 * pull + np.diag(self.gram)) / (counts.sum() + 1) ** 2
        return losses

    def subset(self, models: Indices) -> SquaredError:
        """Return the objective over some of the models."""
        return SquaredError(self.gram[np.ix_(models, models)], self.variance)

    def subsample(self) -> None:
        """Return None: the rows are gone from the Gram matrix."""

    def gradient(self, weights: Array) -> Array:
        """Return 2Gw."""
        gradient: Array = 2 * self.gram @ weights
        return gradient

    def hessian(self, weights: Array) -> Array:
        """Return 2G, the same everywhere."""
        return 2 * self.gram

    def gap(self, weights: Array, gradient: Array | None = None) -> float:
        """Return 2(w'Gw - min Gw): by convexity, v'Gv >= 2 v'Gw - w'Gw for any v."""
        gradient = self.gradient(weights) if gradient is None else gradient
        return max(0.0, float(weights @ gradient - gradient.min()))

    def score(self, loss: float) -> float:
        """Return the root of the loss, or R² where that is the metric."""
        loss = max(0.0, loss)
        return math.sqrt(loss) if self.variance is None else 1 - loss / self.variance
