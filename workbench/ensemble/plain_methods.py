"""The methods that find plain weights, for the weighted mean: nelder_mead, convex, greedy, uniform, best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from workbench.array import Array
from workbench.ensemble.budget import Budget
from workbench.ensemble.convex import newton
from workbench.ensemble.greedy import ROUNDS, greedy
from workbench.ensemble.method import Fit, Method
from workbench.ensemble.nelder_mead import improve
from workbench.ensemble.objectives import MetricObjective, Objective, objective_for
from workbench.ensemble.options import SECONDS, BlendOptions
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.ensemble.regularization import MANY_ROWS, keep_heaviest, shrink_weights
from workbench.ensemble.weight_search import RESTARTS, WeightSearch
from workbench.errors import EnsembleError

# The share of the time for the optimum, where the rest is for shrinking it.
_OPTIMUM_SHARE = 0.5
_STARTING_ROUNDS = 20


def fit_weights(
    matrix: PredictionMatrix,
    options: BlendOptions,
    rng: np.random.Generator,
    *,
    search: Callable[[WeightSearch], Array],
    shrinks: bool = False,
) -> Fit:
    """Return the weights that a search finds for a matrix, shrunk where the options ask for it.

    Args:
        matrix: the predictions.
        options: the limits of members and time, and whether weights are shrunk.
        rng: seeded by the options.
        search: finds the weights.
        shrinks: whether they may be shrunk.
    """
    seconds = SECONDS if options.seconds is None else options.seconds
    shrink = options.shrink and shrinks and len(matrix.y) <= MANY_ROWS
    budget = Budget(seconds * (_OPTIMUM_SHARE if shrink else 1))
    # Weights that are shrunk afterwards need not be optimal to the last digit.
    task = WeightSearch(objective_for(matrix), options.members, budget, rng, restarts=0 if shrink else RESTARTS)
    weights = search(task)
    if shrink:
        rest = Budget(max(0.0, seconds - budget.used))
        weights = shrink_weights(matrix, replace(task, budget=rest), weights, task.selected)
        budget.evaluations += rest.evaluations
    return Fit(weights, budget, gap=_gap(matrix, task.objective, weights))


def _gap(matrix: PredictionMatrix, objective: Objective, weights: Array) -> float | None:
    """Return the objective's gap in the metric's units."""
    loss, gap = objective.loss(weights), objective.gap(weights)
    if gap is None:
        return None
    metric = matrix.metric
    return max(0.0, metric.loss_of(objective.score(loss)) - metric.loss_of(objective.score(loss - gap)))


def search_best(task: WeightSearch) -> Array:
    """Give all weight to the best single model."""
    return _mean_of_best(task, 1)


def search_uniform(task: WeightSearch) -> Array:
    """Give all models the same weight, or the best of them where not all may have weight."""
    return _mean_of_best(task, task.max_members)


def search_greedy(task: WeightSearch) -> Array:
    """Select forward, with replacement."""
    return greedy(task.objective, task.max_members, task.budget, share=1.0)


def search_nelder_mead(task: WeightSearch) -> Array:
    """Refine greedy weights by Nelder-Mead; never worse than greedy, uniform or best.

    Where the members are limited, the heaviest of the free optimum and those that greedy selection chose are refined
    among themselves.
    """
    start = _start(task)
    free = improve(task.objective, start, task.restarts, task.budget, task.rng)
    return min([start, search_uniform(task), search_best(task), *_limit(task, free, start)], key=task.plain_loss)


def search_convex(task: WeightSearch) -> Array:
    """Descend by Newton's method from the greedy weights; where the members are limited, as Nelder-Mead does."""
    objective = task.objective
    if isinstance(objective, MetricObjective):
        raise EnsembleError(
            f"method 'convex' needs a convex metric: log_loss, rmse, r2, mae or mape. "
            f"Received: {objective.scorer.metric.name!r}. Use nelder_mead."
        )
    start = _start(task)
    subsample = objective.subsample()
    near = start if subsample is None else newton(subsample, start, task.budget)
    free = newton(objective, near if objective.loss(near) < objective.loss(start) else start, task.budget)
    return min([start, search_best(task), *_limit(task, free, start)], key=task.plain_loss)


def _mean_of_best(task: WeightSearch, most: int) -> Array:
    models = task.objective.models
    if most == models:
        return np.full(models, 1 / models)
    weights = np.zeros(models)
    weights[task.ranked[:most]] = 1 / most
    return weights


def _start(task: WeightSearch) -> Array:
    """Return greedy weights, on a subsample of many rows, after fewer rounds where the objective is convex."""
    if task.selected is not None:
        return task.selected
    rounds = ROUNDS if isinstance(task.objective, MetricObjective) else _STARTING_ROUNDS
    return greedy(task.objective.subsample() or task.objective, task.max_members, task.budget, rounds=rounds)


def _limit(task: WeightSearch, free: Array, start: Array) -> list[Array]:
    """Return free weights as they are, or refined among few enough models where they are of too many."""
    if np.count_nonzero(free) <= task.max_members:
        return [free]
    return [_refine_among(task, weights) for weights in (keep_heaviest(free, task.max_members), start)]


def _refine_among(task: WeightSearch, start: Array) -> Array:
    """Refine `start` among the models that have weight in it."""
    chosen = np.flatnonzero(start)
    weights = np.zeros_like(start)
    weights[chosen] = improve(task.objective.subset(chosen), start[chosen], task.restarts, task.budget, task.rng)
    return weights


NELDER_MEAD = Method(
    "nelder_mead",
    partial(fit_weights, search=search_nelder_mead, shrinks=True),
    search_nelder_mead,
    per_class=True,
    refines_classes=True,
)
CONVEX = Method("convex", partial(fit_weights, search=search_convex, shrinks=True), search_convex, per_class=True)
GREEDY = Method("greedy", partial(fit_weights, search=search_greedy), search_greedy)
UNIFORM = Method("uniform", partial(fit_weights, search=search_uniform), search_uniform, fitted=False)
BEST = Method("best", partial(fit_weights, search=search_best), search_best, fitted=False)
