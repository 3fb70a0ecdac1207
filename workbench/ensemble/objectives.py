"""What is minimised over the weights, each metric reduced to the least data that decides it.

Log loss needs only the probability that each model gives to the true class, squared error only the Gram
matrix of the residuals; every other metric is asked as it is. The first two are convex and smooth, so they
also give slopes, curvature and a bound below which no weights can go.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.ensemble.bank import Array, Bank

if TYPE_CHECKING:
    from workbench.evaluation import Metric

Indices = NDArray[np.intp]

LEAST_PROBABILITY = 1e-15
_BATCH = 1 << 22


class Objective(Protocol):
    """A loss over weights on the simplex; weights, counts and results are per model, (models,)."""

    @property
    def models(self) -> int:
        """The number of weights."""

    def loss(self, weights: Array) -> float:
        """Return the loss of the mixture."""

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return a function of other weights: how much their loss is above that of `weights`."""

    def losses_if_added(self, counts: Array) -> Array:
        """Return, for each model, the loss of the mean of the models chosen `counts` times and that model."""

    def only(self, models: Indices) -> "Objective":
        """Return the same objective over some of the models."""

    def slopes(self, weights: Array) -> Array | None:
        """Return the gradient of the loss, or None where there is none."""

    def curvature(self, weights: Array) -> Array | None:
        """Return the Hessian of the loss, (models, models), or None where there is none."""

    def gap(self, weights: Array) -> float | None:
        """Return a proven bound on how much less the loss of any weights can be, or None."""

    def score(self, loss: float) -> float:
        """Return a loss in the units of the metric."""


