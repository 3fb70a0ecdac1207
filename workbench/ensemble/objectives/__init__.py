"""What is minimised over the weights, each metric reduced to the least data that decides it.

    protocol        what every objective can do
    log_loss        needs only the probability that each model gives to the true class
    squared_error   needs only the Gram matrix of the residuals
    absolute_error  needs the residuals
    expansion       a loss near some weights, to second order
    general         any other metric, asked as it is

The first three are convex, so they also give slopes, curvature and a bound below which no weights can go.
"""

from workbench.ensemble.bank import Array, Bank
from workbench.ensemble.objectives.absolute_error import AbsoluteError
from workbench.ensemble.objectives.expansion import Expansion
from workbench.ensemble.objectives.general import General
from workbench.ensemble.objectives.log_loss import LogLoss
from workbench.ensemble.objectives.protocol import Indices, Objective
from workbench.ensemble.objectives.squared_error import SquaredError

__all__ = [
    "AbsoluteError",
    "Expansion",
    "General",
    "Indices",
    "LogLoss",
    "Objective",
    "SquaredError",
    "objective_for",
    "plain_loss",
]


def objective_for(bank: Bank) -> Objective:
    """Return the most reduced objective that the bank's metric allows."""
    name = bank.metric.name
    if name == "log_loss":
        return LogLoss.of(bank)
    if name in ("mae", "mape"):
        return AbsoluteError.of(bank)
    if name in ("rmse", "r2"):
        objective = SquaredError.of(bank)
        # A constant target has no R²: the metric itself then says what it gives.
        if name == "rmse" or objective.variance:
            return objective
    return General.of(bank)


def plain_loss(objective: Objective, weights: Array) -> float:
    """Return the loss, and nothing that only guides the search."""
    return objective.plain_loss(weights) if isinstance(objective, General) else objective.loss(weights)
