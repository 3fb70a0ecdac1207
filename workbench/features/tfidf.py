"""Texts -> tf-idf of n-grams of words or characters, sparse; and latent topics, dense.

Words and characters are hashed as NumPy arrays, many texts at a time (Weinberger et al., 2009, "Feature hashing"),
which is ten times as fast as a loop over n-grams in Python. Fitting selects the hashes to keep, and their idf weights.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize

from workbench.features.tokenizer import normalize_text, split_words, texts

Unit = Literal["words", "characters"]
_BITS = 20
# Characters that are read in all when a vectorizer is fitted; long texts are truncated.
_MAX_CHARACTERS = 30_000_000
# Characters that are hashed at a time.
_CHUNK = 4_000_000
_FACTOR, _SPREAD, _OFFSET = np.uint64(0x100000001B3), np.uint64(0x9E3779B97F4A7C15), np.uint64(64 - _BITS)


class Tfidf(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A column of texts -> tf-idf of its n-grams, (rows, n-grams) float32, sparse."""

    def __init__(
        self,
        unit: Unit = "words",
        shortest: int = 1,
        longest: int = 1,
        rarest: int = 2,
        most: int = 200_000,
        even: bool = True,
    ) -> None:
        """Set the n-grams to count.

        Args:
            unit: the units of an n-gram.
            shortest: the smallest n.
            longest: the largest n.
            rarest: n-grams in fewer texts are dropped, unless all are rarer (`min_df`).
            most: the number of n-grams to keep, the most frequent first (`max_features`).
            even: whether rows are scaled to length 1; trees do not need it.
        """
        self.unit, self.shortest, self.longest = unit, shortest, longest
        self.rarest, self.most, self.even = rarest, most, even

    def fit(self, x: Any, y: Any = None) -> Tfidf:
        """Select the n-grams, and fit their idf."""
        self.fit_transform(x)
        return self

    def fit_transform(self, x: Any, y: Any = None) -> sparse.csr_matrix:
        """Fit, and return the training rows."""
        column = texts(x)
        # Texts to predict are truncated at the length of the longest training text.
        longest = max(map(len, column), default=0)
        self.length_ = max(1, min(longest, max(_MAX_CHARACTERS // max(len(column), 1), 500)))
        counts = self._count(column)
        document_frequency = np.bincount(counts.indices, minlength=2**_BITS)
        ranked = np.argsort(-document_frequency, kind="stable")[: self.most]
        # If every n-gram is rare, the rare ones are kept.
        least = max(1, min(self.rarest, document_frequency.max()))
        self.known_ = np.sort(ranked[document_frequency[ranked] >= least])
        self.idf_ = (np.log((1 + len(column)) / (1 + document_frequency[self.known_])) + 1).astype(np.float32)
        return self._apply_weights(counts)

    def transform(self, x: Any) -> sparse.csr_matrix:
        """Return other rows; n-grams that are not in the training rows are ignored."""
        return self._apply_weights(self._count(texts(x)))

    def _apply_weights(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return (1 + log count) · idf of the known columns of a matrix of counts."""
        positions = np.full(2**_BITS, -1, dtype=np.int32)
        positions[self.known_] = np.arange(len(self.known_))
        columns = positions[counts.indices]
        known = columns >= 0
        ends = np.concatenate([[0], np.cumsum(known)])[counts.indptr]
        columns = columns[known]
        data = (1 + np.log(counts.data[known])) * self.idf_[columns]
        matrix = sparse.csr_matrix((data, columns, ends), shape=(counts.shape[0], len(self.known_)))
        return normalize(matrix, copy=False) if self.even else matrix

    def _count(self, column: list[str]) -> sparse.csr_matrix:
        """Return the count of each n-gram in each text, (rows, hashes) float32."""
        parts = [
            _count_ngrams(*self._hash_units(chunk), self.shortest, self.longest, len(chunk))
            for chunk in self._iter_chunks(column)
        ]
        return sparse.vstack(parts, format="csr")

    def _iter_chunks(self, column: list[str]) -> Iterator[list[str]]:
        """Yield the texts in chunks whose hashes fit in memory."""
        ends = np.cumsum([min(len(text), self.length_) for text in column]) // _CHUNK
        bounds = [0, *(np.flatnonzero(np.diff(ends)) + 1), len(column)]
        yield from (column[start:stop] for start, stop in itertools.pairwise(bounds))

    def _hash_units(self, column: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return a number for each unit of the texts, in order, and the row that it is in."""
        if self.unit == "words":
            # An empty word marks the start, so that no text is without any word.
            split = [["", *split_words(text, self.length_)] for text in column]
            hashes = np.fromiter(
                (zlib.crc32(word.encode("utf-8", "surrogatepass")) for row in split for word in row), dtype=np.uint64
            )
            return hashes, np.repeat(np.arange(len(split)), [len(row) for row in split])
        # Spaces around a text mark the ends of its first and last word.
        spaced = [f" {' '.join(normalize_text(text, self.length_).split())} " for text in column]
        # A lone surrogate has no encoding without `surrogatepass`.
        encoded = "".join(spaced).encode("utf-32-le", "surrogatepass")
        return np.frombuffer(encoded, dtype=np.uint32).astype(np.uint64), np.repeat(
            np.arange(len(spaced)), [len(text) for text in spaced]
        )


def _count_ngrams(units: np.ndarray, rows: np.ndarray, shortest: int, longest: int, count: int) -> sparse.csr_matrix:
    """Return the counts of n-grams of `shortest` to `longest` units in `count` texts, (count, hashes) float32.

    Args:
        units: a number for each unit of the texts, in order.
        rows: the text that each unit is in.
        shortest: the smallest n.
        longest: the largest n.
        count: the number of texts.
    """
    total = sparse.csr_matrix((count, 2**_BITS), dtype=np.float32)
    ngrams = np.zeros(len(units), dtype=np.uint64)
    for length in range(1, min(longest, len(units)) + 1):
        starts = len(units) - length + 1
        # A rolling hash: that of an n-gram follows from that of its first n - 1 units.
        ngrams = (ngrams[:starts] + units[length - 1 :] + np.uint64(1)) * _FACTOR
        if length >= shortest:
            within_text = rows[:starts] == rows[length - 1 :]
            hashes = ((ngrams[within_text] * _SPREAD) >> _OFFSET).astype(np.int32)
            ones = np.ones(len(hashes), dtype=np.float32)
            total = total + sparse.csr_matrix((ones, (rows[:starts][within_text], hashes)), shape=total.shape)
    return total


class LatentTopics(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Sparse tf-idf -> (rows, topics) float32: latent semantic analysis (Deerwester et al., 1990)."""

    def __init__(self, topics: int = 50, seed: int = 0) -> None:
        """Set the number of topics; with no more columns than that, the columns are kept as they are."""
        self.topics, self.seed = topics, seed

    def fit(self, x: sparse.csr_matrix, y: Any = None) -> LatentTopics:
        """Fit the singular vectors."""
        self.directions_ = None
        if x.shape[1] > self.topics:
            self.directions_ = TruncatedSVD(self.topics, n_iter=3, random_state=self.seed).fit(x)
        return self

    def transform(self, x: sparse.csr_matrix) -> np.ndarray:
        """Return the texts projected on the topics."""
        matrix = x.toarray() if self.directions_ is None else self.directions_.transform(x)
        return np.asarray(matrix, dtype=np.float32)
