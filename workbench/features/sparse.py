"""The view of a table with texts for models that take sparse matrices: a column for each word or run of units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline

from workbench.features.preprocessors import Columns
from workbench.features.text_statistics import TextStatistics
from workbench.features.tfidf import Tfidf


class ExplicitZeros(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A dense matrix -> a sparse one that stores its zeros too, for trees take what is not stored for missing."""

    def fit(self, x: np.ndarray, y: Any = None) -> ExplicitZeros:
        """Learn nothing."""
        return self

    def transform(self, x: np.ndarray) -> csr_matrix:
        """Return the matrix, every value of it stored."""
        rows, columns = x.shape
        places = np.tile(np.arange(columns, dtype=np.int32), rows)
        return csr_matrix((np.ravel(x), places, np.arange(rows + 1) * columns), shape=x.shape)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that there is nothing to fit."""
        return True


def sparse_preprocessor(
    columns: Columns, grams: Sequence[Tfidf], *, beside: Any | None, looks: bool
) -> ColumnTransformer:
    """Return the unfitted view.

    Args:
        columns: the kind of each column; some are text.
        grams: what is counted in each column of text.
        beside: the unfitted view of the other columns; None to leave them out.
        looks: whether it is told how texts look, too.
    """
    names = [name for name, kind in columns.items() if kind == "text"]
    rest = [name for name in columns if name not in names]
    blocks: list[tuple[str, Any, Any]] = [
        (f"{name} {number}", clone(each), name) for name in names for number, each in enumerate(grams)
    ]
    blocks += [(f"{name} looks", make_pipeline(TextStatistics(), ExplicitZeros()), name) for name in names if looks]
    blocks += [("beside", make_pipeline(beside, ExplicitZeros()), rest)] if rest and beside is not None else []
    return ColumnTransformer(blocks, sparse_threshold=1, verbose_feature_names_out=False)
