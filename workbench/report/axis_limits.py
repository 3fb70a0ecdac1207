"""Axis limits for scores, so that a few poor ones do not flatten the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The axis ends at best + 2.5 × (75th percentile − best).
_REACH = 2.5


@dataclass(frozen=True)
class AxisLimits:
    """The range of an axis of scores."""

    low: float
    high: float

    def contains(self, scores: ArrayLike) -> NDArray[np.bool_]:
        """Return which scores are within the limits, in the shape of `scores`."""
        values = np.asarray(scores, dtype=np.float64)
        return (values >= self.low) & (values <= self.high)

    def clip(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return the scores, those beyond the limits moved to the edge."""
        return np.clip(np.asarray(scores, dtype=np.float64), self.low, self.high)


def choose_limits(scores: Sequence[float], sign: int) -> AxisLimits:
    """Return limits that hold the best score and most of the others.

    Args:
        scores: at least one.
        sign: 1 where low scores are good, -1 where high ones are.
    """
    losses = sign * np.asarray(scores, dtype=np.float64)
    best, upper_quartile = losses.min(), np.quantile(losses, 0.75, method="lower")
    edge = best + _REACH * (upper_quartile - best)
    worst = losses.max() if edge <= best else losses[losses <= edge].max()
    return AxisLimits(*sorted((float(sign * best), float(sign * worst))))
