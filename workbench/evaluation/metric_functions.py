"""The formulas of the metrics, a function each under the metric's name.

They are written in numpy because an optimiser asks for the same score thousands of times: scikit-learn's functions
give the same numbers (the tests compare them) but take 10 to 100 times as long, most of it checking their input.

Every function takes `(y, predictions, weight)`, arrays that `Metric.score` has checked; `weight` may be None.
A score that means nothing for the rows given (an ROC AUC of one class, an R² of equal values) is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.array import Array

_CLIP = 1e-15


def labels(y: Array, predictions: Array) -> Array:
    """Return the class of each row: the likeliest, or 1 from a probability of 0.5; values are rounded."""
    if predictions.ndim == 2:
        return np.asarray(np.argmax(predictions, axis=1))
    if y.dtype.kind == "f":
        return np.asarray(np.rint(predictions))
    return (predictions >= 0.5).astype(np.int64)


def log_loss(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the mean of -log p(y); rows of probabilities are clipped at 1e-15, then made to sum to 1."""
    if predictions.ndim == 1:
        likelihood = np.where(y == 1, predictions, 1 - predictions)
        return _mean(-np.log(likelihood.clip(_CLIP, 1 - _CLIP)), weight)
    clipped = predictions.clip(_CLIP, None)
    return _mean(np.log(clipped.sum(axis=1)) - np.log(clipped[np.arange(len(y)), y]), weight)


def accuracy(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the share of rows whose class is right."""
    return _mean(y == predictions, weight)


def f1_micro(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return F1 from the counts of all classes together, which is accuracy where a row has one class."""
    return accuracy(y, predictions, weight)


def balanced_accuracy(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the mean recall of the classes that occur in `y`."""
    table = _confusion(y, predictions, weight)
    actual = table.sum(axis=1)
    return float(np.mean(table.diagonal()[actual > 0] / actual[actual > 0]))


def f1_macro(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the mean F1 of the classes that occur in `y` or are predicted."""
    table = _confusion(y, predictions, weight)
    either = table.sum(axis=0) + table.sum(axis=1)
    return float(np.mean(2 * table.diagonal()[either > 0] / either[either > 0]))


def mcc(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return Matthews' correlation for any number of classes (Gorodkin, 2004); 0 where one side is constant."""
    table = _confusion(y, predictions, weight)
    table = table / table.sum()
    actual, predicted = table.sum(axis=1), table.sum(axis=0)
    spread = (1 - actual @ actual) * (1 - predicted @ predicted)
    # Rounding leaves a constant side with a spread of about 1e-16 instead of 0.
    return float((np.trace(table) - actual @ predicted) / np.sqrt(spread)) if spread > 1e-15 else 0.0


def qwk(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return Cohen's kappa with quadratic weights (Cohen, 1968) of class numbers or rounded values.

    The two sums over the table of agreement are moments, so that no table is needed: the observed disagreement is
    mean((y - p)²), the one expected by chance var(y) + var(p) + (mean(y) - mean(p))².
    """
    y, p = np.rint(y).astype(np.float64), predictions.astype(np.float64)
    y_mean, p_mean = _mean(y, weight), _mean(p, weight)
    chance = _mean((y - y_mean) ** 2, weight) + _mean((p - p_mean) ** 2, weight) + (y_mean - p_mean) ** 2
    return 1 - _mean((y - p) ** 2, weight) / chance if chance > 0 else float("nan")


def roc_auc(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the area under the ROC curve; with more classes, the mean of one class against the rest.

    Classes that do not occur in `y` are left out of that mean, and NaN says that there is only one.
    """
    return _one_versus_rest(_binary_roc_auc, y, predictions, weight)


def average_precision(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the average precision; with more classes, the mean of one class against the rest.

    Classes that do not occur in `y` are left out of that mean; NaN where a binary `y` has no positive row.
    """
    return _one_versus_rest(_binary_average_precision, y, predictions, weight)


def rmse(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the root of the mean squared error, in the target's unit."""
    return float(np.sqrt(_mean((y - predictions) ** 2, weight)))


def mae(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the mean absolute error, in the target's unit."""
    return _mean(np.abs(y - predictions), weight)


def rmsle(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the root of the mean squared error of log(1 + value); negative predictions count as 0."""
    return rmse(np.log1p(y), np.log1p(predictions.clip(0, None)), weight)


def mape(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the mean absolute error as a share of the value (0.1 is ten per cent)."""
    return _mean(np.abs((y - predictions) / y), weight)


def r2(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the share of the variance that is explained; NaN where `y` has none."""
    variance = _mean((y - _mean(y, weight)) ** 2, weight)
    # A mean of equal numbers can miss them by a rounding error, so equality is asked directly.
    return 1 - _mean((y - predictions) ** 2, weight) / variance if (y != y[0]).any() else float("nan")


def _mean(values: Array, weight: Array | None) -> float:
    """Return the (weighted) mean."""
    return float(values.mean() if weight is None else (values @ weight) / weight.sum())


def _confusion(y: Array, predicted: Array, weight: Array | None) -> Array:
    """Return the (classes, classes) sums of weight, by actual and predicted class."""
    classes = int(max(y.max(), predicted.max())) + 1
    counts = np.bincount(y * classes + predicted, weights=weight, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.float64)


def _one_versus_rest(binary: Any, y: Array, predictions: Array, weight: Array | None) -> float:
    """Return a binary score, or its mean over the classes that occur."""
    weight = np.ones(len(y)) if weight is None else weight
    if predictions.ndim == 1:
        return float(binary(y == 1, predictions, weight))
    return float(np.mean([binary(y == k, predictions[:, k], weight) for k in np.unique(y)]))


def _steps(positive: Array, predictions: Array, weight: Array) -> tuple[Array, Array]:
    """Return the weight of positive and of negative rows at each distinct prediction, the lowest first."""
    order = np.argsort(predictions)
    ranked, weight, hit = predictions[order], weight[order], positive[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    return np.add.reduceat(weight * hit, starts), np.add.reduceat(weight * ~hit, starts)


def _binary_roc_auc(positive: Array, predictions: Array, weight: Array) -> float:
    """Return the chance that a positive row is ranked above a negative one, a tie counting half."""
    hits, misses = _steps(positive, predictions, weight)
    pairs = hits.sum() * misses.sum()
    return float(hits @ (misses.cumsum() - misses / 2) / pairs) if pairs > 0 else float("nan")


def _binary_average_precision(positive: Array, predictions: Array, weight: Array) -> float:
    """Return the mean over positive rows of the precision at their rank."""
    hits, misses = (part[::-1] for part in _steps(positive, predictions, weight))
    taken = hits.cumsum()
    found = taken > 0
    precision = taken[found] / (taken + misses.cumsum())[found]
    return float(hits[found] @ precision / taken[-1]) if taken[-1] > 0 else float("nan")
