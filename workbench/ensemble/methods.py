"""The registry of methods. A new method is one file with a `Method`, and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.array import Array
from workbench.ensemble.aggregation import Aggregation, PerOutput
from workbench.ensemble.budget import Budget
from workbench.ensemble.method import Method
from workbench.ensemble.objectives import Objective
from workbench.ensemble.options import SECONDS, Weighting
from workbench.ensemble.plain_methods import BEST, CONVEX, GREEDY, NELDER_MEAD, UNIFORM
from workbench.ensemble.rank import RANK
from workbench.ensemble.stack import STACK
from workbench.ensemble.weight_search import WeightSearch
from workbench.errors import EnsembleError, suggest_word

METHODS: Mapping[str, Method] = {
    method.name: method for method in (NELDER_MEAD, CONVEX, GREEDY, UNIFORM, BEST, RANK, STACK)
}
"""The methods by the names that study files have."""


def methods() -> tuple[str, ...]:
    """Return the names of all methods."""
    return tuple(METHODS)


def check(method: str, members: int | None = None, seconds: float | None = None, *, targets: int = 1) -> None:
    """Refuse options that cannot be used.

    Raises:
        EnsembleError: there is no such method, it cannot blend so many targets, or no member or no time is allowed.
    """
    if method not in METHODS:
        hint = suggest_word(method, methods())
        raise EnsembleError(f"method must be a known way to blend. Received: {method!r}.{hint}")
    if targets > 1 and METHODS[method].targets == "one":
        raise EnsembleError(f"method must join {targets} targets. Received: {method!r}, for one only. Use nelder_mead.")
    if members is not None and members < 1:
        raise EnsembleError(f"members must be at least 1. Received: {members!r}. Leave it out to allow all models.")
    if seconds is not None and not seconds > 0:
        raise EnsembleError(f"seconds must be above 0. Received: {seconds!r}. Leave it out for a sensible end.")


def aggregation_type(method: str, weighting: Weighting) -> type[Aggregation]:
    """Return the class that combines the predictions of members that a method has blended."""
    return METHODS[method].aggregation if weighting == "shared" else PerOutput


@dataclass(frozen=True, eq=False)
class Minimum:
    """Weights at which an objective is low."""

    weights: Array
    loss: float
    gap: float | None
    """A proven bound on how much lower any weights are; None where none exists."""
    seconds: float
    evaluations: int


def minimise(
    objective: Objective,
    *,
    method: str = "nelder_mead",
    members: int | None = None,
    seed: int = 0,
    seconds: float | None = None,
) -> Minimum:
    """Return weights at which an objective is low; for one that was made without predictions, as from a matrix.

    Args:
        objective: the loss; it counts the models.
        method: nelder_mead, convex, greedy, uniform or best.
        members: as for `blend`.
        seed: as for `blend`.
        seconds: as for `blend`.

    Raises:
        EnsembleError: the method does not exist, or finds more than plain weights.
    """
    check(method, members, seconds)
    search = METHODS[method].search
    if search is None:
        plain = ", ".join(name for name, each in METHODS.items() if each.search is not None)
        raise EnsembleError(f"method must be one of {plain} for an objective. Received: {method!r}.")
    budget = Budget(SECONDS if seconds is None else seconds)
    weights = search(WeightSearch(objective, members, budget, np.random.default_rng(seed)))
    return Minimum(weights, objective.loss(weights), objective.gap(weights), budget.used, budget.evaluations)