class LogLoss:
    """Mean log loss of a mixture; `true_class` (models, rows) is each model's probability of the true class."""

    def __init__(self, true_class: Array) -> None:
        """Keep the matrix; its values must be above zero."""
        self.true_class = true_class

    @property
    def models(self) -> int:
        """The number of weights."""
        return len(self.true_class)

    def loss(self, weights: Array) -> float:
        """Return the mean of -log p over the rows."""
        return -float(_mean_log(weights @ self.true_class))

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return the difference of two losses."""
        loss = self.loss(weights)
        return lambda others: self.loss(others) - loss

    def losses_if_added(self, counts: Array) -> Array:
        """Score all models at once, a batch of models at a time to bound memory."""
        total, size = counts @ self.true_class, math.log(counts.sum() + 1)
        models = max(1, _BATCH // len(total))
        parts = [
            size - _mean_log(total + self.true_class[first : first + models]) for first in range(0, self.models, models)
        ]
        return np.concatenate(parts)

    def only(self, models: Indices) -> "LogLoss":
        """Return the objective over some of the models."""
        return LogLoss(self.true_class[models])

    def slopes(self, weights: Array) -> Array:
        """Return minus the mean of each model's probability over the mixture's."""
        mixed = weights @ self.true_class
        slopes: Array = self.true_class @ (-1 / (mixed * len(mixed)))
        return slopes

    def curvature(self, weights: Array) -> Array:
        """Return the mean outer product of the slopes of single rows (the empirical Fisher matrix)."""
        ratios = self.true_class / (weights @ self.true_class)
        curvature: Array = ratios @ ratios.T / ratios.shape[1]
        return curvature

    def gap(self, weights: Array) -> float:
        """Return log max d, d the negative slopes: by Jensen, mean log(p_v / p_w) <= log(v'd) for any v.

        As no log loss is below zero, the loss itself is a bound too.
        """
        return max(0.0, min(math.log(float(-self.slopes(weights).min())), self.loss(weights)))

    def score(self, loss: float) -> float:
        """Return the loss: it is the metric."""
        return loss


class SquaredError:
    """Mean squared error of a mixture, w'Gw; `gram` (models, models) is the mean product of residuals.

    `variance` is the target's where the metric is R², and None where it is RMSE.
    """

    def __init__(self, gram: Array, variance: float | None = None) -> None:
        """Keep the matrix."""
        self.gram = gram
        self.variance = variance

    @property
    def models(self) -> int:
        """The number of weights."""
        return len(self.gram)

    def loss(self, weights: Array) -> float:
        """Return the mean squared error."""
        return max(0.0, float(weights @ self.gram @ weights))

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return the expanded square: where errors nearly cancel, a difference of losses has few digits."""
        pull = self.gram @ weights
        pull -= weights @ pull

        def change(others: Array) -> float:
            move = others - weights
            return float(2 * pull @ move + move @ self.gram @ move)

        return change

    def losses_if_added(self, counts: Array) -> Array:
        """Expand the square for all models at once."""
        pull = self.gram @ counts
        losses: Array = (counts @ pull + 2 * pull + np.diag(self.gram)) / (counts.sum() + 1) ** 2
        return losses

    def only(self, models: Indices) -> "SquaredError":
        """Return the objective over some of the models."""
        return SquaredError(self.gram[np.ix_(models, models)], self.variance)

    def slopes(self, weights: Array) -> Array:
        """Return 2Gw."""
        slopes: Array = 2 * self.gram @ weights
        return slopes

    def curvature(self, weights: Array) -> Array:
        """Return 2G, the same everywhere."""
        return 2 * self.gram

    def gap(self, weights: Array) -> float:
        """Return 2(w'Gw - min Gw): by convexity, v'Gv >= 2 v'Gw - w'Gw for any v."""
        pull = self.gram @ weights
        return max(0.0, 2 * float(weights @ pull - pull.min()))

    def score(self, loss: float) -> float:
        """Return the root of the loss, or R² where that is the metric."""
        loss = max(0.0, loss)
        return math.sqrt(loss) if self.variance is None else 1 - loss / self.variance


class General:
    """Any metric, asked as it is; `predictions` is (models, rows[, classes]).

    A metric that moves in steps says nothing between them, so `whiff` of the `surrogate`, less than a step,
    breaks ties towards better probabilities.
    """

    def __init__(
        self,
        predictions: Array,
        y: NDArray[Any],
        metric: "Metric",
        surrogate: LogLoss | SquaredError | None = None,
        whiff: float = 0.0,
    ) -> None:
        """Keep what the metric is asked with."""
        self.predictions = predictions
        self.y = y
        self.metric = metric
        self.surrogate = surrogate
        self.whiff = whiff

    @property
    def models(self) -> int:
        """The number of weights."""
        return len(self.predictions)

    def loss(self, weights: Array) -> float:
        """Return the metric to minimise and a whiff of the surrogate; infinite where it is not defined."""
        loss = self._metric_loss(np.tensordot(weights, self.predictions, axes=1))
        return loss + self.whiff * self.surrogate.loss(weights) if self.surrogate and self.whiff else loss

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return the difference of two losses; the loss itself where the metric is not defined at `weights`."""
        loss = self.loss(weights)
        start = loss if math.isfinite(loss) else 0.0
        return lambda others: self.loss(others) - start

    def losses_if_added(self, counts: Array) -> Array:
        """Ask the metric once a model; ties are broken as in `loss`."""
        total, size = np.tensordot(counts, self.predictions, axes=1), counts.sum() + 1
        losses = np.array([self._metric_loss((total + member) / size) for member in self.predictions])
        if self.surrogate and self.whiff:
            losses += self.whiff * self.surrogate.losses_if_added(counts)
        return losses

    def only(self, models: Indices) -> "General":
        """Return the objective over some of the models."""
        surrogate = self.surrogate.only(models) if self.surrogate else None
        return General(self.predictions[models], self.y, self.metric, surrogate, self.whiff)

    def slopes(self, weights: Array) -> None:
        """Return None: the metric may have no gradient."""

    def curvature(self, weights: Array) -> None:
        """Return None: the metric may have no curvature."""

    def gap(self, weights: Array) -> None:
        """Return None: no certificate exists for a metric that need not be convex."""

    def score(self, loss: float) -> float:
        """Return the metric's own value, the whiff left in."""
        return self.metric.loss_of(loss)

    def _metric_loss(self, predictions: Array) -> float:
        loss = self.metric.loss_of(self.metric.score(self.y, predictions))
        return loss if math.isfinite(loss) else math.inf


def objective_for(bank: Bank) -> Objective:
    """Return the most reduced objective that the bank's metric allows."""
    if bank.metric.name == "log_loss":
        return _log_loss(bank)
    if bank.metric.name in ("rmse", "r2"):
        objective = _squared_error(bank)
        # A constant target has no R²: the metric itself then says what it gives.
        if bank.metric.name == "rmse" or objective.variance:
            return objective
    surrogate: LogLoss | SquaredError | None = None
    whiff = 0.0
    if bank.classified:
        surrogate, whiff = _log_loss(bank), 1e-3 / len(bank.y)
    elif bank.members[0].ndim == 1:
        surrogate = _squared_error(bank)
    predictions = np.stack(bank.members).astype(np.float64, copy=False)
    return General(predictions, bank.y, bank.metric, surrogate, whiff)


def _log_loss(bank: Bank) -> LogLoss:
    y = bank.y.astype(np.intp)
    true_class = np.empty((len(bank.members), len(y)))
    for index, member in enumerate(bank.members):
        true_class[index] = np.where(y == 1, member, 1 - member) if member.ndim == 1 else member[np.arange(len(y)), y]
    # The metric clips there too; clipping members can only lower the loss, so that bounds stay bounds.
    return LogLoss(np.maximum(true_class, LEAST_PROBABILITY, out=true_class))


def _squared_error(bank: Bank) -> SquaredError:
    residuals = np.stack([member - bank.y for member in bank.members]).astype(np.float64, copy=False)
    variance = float(np.var(bank.y)) if bank.metric.name == "r2" else None
    return SquaredError(residuals @ residuals.T / len(bank.y), variance)


def _mean_log(values: Array) -> Array:
    """Return the mean log over the last axis, logs taken of products of 16 because they are what costs."""
    count = values.shape[-1]
    whole = count - count % 16
    products = values[..., :whole].reshape(*values.shape[:-1], 16, whole // 16).prod(axis=-2)
    logs = np.log(products).sum(axis=-1) + np.log(values[..., whole:]).sum(axis=-1)
    means: Array = np.asarray(logs / count)
    return means
