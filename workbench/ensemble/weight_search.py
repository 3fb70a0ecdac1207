"""The search for plain weights: the objective and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workbench.array import Array
from workbench.ensemble.budget import Budget
from workbench.ensemble.greedy import greedy
from workbench.ensemble.objectives import Indices, MetricObjective, Objective, plain_loss

RESTARTS = 8


@dataclass(frozen=True, eq=False)
class WeightSearch:
    """An objective, and the limits within which it is minimised."""

    objective: Objective
    members: int | None
    budget: Budget
    rng: np.random.Generator
    restarts: int = RESTARTS
    """The number of further starting points for a loss that may have several minima."""

    @property
    def max_members(self) -> int:
        """The number of weights that may be above 0."""
        return min(self.members or self.objective.models, self.objective.models)

    @cached_property
    def ranked(self) -> Indices:
        """The models by their own loss, best first."""
        self.budget.evaluations += self.objective.models
        return np.argsort(self.objective.losses_if_added(np.zeros(self.objective.models)), kind="stable")

    @cached_property
    def selected(self) -> Array | None:
        """The weights of greedy selection, where that is made with the metric itself on all rows."""
        costly = isinstance(self.objective, MetricObjective) and self.objective.subsample() is None
        return greedy(self.objective, self.max_members, self.budget) if costly else None

    def plain_loss(self, weights: Array) -> float:
        """Return the metric to minimise, without the terms that only guide the search."""
        return plain_loss(self.objective, weights)
