"""Columns of large numbers with a small spread, such as times in seconds, before they lose digits in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

# A column is centred if its largest magnitude is this many times its range: its numbers would lose four bits or more.
_LEAST_RATIO = 16.0


class NumberCentering(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Columns of numbers -> (rows, columns) float64, centred where the spread is small beside the magnitude.

    float32 has 24 bits, so that one hour of Unix seconds would keep 29 distinct values. Other columns stay as they are.
    """

    def fit(self, x: Any, y: Any = None) -> NumberCentering:
        """Fit the centre of each column: the middle of its range, or 0."""
        x = np.asarray(x, dtype=np.float64)
        empty = ~np.isfinite(x).any(axis=0)
        known = np.where(empty, 0.0, x)
        low, high = np.nanmin(known, axis=0), np.nanmax(known, axis=0)
        magnitude, half = np.maximum(np.abs(low), np.abs(high)), high / 2 - low / 2
        is_narrow = (half > 0) & (magnitude / 2 > _LEAST_RATIO * half)
        self.centres_ = np.where(is_narrow, np.rint(low / 2 + high / 2), 0.0)
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the numbers minus the centre of their column."""
        return np.asarray(np.asarray(x, dtype=np.float64) - self.centres_)
