"""The weighted sum of several targets' losses, over weights that they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from workbench.array import Array
from workbench.ensemble.objectives.absolute_error import AbsoluteError
from workbench.ensemble.objectives.log_loss import LogLoss
from workbench.ensemble.objectives.protocol import Indices
from workbench.ensemble.objectives.root import RootMeanSquaredError
from workbench.ensemble.objectives.squared_error import SquaredError

Convex = LogLoss | SquaredError | AbsoluteError | RootMeanSquaredError


class WeightedSum:
    """A weighted sum of convex losses, which is convex; each `factor`, (targets,), is above 0."""

    def __init__(self, parts: Sequence[Convex], factors: Array, most: float | None = None) -> None:
        """Keep the losses.

        Args:
            parts: a loss for each target, over the same models.
            factors: what each is multiplied by.
            most: the score of a loss of 0 where more is better, as with R²; None where the loss is the score.
        """
        self.parts = tuple(parts)
        self.factors = factors
        self.most = most

    @property
    def models(self) -> int:
        """The number of weights."""
        return self.parts[0].models

    @property
    def kinked(self) -> bool:
        """Whether there are absolute errors among the losses."""
        return any(isinstance(part, AbsoluteError) for part in self.parts)

    def loss(self, weights: Array) -> float:
        """Return the sum."""
        return sum(factor * part.loss(weights) for factor, part in self._terms())

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return the sum of the differences."""
        changes = [(factor, part.change_from(weights)) for factor, part in self._terms()]
        return lambda others: sum(factor * change(others) for factor, change in changes)

    def losses_if_added(self, counts: Array) -> Array:
        """Return the sum for all models at once."""
        losses: Array = np.sum([factor * part.losses_if_added(counts) for factor, part in self._terms()], axis=0)
        return losses

    def subset(self, models: Indices) -> WeightedSum:
        """Return the same objective over some of the models."""
        return WeightedSum([part.subset(models) for part in self.parts], self.factors, self.most)

    def subsample(self) -> WeightedSum | None:
        """Return the objective over some of the rows, where that saves time for one of the losses."""
        subsamples = [part.subsample() for part in self.parts]
        if all(part is None for part in subsamples):
            return None
        return WeightedSum(
            [fewer or part for fewer, part in zip(subsamples, self.parts, strict=True)], self.factors, self.most
        )

    def round_kinks(self, weights: Array, rounding: float) -> WeightedSum:
        """Return the objective with the kinks of absolute errors rounded off."""
        parts = [
            part.round_kinks(weights, rounding) if isinstance(part, AbsoluteError) else part for part in self.parts
        ]
        return WeightedSum(parts, self.factors, self.most)

    def gradient(self, weights: Array) -> Array:
        """Return the sum of the gradients."""
        gradient: Array = np.sum([factor * part.gradient(weights) for factor, part in self._terms()], axis=0)
        return gradient

    def hessian(self, weights: Array) -> Array:
        """Return the sum of the Hessians."""
        hessian: Array = np.sum([factor * part.hessian(weights) for factor, part in self._terms()], axis=0)
        return hessian

    def gap(self, weights: Array, gradient: Array | None = None) -> float:
        """Return how far the loss is above the least of a linear function that is nowhere above it.

        Such a function is the sum of the losses' tangents, of absolute errors that of their own bounds. Over the
        simplex it is least at a single model.
        """
        loss = self.loss(weights)
        below = sum(factor * _below(part, weights) for factor, part in self._terms())
        return max(0.0, min(loss, loss - float(np.min(below, axis=-1).max())))

    def score(self, loss: float) -> float:
        """Return the loss, or by how much it is less than the most that can be."""
        return loss if self.most is None else self.most - loss

    def _terms(self) -> list[tuple[float, Convex]]:
        return list(zip(self.factors.tolist(), self.parts, strict=True))


def _below(part: Convex, weights: Array) -> Array:
    """Return linear functions that are nowhere above a loss, (functions, models), by their values at single models."""
    if isinstance(part, AbsoluteError):
        return part.bounds(weights)
    gradient = part.gradient(weights)
    tangent: Array = part.loss(weights) - weights @ gradient + gradient
    return tangent[None]
