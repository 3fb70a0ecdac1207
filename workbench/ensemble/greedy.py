"""Forward selection with replacement (Caruana et al., "Ensemble selection from libraries of models", 2004)."""

import numpy as np

from workbench.ensemble.bank import Array
from workbench.ensemble.budget import Budget
from workbench.ensemble.objectives import General, Objective

_ROUNDS = 50
_PATIENCE = 10
_SHARE = 1 / 3


def greedy(objective: Objective, most: int, budget: Budget) -> Array:
    """Add the model that helps most, again and again, and return the weights of the best moment.

    At most `most` models are chosen. A metric that must be asked model by model stops when it has not
    gained for some rounds, or a third of the time is over; one round is always finished.
    """
    counts = np.zeros(objective.models)
    best, least = counts, np.inf
    stale = 0
    for _ in range(_ROUNDS):
        losses = objective.losses_if_added(counts)
        budget.evaluations += objective.models
        if np.count_nonzero(counts) >= most:
            losses[counts == 0] = np.inf
        counts = counts.copy()
        counts[np.argmin(losses)] += 1
        stale = 0 if losses.min() < least else stale + 1
        if not stale:
            best, least = counts, float(losses.min())
        if budget.spent(_SHARE) or (stale >= _PATIENCE and isinstance(objective, General)):
            break
    # Where the metric is undefined for every model nothing was ever least; the first choice is as good as any.
    weights: Array = best if best.any() else counts
    weights /= weights.sum()
    return weights
