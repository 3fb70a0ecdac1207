"""What every objective can do: a loss over weights on the simplex."""

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
        """Return a function of other weights: how much their loss is above that of `weights`."""

    def losses_if_added(self, counts: Array) -> Array:
        """Return, for each model, the loss of the mean of the models chosen `counts` times and that model."""

    def only(self, models: Indices) -> Objective:
        """Return the same objective over some of the models."""

    def fewer(self) -> Objective | None:
        """Return the objective over some of the rows, for a first search; None where that saves nothing."""

    def slopes(self, weights: Array) -> Array | None:
        """Return the gradient of the loss, or None where there is none."""

    def curvature(self, weights: Array) -> Array | None:
        """Return the Hessian of the loss, (models, models), or None where there is none."""

    def gap(self, weights: Array, slopes: Array | None = None) -> float | None:
        """Return a proven bound on how much less the loss of any weights can be, or None.

        `slopes` are those at the weights, where they are known.
        """

    def score(self, loss: float) -> float:
        """Return a loss in the units of the metric."""


def normalize_row_weights(bank: PredictionMatrix) -> Array | None:
    """Return each row's share of a mean; None where they are alike."""
    return None if bank.weight is None else bank.weight / bank.weight.sum()
