"""Log loss, reduced to the probability that each model gives to the true class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.ensemble.objectives.protocol import Indices, normalize_row_weights
from workbench.ensemble.prediction_matrix import PredictionMatrix

LEAST_PROBABILITY = 1e-15
# The numbers in one batch, to bound memory.
_BATCH = 1 << 22
# The rows of a subsample for the first search.
_SUBSAMPLE_ROWS = 8_000


class LogLoss:
    """Mean log loss of a mixture; `true_class` (models, rows) is each model's probability of the true class.

    The matrix may hold floats of 32 bits; sums are taken in 64.
    """

    def __init__(self, true_class: NDArray[Any], share: Array | None = None) -> None:
        """Keep the matrix, whose values must be at least 1e-15, and each row's share of the mean, (rows,) of sum 1."""
        self.true_class = true_class
        self.share = share
        # Loss, gradient and bound are computed at the same weights one after another.
        self._last: tuple[Array, Array] | None = None

    @classmethod
    def of(cls, matrix: PredictionMatrix) -> LogLoss:
        """Return the objective of a prediction matrix of probabilities."""
        likelihood = true_class(matrix.members, matrix.y)
        # The metric clips there too; clipping members can only lower the loss, so that bounds stay bounds.
        return cls(np.maximum(likelihood, LEAST_PROBABILITY, out=likelihood), normalize_row_weights(matrix))

    @property
    def models(self) -> int:
        """The number of weights."""
        return len(self.true_class)

    def loss(self, weights: Array) -> float:
        """Return the mean of -log p over the rows."""
        return -float(self._mean_log(self._mixture(weights)))

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return the difference of two losses."""
        loss = self.loss(weights)
        return lambda others: self.loss(others) - loss

    def losses_if_added(self, counts: Array) -> Array:
        """Score all models at once, a batch of models at a time to bound memory."""
        total, size = self._mixture(counts), math.log(counts.sum() + 1)
        models = max(1, _BATCH // len(total))
        parts = [
            size - self._mean_log(total + self.true_class[first : first + models])
            for first in range(0, self.models, models)
        ]
        return np.concatenate(parts)

    def subset(self, models: Indices) -> LogLoss:
        """Return the objective over some of the models, in floats of 64 bits."""
        return LogLoss(self.true_class[models].astype(np.float64, copy=False), self.share)

    def subsample(self) -> LogLoss | None:
        """Return the objective over a regular subsample of the rows, in floats of 64 bits."""
        step = self.true_class.shape[1] // _SUBSAMPLE_ROWS
        if step < 2 or self.share is not None:
            return None
        return LogLoss(np.ascontiguousarray(self.true_class[:, ::step], dtype=np.float64))

    def gradient(self, weights: Array) -> Array:
        """Return minus the mean of each model's probability over the mixture's."""
        mixed = self._mixture(weights)
        pull = -1 / (mixed * len(mixed)) if self.share is None else -self.share / mixed
        if self.true_class.dtype == np.float64:
            gradient: Array = self.true_class @ pull
            return gradient
        gradient = np.zeros(self.models)
        for part in _parts(self.true_class):
            gradient += self.true_class[:, part].astype(np.float64) @ pull[part]
        return gradient

    def hessian(self, weights: Array) -> Array:
        """Return the mean outer product of the gradients of single rows (the empirical Fisher matrix)."""
        mixed = self._mixture(weights)
        hessian = np.zeros((self.models, self.models))
        for part in _parts(self.true_class):
            ratios = self.true_class[:, part] / mixed[part]
            hessian += (ratios if self.share is None else ratios * self.share[part]) @ ratios.T
        return hessian / (len(mixed) if self.share is None else 1)

    def gap(self, weights: Array, gradient: Array | None = None) -> float:
        """Return log max d, d the negated gradient: by Jensen, mean log(p_v / p_w) <= log(v'd) for any v.

        As no log loss is below zero, the loss itself is a bound too.
        """
        gradient = self.gradient(weights) if gradient is None else gradient
        return max(0.0, min(math.log(float(-gradient.min())), self.loss(weights)))

    def score(self, loss: float) -> float:
        """Return the loss: it is the metric."""
        return loss

    def _mixture(self, weights: Array) -> Array:
        """Return the mixture's probability of the true class, (rows,)."""
        if self._last is None or not np.array_equal(self._last[0], weights):
            self._last = weights.copy(), self._mix(weights)
        return self._last[1]

    def _mix(self, weights: Array) -> Array:
        support = np.flatnonzero(weights)
        # One product over all models is faster than a sum over those that have weight, unless these are few.
        if 4 * len(support) >= self.models and self.true_class.dtype == np.float64:
            mixed: Array = weights @ self.true_class
            return mixed
        mixed = np.zeros(self.true_class.shape[1])
        for model in support:
            mixed += weights[model] * self.true_class[model].astype(np.float64, copy=False)
        return mixed

    def _mean_log(self, values: Array) -> Array:
        """Return the mean log over the last axis."""
        return _mean_log(values) if self.share is None else np.asarray(np.log(values) @ self.share)


def true_class(members: Sequence[NDArray[Any]], y: NDArray[Any]) -> Array:
    """Return (models, rows) probabilities that each model gives to the true class of each row."""
    classes = y.astype(np.intp)
    likelihood = np.empty((len(members), len(y)))
    for row, member in zip(likelihood, members, strict=True):
        row[:] = np.where(classes == 1, member, 1 - member) if member.ndim == 1 else member[np.arange(len(y)), classes]
    return likelihood


def _parts(matrix: NDArray[Any]) -> list[slice]:
    """Cut the columns so that a part holds a bounded number of values."""
    size = max(1024, _BATCH // len(matrix))
    return [slice(first, first + size) for first in range(0, matrix.shape[1], size)]


def _mean_log(values: Array) -> Array:
    """Return the mean log over the last axis, with one log for a product of 16 values, because logs are what costs."""
    count = values.shape[-1]
    whole = count - count % 16
    products = values[..., :whole].reshape(*values.shape[:-1], 16, whole // 16).prod(axis=-2)
    logs = np.log(products).sum(axis=-1) + np.log(values[..., whole:]).sum(axis=-1)
    means: Array = np.asarray(logs / count)
    return means
