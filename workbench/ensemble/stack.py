"""A linear model with non-negative coefficients on the members' predictions (Breiman, "Stacked regressions", 1996).

Values have a ridge regression, probabilities a logistic regression on their log odds, with one coefficient a model for
all classes. The penalty shrinks the coefficients towards the plain mean; its strength is chosen by the loss on held-out
rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.ensemble.aggregation import LinearStack, inverse_link, logits
from workbench.ensemble.budget import Budget
from workbench.ensemble.method import Fit, Method
from workbench.ensemble.options import SECONDS, BlendOptions
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.ensemble.resampling import Labels, assign_folds
from workbench.errors import EnsembleError

# The likeliest come first, in case the time runs out.
_PENALTIES = (1e-2, 1e-1, 1e-3, 1.0, 1e-4)


@dataclass(frozen=True, eq=False)
class _Regression:
    """The data of the regression: x (models, rows[, classes]), the target, and each row's share of the mean."""

    x: Array
    y: NDArray[Any]
    share: Array
    classified: bool

    def subset(self, chosen: NDArray[np.bool_]) -> _Regression:
        """Return the regression on some of the rows."""
        share = self.share[chosen]
        x = np.ascontiguousarray(self.x[:, chosen])
        return _Regression(x, self.y[chosen], share / share.sum(), self.classified)

    def loss(self, coefficients: Array, intercepts: Array) -> tuple[float, Array]:
        """Return the mean loss, and its gradient by each row's output, (rows,) or (rows, classes)."""
        total = (coefficients @ self.x.reshape(len(self.x), -1)).reshape(self.x.shape[1:])
        total += intercepts if self.x.ndim == 3 else intercepts[0]
        if not self.classified:
            error = total - self.y
            return float(self.share @ error**2) / 2, self.share * error
        probabilities = inverse_link(total, classified=True)
        if probabilities.ndim == 1:
            loss = self.share @ (np.logaddexp(0, total) - self.y * total)
            return float(loss), self.share * (probabilities - self.y)
        index = np.arange(len(self.y))
        gradient = probabilities.copy()
        gradient[index, self.y] -= 1
        likelihood = np.maximum(probabilities[index, self.y], 1e-300)
        return -float(self.share @ np.log(likelihood)), gradient * self.share[:, None]


def fit_stack(matrix: PredictionMatrix, options: BlendOptions, rng: np.random.Generator) -> Fit:
    """Return weights of sum 1, and the linear model that they are the coefficients of.

    Args:
        matrix: the members and the target; its groups are held out as a whole.
        options: the limits of members and time. The heaviest members are fitted again among themselves where there are
            too many. The time is for finding the penalty; one is always tried.
        rng: assigns the rows to folds.

    Raises:
        EnsembleError: there are more than two columns that are no probabilities.
    """
    budget = Budget(SECONDS if options.seconds is None else options.seconds)
    weights, model = _stack(matrix, options.members, budget, rng)
    return Fit(weights, budget, model)


def _stack(
    matrix: PredictionMatrix, most: int | None, budget: Budget, rng: np.random.Generator
) -> tuple[Array, LinearStack]:
    """Return weights, at most `most` of them above 0, and the linear model."""
    classified, clusters = matrix.classified, matrix.clusters
    if not classified and matrix.members[0].ndim == 2:
        raise EnsembleError(
            "method 'stack' needs probabilities where there are more than two classes. Received: values that are none. "
            "Use nelder_mead."
        )
    x = np.stack([logits(m) if classified else m for m in matrix.members]).astype(np.float64, copy=False)
    weight = np.ones(len(matrix.y)) if matrix.sample_weight is None else matrix.sample_weight
    y = matrix.y.astype(np.intp) if classified else matrix.y.astype(np.float64)
    spread = 1.0 if classified else float(np.std(y)) or 1.0
    regression = _Regression(x / spread, y if classified else y / spread, weight / weight.sum(), classified)
    # A single group cannot be held out as a whole; then rows are held out one by one.
    folds = assign_folds(matrix.y, clusters if clusters.max() else np.arange(len(matrix.y)), rng)
    losses: dict[float, float] = {}
    for penalty in _PENALTIES:
        if losses and budget.is_spent():
            break
        losses[penalty] = _validation_loss(regression, folds, penalty, budget)
    coefficients, intercepts = _fit(regression, min(losses, key=losses.__getitem__), budget)
    slope = float(coefficients.sum())
    weights = coefficients / slope if slope > 0 else np.full(len(x), 1 / len(x))
    if most is not None and np.count_nonzero(weights) > most:
        heaviest = np.sort(np.argsort(-weights, kind="stable")[:most])
        weights = np.zeros(len(x))
        weights[heaviest], model = _stack(matrix.select_models(heaviest), None, budget, rng)
        return weights, model
    return weights, LinearStack(slope, intercepts * spread, classified)


def _validation_loss(regression: _Regression, folds: Labels, penalty: float, budget: Budget) -> float:
    """Return the mean loss on the held-out folds."""
    total = 0.0
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        share = float(regression.share[held].sum())
        if 0 < share < 1:
            total += share * regression.subset(held).loss(*_fit(regression.subset(~held), penalty, budget))[0]
    return total


def _fit(regression: _Regression, penalty: float, budget: Budget) -> tuple[Array, Array]:
    """Return coefficients and intercepts at the least penalised loss, by L-BFGS-B (Byrd, Lu, Nocedal and Zhu, 1995)."""
    from scipy.optimize import minimize

    models = len(regression.x)
    outputs = regression.x.shape[2] if regression.x.ndim == 3 else 1
    flat = regression.x.reshape(models, -1)

    def loss_at(point: Array) -> tuple[float, Array]:
        coefficients, intercepts = point[:models], point[models:]
        loss, gradient = regression.loss(coefficients, intercepts)
        away = coefficients - 1 / models
        by_model = flat @ gradient.ravel()
        by_output = gradient.sum(axis=0).reshape(-1)
        # The intercepts of several classes are determined up to a constant; without a penalty they would drift.
        tied = penalty * intercepts if outputs > 1 else 0 * intercepts
        value = loss + penalty * float(away @ away) / 2 + float(tied @ intercepts) / 2
        return value, np.concatenate([by_model + penalty * away, by_output + tied])

    start = np.concatenate([np.full(models, 1 / models), np.zeros(outputs)])
    bounds = [(0.0, None)] * models + [(None, None)] * outputs
    tolerances = {"ftol": 1e-9, "gtol": 1e-6}
    found = minimize(loss_at, start, jac=True, method="L-BFGS-B", bounds=bounds, options=tolerances)
    budget.evaluations += int(found.nfev)
    return found.x[:models], found.x[models:]


STACK = Method("stack", fit_stack, aggregation=LinearStack, targets="separately", calibrates=True)
