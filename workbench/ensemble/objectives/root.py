"""Root of the mean squared error, for sums with other losses: a mean of roots is no root of a mean."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from workbench.array import Array
from workbench.ensemble.objectives.protocol import Indices
from workbench.ensemble.objectives.squared_error import SquaredError


class RootMeanSquaredError:
    """RMSE of a mixture, √(w'Gw): a norm of the weights, so it is convex too."""

    def __init__(self, squared: SquaredError) -> None:
        """Keep the squared error."""
        self.squared = squared

    @property
    def models(self) -> int:
        """The number of weights."""
        return self.squared.models

    def loss(self, weights: Array) -> float:
        """Return the root of the mean squared error."""
        return math.sqrt(self.squared.loss(weights))

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return the difference of squares over the sum of the roots, which keeps its digits."""
        start, change = self.loss(weights), self.squared.change_from(weights)

        def difference(others: Array) -> float:
            total = start + self.loss(others)
            return change(others) / total if total > 0 else 0.0

        return difference

    def losses_if_added(self, counts: Array) -> Array:
        """Take the roots of the squares."""
        losses: Array = np.sqrt(np.maximum(0.0, self.squared.losses_if_added(counts)))
        return losses

    def subset(self, models: Indices) -> RootMeanSquaredError:
        """Return the same objective over some of the models."""
        return RootMeanSquaredError(self.squared.subset(models))

    def subsample(self) -> None:
        """Return None: the rows are gone from the Gram matrix."""

    def gradient(self, weights: Array) -> Array:
        """Return Gw/√(w'Gw); 0 where there is no error at all, which is a subgradient there."""
        loss = self.loss(weights)
        gradient: Array = self.squared.gram @ weights / loss if loss > 0 else np.zeros(self.models)
        return gradient

    def hessian(self, weights: Array) -> Array:
        """Return (G - ss')/√(w'Gw), with s the gradient."""
        loss, gradient = self.loss(weights), self.gradient(weights)
        hessian: Array = (self.squared.gram - np.outer(gradient, gradient)) / (loss if loss > 0 else 1.0)
        return hessian

    def gap(self, weights: Array, gradient: Array | None = None) -> float:
        """Return w's - min s: a convex loss is above its tangents."""
        gradient = self.gradient(weights) if gradient is None else gradient
        return max(0.0, float(weights @ gradient - gradient.min()))

    def score(self, loss: float) -> float:
        """Return the loss: it is the metric."""
        return loss
