"""The public entry: predictions of many models in, weights out, by any of the methods named here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from workbench.ensemble.bank import Array, Bank, Predictions, gather
from workbench.ensemble.budget import Budget
from workbench.ensemble.greedy import greedy
from workbench.ensemble.nelder_mead import improve
from workbench.ensemble.objectives import Indices, Objective, objective_for
from workbench.errors import EnsembleError, did_you_mean

if TYPE_CHECKING:
    from workbench.evaluation import Metric

SECONDS = 20.0


@dataclass(frozen=True, eq=False)
class Blend:
    """Weights, and what is known about them."""

    weights: Array
    """(models,), at least 0, sum 1."""
    score: float
    """The metric of the weighted mean on the rows that the weights were fitted to."""
    gap: float | None
    """A proven bound, in the metric's units, on how much better any weights can be; None where none exists.

    With `members` it still compares with weights on all models.
    """
    seconds: float
    evaluations: int
    """How many mixtures the method has asked the loss of."""
    method: str


def blend(
    predictions: Predictions,
    y: ArrayLike,
    metric: "str | Metric",
    *,
    method: str = "nelder_mead",
    members: int | None = None,
    classes: Sequence[object] | None = None,
    seed: int = 0,
    seconds: float | None = None,
) -> Blend:
    """Return the weights under which the models' mean prediction scores best.

    Args:
        predictions: (models, rows, classes) probabilities, (models, rows) probabilities of class 1 or values,
            or a sequence with an array per model.
        y: (rows,) class indices or values, or labels where `classes` is given.
        metric: a metric's name, or a Metric.
        method: one of `methods()`.
        members: the most models that may have weight; all unless given.
        classes: the labels, in the order of the predictions' columns.
        seed: deals the models into Nelder-Mead's subspaces.
        seconds: ends the search for better weights; 20 unless given. The same seed gives the same weights only
            where this is not reached.

    Raises:
        EnsembleError: predictions, target or an option cannot be used.
        EvaluationError: the metric does not exist, or does not suit the predictions.
    """
    check(method, members, seconds)
    bank = gather(predictions, y, metric, classes)
    return blend_bank(bank, method=method, members=members, seed=seed, seconds=seconds)


def blend_bank(bank: Bank, *, method: str, members: int | None, seed: int, seconds: float | None) -> Blend:
    """Do what `blend` does with predictions and options that have been checked."""
    objective = objective_for(bank)
    budget = Budget(SECONDS if seconds is None else seconds)
    most = min(members or objective.models, objective.models)
    weights = _METHODS[method](_Problem(bank, objective, most, budget, np.random.default_rng(seed)))
    score = bank.score(weights)
    if not np.isfinite(score):
        raise EnsembleError(
            f"metric {bank.metric.name!r} is not defined on these {len(bank.y)} rows: {score}. Blend over more rows."
        )
    gap = _gap(bank, objective, weights, score)
    return Blend(bank.as_given(weights), score, gap, budget.used, budget.evaluations, method)


def methods() -> tuple[str, ...]:
    """Return the names of all methods."""
    return tuple(_METHODS)


def check(method: str, members: int | None = None, seconds: float | None = None) -> None:
    """Refuse options that cannot be used.

    Raises:
        EnsembleError: there is no such method, or no member or no time is allowed.
    """
    if method not in _METHODS:
        hint = did_you_mean(method, _METHODS) or f" Known: {', '.join(_METHODS)}."
        raise EnsembleError(f"method must be a known way to blend. Received: {method!r}.{hint}")
    if members is not None and members < 1:
        raise EnsembleError(f"members must be at least 1. Received: {members!r}. Leave it out to allow all models.")
    if seconds is not None and not seconds > 0:
        raise EnsembleError(f"seconds must be above 0. Received: {seconds!r}. Leave it out for a sensible end.")


@dataclass(frozen=True, eq=False)
class _Problem:
    """All that a method may look at; `most` is the number of weights that may be above 0."""

    bank: Bank
    objective: Objective
    most: int
    budget: Budget
    rng: np.random.Generator

    @cached_property
    def ranked(self) -> Indices:
        """The models by their own loss, best first."""
        self.budget.evaluations += self.objective.models
        return np.argsort(self.objective.losses_if_added(np.zeros(self.objective.models)), kind="stable")


def _best(problem: _Problem) -> Array:
    """Give all weight to the best single model."""
    return _mean_of(problem, 1)


def _uniform(problem: _Problem) -> Array:
    """Weigh all models alike, or the best of them where not all may have weight."""
    return _mean_of(problem, problem.most)


def _mean_of(problem: _Problem, most: int) -> Array:
    models = problem.objective.models
    if most == models:
        return np.full(models, 1 / models)
    weights = np.zeros(models)
    weights[problem.ranked[:most]] = 1 / most
    return weights


def _greedy(problem: _Problem) -> Array:
    """Select forward, with replacement."""
    return greedy(problem.objective, problem.most, problem.budget)


def _nelder_mead(problem: _Problem) -> Array:
    """Refine the greedy weights by Nelder-Mead; never worse than greedy, uniform or best.

    Where fewer models may have weight than would like to, the heaviest of the free optimum and those that
    greedy chose are refined among themselves.
    """
    started = _greedy(problem)
    free = improve(problem.objective, started, problem.budget, problem.rng)
    found = [started, _uniform(problem), _best(problem)]
    if np.count_nonzero(free) <= problem.most:
        found.append(free)
    else:
        heaviest = np.zeros_like(free)
        kept = np.argsort(-free, kind="stable")[: problem.most]
        heaviest[kept] = free[kept] / free[kept].sum()
        found += [_improved_among(problem, start) for start in (heaviest, started)]
    return min(found, key=problem.bank.loss)


def _improved_among(problem: _Problem, start: Array) -> Array:
    """Refine `start` among the models that have weight in it."""
    chosen = np.flatnonzero(start)
    weights = np.zeros_like(start)
    weights[chosen] = improve(problem.objective.only(chosen), start[chosen], problem.budget, problem.rng)
    return weights


def _gap(bank: Bank, objective: Objective, weights: Array, score: float) -> float | None:
    """Return the objective's gap in the metric's units."""
    loss, gap = objective.loss(weights), objective.gap(weights)
    if gap is None:
        return None
    return max(0.0, bank.metric.loss_of(score) - bank.metric.loss_of(objective.score(loss - gap)))


_METHODS: dict[str, Callable[[_Problem], Array]] = {
    "nelder_mead": _nelder_mead,
    "greedy": _greedy,
    "uniform": _uniform,
    "best": _best,
}
