"""Weights drawn towards safer ones, for other rows than those they were fitted to.

Four views of the same rows are averaged: the metric's optimum, greedy selection, and each of both bagged, which is the
mean of its weights on rows drawn anew (Breiman, "Bagging predictors", 1996; Caruana et al. bagged their selection). The
optimum that is bagged is the surrogate's, log loss or squared error, where the metric itself moves in steps.
"""

from __future__ import annotations

import numpy as np

from workbench.array import Array
from workbench.ensemble.budget import Budget
from workbench.ensemble.convex import newton
from workbench.ensemble.greedy import SHARE, greedy
from workbench.ensemble.objectives import MetricObjective, Objective, objective_for, plain_loss
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.ensemble.resampling import Labels, bootstrap

_BAGS = 10
# Rows of a bag; where there are many more, weights hardly depend on which they are.
_ROWS = 5_000
# More rows leave little to over-fit.
MANY_ROWS = 40_000
# Of the models without weight, so many of the best take part in bags.
_SINGLES = 10


def shrink_weights(
    bank: PredictionMatrix,
    objective: Objective,
    weights: Array,
    *,
    most: int,
    clusters: Labels,
    budget: Budget,
    rng: np.random.Generator,
) -> Array:
    """Return weights between the optimum and safer ones, no worse than the best single model on these rows.

    Args:
        bank: the predictions.
        objective: of that bank.
        weights: (models,) the optimum.
        most: how many weights may be above 0.
        clusters: (rows,) numbers from 0; rows of one number are drawn together.
        budget: the time; where it does not suffice for greedy selection, the weights stay as they are.
        rng: draws the rows.
    """
    if budget.spent():
        return weights
    singles = objective.losses_if_added(np.zeros(objective.models))
    budget.evaluations += objective.models
    ranked = np.argsort(singles, kind="stable")
    chosen = greedy(objective, most, budget)
    if budget.spent(SHARE):
        return weights
    pool = np.union1d(np.flatnonzero(weights + chosen), ranked[:_SINGLES])
    bags = _bagged(bank.only(pool), clusters, budget, rng)
    safe = np.zeros_like(weights)
    safe[pool] = np.mean([chosen[pool], *bags], axis=0)
    share = (1 + len(bags)) / (2 + len(bags))
    least = plain_loss(objective, np.eye(objective.models)[ranked[0]])
    for drawn in (share, share / 2, share / 4):
        moved = keep_heaviest((1 - drawn) * weights + drawn * safe, most)
        if plain_loss(objective, moved) <= least:
            return moved
    return weights


def _bagged(bank: PredictionMatrix, clusters: Labels, budget: Budget, rng: np.random.Generator) -> list[Array]:
    """Return the mean weights of greedy selection and of the convex optimum on rows drawn anew, if there is time."""
    found = []
    for number, drawn in enumerate(bootstrap(clusters, rng, _BAGS, _ROWS)):
        if budget.spent():
            break
        own = Budget((budget.seconds - budget.used) / (_BAGS - number))
        objective = objective_for(bank.rows(drawn.rows))
        if not np.isfinite(plain_loss(objective, np.full(objective.models, 1 / objective.models))):
            # As a ROC AUC of rows of one class.
            continue
        smooth = objective.surrogate if isinstance(objective, MetricObjective) else objective
        chosen = greedy(objective, objective.models, own)
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
