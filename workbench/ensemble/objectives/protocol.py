"""The protocol of all objectives: a loss over weights on the simplex."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.ensemble.prediction_matrix import PredictionMatrix

Indices = NDArray[np.intp]


class Objective(Protocol):
    """A loss over weights on the simplex; weights, counts and results are per model, (models,)."""

    @property
    def models(self) -> int:
        """The number of weights."""

    def loss(self, weights: Array) -> float:
        """Return the loss of the mixture."""

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return a function of other weights that gives their loss less the loss of `weights`."""

    def losses_if_added(self, counts: Array) -> Array:
        """Return, for each model, the loss of the mean of the models chosen `counts` times and that model."""

    def subset(self, models: Indices) -> Objective:
        """Return the same objective over some of the models."""

    def subsample(self) -> Objective | None:
        """Return the objective over some of the rows, for a first search; None where that saves no time."""

    def gradient(self, weights: Array) -> Array | None:
        """Return the gradient of the loss, (models,); None where there is none."""

    def hessian(self, weights: Array) -> Array | None:
        """Return the Hessian of the loss, (models, models), None where there is none."""

    def gap(self, weights: Array, gradient: Array | None = None) -> float | None:
        """Return a proven bound on how much less the loss of any weights can be, or None.

        `gradient` is the gradient at the weights, where it is known.
        """

    def score(self, loss: float) -> float:
        """Return a loss in the units of the metric."""


def normalize_row_weights(matrix: PredictionMatrix) -> Array | None:
    """Return each row's share of a mean; None where all are equal."""
    return None if matrix.sample_weight is None else matrix.sample_weight / matrix.sample_weight.sum()
