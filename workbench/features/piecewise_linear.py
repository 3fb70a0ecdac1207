"""Piecewise linear encoding of numbers (Gorishniy et al., 2022)."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class PiecewiseLinearEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Columns of numbers -> (rows, bins of all columns) float32: 0 below a bin, 1 above it, its share within.

    A linear layer on top is a piecewise linear function of the number, with knots at its quantiles.
    """

    def __init__(self, bins: int = 16) -> None:
        """Set the largest number of bins of a column."""
        self.bins = bins

    def fit(self, x: Any, y: Any = None) -> PiecewiseLinearEncoder:
        """Fit the edges of the bins: the distinct quantiles of each column."""
        x = np.asarray(x, dtype=np.float64)
        quantiles = np.quantile(x, np.linspace(0, 1, self.bins + 1), axis=0).T
        self.cuts_ = [_bin_edges(column) for column in quantiles]
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the shares; values beyond all bins give 0 or 1."""
        columns = np.asarray(x, dtype=np.float64).T
        shares = [
            (column[:, None] - cuts[:-1]) / np.diff(cuts) for column, cuts in zip(columns, self.cuts_, strict=True)
        ]
        return np.hstack(shares).clip(0, 1).astype(np.float32)


def _bin_edges(quantiles: np.ndarray) -> np.ndarray:
    """Return at least two distinct edges in ascending order."""
    edges = np.unique(quantiles)
    return edges if len(edges) > 1 else np.array([edges[0], edges[0] + 1])
