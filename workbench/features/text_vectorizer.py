"""Texts -> sequences of word indices for nets with an embedding; the vocabulary is that of the fold's training rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.config import ColumnKind
from workbench.features import persistence
from workbench.features.preprocessors import NumberScaling, dense_preprocessor
from workbench.features.tokenizer import split_words, texts

PADDING, UNKNOWN, START = 0, 1, 2
"""Reserved indices: padding (to be masked), a word that is not in the vocabulary, and the start of a column's text."""
_RESERVED = 3
_MAX_VOCABULARY = 20_000
# Characters that are read of a text for each word that it may have.
_CHARACTERS_PER_WORD = 20
# This share of the texts is read whole, if `max_length` permits.
_WHOLE_TEXTS = 0.95
_FILE, _REMAINDER_FILE = "tokens.json", "beside.skops"


@dataclass(frozen=True)
class TextVectorizer:
    """A fitted preprocessor of a table with texts."""

    lengths: Mapping[str, int]
    """The columns of text, and the number of words that are read of each."""
    vocabulary: tuple[str, ...]
    """The words, most frequent first; the index of the first is 3."""
    remainder: Any | None
    """The fitted preprocessor of the other columns -> (rows, values) float32; None without other columns."""

    @property
    def vocabulary_size(self) -> int:
        """The number of indices, the reserved ones included."""
        return len(self.vocabulary) + _RESERVED

    @property
    def steps(self) -> int:
        """The length of a row: the words of each column, and the index of its start."""
        return sum(length + 1 for length in self.lengths.values())

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.vocabulary, _RESERVED)}

    def transform(self, x: pd.DataFrame) -> list[np.ndarray]:
        """Return word indices, (rows, steps) int32, padded at the end; and the other columns, if there are any."""
        indices = np.full((len(x), self.steps), PADDING, dtype=np.int32)
        columns = [texts(x[name]) for name in self.lengths]
        for row, parts in enumerate(zip(*columns, strict=True)):
            row_indices = [
                index
                for text, length in zip(parts, self.lengths.values(), strict=True)
                for index in self._encode(text, length)
            ]
            indices[row, : len(row_indices)] = row_indices
        return [indices] if self.remainder is None else [indices, np.asarray(self.remainder.transform(x))]

    def _encode(self, text: str, length: int) -> list[int]:
        words = split_words(text, length * _CHARACTERS_PER_WORD)[:length]
        return [START, *(self._indices.get(word, UNKNOWN) for word in words)]

    def save(self, folder: Path) -> None:
        """Write `tokens.json`, and `beside.skops` if there are other columns."""
        fields = {"lengths": dict(self.lengths), "vocabulary": self.vocabulary}
        (folder / _FILE).write_text(json.dumps(fields), encoding="utf-8")
        if self.remainder is not None:
            persistence.save(self.remainder, folder / _REMAINDER_FILE)

    @classmethod
    def load(cls, folder: Path) -> TextVectorizer:
        """Return the vectorizer that `save` wrote to a folder."""
        fields = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        file = folder / _REMAINDER_FILE
        remainder = persistence.load(file) if file.exists() else None
        return cls(fields["lengths"], tuple(fields["vocabulary"]), remainder)


def fit_text_vectorizer(
    columns: Mapping[str, ColumnKind],
    x: pd.DataFrame,
    y: np.ndarray,
    *,
    numbers: NumberScaling,
    classes: int,
    seed: int,
    max_length: int = 256,
    target_encoding: bool = True,
) -> tuple[TextVectorizer, list[np.ndarray]]:
    """Fit the preprocessor, and return it with the transformed training rows.

    Args:
        columns: the kind of each column; some are text.
        x: the fold's training rows.
        y: their targets, for target encoding.
        numbers: how the numbers among the other columns are scaled.
        classes: the number of classes, 0 for regression.
        seed: of the folds of target encoding.
        max_length: the largest number of steps of a row; up to there, 95 % of the texts are read whole.
        target_encoding: whether categories with many levels are encoded by means of the target.
    """
    names = [name for name, kind in columns.items() if kind == "text"]
    rest = {name: kind for name, kind in columns.items() if kind != "text"}
    words = {name: [split_words(text, max_length * _CHARACTERS_PER_WORD) for text in texts(x[name])] for name in names}
    remainder = None
    if rest:
        remainder = dense_preprocessor(
            rest, x, numbers=numbers, classes=classes, seed=seed, target_encoding=target_encoding
        )
    # fit_transform, not fit: the target means of a training row must be those of other rows.
    matrix = [] if remainder is None else [np.asarray(remainder.fit_transform(x, y))]
    vectorizer = TextVectorizer(_share_length(words, max_length), _select_vocabulary(words), None)
    return replace(vectorizer, remainder=remainder), [*vectorizer.transform(x), *matrix]


def _select_vocabulary(words: Mapping[str, list[list[str]]]) -> tuple[str, ...]:
    """Return the most frequent words of all columns, without those of a single row unless all are."""
    rows = Counter(word for column in words.values() for text in column for word in set(text))
    min_rows = 2 if max(rows.values(), default=0) > 1 else 1
    # Ties are sorted by word, so that the order of the rows does not matter.
    ranked = sorted((-count, word) for word, count in rows.items() if count >= min_rows)
    return tuple(word for _, word in ranked[:_MAX_VOCABULARY])


def _share_length(words: Mapping[str, list[list[str]]], max_length: int) -> dict[str, int]:
    """Return the number of words to read of each column; beyond `max_length` all are cut by the same factor."""
    wanted = {
        name: max(1, int(np.quantile([len(text) for text in column], _WHOLE_TEXTS))) for name, column in words.items()
    }
    share = min(1.0, (max_length - len(wanted)) / sum(wanted.values()))
    return {name: max(1, int(length * share)) for name, length in wanted.items()}
