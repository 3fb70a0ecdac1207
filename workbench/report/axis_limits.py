"""Which stretch of the scores a figure shows, so that a few poor ones do not flatten the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# So many times as far from the best as the third quarter of the scores is where the window ends.
_REACH = 2.5


@dataclass(frozen=True)
class AxisLimits:
    """The scores from `low` to `high`."""

    low: float
    high: float

    def within(self, scores: ArrayLike) -> NDArray[np.bool_]:
        """Return which scores it shows."""
        values = np.asarray(scores, dtype=np.float64)
        return (values >= self.low) & (values <= self.high)

    def clipped(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return the scores, those beyond moved to the edge."""
        return np.clip(np.asarray(scores, dtype=np.float64), self.low, self.high)


def choose_limits(scores: Sequence[float], sign: int) -> AxisLimits:
    """Return the window that shows the best score and most of the others.

    Args:
        scores: at least one.
        sign: 1 where low scores are good, -1 where high ones are.
    """
    losses = sign * np.asarray(scores, dtype=np.float64)
    best, most = losses.min(), np.quantile(losses, 0.75, method="lower")
    edge = best + _REACH * (most - best)
    worst = losses.max() if edge <= best else losses[losses <= edge].max()
    return AxisLimits(*sorted((float(sign * best), float(sign * worst))))
