"""What the ensembler is held against: what people write, what AutoGluon does, an independent optimum of log loss."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workbench.array import Array

LEAST_PROBABILITY = 1e-15
_SELECTED = 100
_EM_STEPS = 100
_NEWTON_STEPS = 500
_NEGLIGIBLE = 1e-2
_RIDGE = 1e-13
_PROVEN = 1e-14


@dataclass(frozen=True, eq=False)
class Found:
    """Weights, and what it took to find them."""

    weights: Array
    evaluations: int
    capped: bool = False
    """Whether time ended it."""
    gap: float | None = None
    searched: float | None = None
    """Seconds of the search alone, where the method tells them."""


def naive(predictions: Array, y: Array, seconds: float) -> Found:
    """What people write: scipy's Nelder-Mead as it comes over |w| / Σ|w|, mixing all probabilities each time."""
    rows = np.arange(len(y))

    def loss(weights: Array) -> float:
        mixed = np.tensordot(weights, predictions, axes=1)
        return -float(np.log(np.maximum(mixed[rows, y], LEAST_PROBABILITY)).mean())

    return _nelder_mead(loss, len(predictions), seconds)


def naive_reduced(predictions: Array, y: Array, seconds: float) -> Found:
    """The fairer rival: the same over the probabilities of the true class, (models, rows)."""
    began = time.monotonic()
    reduced = np.ascontiguousarray(predictions[:, np.arange(len(y)), y])

    def loss(weights: Array) -> float:
        return -float(np.log(np.maximum(weights @ reduced, LEAST_PROBABILITY)).mean())

    return _nelder_mead(loss, len(predictions), seconds - (time.monotonic() - began))


def ensemble_selection(predictions: Array, y: Array, seconds: float) -> Found:
    """AutoGluon's EnsembleSelection, from its published description, for log loss.

    Forward selection with replacement (Caruana et al., 2004): a hundred rounds; in each the metric is asked of the
    mean of what was chosen and each model, and the first of the best is added; the best round's ensemble is returned.
    """
    began = time.monotonic()
    rows = np.arange(len(y))
    total = np.zeros(predictions.shape[1:])
    counts = np.zeros(len(predictions))
    best, least, evaluations, capped = counts, math.inf, 0, False
    for size in range(1, _SELECTED + 1):
        losses = []
        for member in predictions:
            mixed = (total + member) / size
            losses.append(-float(np.log(np.maximum(mixed[rows, y], LEAST_PROBABILITY)).mean()))
        chosen = int(np.argmin(losses))
        total += predictions[chosen]
        counts[chosen] += 1
        evaluations += len(predictions)
        if losses[chosen] < least:
            best, least = counts / size, losses[chosen]
        if time.monotonic() - began > seconds:
            capped = size < _SELECTED
            break
    return Found(best, evaluations, capped)


def optimum(true_class: Array, share: Array) -> tuple[Array, float]:
    """Return the weights of least log loss, and a proven bound on how far above the least they are.

    EM for the proportions of a mixture brings the weights near; Newton steps over the models that have weight, one
    joining or leaving at a time, go on to the last digits. Nothing of the package is used.

    Args:
        true_class: (models, rows) probabilities of the true class, as doubles.
        share: (rows,) how much each row counts; sum 1.
    """
    weights = np.full(len(true_class), 1 / len(true_class))
    for _ in range(_EM_STEPS):
        weights *= true_class @ (share / (weights @ true_class))
    weights[weights < _NEGLIGIBLE * weights.max()] = 0
    weights /= weights.sum()
    best, least = weights, math.inf
    for _ in range(_NEWTON_STEPS):
        mixed = weights @ true_class
        pulls = true_class @ (share / mixed)
        gap = math.log(pulls.max())
        if gap < least:
            best, least = weights, gap
        if gap <= _PROVEN:
            break
        moved = _newton_step(weights, true_class, share, mixed, pulls)
        if moved is None:
            break
        weights = moved
    return best, max(0.0, least)


def excess(weights: Array, other: Array, true_class: Array, share: Array) -> float:
    """Return how much the log loss of `weights` is above that of `other`, without cancellation."""
    mixed = other @ true_class
    return -float(share @ np.log1p(((weights - other) @ true_class) / mixed))


class _OverError(Exception):
    """The time is over."""


class _Watched:
    """A loss that remembers its lowest point and stops when the time is over."""

    def __init__(self, loss: Callable[[Array], float], seconds: float) -> None:
        self.loss = loss
        self.end = time.monotonic() + seconds
        self.evaluations = 0
        self.least = math.inf
        self.weights: Array | None = None

    def __call__(self, point: Array) -> float:
        if self.evaluations and time.monotonic() > self.end:
            raise _OverError
        weights = np.abs(point) / np.abs(point).sum()
        loss = self.loss(weights)
        self.evaluations += 1
        if self.weights is None or loss < self.least:
            self.weights, self.least = weights, loss
        return loss


def _nelder_mead(loss: Callable[[Array], float], models: int, seconds: float) -> Found:
    from scipy.optimize import minimize

    watched, capped = _Watched(loss, seconds), False
    try:
        minimize(watched, np.full(models, 1 / models), method="Nelder-Mead")
    except _OverError:
        capped = True
    return Found(np.asarray(watched.weights), watched.evaluations, capped)


def _newton_step(weights: Array, true_class: Array, share: Array, mixed: Array, pulls: Array) -> Array | None:
    """Return better weights, or None where rounding hides any.

    The model with the greatest pull may join; the step ends where the first model has no weight left.
    """
    joining = int(np.argmax(pulls))
    having = weights > 0
    for free in (np.flatnonzero(having | (np.arange(len(weights)) == joining)), np.flatnonzero(having)):
        ratios = true_class[free] / mixed
        step = _downhill((ratios * share) @ ratios.T, pulls[free])
        if not ((step < 0) & (weights[free] == 0)).any():
            break
    changes = step @ ratios
    shrinking = step < 0
    most = float(np.min(weights[free][shrinking] / -step[shrinking], initial=math.inf))
    length = min(1.0, most)
    # A full fall below zero of some row's probability is no fall at all: log1p would not be defined.
    while length > 1e-12:
        if (length * changes > -1).all() and share @ np.log1p(length * changes) > 0:
            break
        length /= 2
    else:
        return None
    moved = weights.copy()
    moved[free] += length * step
    if length == most:
        moved[free[np.argmin(np.where(shrinking, moved[free], math.inf))]] = 0
    moved = np.maximum(moved, 0)
    rescaled: Array = moved / moved.sum()
    return rescaled


def _downhill(curvature: Array, pulls: Array) -> Array:
    """Return the step of sum zero to the least of the quadratic model.

    The ridge lets a step go far along what has no curvature, as from one copy of a model to another.
    """
    models = len(pulls)
    system = np.ones((models + 1, models + 1))
    system[:models, :models] = curvature + _RIDGE * np.trace(curvature) * np.eye(models)
    system[models, models] = 0
    step: Array = np.linalg.solve(system, np.append(pulls, 0.0))[:models]
    step -= step.mean()
    return step
