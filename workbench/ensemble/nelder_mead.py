"""Weights by Nelder-Mead (Nelder and Mead, 1965) in subspaces of at most five dimensions.

One simplex stalls from about ten weights on, so it is moved through a sequence of small subspaces (the idea of
Rowan's subplex, 1990). Where the objective has a Hessian, the subspaces are spanned by its eigenvectors on the
face of the models that have weight, each scaled to change the loss equally: subspaces then hardly interact, and a few
sweeps reach the optimum. A sweep minimises the second-order expansion of the loss around the last weights, as
iteratively reweighted least squares does, so that it reads no row; its result is checked against the loss itself. The
certificate's gradient names the models that should join the face.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from workbench.array import Array
from workbench.ensemble.budget import Budget
from workbench.ensemble.convex import newton
from workbench.ensemble.objectives import Indices, MetricObjective, Objective, QuadraticExpansion

RELATIVE_GAP = 1e-6
# The gain of a sweep, as a share of the loss, from which on the search goes on where it need not be exact.
_ROUGH_GAIN = 1e-4

_BLOCK = 5
_JOINING = 10
_JOINING_STEP = 0.02
_LEAST_STEP = 1e-9
_STEPS = (0.2, 0.1, 0.05, 0.02)
_SINGLES = 3
_RESTART_SHARE = 0.2
_PROGRESS = 1e-9
_STALLS = 4
_FINE = 1e-4
# The expansion is made again after each sweep.
_ROUGH = 1e-1
_COARSE = 5e-2
_NOTHING = 1e-12
# A relative change of the loss that is within its rounding error.
_ROUNDING = 1e-15
# The shares of the expansion's step that are tried.
_SHARES = (1.0, 0.5, 0.25, 0.1)


def improve(objective: Objective, start: Array, restarts: int, budget: Budget, rng: np.random.Generator) -> Array:
    """Return weights that are no worse than `start` by the objective.

    Args:
        objective: the loss.
        start: (models,) weights.
        restarts: the number of other starting points, where the loss may have several minima.
        budget: the time limit.
        rng: assigns the models to subspaces.
    """
    if isinstance(objective, MetricObjective):
        return _explore(objective, start, restarts, budget, rng)
    subsample = objective.subsample()
    if subsample is not None:
        near = _descend(subsample, start, budget, rng)
        start = near if objective.loss(near) < objective.loss(start) else start
    return _descend(objective, start, budget, rng)


def _descend(objective: Objective, start: Array, budget: Budget, rng: np.random.Generator) -> Array:
    """Improve until the certificate is below RELATIVE_GAP, nothing helps, or the time is over."""
    weights, stalls = start, 0
    gradient, gap = _certify(objective, weights)
    while stalls < _STALLS and not budget.is_spent():
        loss = objective.loss(weights)
        if gradient is None or gap <= RELATIVE_GAP * loss:
            break
        face, joining = _face(weights, gradient, loss)
        inner = objective.subset(face)
        moved = np.zeros(len(weights))
        moved[face] = _step(inner, weights[face], gradient[face], joining, budget, rng)
        gained, (moved_slopes, left) = -objective.change_from(weights)(moved), _certify(objective, moved)
        # The gap is first order, so it still distinguishes better weights where the loss is flat to the last digit.
        stalls = 0 if gained > _PROGRESS * loss or left < 0.5 * gap else stalls + 1
        if gained > 0 or (gained >= -_ROUNDING * loss and left < gap):
            weights, gradient, gap = moved, moved_slopes, left
    return weights


def _face(weights: Array, gradient: Array, loss: float) -> tuple[Indices, Indices]:
    """Return the models that have weight or should have, and which of these have none yet."""
    fall = weights @ gradient - gradient
    outside = np.flatnonzero((weights <= _NOTHING) & (fall > 0.1 * RELATIVE_GAP * loss))
    joining = outside[np.argsort(-fall[outside], kind="stable")][:_JOINING]
    face = np.union1d(np.flatnonzero(weights > _NOTHING), joining)
    return face, np.flatnonzero(np.isin(face, joining))


def _step(
    objective: Objective, weights: Array, gradient: Array, joining: Indices, budget: Budget, rng: np.random.Generator
) -> Array:
    """Move the weights of a face by Nelder-Mead, first on the expansion of the loss, which costs almost nothing.

    Where the loss does not follow its expansion, the loss itself is minimised.
    """
    loss, hessian = objective.loss(weights), objective.hessian(weights)
    if hessian is None or len(weights) == 1:
        return weights
    expansion = QuadraticExpansion(weights, gradient, hessian)
    # Evaluations of the expansion do not count: they compute no mixture.
    free = Budget(budget.seconds - budget.used)
    found = _sweep(expansion, weights, joining, loss, free, rng)
    change = objective.change_from(weights)
    for share in _SHARES:
        moved = weights + share * (found - weights)
        budget.evaluations += 1
        if change(moved) <= _ROUNDING * loss:
            return moved
    return _sweep(objective, weights, joining, loss, budget, rng)


def _explore(
    objective: MetricObjective, start: Array, restarts: int, budget: Budget, rng: np.random.Generator
) -> Array:
    """Improve by the values of the metric alone, in ever smaller steps, and from several starting points.

    The models that take part have weight in `start` or at the surrogate's optimum, or are among the best; at each
    restart a few others join.
    """
    if budget.is_spent():
        return start
    starts = [start]
    if objective.surrogate:
        uniform = np.full(objective.models, 1 / objective.models)
        starts.append(newton(objective.surrogate, uniform, budget))
    singles = np.argsort(objective.losses_if_added(np.zeros(objective.models)), kind="stable")
    budget.evaluations += objective.models
    pool = np.union1d(np.flatnonzero(np.sum(starts, axis=0)), singles[:_SINGLES])
    # Without restarts the weights need not be optimal to the last digit.
    least_gain = RELATIVE_GAP if restarts else _ROUGH_GAIN
    best = _search_pool(objective, min(starts, key=objective.loss), pool, budget, rng, least_gain)
    for _ in range(restarts):
        if budget.is_spent():
            break
        joining = rng.permutation(objective.models)[:_BLOCK]
        others = np.zeros(objective.models)
        others[joining] = rng.dirichlet(np.ones(len(joining)))
        there = (1 - _RESTART_SHARE) * best + _RESTART_SHARE * others
        found = _search_pool(objective, there, np.flatnonzero(there), budget, rng, least_gain)
        best = min(best, found, key=objective.loss)
    return best


def _search_pool(
    objective: MetricObjective,
    start: Array,
    pool: Indices,
    budget: Budget,
    rng: np.random.Generator,
    least_gain: float,
) -> Array:
    """Improve the weights of some models until no sweep gains `least_gain` of the loss."""
    inner, weights = objective.subset(pool), start[pool]
    axes = np.eye(len(pool))
    for step in _STEPS:
        gained = True
        while gained and not budget.is_spent():
            before = weights
            for block in _blocks(rng.permutation(len(pool))):
                weights = _minimise_block(inner.change_from, weights, axes[block], step, _COARSE, budget)
            gained = -inner.change_from(before)(weights) > least_gain * abs(inner.loss(weights))
    improved = np.zeros(len(start))
    improved[pool] = weights
    return improved


def _certify(objective: Objective, weights: Array) -> tuple[Array | None, float]:
    """Return the gradient, and the gap that it proves."""
    gradient = objective.gradient(weights)
    gap = objective.gap(weights, gradient)
    return gradient, math.inf if gap is None else gap


def _sweep(
    objective: Objective | QuadraticExpansion,
    weights: Array,
    joining: Indices,
    loss: float,
    budget: Budget,
    rng: np.random.Generator,
) -> Array:
    """Give weight to the models that join, then go through all whitened subspaces of the face."""
    axes = np.eye(len(weights))
    precision = _ROUGH if isinstance(objective, QuadraticExpansion) else _FINE
    for block in _blocks(joining):
        weights = _minimise_block(objective.change_from, weights, axes[block], _JOINING_STEP, precision, budget)
    gradient, hessian = objective.gradient(weights), objective.hessian(weights)
    if gradient is None or hessian is None:
        return weights
    directions, step = _whiten(gradient, hessian, loss)
    for block in _blocks(rng.permutation(len(directions))):
        weights = _minimise_block(objective.change_from, weights, directions[block], step, precision, budget)
    return weights


def _whiten(gradient: Array, hessian: Array, loss: float) -> tuple[Array, float]:
    """Return downhill directions, (directions, models), of equal curvature, and a first step.

    In these coordinates the length of the gradient is the distance to the optimum, which is the step. Directions of
    almost no curvature would be so long that every step leaves the simplex; they are shortened.
    """
    models = len(gradient)
    inside = np.eye(models) - 1 / models
    bends, vectors = np.linalg.eigh(inside @ hessian @ inside)
    # The vector of ones leaves the simplex: its curvature is zero, as is that of one duplicate against another.
    kept = bends > 1e-13 * bends[-1]
    if not kept.any():
        return np.empty((0, models)), 0.0
    bends, directions = bends[kept], vectors[:, kept].T
    directions = directions / np.sqrt(bends)[:, None]
    falls = directions @ gradient
    # A loss of curvature one that cannot fall below zero has its optimum no farther away.
    farthest = math.sqrt(2 * loss)
    step = float(np.clip(np.linalg.norm(falls), _LEAST_STEP * farthest, farthest))
    reach = step * np.abs(directions).max(axis=1)
    directions = directions / np.maximum(1, reach / 0.5)[:, None]
    signs = np.where(falls > 0, -1.0, 1.0)
    return directions * signs[:, None], step


def _blocks(order: Indices) -> list[Indices]:
    """Cut an order into blocks of nearly equal size, at most _BLOCK long."""
    return np.array_split(order, max(1, math.ceil(len(order) / _BLOCK))) if len(order) else []


def _minimise_block(
    change_from: Callable[[Array], Callable[[Array], float]],
    weights: Array,
    directions: Array,
    step: float,
    precision: float,
    budget: Budget,
) -> Array:
    """Run Nelder-Mead over the coordinates of some directions and return weights that are no worse."""
    change = change_from(weights)
    found = find_minimum(
        lambda x: change(project_to_simplex(weights + x @ directions)), len(directions), step, precision, budget
    )
    moved = project_to_simplex(weights + found @ directions)
    return moved if change(moved) < 0 else weights


def project_to_simplex(weights: Array) -> Array:
    """Clip at zero and scale to sum one."""
    clipped = np.maximum(weights, 0)
    total = clipped.sum()
    return clipped / total if total > 0 else np.full(len(weights), 1 / len(weights))


def find_minimum(
    loss: Callable[[Array], float], dimensions: int, step: float, precision: float, budget: Budget
) -> Array:
    """Return the lowest point that scipy's Nelder-Mead finds from zero, one step along each axis."""
    from scipy.optimize import minimize

    def stop_in_time(intermediate_result: object) -> None:
        if budget.is_spent():
            raise StopIteration

    simplex = np.vstack([np.zeros(dimensions), step * np.eye(dimensions)])
    options = {"initial_simplex": simplex, "xatol": precision * step, "fatol": np.inf, "maxfev": 100 * dimensions}
    # The loss of an undefined metric is infinite, and scipy subtracts the losses of the corners.
    with np.errstate(invalid="ignore"):
        result = minimize(loss, np.zeros(dimensions), method="Nelder-Mead", options=options, callback=stop_in_time)
    budget.evaluations += int(result.nfev)
    found: Array = result.x
    return found
