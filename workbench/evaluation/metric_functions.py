"""The formulas of the metrics: one function for each, with the metric's name.

They are written in NumPy because an optimiser computes the same score thousands of times. scikit-learn's functions give
the same numbers, which the tests compare, but take 10 to 100 times as long, mostly to check their input.

Every function takes `(y, predictions, weight)`, arrays that `Metric.score` has checked; `weight` may be None. A score
that is undefined for the given rows (the ROC AUC of one class, the R² of equal values) is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.array import Array

_CLIP = 1e-15


def labels(y: Array, predictions: Array) -> Array:
    """Return (rows,) the most probable class, or 1 for a probability of at least 0.5; values are rounded."""
    if predictions.ndim == 2:
        return np.asarray(np.argmax(predictions, axis=1))
    if y.dtype.kind == "f":
        return np.asarray(np.rint(predictions))
    return (predictions >= 0.5).astype(np.int64)


def log_loss(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the mean of -log p(y); probabilities are clipped at 1e-15 and then normalised to sum to 1."""
    if predictions.ndim == 1:
        likelihood = np.where(y == 1, predictions, 1 - predictions)
        return _mean(-np.log(likelihood.clip(_CLIP, 1 - _CLIP)), weight)
    clipped = predictions.clip(_CLIP, None)
    return _mean(np.log(clipped.sum(axis=1)) - np.log(clipped[np.arange(len(y)), y]), weight)


def accuracy(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the fraction of rows whose class is predicted correctly."""
    return _mean(y == predictions, weight)


def f1_micro(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return F1 from the counts of all classes together, which equals accuracy if each row has one class."""
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
    """Return Matthews' correlation for any number of classes (Gorodkin, 2004); 0 if one side is constant."""
    table = _confusion(y, predictions, weight)
    table = table / table.sum()
    actual, predicted = table.sum(axis=1), table.sum(axis=0)
    spread = (1 - actual @ actual) * (1 - predicted @ predicted)
    # Rounding gives a constant side a spread of about 1e-16 instead of 0.
    return float((np.trace(table) - actual @ predicted) / np.sqrt(spread)) if spread > 1e-15 else 0.0


def qwk(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return Cohen's kappa with quadratic weights (Cohen, 1968) of class numbers or rounded values.

    Both sums over the confusion matrix are moments, so the matrix is not needed: the observed disagreement is
    mean((y - p)²), and the disagreement expected by chance is var(y) + var(p) + (mean(y) - mean(p))².
    """
    y, p = np.rint(y).astype(np.float64), predictions.astype(np.float64)
    y_mean, p_mean = _mean(y, weight), _mean(p, weight)
    chance = _mean((y - y_mean) ** 2, weight) + _mean((p - p_mean) ** 2, weight) + (y_mean - p_mean) ** 2
    return 1 - _mean((y - p) ** 2, weight) / chance if chance > 0 else float("nan")


def roc_auc(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the area under the ROC curve; with more than two classes, the mean of one class against the rest.

    Classes that do not occur in `y` are left out of the mean. The score is NaN if only one class occurs.
    """
    return _one_versus_rest(_binary_roc_auc, y, predictions, weight)


def average_precision(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the average precision; with more than two classes, the mean of one class against the rest.

    Classes that do not occur in `y` are left out of the mean. The score is NaN if a binary `y` has no positive row.
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
    """Return the mean absolute error relative to the target (0.1 is ten per cent)."""
    return _mean(np.abs((y - predictions) / y), weight)


def r2(y: Array, predictions: Array, weight: Array | None) -> float:
    """Return the share of the variance that is explained; NaN if `y` is constant."""
    variance = _mean((y - _mean(y, weight)) ** 2, weight)
    # The mean of equal numbers may differ from them by a rounding error, so the values are compared directly.
    return 1 - _mean((y - predictions) ** 2, weight) / variance if (y != y[0]).any() else float("nan")


def _mean(values: Array, weight: Array | None) -> float:
    """Return the (weighted) mean."""
    return float(values.mean() if weight is None else (values @ weight) / weight.sum())


def _confusion(y: Array, predicted: Array, weight: Array | None) -> Array:
    """Return the (classes, classes) confusion matrix of weights, by actual and predicted class."""
    classes = int(max(y.max(), predicted.max())) + 1
    counts = np.bincount(y * classes + predicted, weights=weight, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.float64)


def _one_versus_rest(binary: Any, y: Array, predictions: Array, weight: Array | None) -> float:
    """Return a binary score, or its mean over the classes that occur in `y`."""
    weight = np.ones(len(y)) if weight is None else weight
    if predictions.ndim == 1:
        return float(binary(y == 1, predictions, weight))
    return float(np.mean([binary(y == k, predictions[:, k], weight) for k in np.unique(y)]))


def _weights_by_prediction(positive: Array, predictions: Array, weight: Array) -> tuple[Array, Array]:
    """Return the weights of the positive and of the negative rows at each distinct prediction, in ascending order."""
    order = np.argsort(predictions)
    ranked, weight, positive = predictions[order], weight[order], positive[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    return np.add.reduceat(weight * positive, starts), np.add.reduceat(weight * ~positive, starts)


def _binary_roc_auc(positive: Array, predictions: Array, weight: Array) -> float:
    """Return the probability that a positive row is ranked above a negative one; a tie counts half."""
    positives, negatives = _weights_by_prediction(positive, predictions, weight)
    pairs = positives.sum() * negatives.sum()
    return float(positives @ (negatives.cumsum() - negatives / 2) / pairs) if pairs > 0 else float("nan")


def _binary_average_precision(positive: Array, predictions: Array, weight: Array) -> float:
    """Return the mean over positive rows of the precision at their rank."""
    positives, negatives = (part[::-1] for part in _weights_by_prediction(positive, predictions, weight))
    retrieved = positives.cumsum()
    defined = retrieved > 0
    precision = retrieved[defined] / (retrieved + negatives.cumsum())[defined]
    return float(positives[defined] @ precision / retrieved[-1]) if retrieved[-1] > 0 else float("nan")
