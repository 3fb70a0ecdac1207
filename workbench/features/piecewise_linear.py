"""Numbers -> pieces of their range: how much of each bin lies below a value (Gorishniy et al., 2022)."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class PiecewiseLinearEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Columns of numbers -> (rows, bins of all columns) float32: 0 below a bin, 1 above it, its share within.

    A linear layer on top is a function of the number that bends at the quantiles, where a plain one is a line.
    """

    def __init__(self, bins: int = 16) -> None:
        """Cut each column at its quantiles into at most so many bins."""
        self.bins = bins

    def fit(self, x: Any, y: Any = None) -> PiecewiseLinearEncoder:
        """Learn where to cut; quantiles that coincide are one cut."""
        x = np.asarray(x, dtype=np.float64)
        quantiles = np.quantile(x, np.linspace(0, 1, self.bins + 1), axis=0).T
        self.cuts_ = [_cuts(column) for column in quantiles]
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the shares; beyond all bins they are 0 or 1."""
        columns = np.asarray(x, dtype=np.float64).T
        shares = [
            (column[:, None] - cuts[:-1]) / np.diff(cuts) for column, cuts in zip(columns, self.cuts_, strict=True)
        ]
        return np.hstack(shares).clip(0, 1).astype(np.float32)


def _cuts(quantiles: np.ndarray) -> np.ndarray:
    """Return different cuts, at least two, in ascending order."""
    cuts = np.unique(quantiles)
    return cuts if len(cuts) > 1 else np.array([cuts[0], cuts[0] + 1])
