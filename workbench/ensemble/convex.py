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

# Far below the gap that a certificate needs; Newton's last step usually overshoots it.
_RELATIVE_GAP = 1e-9
_MOST_STEPS = 60
_JOINING = 12
_RIDGE = 1e-13
_HALVINGS = 40
# The roundings of the kinks of an absolute error, as shares of it: decreasing.
_ROUNDINGS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)


def newton(objective: Objective, start: Array, budget: Budget) -> Array:
    """Return weights that are no worse than `start`, and optimal where time allows.

    Args:
        objective: one that has a gradient and a Hessian.
        start: (models,) weights on the simplex.
        budget: the time.
    """
    if not isinstance(objective, AbsoluteError) and not (isinstance(objective, WeightedSum) and objective.kinked):
        return _steps(objective, start, budget)
    weights = start
    for rounding in _ROUNDINGS:
        found = _steps(objective.round_kinks(weights, rounding), weights, budget)
        weights = found if objective.change_from(weights)(found) < 0 else weights
    return weights


def _steps(objective: Objective, weights: Array, budget: Budget) -> Array:
    for _ in range(_MOST_STEPS):
        gradient = objective.gradient(weights)
        budget.evaluations += 1
        if gradient is None or budget.is_spent():
            break
        fall = weights @ gradient - gradient
        if fall.max() <= _RELATIVE_GAP * objective.loss(weights):
            break
        outside = np.flatnonzero((weights <= 0) & (fall > 0))
        joining = outside[np.argsort(-fall[outside], kind="stable")][:_JOINING]
        face = np.union1d(np.flatnonzero(weights), joining)
        inner = objective.subset(face)
        hessian = inner.hessian(weights[face])
        if hessian is None:
            break
        target = _lowest(hessian, gradient[face], weights[face])
        moved = _search(inner, weights[face], target, gradient[face], budget)
        if moved is None:
            break
        weights = np.zeros(len(weights))
        weights[face] = moved
    return weights


def _lowest(hessian: Array, gradient: Array, weights: Array) -> Array:
    """Return the minimum over the simplex of the expansion around `weights`."""
    from scipy.linalg import cho_factor, solve_triangular
    from scipy.optimize import nnls

    models = len(weights)
    scale = float(np.trace(hessian)) / models or 1.0
    bent = hessian / scale + _RIDGE * np.eye(models)
    linear = gradient / scale - bent @ weights
    for ridge in (0.0, 1e-11, 1e-9, 1e-7):
        try:
            lower = np.tril(cho_factor(bent + ridge * np.eye(models), lower=True)[0])
            break
        except np.linalg.LinAlgError:
            continue
    else:
        return weights
    # The last equation wants a sum of one; the final scaling makes it exact.
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


def _search(objective: Objective, weights: Array, target: Array, gradient: Array, budget: Budget) -> Array | None:
    """Return the first of the full, half, quarter … step to `target` that lowers the loss enough (Armijo, 1966)."""
    change, step = objective.change_from(weights), target - weights
    expected = float(gradient @ step)
    share = 1.0
    for _ in range(_HALVINGS):
        moved = weights + share * step
        # Rounding must not leave weight with a model that lost it.
        moved[moved < 1e-15] = 0
        moved /= moved.sum()
        budget.evaluations += 1
        if change(moved) < 1e-4 * share * min(expected, 0.0):
            return moved
        share /= 2
    return None
