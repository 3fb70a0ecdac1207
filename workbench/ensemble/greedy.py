"""Forward selection with replacement (Caruana et al., "Ensemble selection from libraries of models", 2004)."""

from __future__ import annotations

import numpy as np

from workbench.array import Array
from workbench.ensemble.budget import Budget
from workbench.ensemble.objectives import MetricObjective, Objective

ROUNDS = 50
_PATIENCE = 10
# Of the time that a method has, so much is for the selection that it starts from.
SHARE = 1 / 3


def greedy(objective: Objective, most: int, budget: Budget, *, rounds: int = ROUNDS, share: float = SHARE) -> Array:
    """Add the model that helps most, again and again, and return the weights of the best moment.

    It ends after so many rounds or when that share of the time is over, with a metric that must be asked model by model
    also when it has not gained for some rounds; one round is always finished.

    Args:
        objective: the loss.
        most: how many models may be chosen.
        budget: the time.
        rounds: the most rounds.
        share: of the time.
    """
    counts = np.zeros(objective.models)
    best, least = counts, np.inf
    stale = 0
    for _ in range(rounds):
        losses = objective.losses_if_added(counts)
        budget.evaluations += objective.models
        if np.count_nonzero(counts) >= most:
            losses[counts == 0] = np.inf
        counts = counts.copy()
        counts[np.argmin(losses)] += 1
        stale = 0 if losses.min() < least else stale + 1
        if not stale:
            best, least = counts, float(losses.min())
        if budget.spent(share) or (stale >= _PATIENCE and isinstance(objective, MetricObjective)):
            break
    # Where the metric is undefined for every model nothing was ever least; the first choice is as good as any.
    weights: Array = best if best.any() else counts
    weights /= weights.sum()
    return weights
