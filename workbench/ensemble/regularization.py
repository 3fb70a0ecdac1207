"""Weights shrunk towards safer ones, which generalise better to other rows.

Four fits to the same rows are averaged: the metric's optimum, greedy selection, and each of both bagged, which is the
mean of its weights on resampled rows (Breiman, "Bagging predictors", 1996; Caruana et al. bagged their selection). The
bagged optimum is the surrogate's, log loss or squared error, where the metric itself is a step function.
"""

from __future__ import annotations

import numpy as np

from workbench.array import Array
from workbench.ensemble.budget import Budget
from workbench.ensemble.convex import newton
from workbench.ensemble.greedy import ROUNDS, SHARE, greedy
from workbench.ensemble.objectives import MetricObjective, objective_for, plain_loss
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.ensemble.resampling import bootstrap
from workbench.ensemble.weight_search import WeightSearch

_BAGS = 10
# Rows of a bag; with many more, weights hardly depend on which rows are drawn.
_ROWS = 5_000
# Less where the metric must be computed for each model in each round, which takes most of a blend's time.
_FEW_BAGS = 5
_FEW_ROWS = 2_000
_FEW_ROUNDS = 20
# With more rows there is little to overfit.
MANY_ROWS = 40_000
# The number of best single models that take part in bags even without weight.
_SINGLES = 10


def shrink_weights(matrix: PredictionMatrix, task: WeightSearch, weights: Array, selected: Array | None) -> Array:
    """Return weights between the optimum and safer ones, no worse than the best single model on these rows.

    Args:
        matrix: the predictions; rows of a group are drawn together.
        task: the objective of that matrix, the most weights above 0, and the time; where it does not suffice for greedy
            selection, the weights stay as they are. Its `rng` draws the rows.
        weights: (models,) the optimum.
        selected: (models,) the weights of greedy selection, where they are known.
    """
    objective, most, budget = task.objective, task.max_members, task.budget
    if budget.is_spent():
        return weights
    singles = objective.losses_if_added(np.zeros(objective.models))
    budget.evaluations += objective.models
    ranked = np.argsort(singles, kind="stable")
    chosen = greedy(objective, most, budget) if selected is None else selected
    if budget.is_spent(SHARE):
        return weights
    pool = np.union1d(np.flatnonzero(weights + chosen), ranked[:_SINGLES])
    bags = _fit_bags(matrix.select_models(pool), budget, task.rng, costly=isinstance(objective, MetricObjective))
    safe = np.zeros_like(weights)
    safe[pool] = np.mean([chosen[pool], *bags], axis=0)
    share = (1 + len(bags)) / (2 + len(bags))
    least = plain_loss(objective, np.eye(objective.models)[ranked[0]])
    for part in (share, share / 2, share / 4):
        moved = keep_heaviest((1 - part) * weights + part * safe, most)
        if plain_loss(objective, moved) <= least:
            return moved
    return weights


def _fit_bags(matrix: PredictionMatrix, budget: Budget, rng: np.random.Generator, *, costly: bool) -> list[Array]:
    """Return the mean weights of greedy selection and of the convex optimum on resampled rows, where there is time.

    `costly` says that the metric must be computed for each model in each round of the selection.
    """
    found = []
    bags, rows, rounds = (_FEW_BAGS, _FEW_ROWS, _FEW_ROUNDS) if costly else (_BAGS, _ROWS, ROUNDS)
    for number, drawn in enumerate(bootstrap(matrix.clusters, rng, bags, rows)):
        if budget.is_spent():
            break
        own = Budget((budget.seconds - budget.used) / (bags - number))
        objective = objective_for(matrix.select_rows(drawn.rows))
        if not np.isfinite(plain_loss(objective, np.full(objective.models, 1 / objective.models))):
            # The metric is not defined on these rows, as ROC AUC with one class.
            continue
        smooth = objective.surrogate if isinstance(objective, MetricObjective) else objective
        chosen = greedy(objective, objective.models, own, rounds=rounds)
        uniform = np.full(objective.models, 1 / objective.models)
        found.append((chosen, chosen if smooth is None else newton(smooth, uniform, own)))
        budget.evaluations += own.evaluations
    return [np.mean(each, axis=0) for each in zip(*found, strict=True)]


def keep_heaviest(weights: Array, most: int) -> Array:
    """Return the heaviest weights, scaled to sum 1."""
    if np.count_nonzero(weights) <= most:
        return weights
    kept = np.argsort(-weights, kind="stable")[:most]
    heaviest = np.zeros_like(weights)
    heaviest[kept] = weights[kept] / weights[kept].sum()
    return heaviest
