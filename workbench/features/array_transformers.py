"""Transformers of arrays without named columns: images and sequences to matrices, and what matrices may lack."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import StandardScaler

# Images with a longer side are shrunk: models without a notion of neighbourhood gain little from finer pixels.
_LONGEST_SIDE = 32
# Standard scores of sequences are clipped to ± this value.
_LARGEST_SCORE = 10.0
# Images that are shrunk at a time.
_BATCH_SIZE = 512


class Flatten(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Arrays of any shape -> (rows, values) float32, for models without a notion of neighbourhood."""

    def fit(self, x: pd.DataFrame | np.ndarray, y: Any = None) -> Flatten:
        """Return the transformer; there is nothing to fit."""
        return self

    def transform(self, x: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Return the rows as a matrix."""
        x = np.asarray(x, dtype=np.float32)
        return x.reshape(len(x), -1)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that there is nothing to fit."""
        return True


class Thumbnails(Flatten):
    """Images -> (rows, values) float32; images with a side above 32 pixels are averaged down to 32 first."""

    def transform(self, x: Any) -> np.ndarray:
        """Return the images as a matrix; they are shrunk in batches, since they may lie on disk."""
        sides = np.array(x.shape[1:3])
        if sides.max() <= _LONGEST_SIDE:
            return super().transform(x)
        small_sides = np.maximum(1, np.round(sides * _LONGEST_SIDE / sides.max()).astype(int))
        small = np.empty((len(x), *small_sides, *x.shape[3:]), np.float32)
        for start in range(0, len(x), _BATCH_SIZE):
            batch = np.asarray(x[start : start + _BATCH_SIZE], dtype=np.float32)
            for axis, side in enumerate(small_sides, 1):
                batch = _average_pool(batch, axis, side)
            small[start : start + _BATCH_SIZE] = batch
        return small.reshape(len(x), -1)


class EmptyColumnImputer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A matrix -> the same with 0 in columns that have no training value.

    Some estimators accept NaN, but not a column of NaN alone.
    """

    def fit(self, x: np.ndarray, y: Any = None) -> EmptyColumnImputer:
        """Find the columns without any value."""
        self.empty_ = np.isnan(x).all(axis=0)
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return the matrix with 0 in the empty columns."""
        return np.where(self.empty_, np.float32(0), x)


class SequenceStandardizer(StandardScaler):  # type: ignore[misc]  # scikit-learn has no types
    """Values of sequences -> standard scores: 0 where a value is missing, clipped to ±10.

    The scores of a step that few training sequences reach are unreliable, hence the clipping.
    """

    def fit(self, x: np.ndarray, y: Any = None, sample_weight: Any = None) -> SequenceStandardizer:
        """Fit mean and deviation of the values that are present; a step may have none."""
        with np.errstate(invalid="ignore"):
            super().fit(x, y, sample_weight)
        return self

    def transform(self, x: np.ndarray, copy: Any = None) -> np.ndarray:
        """Return the scores, shape (rows, values)."""
        scores: np.ndarray = np.nan_to_num(super().transform(x, copy), nan=0.0)
        return scores.clip(-_LARGEST_SCORE, _LARGEST_SCORE)


def _average_pool(x: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Return the means over `size` stretches of an axis, whose lengths differ by at most one."""
    edges = np.arange(size + 1) * x.shape[axis] // size
    lengths = np.diff(edges).reshape([-1 if each == axis else 1 for each in range(x.ndim)])
    return np.asarray(np.add.reduceat(x, edges[:-1], axis=axis) / lengths, dtype=np.float32)
