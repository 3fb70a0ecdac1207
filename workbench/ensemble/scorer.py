"""The score of a mixture: the metric, computed the fast way where there is one, and at its best threshold.

ROC AUC needs one sort. Where a metric looks at the labels of two classes, the probability from which on a row is of the
positive class is a parameter like the weights, and every mixture is scored at its best threshold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array

if TYPE_CHECKING:
    from workbench.evaluation import Metric

Threshold = float | tuple[float | None, ...] | None
"""The probability from which on a row is of the second of two classes; for several targets one for each column of their
predictions, None where there is none to choose."""

# A smoothed threshold is the best by the mean score over this share of all thresholds around it.
_SMOOTHED = 0.04


class Scorer:
    """A metric on given rows."""

    def __init__(
        self, y: NDArray[Any], metric: Metric, sample_weight: Array | None = None, *, pairs: bool = False
    ) -> None:
        """Keep the target and the metric.

        Args:
            y: (rows,) class indices or values.
            metric: the metric.
            sample_weight: (rows,) how much each row counts.
            pairs: whether the predictions are probabilities of the second of two classes.
        """
        self.y = y
        self.metric = metric
        self.sample_weight = sample_weight
        self._pairs = pairs

    def subset(self, rows: NDArray[np.intp] | slice) -> Scorer:
        """Return the scorer of some of the rows."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return Scorer(self.y[rows], self.metric, weight, pairs=self._pairs)

    @property
    def thresholds(self) -> bool:
        """Whether the metric's score depends on a threshold that can be chosen."""
        return self._pairs and self.metric.name in _BY_COUNTS

    def score(self, mixture: Array) -> float:
        """Return the metric, at its best threshold where it has one; NaN where it is not defined."""
        if self.thresholds:
            return float(self._curve(mixture)[1].max())
        if self.metric.name == "roc_auc" and self.sample_weight is None and self._integral:
            return self._area(mixture)
        return self.metric.score(self.y, mixture, self.sample_weight)

    def loss(self, mixture: Array) -> float:
        """Return the score as a number to minimise; infinite where it is not defined."""
        loss = self.metric.loss_of(self.score(mixture))
        return loss if math.isfinite(loss) else math.inf

    def threshold(self, mixture: Array, *, smoothed: bool = False) -> float | None:
        """Return the best threshold; None where the metric has none to choose.

        Among equally good thresholds it is the one nearest to 0.5. A smoothed threshold has good neighbours as well,
        for use on other rows: a peak of the curve is mostly chance.
        """
        if not self.thresholds:
            return None
        cuts, scores = self._curve(mixture)
        if smoothed:
            scores = _smooth(scores, int(_SMOOTHED * len(scores) / 2))
        best = np.flatnonzero(scores >= scores.max() - 1e-12)
        return float(cuts[best[np.argmin(np.abs(cuts[best] - 0.5))]])

    def score_at(self, mixture: Array, threshold: Threshold) -> float:
        """Return the metric where `threshold` decides."""
        return self.metric.score(self.y, apply_threshold(mixture, threshold), self.sample_weight)

    def _curve(self, mixture: Array) -> tuple[Array, Array]:
        """Return the thresholds that divide the rows differently, ascending, and the score of each."""
        order = np.argsort(mixture)
        ranked, actual = mixture[order], self.y[order] == 1
        weight = np.ones(len(order)) if self.sample_weight is None else self.sample_weight[order]
        changes = np.flatnonzero(ranked[1:] > ranked[:-1]) + 1
        # Rows before a cut are of the first class: none, those up to a change of value, or all.
        cuts = np.concatenate(([0], changes, [len(ranked)]))
        low, high = ranked[changes - 1], ranked[changes]
        # The middle of neighbouring floats may round to the lower one, which belongs below the cut.
        middles = np.maximum((low + high) / 2, np.nextafter(low, np.inf))
        middles[(low < 0.5) & (high >= 0.5)] = 0.5
        thresholds = np.concatenate(([min(0.0, ranked[0])], middles, [np.nextafter(max(1.0, ranked[-1]), np.inf)]))
        missed = np.concatenate(([0.0], np.cumsum(weight * actual)))[cuts]
        spared = np.concatenate(([0.0], np.cumsum(weight * ~actual)))[cuts]
        positives, negatives = missed[-1], spared[-1]
        return thresholds, _BY_COUNTS[self.metric.name](positives - missed, negatives - spared, missed, spared)

    def _area(self, mixture: Array) -> float:
        """Return the area under the ROC curve, of one class against the rest where there are more than two."""
        if mixture.ndim == 1:
            return _area(self._positive, mixture)
        return float(np.mean([_area(hits, mixture[:, k]) for k, hits in self._of_class.items()]))

    @cached_property
    def _integral(self) -> bool:
        return bool((self.y == np.floor(self.y)).all())

    @cached_property
    def _positive(self) -> NDArray[np.uint64]:
        """1 for the rows of the second of two classes."""
        positive: NDArray[np.uint64] = (self.y == 1).astype(np.uint64)
        return positive

    @cached_property
    def _of_class(self) -> dict[int, NDArray[np.uint64]]:
        """For each class that occurs, 1 for the rows that are of it."""
        return {int(k): (self.y == k).astype(np.uint64) for k in np.unique(self.y)}


