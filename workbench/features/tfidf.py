"""Texts -> tf-idf of words or characters and of runs of them, sparse; and what the texts are about, dense.

Units are hashed as NumPy arrays, many texts at a time (Weinberger et al., 2009, "Feature hashing"); that is ten times
faster than Python's way through every run of characters. What is learnt is which of the hashes count, and how much.
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
# At most so many characters are read when a view is fitted; of long texts the beginning.
_BUDGET = 30_000_000
# So many are hashed at a time.
_CHUNK = 4_000_000
_FACTOR, _SPREAD, _OFFSET = np.uint64(0x100000001B3), np.uint64(0x9E3779B97F4A7C15), np.uint64(64 - _BITS)


class Tfidf(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A column of texts -> tf-idf, (rows, what is known) float32, sparse."""

    def __init__(
        self,
        unit: Unit = "words",
        shortest: int = 1,
        longest: int = 1,
        rarest: int = 2,
        most: int = 200_000,
        even: bool = True,
    ) -> None:
        """Count runs of units.

        Args:
            unit: what the runs are of.
            shortest: of so many units at least.
            longest: of so many at most.
            rarest: those in fewer texts are left out, unless all are.
            most: of the others the most frequent.
            even: whether a row is brought to a length of 1, which trees have no need of.
        """
        self.unit, self.shortest, self.longest = unit, shortest, longest
        self.rarest, self.most, self.even = rarest, most, even

    def fit(self, x: Any, y: Any = None) -> Tfidf:
        """Learn which runs count, and how rare they are."""
        self.fit_transform(x)
        return self

    def fit_transform(self, x: Any, y: Any = None) -> sparse.csr_matrix:
        """Learn, and return the training rows."""
        column = texts(x)
        # A text to be predicted is read as far as the longest of training.
        longest = max(map(len, column), default=0)
        self.length_ = max(1, min(longest, max(_BUDGET // max(len(column), 1), 500)))
        counts = self._counts(column)
        found = np.bincount(counts.indices, minlength=2**_BITS)
        # Where every run is in one text alone, these have to do.
        ranked = np.argsort(-found, kind="stable")[: self.most]
        self.known_ = np.sort(ranked[found[ranked] >= max(1, min(self.rarest, found.max()))])
        self.idf_ = (np.log((1 + len(column)) / (1 + found[self.known_])) + 1).astype(np.float32)
        return self._weighed(counts)

    def transform(self, x: Any) -> sparse.csr_matrix:
        """Return other rows; what was not in training counts nothing."""
        return self._weighed(self._counts(texts(x)))

    def _weighed(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return the known columns of a matrix of counts: 1 + log(count), times the rareness."""
        place = np.full(2**_BITS, -1, dtype=np.int32)
        place[self.known_] = np.arange(len(self.known_))
        columns = place[counts.indices]
        known = columns >= 0
        ends = np.concatenate([[0], np.cumsum(known)])[counts.indptr]
        columns = columns[known]
        data = (1 + np.log(counts.data[known])) * self.idf_[columns]
        matrix = sparse.csr_matrix((data, columns, ends), shape=(counts.shape[0], len(self.known_)))
        return normalize(matrix, copy=False) if self.even else matrix

    def _counts(self, column: list[str]) -> sparse.csr_matrix:
        """Return how often each run is in each text, (rows, hashes) float32."""
        parts = [
            _joined(*self._units(chunk), self.shortest, self.longest, len(chunk)) for chunk in self._chunks(column)
        ]
        return sparse.vstack(parts, format="csr")

    def _chunks(self, column: list[str]) -> Iterator[list[str]]:
        """Yield the texts, so many at a time that their hashes fit in memory."""
        ends = np.cumsum([min(len(text), self.length_) for text in column]) // _CHUNK
        bounds = [0, *(np.flatnonzero(np.diff(ends)) + 1), len(column)]
        yield from (column[start:stop] for start, stop in itertools.pairwise(bounds))

    def _units(self, column: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return a number for each unit of the texts, one text after the other, and the row that it is in."""
        if self.unit == "words":
            # What stands before the first word is one too, so that no text is without any.
            split = [["", *split_words(text, self.length_)] for text in column]
            hashes = np.fromiter(
                (zlib.crc32(word.encode("utf-8", "surrogatepass")) for row in split for word in row), dtype=np.uint64
            )
            return hashes, np.repeat(np.arange(len(split)), [len(row) for row in split])
        # Spaces around a text mark where its first and its last word end.
        spaced = [f" {' '.join(normalize_text(text, self.length_).split())} " for text in column]
        # Half of a pair of surrogates has no encoding of its own.
        encoded = "".join(spaced).encode("utf-32-le", "surrogatepass")
        return np.frombuffer(encoded, dtype=np.uint32).astype(np.uint64), np.repeat(
            np.arange(len(spaced)), [len(text) for text in spaced]
        )


def _joined(units: np.ndarray, rows: np.ndarray, shortest: int, longest: int, count: int) -> sparse.csr_matrix:
    """Return how often each run of `shortest` to `longest` units is in each of the `count` texts."""
    total = sparse.csr_matrix((count, 2**_BITS), dtype=np.float32)
    run = np.zeros(len(units), dtype=np.uint64)
    for length in range(1, min(longest, len(units)) + 1):
        starts = len(units) - length + 1
        run = (run[:starts] + units[length - 1 :] + np.uint64(1)) * _FACTOR
        if length >= shortest:
            whole = rows[:starts] == rows[length - 1 :]
            hashes = ((run[whole] * _SPREAD) >> _OFFSET).astype(np.int32)
            ones = np.ones(len(hashes), dtype=np.float32)
            total = total + sparse.csr_matrix((ones, (rows[:starts][whole], hashes)), shape=total.shape)
    return total


class LatentTopics(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Sparse tf-idf -> (rows, topics) float32: latent semantic analysis (Deerwester et al., 1990)."""

    def __init__(self, topics: int = 50, seed: int = 0) -> None:
        """Keep the `topics` directions that tell most; where there are no more columns than that, the columns."""
        self.topics, self.seed = topics, seed

    def fit(self, x: sparse.csr_matrix, y: Any = None) -> LatentTopics:
        """Learn the directions."""
        self.directions_ = None
        if x.shape[1] > self.topics:
            self.directions_ = TruncatedSVD(self.topics, n_iter=3, random_state=self.seed).fit(x)
        return self

    def transform(self, x: sparse.csr_matrix) -> np.ndarray:
        """Return the texts in these directions."""
        matrix = x.toarray() if self.directions_ is None else self.directions_.transform(x)
        return np.asarray(matrix, dtype=np.float32)
