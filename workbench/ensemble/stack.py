"""A linear model with coefficients of at least 0 on the members' predictions (Breiman, "Stacked regressions", 1996).

Values have a ridge regression, probabilities a logistic one on their log odds, with one coefficient a model for all
classes. The penalty draws the coefficients towards the plain mean; how strongly is chosen by the loss on rows that were
not fitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.ensemble.aggregation import LinearStack, inverse_link, logits
from workbench.ensemble.budget import Budget
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.ensemble.resampling import Labels, assign_folds
from workbench.errors import EnsembleError

# In the order in which they are tried: what is likely first, should the time be out.
_PENALTIES = (1e-2, 1e-1, 1e-3, 1.0, 1e-4)


@dataclass(frozen=True, eq=False)
class _Rows:
    """What is regressed on what: x (models, rows[, classes]), the target, and each row's share of the mean."""

    x: Array
    y: NDArray[Any]
    share: Array
    classified: bool

    def only(self, chosen: NDArray[np.bool_]) -> _Rows:
        share = self.share[chosen]
        return _Rows(np.ascontiguousarray(self.x[:, chosen]), self.y[chosen], share / share.sum(), self.classified)

    def loss(self, coefficients: Array, intercepts: Array) -> tuple[float, Array]:
        """Return the mean loss, and its slope by each row's output, (rows,) or (rows, classes)."""
        total = (coefficients @ self.x.reshape(len(self.x), -1)).reshape(self.x.shape[1:])
        total += intercepts if self.x.ndim == 3 else intercepts[0]
        if not self.classified:
            error = total - self.y
            return float(self.share @ error**2) / 2, self.share * error
        shown = inverse_link(total, classified=True)
        if shown.ndim == 1:
            loss = self.share @ (np.logaddexp(0, total) - self.y * total)
            return float(loss), self.share * (shown - self.y)
        index = np.arange(len(self.y))
        slope = shown.copy()
        slope[index, self.y] -= 1
        return -float(self.share @ np.log(np.maximum(shown[index, self.y], 1e-300))), slope * self.share[:, None]


def stack(
    bank: PredictionMatrix, most: int | None, clusters: Labels, budget: Budget, rng: np.random.Generator
) -> tuple[Array, LinearStack]:
    """Return weights, of sum 1, and the model that they are the coefficients of.

    Args:
        bank: the members and the target.
        most: how many weights may be above 0; the heaviest then are fitted among themselves.
        clusters: (rows,) numbers from 0; rows of one number are held out together.
        budget: the time for finding the penalty; one is always tried.
        rng: deals the rows.
    """
    classified = bank.classified
    if not classified and bank.members[0].ndim == 2:
        raise EnsembleError(
            "method 'stack' needs probabilities where there are more than two classes. Received: values that are none. "
            "Use nelder_mead."
        )
    x = np.stack([logits(m) if classified else m for m in bank.members]).astype(np.float64, copy=False)
    weight = np.ones(len(bank.y)) if bank.weight is None else bank.weight
    y = bank.y.astype(np.intp) if classified else bank.y.astype(np.float64)
    spread = 1.0 if classified else float(np.std(y)) or 1.0
    rows = _Rows(x / spread, y if classified else y / spread, weight / weight.sum(), classified)
    # Of a single cluster none can be held out whole.
    folds = assign_folds(bank.y, clusters if clusters.max() else np.arange(len(bank.y)), rng)
    losses: dict[float, float] = {}
    for penalty in _PENALTIES:
        if losses and budget.spent():
            break
        losses[penalty] = _held_out(rows, folds, penalty, budget)
    coefficients, intercepts = _fit(rows, min(losses, key=losses.__getitem__), budget)
    slope = float(coefficients.sum())
    weights = coefficients / slope if slope > 0 else np.full(len(x), 1 / len(x))
    if most is not None and np.count_nonzero(weights) > most:
        heaviest = np.sort(np.argsort(-weights, kind="stable")[:most])
        weights = np.zeros(len(x))
        weights[heaviest], model = stack(bank.only(heaviest), None, clusters, budget, rng)
        return weights, model
    return weights, LinearStack(slope, intercepts * spread, classified)


def _held_out(rows: _Rows, folds: Labels, penalty: float, budget: Budget) -> float:
    """Return the mean loss on the folds that were not fitted."""
    found = 0.0
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        share = float(rows.share[held].sum())
        if 0 < share < 1:
            found += share * rows.only(held).loss(*_fit(rows.only(~held), penalty, budget))[0]
    return found


def _fit(rows: _Rows, penalty: float, budget: Budget) -> tuple[Array, Array]:
    """Return coefficients and intercepts at the least penalised loss, by L-BFGS-B (Byrd, Lu, Nocedal and Zhu, 1995)."""
    from scipy.optimize import minimize

    models = len(rows.x)
    outputs = rows.x.shape[2] if rows.x.ndim == 3 else 1
    flat = rows.x.reshape(models, -1)

    def penalised(point: Array) -> tuple[float, Array]:
        coefficients, intercepts = point[:models], point[models:]
        loss, slope = rows.loss(coefficients, intercepts)
        away = coefficients - 1 / models
        by_model = flat @ slope.ravel()
        by_output = slope.sum(axis=0).reshape(-1)
        # The intercepts of several classes are determined up to a constant; without a penalty they would drift.
        tied = penalty * intercepts if outputs > 1 else 0 * intercepts
        value = loss + penalty * float(away @ away) / 2 + float(tied @ intercepts) / 2
        return value, np.concatenate([by_model + penalty * away, by_output + tied])

    start = np.concatenate([np.full(models, 1 / models), np.zeros(outputs)])
    bounds = [(0.0, None)] * models + [(None, None)] * outputs
    enough = {"ftol": 1e-9, "gtol": 1e-6}
    found = minimize(penalised, start, jac=True, method="L-BFGS-B", bounds=bounds, options=enough)
    budget.evaluations += int(found.nfev)
    return found.x[:models], found.x[models:]
