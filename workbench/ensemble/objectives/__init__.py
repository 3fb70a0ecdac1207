"""The losses that are minimised over the weights, each metric reduced to the least data that determines it.

    protocol        the protocol of all objectives
    log_loss        needs only the probability that each model gives to the true class
    squared_error   needs only the Gram matrix of the residuals
    absolute_error  needs the residuals
    root            the root of a squared error, for sums with other losses
    total           the weighted sum of several targets' losses
    expansion       a loss near given weights, to second order
    general         any other metric, computed as it is

All but the last are convex, so they also have a gradient, a Hessian and a bound below which no weights can go.
"""

from __future__ import annotations

import numpy as np

from workbench.array import Array
from workbench.ensemble.multi_target_scorer import score_factors
from workbench.ensemble.objectives.absolute_error import AbsoluteError
from workbench.ensemble.objectives.expansion import QuadraticExpansion
from workbench.ensemble.objectives.general import MetricObjective
from workbench.ensemble.objectives.log_loss import LogLoss
from workbench.ensemble.objectives.protocol import Indices, Objective
from workbench.ensemble.objectives.root import RootMeanSquaredError
from workbench.ensemble.objectives.squared_error import SquaredError
from workbench.ensemble.objectives.total import Convex, WeightedSum
from workbench.ensemble.prediction_matrix import PredictionMatrix

__all__ = [
    "AbsoluteError",
    "Indices",
    "LogLoss",
    "MetricObjective",
    "Objective",
    "QuadraticExpansion",
    "RootMeanSquaredError",
    "SquaredError",
    "WeightedSum",
    "objective_for",
    "plain_loss",
]


def objective_for(matrix: PredictionMatrix) -> Objective:
    """Return the most reduced objective that the matrix's metric allows."""
    if matrix.multi_target_metric is not None:
        return _sum_targets(matrix) or MetricObjective.of(matrix)
    name = matrix.metric.name
    if name == "log_loss":
        return LogLoss.of(matrix)
    if name in ("mae", "mape"):
        return AbsoluteError.of(matrix)
    if name in ("rmse", "r2"):
        objective = SquaredError.of(matrix)
        # A constant target has no R²: the metric itself then says what it gives.
        if name == "rmse" or objective.variance:
            return objective
    return MetricObjective.of(matrix)


def _sum_targets(matrix: PredictionMatrix) -> WeightedSum | None:
    """Return the sum of several targets' losses in the units of their mean score; None where one is not convex."""
    if matrix.multi_target_metric is None:
        return None
    terms: list[tuple[Convex, float]] = []
    most = 0.0
    for part, share in zip(matrix.parts, score_factors(matrix.multi_target_metric).tolist(), strict=True):
        objective = objective_for(part)
        if isinstance(objective, SquaredError):
            if objective.variance is None:
                terms.append((RootMeanSquaredError(objective), share))
            else:
                terms.append((objective, share / objective.variance))
                most += share
        elif isinstance(objective, LogLoss | AbsoluteError):
            terms.append((objective, share))
        else:
            return None
    least = matrix.metric.direction == "minimize"
    return WeightedSum([each for each, _ in terms], np.array([factor for _, factor in terms]), None if least else most)


def plain_loss(objective: Objective, weights: Array) -> float:
    """Return the loss, without terms that only guide the search."""
    return objective.plain_loss(weights) if isinstance(objective, MetricObjective) else objective.loss(weights)
