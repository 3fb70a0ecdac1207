"""How good a mixture is for several targets: a judge for each, and the weighted mean of what they say."""

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
    """The metric of several targets on given rows; it is asked as a `Scorer` is."""

    def __init__(self, metric: MultiTargetMetric, judges: Sequence[Scorer], weight: Array | None = None) -> None:
        """Keep the judges of the targets.

        Args:
            metric: of all targets.
            judges: one a target, in the order of `metric.parts`.
            weight: (rows,) how much each row counts.
        """
        self.metric = metric
        self.weight = weight
        self._judges = tuple(judges)
        self._shares = score_factors(metric)

    @classmethod
    def of(cls, y: NDArray[Any], metric: MultiTargetMetric, weight: Array | None = None) -> MultiTargetScorer:
        """Return the panel of (rows, targets) targets that takes probabilities as they are, at no threshold."""
        return cls(metric, [Scorer(part.y(y), part.metric, weight) for part in metric.parts], weight)

    def only(self, rows: NDArray[np.intp] | slice) -> MultiTargetScorer:
        """Return the panel of some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return MultiTargetScorer(self.metric, [judge.only(rows) for judge in self._judges], weight)

    def score(self, mixture: Array) -> float:
        """Return the mean score, each target at its best threshold where it has one; NaN where one is not defined."""
        pairs = zip(self.metric.parts, self._judges, strict=True)
        return float(self._shares @ [judge.score(part.predictions(mixture)) for part, judge in pairs])

    def loss(self, mixture: Array) -> float:
        """Return the score as a number to minimise; infinite where it is not defined."""
        loss = self.metric.loss_of(self.score(mixture))
        return loss if math.isfinite(loss) else math.inf

    def threshold(self, mixture: Array, *, steady: bool = False) -> Threshold:
        """Return a threshold for each column of the mixture, None where there is none to choose; None without any."""
        pairs = zip(self.metric.parts, self._judges, strict=True)
        found = [judge.threshold(part.predictions(mixture), steady=steady) for part, judge in pairs]
        return expand_thresholds(self.metric, found)

    def score_at(self, mixture: Array, threshold: Threshold) -> float:
        """Return the mean score where the thresholds decide."""
        shown, pairs = apply_threshold(mixture, threshold), zip(self.metric.parts, self._judges, strict=True)
        return float(self._shares @ [judge.score_at(part.predictions(shown), None) for part, judge in pairs])


def target_weights(metric: MultiTargetMetric) -> Array:
    """Return how much each target counts, (targets,) of sum 1."""
    weights = np.array([part.weight for part in metric.parts])
    found: Array = weights / weights.sum()
    return found


def score_factors(metric: MultiTargetMetric) -> Array:
    """Return what each target's score is multiplied by in their mean, (targets,)."""
    found: Array = target_weights(metric) / [part.scale for part in metric.parts]
    return found


def expand_thresholds(metric: MultiTargetMetric, thresholds: Sequence[float | None]) -> Threshold:
    """Return targets' thresholds as those of the columns of their predictions; None where there is none at all."""
    if all(threshold is None for threshold in thresholds):
        return None
    found: list[float | None] = [None] * max(part.stop for part in metric.parts)
    for part, threshold in zip(metric.parts, thresholds, strict=True):
        found[part.start] = threshold
    return tuple(found)
