"""The score of a mixture for several targets: the weighted mean of the scores of a scorer for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.ensemble.scorer import Scorer, Threshold, apply_threshold

if TYPE_CHECKING:
    from workbench.evaluation.multi_target import MultiTargetMetric


class MultiTargetScorer:
    """The metric of several targets on given rows, with the methods of a `Scorer`."""

    def __init__(
        self, metric: MultiTargetMetric, scorers: Sequence[Scorer], sample_weight: Array | None = None
    ) -> None:
        """Keep the scorers of the targets.

        Args:
            metric: of all targets.
            scorers: one a target, in the order of `metric.parts`.
            sample_weight: (rows,) how much each row counts.
        """
        self.metric = metric
        self.sample_weight = sample_weight
        self._scorers = tuple(scorers)
        self._shares = score_factors(metric)

    @classmethod
    def of(cls, y: NDArray[Any], metric: MultiTargetMetric, sample_weight: Array | None = None) -> MultiTargetScorer:
        """Return the scorer of (rows, targets) targets that takes probabilities as they are, without thresholds."""
        return cls(metric, [Scorer(part.y(y), part.metric, sample_weight) for part in metric.parts], sample_weight)

    def subset(self, rows: NDArray[np.intp] | slice) -> MultiTargetScorer:
        """Return the scorer of some of the rows."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return MultiTargetScorer(self.metric, [scorer.subset(rows) for scorer in self._scorers], weight)

    def score(self, mixture: Array) -> float:
        """Return the mean score, each target at its best threshold where it has one; NaN where one is not defined."""
        pairs = zip(self.metric.parts, self._scorers, strict=True)
        return float(self._shares @ [scorer.score(part.predictions(mixture)) for part, scorer in pairs])

    def loss(self, mixture: Array) -> float:
        """Return the score as a number to minimise; infinite where it is not defined."""
        loss = self.metric.loss_of(self.score(mixture))
        return loss if math.isfinite(loss) else math.inf

    def threshold(self, mixture: Array, *, smoothed: bool = False) -> Threshold:
        """Return a threshold for each column of the mixture, None where there is none to choose; None without any."""
        pairs = zip(self.metric.parts, self._scorers, strict=True)
        found = [scorer.threshold(part.predictions(mixture), smoothed=smoothed) for part, scorer in pairs]
        return expand_thresholds(self.metric, found)

    def score_at(self, mixture: Array, threshold: Threshold) -> float:
        """Return the mean score where the thresholds decide."""
        shown, pairs = apply_threshold(mixture, threshold), zip(self.metric.parts, self._scorers, strict=True)
        return float(self._shares @ [scorer.score_at(part.predictions(shown), None) for part, scorer in pairs])


def target_weights(metric: MultiTargetMetric) -> Array:
    """Return how much each target counts, (targets,), with sum 1."""
    weights = np.array([part.weight for part in metric.parts])
    scaled: Array = weights / weights.sum()
    return scaled


def score_factors(metric: MultiTargetMetric) -> Array:
    """Return the factor of each target's score in the mean, (targets,)."""
    factors: Array = target_weights(metric) / [part.scale for part in metric.parts]
    return factors


def expand_thresholds(metric: MultiTargetMetric, thresholds: Sequence[float | None]) -> Threshold:
    """Return the targets' thresholds as thresholds of the prediction columns; None where no target has one."""
    if all(threshold is None for threshold in thresholds):
        return None
    expanded: list[float | None] = [None] * max(part.stop for part in metric.parts)
    for part, threshold in zip(metric.parts, thresholds, strict=True):
        expanded[part.start] = threshold
    return tuple(expanded)
