"""The preprocessor of a table with texts for models of sparse matrices: tf-idf of the texts, and the other columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline

from workbench.features.preprocessors import ColumnKinds
from workbench.features.text_statistics import TextStatistics
from workbench.features.tfidf import Tfidf


class ExplicitZeros(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A dense matrix -> a sparse one that stores zeros too, since boosted trees read an absent entry as missing."""

    def fit(self, x: np.ndarray, y: Any = None) -> ExplicitZeros:
        """Return the transformer; there is nothing to fit."""
        return self

    def transform(self, x: np.ndarray) -> csr_matrix:
        """Return the matrix with every value stored."""
        rows, columns = x.shape
        indices = np.tile(np.arange(columns, dtype=np.int32), rows)
        return csr_matrix((np.ravel(x), indices, np.arange(rows + 1) * columns), shape=x.shape)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that there is nothing to fit."""
        return True


def sparse_preprocessor(
    columns: ColumnKinds, vectorizers: Sequence[Tfidf], *, remainder: Any | None, statistics: bool
) -> ColumnTransformer:
    """Return the unfitted preprocessor.

    Args:
        columns: the kind of each column; some are text.
        vectorizers: the vectorizers of each column of text.
        remainder: the unfitted preprocessor of the other columns; None to drop them.
        statistics: whether to add `TextStatistics` of each column of text.
    """
    names = [name for name, kind in columns.items() if kind == "text"]
    rest = [name for name in columns if name not in names]
    blocks: list[tuple[str, Any, Any]] = [
        (f"{name} {number}", clone(vectorizer), name) for name in names for number, vectorizer in enumerate(vectorizers)
    ]
    if statistics:
        blocks += [(f"{name} looks", make_pipeline(TextStatistics(), ExplicitZeros()), name) for name in names]
    if rest and remainder is not None:
        blocks.append(("beside", make_pipeline(remainder, ExplicitZeros()), rest))
    return ColumnTransformer(blocks, sparse_threshold=1, verbose_feature_names_out=False)