def apply_threshold(mixture: Array, threshold: Threshold) -> Array:
    """Return 0 or 1 as the threshold decides, for a metric of labels; probabilities as they are without a threshold.

    Args:
        mixture: (rows,) or (rows, classes); for several targets (rows, outputs).
        threshold: `Blend.threshold`; for several targets one for each column.
    """
    if not isinstance(threshold, tuple):
        return mixture if threshold is None else (mixture >= threshold).astype(np.float64)
    decided = mixture.astype(np.float64)
    for column, least in enumerate(threshold):
        if least is not None:
            decided[:, column] = mixture[:, column] >= least
    return decided


def _area(hits: NDArray[np.uint64], values: Array) -> float:
    """Return the share of pairs that are in order, ties counting half, by one sort of value and hit packed together.

    The bits of non-negative floats sort as the floats do. The hit replaces the last bit; values that are equal without
    that bit count as ties.
    """
    least = values.min()
    # Adding zero removes the sign of a negative zero.
    keys = ((values - least if least < 0 else values + 0.0).view(np.uint64) & ~np.uint64(1)) | hits
    keys.sort()
    hit = keys & np.uint64(1)
    places = np.flatnonzero(hit)
    total = len(places)
    pairs = total * (len(hit) - total)
    if not pairs:
        return math.nan
    # The rows below a hit, less the hits among them.
    ordered = float(places.sum()) - total * (total - 1) / 2
    same = (keys[1:] ^ keys[:-1]) <= np.uint64(1)
    if same.any():
        starts = np.flatnonzero(np.concatenate(([True], ~same)))
        size = np.diff(np.append(starts, len(hit)))
        own = np.add.reduceat(hit.astype(np.float64), starts)
        ordered -= float((own * (size - own)).sum()) / 2
    return ordered / pairs


def _smooth(values: Array, reach: int) -> Array:
    """Return the mean of each value and its neighbours, fewer at the ends."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    index = np.arange(len(values))
    first, last = np.maximum(index - reach, 0), np.minimum(index + reach + 1, len(values))
    means: Array = (sums[last] - sums[first]) / (last - first)
    return means


# Scores of two classes from the weight of true positives, false positives, false negatives and true negatives,
# (thresholds,) each; as `evaluation.scores` has them.


def _accuracy(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    values: Array = (tp + tn) / (tp + fp + fn + tn)
    return values


def _balanced_accuracy(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    positives, negatives = (tp + fn)[0], (tn + fp)[0]
    recalls = [part / whole for part, whole in ((tp, positives), (tn, negatives)) if whole > 0]
    means: Array = np.mean(recalls, axis=0)
    return means


def _f1_macro(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    parts = [(2 * tp, 2 * tp + fp + fn), (2 * tn, 2 * tn + fp + fn)]
    met = sum((whole > 0).astype(np.float64) for _, whole in parts)
    scores = [np.divide(part, whole, out=np.zeros_like(part), where=whole > 0) for part, whole in parts]
    means: Array = np.sum(scores, axis=0) / met
    return means


def _mcc(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    spread = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    values: Array = np.divide(tp * tn - fp * fn, spread, out=np.zeros_like(tp), where=spread > 0)
    return values


def _qwk(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
    total = tp + fp + fn + tn
    actual, predicted = (tp + fn) / total, (tp + fp) / total
    chance = actual * (1 - predicted) + predicted * (1 - actual)
    values: Array = 1 - np.divide((fp + fn) / total, chance, out=np.full_like(tp, 1.0), where=chance > 0)
    return values


_BY_COUNTS: dict[str, Callable[[Array, Array, Array, Array], Array]] = {
    "accuracy": _accuracy,
    "f1_micro": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1_macro": _f1_macro,
    "mcc": _mcc,
    "qwk": _qwk,
}
