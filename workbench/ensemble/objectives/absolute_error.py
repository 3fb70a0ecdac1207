"""Absolute error: MAE, and MAPE with residuals as shares of the target."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workbench.array import Array
from workbench.ensemble.objectives.protocol import Indices, normalize_row_weights
from workbench.ensemble.prediction_matrix import PredictionMatrix

# The width by which kinks are rounded off, as a share of the error, unless one is given.
_ROUNDING = 0.1
# Without any error the Hessian would be infinite.
_LEAST_WIDTH = 1e-100
# The roundings of the signs that are tried for the bound, as shares of the error.
_BOUND_ROUNDINGS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


class AbsoluteError:
    """Mean absolute error of a mixture, |w'R|; `residuals` (models, rows) are each model's.

    It is convex with a kink wherever a row's residual is 0. Gradient and Hessian are those of √(r² + width²).
    """

    def __init__(self, residuals: Array, share: Array | None = None, width: float = 0.0) -> None:
        """Keep the residuals, and each row's share of the mean, (rows,) of sum 1.

        With a `width` the loss too has its kinks rounded off.
        """
        self.residuals = residuals
        self.share = np.full(residuals.shape[1], 1 / residuals.shape[1]) if share is None else share
        self.width = width

    @classmethod
    def of(cls, matrix: PredictionMatrix) -> AbsoluteError:
        """Return the objective of a prediction matrix of values."""
        residuals = np.stack([member - matrix.y for member in matrix.members]).astype(np.float64, copy=False)
        relative = matrix.metric.name == "mape"
        return cls(residuals / np.abs(matrix.y) if relative else residuals, normalize_row_weights(matrix))

    @property
    def models(self) -> int:
        """The number of weights."""
        return len(self.residuals)

    def loss(self, weights: Array) -> float:
        """Return the mean of |r| over the rows."""
        return float(self._sizes(weights @ self.residuals) @ self.share)

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return the difference of two losses."""
        loss = self.loss(weights)
        return lambda others: self.loss(others) - loss

    def losses_if_added(self, counts: Array) -> Array:
        """Score all models at once."""
        total, size = counts @ self.residuals, counts.sum() + 1
        return np.array([self._sizes((total + own) / size) @ self.share for own in self.residuals])

    def subset(self, models: Indices) -> AbsoluteError:
        """Return the objective over some of the models."""
        return AbsoluteError(self.residuals[models], self.share, self.width)

    def subsample(self) -> None:
        """Return None: it costs little."""

    def round_kinks(self, weights: Array, rounding: float) -> AbsoluteError:
        """Return the objective with its kinks rounded off by a share of the error at `weights`."""
        return AbsoluteError(self.residuals, self.share, rounding * self.loss(weights))

    def gradient(self, weights: Array) -> Array:
        """Return the mean of each model's residual times the mixture's sign, rounded off."""
        mixed = weights @ self.residuals
        return self._pull(mixed, self._width(mixed))

    def hessian(self, weights: Array) -> Array:
        """Return the mean outer product of the residuals, near the kinks."""
        mixed = weights @ self.residuals
        width = self._width(mixed)
        bend = self.share * width**2 / (mixed**2 + width**2) ** 1.5
        hessian: Array = (self.residuals * bend) @ self.residuals.T
        return hessian

    def gap(self, weights: Array, gradient: Array | None = None) -> float:
        """Return loss - max over u of min R(u): for any u in [-1, 1] and weights v, mean |v'R| >= mean u (v'R)."""
        loss = float(np.abs(weights @ self.residuals) @ self.share)
        bound = float(self.bounds(weights).min(axis=1).max())
        return max(0.0, min(loss, loss - bound))

    def bounds(self, weights: Array) -> Array:
        """Return R(u) for some u, (functions, models): as functions of weights, v'R(u), they are nowhere above it."""
        mixed = weights @ self.residuals
        loss = float(np.abs(mixed) @ self.share)
        return np.stack([self._pull(mixed, rounding * loss) for rounding in _BOUND_ROUNDINGS])

    def score(self, loss: float) -> float:
        """Return the loss: it is the metric."""
        return loss

    def _sizes(self, mixed: Array) -> Array:
        return np.hypot(mixed, self.width) if self.width else np.abs(mixed)

    def _width(self, mixed: Array) -> float:
        return self.width or max(_ROUNDING * float(np.abs(mixed) @ self.share), _LEAST_WIDTH)

    def _pull(self, mixed: Array, width: float) -> Array:
        # If every residual is 0, any sign will do.
        sizes = np.hypot(mixed, width)
        signs = np.divide(mixed, sizes, out=np.zeros_like(mixed), where=sizes > 0)
        pull: Array = self.residuals @ (self.share * signs)
        return pull
