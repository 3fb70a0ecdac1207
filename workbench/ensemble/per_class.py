"""Separate weights for each of more than two classes, found from the shared ones.

Each class has the weighted mean of the models' probabilities of it, and each row is then scaled to sum 1: a model that
predicts a class well counts for more there. Every class's column is a linear pool with weights of its own; shared
weights are the special case of equal columns. The log loss of that is smooth but not convex; it is descended by its
gradient from the shared optimum, and Nelder-Mead then refines the weights by the metric itself, a few weights of one
class at a time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.ensemble.aggregation import PerOutput, normalize_rows
from workbench.ensemble.budget import Budget
from workbench.ensemble.methods import METHODS
from workbench.ensemble.nelder_mead import find_minimum, project_to_simplex
from workbench.ensemble.objectives.log_loss import LEAST_PROBABILITY
from workbench.ensemble.options import SECONDS, BlendOptions
from workbench.ensemble.prediction_matrix import SUM_TOLERANCE, PredictionMatrix
from workbench.ensemble.regularization import MANY_ROWS
from workbench.ensemble.resampling import Labels, assign_folds
from workbench.ensemble.shared_weights import Blend, find_shared_weights
from workbench.errors import EnsembleError

# The share of the time for the shared weights, and the share of the rest for weights on parts of the rows.
_SHARED_TIME = 0.4
_HELD_OUT_TIME = 0.6
# The number of models without a shared weight that may join for each class.
_JOINING = 2
_BLOCK = 5
_STEPS = (0.1, 0.03)
_PRECISION = 0.1
_GAIN = 1e-6
_MOST_STEPS = 200
_LEAST_SUM = 1e-12
# Steps from the shared weights towards the classes' own; of equally good ones the first is taken.
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Less than a step of a metric that counts rows, as in `MetricObjective`.
_TIE_BREAK = 1e-3


class PerClassLogLoss:
    """Log loss where classes have weights of their own; `predictions` is (models, rows, classes)."""

    def __init__(self, predictions: Array, y: NDArray[Any], sample_weight: Array | None = None) -> None:
        """Keep the probabilities, the class indices, (rows,), and how much each row counts."""
        self.predictions = predictions
        self.y = y.astype(np.intp)
        self.share = np.full(len(y), 1 / len(y)) if sample_weight is None else sample_weight / sample_weight.sum()

    def totals(self, weights: Array) -> Array:
        """Return (rows, classes) weighted means by (models, classes) weights, before rows are scaled to sum 1."""
        totals: Array = np.einsum("mk,mrk->rk", weights, self.predictions)
        return totals

    def loss(self, totals: Array) -> float:
        """Return the mean over rows of log Σ_k t_k - log t_y."""
        sums, true = self._split(totals)
        return float(self.share @ (np.log(sums) - np.log(true)))

    def loss_and_gradient(self, weights: Array) -> tuple[float, Array]:
        """Return the loss, and its gradient by the weights, (models, classes)."""
        totals = self.totals(weights)
        return self.loss(totals), np.einsum("mrk,rk->mk", self.predictions, self.output_gradient(totals))

    def output_gradient(self, totals: Array) -> Array:
        """Return the gradient of the loss by the weighted means, (rows, classes)."""
        sums, true = self._split(totals)
        gradient = np.repeat((self.share / sums)[:, None], totals.shape[1], axis=1)
        gradient[np.arange(len(true)), self.y] -= self.share / true
        return gradient

    def _split(self, totals: Array) -> tuple[Array, Array]:
        """Return the sum of each row, and the part of its true class."""
        sums = np.maximum(totals.sum(axis=1), LEAST_PROBABILITY)
        return sums, np.maximum(totals[np.arange(len(totals)), self.y], LEAST_PROBABILITY * sums)


def blend_per_class(matrix: PredictionMatrix, options: BlendOptions) -> Blend:
    """Return weights for each class, no worse than the shared ones on these rows.

    Args:
        matrix: probabilities of more than two classes; rows of a group are held out together.
        options: as for `blend`. `members` limits the models that have weight for any class. With `shrink` the shared
            weights are shrunk, and the weights move from them only as far as held-out rows allow. The time is for
            everything together.

    Raises:
        EnsembleError: the predictions are no probabilities.
    """
    _check(matrix)
    seconds, began = SECONDS if options.seconds is None else options.seconds, time.monotonic()
    shared = find_shared_weights(matrix, replace(options, seconds=_SHARED_TIME * seconds))
    budget = Budget(seconds - (time.monotonic() - began))
    start = shared.weights[matrix.order]
    pool = _pool(matrix, start, options.members)
    search = _ClassSearch(matrix.select_models(pool), refines=METHODS[options.method].refines_classes)
    weights = np.repeat(start[:, None], matrix.members[0].shape[1], axis=1)
    shrink = options.shrink and len(matrix.y) <= MANY_ROWS
    weights[pool] = _move(search, weights[pool], budget, np.random.default_rng(options.seed), shrink=shrink)
    output_weights = np.stack([matrix.restore_order(column) for column in weights.T], axis=1)
    aggregation = PerOutput.of_classes(weights.shape[1])
    return Blend(
        weights=output_weights @ class_frequencies(matrix),
        score=matrix.scorer.score_at(aggregation(matrix.members, weights), None),
        gap=None,
        seconds=time.monotonic() - began,
        evaluations=shared.evaluations + budget.evaluations,
        method=options.method,
        left_out=matrix.left_out,
        aggregation=aggregation,
        order=matrix.order,
        weighting="class",
        output_weights=output_weights,
    )


def _move(search: _ClassSearch, start: Array, budget: Budget, rng: np.random.Generator, *, shrink: bool) -> Array:
    """Return weights no worse than the start; shrunk ones move from it only as far as held-out rows allow."""
    if budget.is_spent():
        return start
    share = _choose_share(search, start, budget, rng) if shrink else 1.0
    moved = (1 - share) * start + share * search.minimise(start, budget) if share else start
    return min(start, moved, key=search.plain_loss)


def _check(matrix: PredictionMatrix) -> None:
    """Refuse predictions that are no probabilities."""
    off = max(float(np.abs(member @ np.ones(member.shape[1]) - 1).max()) for member in matrix.members)
    if not matrix.classified or off > SUM_TOLERANCE:
        raise EnsembleError("weights 'class' needs probabilities that sum to 1. Received: others. Use 'shared'.")


def class_frequencies(matrix: PredictionMatrix) -> Array:
    """Return how often each class occurs, (classes,) of sum 1."""
    counts = np.bincount(matrix.y.astype(np.intp), matrix.sample_weight, minlength=matrix.members[0].shape[1])
    shares: Array = counts / counts.sum()
    return shares


def _pool(matrix: PredictionMatrix, start: Array, members: int | None) -> Labels:
    """Return the models that take part: those with a shared weight, and those that would help a class most."""
    pool = np.flatnonzero(start)
    room = (len(start) if members is None else members) - len(pool)
    if room <= 0:
        return pool
    mixture = np.tensordot(start[pool], np.stack([matrix.members[index] for index in pool]), axes=1)
    by_output = PerClassLogLoss(mixture[None], matrix.y, matrix.sample_weight).output_gradient(mixture)
    gradient = np.stack([(member * by_output).sum(axis=0) for member in matrix.members])
    # The weights of a class sum to 1, so a model that gains weight takes it from the others.
    falls = start @ gradient - gradient
    falls[pool] = 0
    steepest = np.argsort(-falls, axis=0, kind="stable")[:_JOINING]
    wanted = [int(model) for rank in steepest for k, model in enumerate(rank) if falls[model, k] > 0]
    return np.union1d(pool, np.array(list(dict.fromkeys(wanted))[:room], dtype=np.intp))


@dataclass(frozen=True, eq=False)
class _ClassSearch:
    """The search for weights (models, classes) of some models, from a starting point."""

    matrix: PredictionMatrix
    refines: bool
    """Whether Nelder-Mead refines the weights by the metric."""

    @cached_property
    def loss(self) -> PerClassLogLoss:
        predictions = np.stack(self.matrix.members).astype(np.float64, copy=False)
        return PerClassLogLoss(predictions, self.matrix.y, self.matrix.sample_weight)

    @cached_property
    def tie_break(self) -> float:
        return _TIE_BREAK / len(self.matrix.y) if self.matrix.metric.wants == "labels" else 0.0

    def select_rows(self, chosen: NDArray[np.bool_]) -> _ClassSearch:
        """Return the search on some of the rows."""
        return _ClassSearch(self.matrix.select_rows(chosen), self.refines)

    def plain_loss(self, weights: Array) -> float:
        """Return the metric to minimise."""
        return self.matrix.scorer.loss(normalize_rows(self.loss.totals(weights)))

    def minimise(self, start: Array, budget: Budget) -> Array:
        """Return weights that are no worse than the start by the metric."""
        best = min(start, _descend(self.loss, start, budget), key=self.plain_loss)
        return self._refine(best, budget) if self.refines else best

    def _refine(self, weights: Array, budget: Budget) -> Array:
        """Move the weights of one class after another by Nelder-Mead, in ever smaller steps, while that gains."""
        rng, loss = np.random.default_rng(0), self._loss(self.loss.totals(weights))
        for step in _STEPS:
            gained = True
            while gained and not budget.is_spent():
                before = loss
                for k in rng.permutation(weights.shape[1]):
                    for block in np.array_split(rng.permutation(len(weights)), -(-len(weights) // _BLOCK)):
                        weights, loss = self._step(weights, loss, int(k), block, step, budget)
                gained = before - loss > _GAIN * abs(loss)
        return weights

    def _step(
        self, weights: Array, loss: float, k: int, block: Labels, step: float, budget: Budget
    ) -> tuple[Array, float]:
        """Move some weights of one class, if that lowers the loss."""
        if budget.is_spent():
            return weights, loss
        totals, own = self.loss.totals(weights), self.loss.predictions[:, :, k]

        def move(x: Array) -> Array:
            column = weights[:, k].copy()
            column[block] += x
            return project_to_simplex(column)

        def loss_at(x: Array) -> float:
            totals[:, k] = move(x) @ own
            return self._loss(totals)

        lowest = find_minimum(loss_at, len(block), step, _PRECISION, budget)
        least = loss_at(lowest)
        if not least < loss:
            return weights, loss
        better = weights.copy()
        better[:, k] = move(lowest)
        return better, least

    def _loss(self, totals: Array) -> float:
        """Return the metric to minimise, with a little log loss to break ties where it is a step function."""
        if self.matrix.metric.name == "log_loss":
            return self.loss.loss(totals)
        loss = self.matrix.scorer.loss(normalize_rows(totals))
        return loss + self.tie_break * self.loss.loss(totals) if self.tie_break else loss


def _descend(loss: PerClassLogLoss, start: Array, budget: Budget) -> Array:
    """Return weights of lower log loss, by L-BFGS-B (Byrd, Lu, Nocedal and Zhu, 1995) on the columns before scaling."""
    from scipy.optimize import minimize

    def loss_at(point: Array) -> tuple[float, Array]:
        raw = point.reshape(start.shape)
        sums = np.maximum(raw.sum(axis=0), _LEAST_SUM)
        weights = raw / sums
        value, gradient = loss.loss_and_gradient(weights)
        return value, ((gradient - (weights * gradient).sum(axis=0)) / sums).ravel()

    def stop_in_time(intermediate_result: object) -> None:
        if budget.is_spent():
            raise StopIteration

    options = {"ftol": 1e-10, "gtol": 1e-7, "maxiter": _MOST_STEPS}
    bounds = [(0.0, None)] * start.size
    result = minimize(
        loss_at, start.ravel(), jac=True, method="L-BFGS-B", bounds=bounds, options=options, callback=stop_in_time
    )
    budget.evaluations += int(result.nfev)
    raw: Array = result.x.reshape(start.shape)
    return np.stack([project_to_simplex(column) for column in raw.T], axis=1)


def _choose_share(search: _ClassSearch, start: Array, budget: Budget, rng: np.random.Generator) -> float:
    """Return how far to move from the start, as is best on held-out rows with weights found on the others.

    It is 0 where there is no time to find out.
    """
    y, clusters = search.matrix.y, search.matrix.clusters
    if clusters.max() < 1:
        return 0.0
    folds = assign_folds(y, clusters, rng)
    count = int(folds.max()) + 1
    combined = np.empty((len(_SHARES), len(y), start.shape[1]))
    for number in range(count):
        if budget.is_spent():
            return 0.0
        held = folds == number
        own = Budget(_HELD_OUT_TIME * (budget.seconds - budget.used) / (count - number))
        found = search.select_rows(~held).minimise(start, own)
        budget.evaluations += own.evaluations
        totals = [search.select_rows(held).loss.totals(weights) for weights in (start, found)]
        for place, share in enumerate(_SHARES):
            combined[place, held] = normalize_rows((1 - share) * totals[0] + share * totals[1])
    losses = [search.matrix.scorer.loss(each) for each in combined]
    return _SHARES[int(np.argmin(losses))]
