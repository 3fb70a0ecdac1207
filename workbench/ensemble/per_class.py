"""Weights of their own for each of more than two classes, found from the shared ones.

A class has the weighted mean of the models' probabilities of it, and each row is then scaled to sum 1: a model that
knows a class well counts for more there. So every class's column is pooled linearly with weights of its own, and all
shared weights are among these. The log loss of that is smooth but not convex; it is descended from the shared optimum
with its gradient, and Nelder-Mead then looks around by the metric itself, a few weights of one class at a time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.ensemble.aggregation import PerOutput, normalize_rows
from workbench.ensemble.budget import Budget
from workbench.ensemble.methods import SECONDS, Blend, find_shared_weights
from workbench.ensemble.nelder_mead import find_minimum, project_to_simplex
from workbench.ensemble.objectives.log_loss import LEAST_PROBABILITY
from workbench.ensemble.prediction_matrix import SUM_TOLERANCE, PredictionMatrix
from workbench.ensemble.regularization import MANY_ROWS
from workbench.ensemble.resampling import Labels, assign_folds
from workbench.errors import EnsembleError

METHODS = ("nelder_mead", "convex")

# The share of the time that is for the shared weights, and of the rest that for weights on parts of the rows.
_TO_SHARE = 0.4
_TO_HOLD_OUT = 0.6
# How many models without a shared weight may join for each class.
_JOINING = 2
_BLOCK = 5
_STEPS = (0.1, 0.03)
_PRECISION = 0.1
_GAIN = 1e-6
_MOST_STEPS = 200
_LEAST_SUM = 1e-12
# How far from the shared weights towards those of the classes; what is nearest is taken where all is alike.
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Less than a step of a metric that counts rows, as in `General`.
_WHIFF = 1e-3


class PerClassLogLoss:
    """Log loss of classes that have weights of their own; `predictions` is (models, rows, classes)."""

    def __init__(self, predictions: Array, y: NDArray[Any], weight: Array | None = None) -> None:
        """Keep the probabilities, the class indices, (rows,), and how much each row counts."""
        self.predictions = predictions
        self.y = y.astype(np.intp)
        self.share = np.full(len(y), 1 / len(y)) if weight is None else weight / weight.sum()

    def totals(self, weights: Array) -> Array:
        """Return (rows, classes) weighted means by (models, classes) weights, before rows are scaled to sum 1."""
        totals: Array = np.einsum("mk,mrk->rk", weights, self.predictions)
        return totals

    def loss(self, totals: Array) -> float:
        """Return the mean over rows of log Σ_k t_k - log t_y."""
        whole, own = self._parted(totals)
        return float(self.share @ (np.log(whole) - np.log(own)))

    def slopes(self, weights: Array) -> tuple[float, Array]:
        """Return the loss, and its gradient by the weights, (models, classes)."""
        totals = self.totals(weights)
        return self.loss(totals), np.einsum("mrk,rk->mk", self.predictions, self.pull(totals))

    def pull(self, totals: Array) -> Array:
        """Return the gradient of the loss by the weighted means, (rows, classes)."""
        whole, own = self._parted(totals)
        pull = np.repeat((self.share / whole)[:, None], totals.shape[1], axis=1)
        pull[np.arange(len(own)), self.y] -= self.share / own
        return pull

    def _parted(self, totals: Array) -> tuple[Array, Array]:
        """Return what each row sums to, and what its true class has of it."""
        whole = np.maximum(totals.sum(axis=1), LEAST_PROBABILITY)
        return whole, np.maximum(totals[np.arange(len(totals)), self.y], LEAST_PROBABILITY * whole)


def blend_per_class(
    bank: PredictionMatrix,
    *,
    method: str,
    members: int | None = None,
    clusters: Labels | None = None,
    shrink: bool = False,
    seed: int = 0,
    seconds: float | None = None,
) -> Blend:
    """Return weights for each class, no worse than the shared ones on these rows.

    Args:
        bank: probabilities of more than two classes.
        method: nelder_mead or convex; the latter ends with the log loss's descent.
        members: how many models may have weight for any class.
        clusters: (rows,) numbers from 0; rows of one number are held out together.
        shrink: shrink the shared weights, and go from them only as far as is good on rows held out.
        seed: of the blend and the rows held out.
        seconds: for everything together; 20 unless given.

    Raises:
        EnsembleError: the predictions are no probabilities.
    """
    _check(bank)
    seconds, began = SECONDS if seconds is None else seconds, time.monotonic()
    clusters = np.arange(len(bank.y)) if clusters is None else clusters
    options: dict[str, Any] = {"members": members, "clusters": clusters, "shrink": shrink, "seed": seed}
    shared = find_shared_weights(bank, method=method, seconds=_TO_SHARE * seconds, **options)
    budget = Budget(seconds - (time.monotonic() - began))
    start = shared.weights[bank.order]
    pool = _pool(bank, start, members)
    fit = _Fit(bank.only(pool), refines=method == "nelder_mead")
    weights = np.repeat(start[:, None], bank.members[0].shape[1], axis=1)
    drawn = shrink and len(bank.y) <= MANY_ROWS
    weights[pool] = _moved(fit, weights[pool], clusters if drawn else None, budget, np.random.default_rng(seed))
    apart = np.stack([bank.as_given(each) for each in weights.T], axis=1)
    joiner = PerOutput.of_classes(weights.shape[1])
    return Blend(
        weights=apart @ class_frequencies(bank),
        score=bank.judge.score_at(joiner(bank.members, weights), None),
        gap=None,
        seconds=time.monotonic() - began,
        evaluations=shared.evaluations + budget.evaluations,
        method=method,
        left_out=bank.left_out,
        joiner=joiner,
        order=bank.order,
        whose="class",
        apart=apart,
    )


def _moved(fit: _Fit, start: Array, clusters: Labels | None, budget: Budget, rng: np.random.Generator) -> Array:
    """Return weights no worse than the start; with clusters, as far from it as is good on those held out."""
    if budget.spent():
        return start
    share = 1.0 if clusters is None else _share(fit, start, clusters, budget, rng)
    moved = (1 - share) * start + share * fit.found(start, budget) if share else start
    return min(start, moved, key=fit.plain)


def _check(bank: PredictionMatrix) -> None:
    """Refuse what are no probabilities."""
    off = max(float(np.abs(member @ np.ones(member.shape[1]) - 1).max()) for member in bank.members)
    if not bank.classified or off > SUM_TOLERANCE:
        raise EnsembleError("weights 'class' needs probabilities that sum to 1. Received: others. Use 'shared'.")


def class_frequencies(bank: PredictionMatrix) -> Array:
    """Return how often each class occurs, (classes,) of sum 1."""
    counts = np.bincount(bank.y.astype(np.intp), bank.weight, minlength=bank.members[0].shape[1])
    shares: Array = counts / counts.sum()
    return shares


def _pool(bank: PredictionMatrix, start: Array, members: int | None) -> Labels:
    """Return the models that take part: those with a shared weight, and those that would help a class most."""
    pool = np.flatnonzero(start)
    room = (len(start) if members is None else members) - len(pool)
    if room <= 0:
        return pool
    joined = np.tensordot(start[pool], np.stack([bank.members[index] for index in pool]), axes=1)
    pull = PerClassLogLoss(joined[None], bank.y, bank.weight).pull(joined)
    slopes = np.stack([(member * pull).sum(axis=0) for member in bank.members])
    # The weights of a class sum to 1: what one model gains, the others lose.
    falls = start @ slopes - slopes
    falls[pool] = 0
    steepest = np.argsort(-falls, axis=0, kind="stable")[:_JOINING]
    wanted = [int(model) for rank in steepest for k, model in enumerate(rank) if falls[model, k] > 0]
    return np.union1d(pool, np.array(list(dict.fromkeys(wanted))[:room], dtype=np.intp))


@dataclass(frozen=True, eq=False)
class _Fit:
    """The search for weights (models, classes) of some models, from given ones."""

    bank: PredictionMatrix
    refines: bool
    """Whether Nelder-Mead looks around by the metric."""

    @cached_property
    def loss(self) -> PerClassLogLoss:
        predictions = np.stack(self.bank.members).astype(np.float64, copy=False)
        return PerClassLogLoss(predictions, self.bank.y, self.bank.weight)

    @cached_property
    def whiff(self) -> float:
        return _WHIFF / len(self.bank.y) if self.bank.metric.wants == "labels" else 0.0

    def rows(self, chosen: NDArray[np.bool_]) -> _Fit:
        """Return the search on some of the rows."""
        return _Fit(self.bank.rows(chosen), self.refines)

    def plain(self, weights: Array) -> float:
        """Return the metric to minimise."""
        return self.bank.judge.loss(normalize_rows(self.loss.totals(weights)))

    def found(self, start: Array, budget: Budget) -> Array:
        """Return weights that are no worse than the start by the metric."""
        smooth = _descended(self.loss, start, budget)
        best = min(start, smooth, key=self.plain)
        return self._refined(best, budget) if self.refines else best

    def _refined(self, weights: Array, budget: Budget) -> Array:
        """Move the weights of one class after another by Nelder-Mead, in ever smaller steps, while that gains."""
        rng, loss = np.random.default_rng(0), self._asked(weights)
        for step in _STEPS:
            gained = True
            while gained and not budget.spent():
                before = loss
                for k in rng.permutation(weights.shape[1]):
                    for block in np.array_split(rng.permutation(len(weights)), -(-len(weights) // _BLOCK)):
                        weights, loss = self._stepped(weights, loss, int(k), block, step, budget)
                gained = before - loss > _GAIN * abs(loss)
        return weights

    def _stepped(
        self, weights: Array, loss: float, k: int, block: Labels, step: float, budget: Budget
    ) -> tuple[Array, float]:
        """Move some weights of one class, if that is better."""
        if budget.spent():
            return weights, loss
        totals, own = self.loss.totals(weights), self.loss.predictions[:, :, k]

        def moved(x: Array) -> Array:
            column = weights[:, k].copy()
            column[block] += x
            return project_to_simplex(column)

        def asked(x: Array) -> float:
            totals[:, k] = moved(x) @ own
            return self._of(totals)

        found = find_minimum(asked, len(block), step, _PRECISION, budget)
        gained = asked(found)
        if not gained < loss:
            return weights, loss
        better = weights.copy()
        better[:, k] = moved(found)
        return better, gained

    def _asked(self, weights: Array) -> float:
        return self._of(self.loss.totals(weights))

    def _of(self, totals: Array) -> float:
        """Return the metric to minimise, and a whiff of log loss where it moves in steps."""
        if self.bank.metric.name == "log_loss":
            return self.loss.loss(totals)
        loss = self.bank.judge.loss(normalize_rows(totals))
        return loss + self.whiff * self.loss.loss(totals) if self.whiff else loss


def _descended(loss: PerClassLogLoss, start: Array, budget: Budget) -> Array:
    """Return weights of lower log loss, by L-BFGS-B (Byrd, Lu, Nocedal and Zhu, 1995) on the columns before scaling."""
    from scipy.optimize import minimize

    def asked(point: Array) -> tuple[float, Array]:
        raw = point.reshape(start.shape)
        sums = np.maximum(raw.sum(axis=0), _LEAST_SUM)
        weights = raw / sums
        value, slopes = loss.slopes(weights)
        return value, ((slopes - (weights * slopes).sum(axis=0)) / sums).ravel()

    def stop_in_time(intermediate_result: object) -> None:
        if budget.spent():
            raise StopIteration

    options = {"ftol": 1e-10, "gtol": 1e-7, "maxiter": _MOST_STEPS}
    bounds = [(0.0, None)] * start.size
    result = minimize(
        asked, start.ravel(), jac=True, method="L-BFGS-B", bounds=bounds, options=options, callback=stop_in_time
    )
    budget.evaluations += int(result.nfev)
    raw: Array = result.x.reshape(start.shape)
    return np.stack([project_to_simplex(column) for column in raw.T], axis=1)


def _share(fit: _Fit, start: Array, clusters: Labels, budget: Budget, rng: np.random.Generator) -> float:
    """Return how far to go from the start: what is best on rows held out, by weights found on the others.

    None of the way is gone where there is no time to tell.
    """
    y = fit.bank.y
    if clusters.max() < 1:
        return 0.0
    folds = assign_folds(y, clusters, rng)
    count = int(folds.max()) + 1
    joined = np.empty((len(_SHARES), len(y), start.shape[1]))
    for number in range(count):
        if budget.spent():
            return 0.0
        held = folds == number
        own = Budget(_TO_HOLD_OUT * (budget.seconds - budget.used) / (count - number))
        found = fit.rows(~held).found(start, own)
        budget.evaluations += own.evaluations
        totals = [fit.rows(held).loss.totals(weights) for weights in (start, found)]
        for place, share in enumerate(_SHARES):
            joined[place, held] = normalize_rows((1 - share) * totals[0] + share * totals[1])
    losses = [fit.bank.judge.loss(each) for each in joined]
    return _SHARES[int(np.argmin(losses))]
