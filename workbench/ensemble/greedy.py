"""Forward selection with replacement (Caruana et al., "Ensemble selection from libraries of models", 2004)."""

from __future__ import annotations

import numpy as np

from workbench.array import Array
from workbench.ensemble.budget import Budget
from workbench.ensemble.objectives import MetricObjective, Objective

ROUNDS = 50
_PATIENCE = 10
# The share of a method's time for the selection that it starts from.
SHARE = 1 / 3


def greedy(objective: Objective, most: int, budget: Budget, *, rounds: int = ROUNDS, share: float = SHARE) -> Array:
    """Add the model that lowers the loss most, round by round, and return the weights of the best round.

    It ends after `rounds` or when the share of the time is over. With a metric that must be computed model by model it
    also ends when it has not gained for some rounds. One round is always finished.

    Args:
        objective: the loss.
        most: the most models that may be chosen.
        budget: the time limit.
        rounds: the most rounds.
        share: the share of the time that may be used.
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
        if budget.is_spent(share) or (stale >= _PATIENCE and isinstance(objective, MetricObjective)):
            break
    # If the metric is undefined for every model, no round is the best, and any choice will do.
    weights: Array = best if best.any() else counts
    weights /= weights.sum()
    return weights
