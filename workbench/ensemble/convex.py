"""Weights by Newton's method on the simplex, for losses that are convex.

Each step minimises the second-order expansion over the models that have weight or should have (an active set, as in
Kim, Carbonetto, Stephens and Anitescu, "A fast algorithm for maximum likelihood estimation of mixture proportions",
2020). That quadratic programme is a non-negative least squares problem (Lawson and Hanson, 1974), whose support is then
solved for exactly.
"""

from __future__ import annotations

import numpy as np

from workbench.array import Array
from workbench.ensemble.budget import Budget
from workbench.ensemble.objectives import AbsoluteError, Objective, WeightedSum

# Far below what is asked of a certificate; Newton's last step usually overshoots it.
_RELATIVE_GAP = 1e-9
_MOST_STEPS = 60
_JOINING = 12
_RIDGE = 1e-13
_HALVINGS = 40
# How far the kinks of an absolute error are rounded off, as a share of it: ever less.
_ROUNDINGS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)


def newton(objective: Objective, start: Array, budget: Budget) -> Array:
    """Return weights that are no worse than `start`, at the optimum where time allows.

    Args:
        objective: one that has slopes and curvature.
        start: (models,) weights on the simplex.
        budget: the time.
    """
    if not isinstance(objective, AbsoluteError) and not (isinstance(objective, WeightedSum) and objective.kinked):
        return _steps(objective, start, budget)
    weights = start
    for rounding in _ROUNDINGS:
        found = _steps(objective.rounded(weights, rounding), weights, budget)
        weights = found if objective.change_from(weights)(found) < 0 else weights
    return weights


def _steps(objective: Objective, weights: Array, budget: Budget) -> Array:
    for _ in range(_MOST_STEPS):
        slopes = objective.slopes(weights)
        budget.evaluations += 1
        if slopes is None or budget.spent():
            break
        fall = weights @ slopes - slopes
        if fall.max() <= _RELATIVE_GAP * objective.loss(weights):
            break
        outside = np.flatnonzero((weights <= 0) & (fall > 0))
        joining = outside[np.argsort(-fall[outside], kind="stable")][:_JOINING]
        face = np.union1d(np.flatnonzero(weights), joining)
        inner = objective.only(face)
        curvature = inner.curvature(weights[face])
        if curvature is None:
            break
        target = _lowest(curvature, slopes[face], weights[face])
        moved = _search(inner, weights[face], target, slopes[face], budget)
        if moved is None:
            break
        weights = np.zeros(len(weights))
        weights[face] = moved
    return weights


def _lowest(curvature: Array, slopes: Array, weights: Array) -> Array:
    """Return the point of the simplex at which the expansion around `weights` is lowest."""
    from scipy.linalg import cho_factor, solve_triangular
    from scipy.optimize import nnls

    models = len(weights)
    scale = float(np.trace(curvature)) / models or 1.0
    bent = curvature / scale + _RIDGE * np.eye(models)
    linear = slopes / scale - bent @ weights
    for ridge in (0.0, 1e-11, 1e-9, 1e-7):
        try:
            lower = np.tril(cho_factor(bent + ridge * np.eye(models), lower=True)[0])
            break
        except np.linalg.LinAlgError:
            continue
    else:
        return weights
    # The last equation asks for a sum of one; it is met exactly in the end.
    heavy = 1e3
    matrix = np.vstack([lower.T, np.full(models, heavy)])
    aim = np.append(-solve_triangular(lower, linear, lower=True), heavy)
    try:
        found = nnls(matrix, aim)[0]
    except RuntimeError:
        return weights
    support = np.flatnonzero(found)
    if not len(support):
        return weights
    system = np.ones((len(support) + 1, len(support) + 1))
    system[:-1, :-1] = bent[np.ix_(support, support)]
    system[-1, -1] = 0
    exact = np.linalg.lstsq(system, np.append(-linear[support], 1.0), rcond=None)[0][:-1]
    if exact.min() >= 0:
        found[support] = exact
    lowest: Array = found / found.sum()
    return lowest


def _search(objective: Objective, weights: Array, target: Array, slopes: Array, budget: Budget) -> Array | None:
    """Return the farthest of `target`, half the way there, a quarter … that lowers the loss as it should."""
    change, way = objective.change_from(weights), target - weights
    expected = float(slopes @ way)
    share = 1.0
    for _ in range(_HALVINGS):
        moved = weights + share * way
        # Rounding must not give a weight to a model that lost it.
        moved[moved < 1e-15] = 0
        moved /= moved.sum()
        budget.evaluations += 1
        if change(moved) < 1e-4 * share * min(expected, 0.0):
            return moved
        share /= 2
    return None
