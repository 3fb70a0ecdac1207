"""Encoders of categorical columns: target means, indices for embeddings, and crosses of columns."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import OrdinalEncoder, TargetEncoder

_Matrix = pd.DataFrame | np.ndarray


class TargetMeanEncoder(TargetEncoder):  # type: ignore[misc]  # scikit-learn has no types
    """Categories -> means of the target (Micci-Barreca, 2001), cross-fitted on the training rows."""

    def fit_transform(self, x: _Matrix, y: Any) -> np.ndarray:
        """Fit the means, and return for each row the means over the rows of the other folds."""
        with warnings.catch_warnings():
            # A class with fewer rows than folds is missing from some folds, which does no harm here.
            warnings.filterwarnings("ignore", message="The least populated class")
            return np.asarray(super().fit_transform(x, y))


class CategoryIndexEncoder(OrdinalEncoder):  # type: ignore[misc]  # scikit-learn has no types
    """Categories -> indices from 1, for embeddings; 0 is a missing or unknown category."""

    def __init__(self, min_frequency: int | None = None, joint: bool = False) -> None:
        """Set the options.

        Args:
            min_frequency: categories with fewer rows share one index.
            joint: whether no index occurs in two columns, so that all columns can share one embedding.
        """
        self.joint = joint
        super().__init__(
            handle_unknown="use_encoded_value",
            unknown_value=-1,
            encoded_missing_value=-1,
            min_frequency=min_frequency,
        )

    def fit(self, x: _Matrix, y: Any = None) -> CategoryIndexEncoder:
        """Fit the categories, and count the indices that each column needs."""
        super().fit(x)
        largest = super().transform(x).max(axis=0).astype(int)
        # Indices start at 1, and 0 is the unknown's.
        self.levels_ = [int(index) + 2 for index in largest]
        return self

    def transform(self, x: _Matrix) -> np.ndarray:
        """Return the indices, shape (rows, columns), as int32."""
        indices: np.ndarray = (super().transform(x) + 1).astype(np.int32)
        return indices + np.cumsum([0, *self.levels_[:-1]], dtype=np.int32) if self.joint else indices


class FeatureCrosses(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Columns of small integers -> the same columns and crosses of pairs, for a wide part (Cheng et al., 2016)."""

    def __init__(self, pairs: list[list[int]]) -> None:
        """Set the positions of the columns to cross."""
        self.pairs = pairs

    def fit(self, x: _Matrix, y: Any = None) -> FeatureCrosses:
        """Return the transformer; there is nothing to fit."""
        return self

    def transform(self, x: _Matrix) -> np.ndarray:
        """Return the columns and an integer for each combination of a pair, shape (rows, columns + pairs)."""
        x = np.asarray(x, dtype=np.int64)
        crosses = [x[:, a] * 1_000_000 + x[:, b] for a, b in self.pairs]
        return np.column_stack([x, *crosses])

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that there is nothing to fit."""
        return True
