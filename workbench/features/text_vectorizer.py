"""Texts -> rows of word numbers for nets with an embedding; the vocabulary is that of the fold's training rows."""

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
from workbench.features.preprocessors import Scaling, dense_preprocessor
from workbench.features.tokenizer import split_words, texts

PADDING, UNKNOWN, START = 0, 1, 2
"""What a row is filled up with (to be masked), what was not in training, and what each column's text begins with."""
_RESERVED = 3
# A word is read from the first so many characters of a text for each step that the net takes.
_CHARACTERS_A_STEP = 20


@dataclass(frozen=True)
class TextVectorizer:
    """A fitted view of a table with texts."""

    lengths: Mapping[str, int]
    """The columns of text, and how many words of each are read."""
    vocabulary: tuple[str, ...]
    """The words, most frequent first; the first one's number is 3."""
    beside: Any | None
    """Numbers, categories and dates -> (rows, values) float32; None where there are none."""

    @property
    def levels(self) -> int:
        """How many numbers there are, the reserved ones included."""
        return len(self.vocabulary) + _RESERVED

    @property
    def steps(self) -> int:
        """How long a row is: the words of each column, and what marks its start."""
        return sum(length + 1 for length in self.lengths.values())

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.vocabulary, _RESERVED)}

    def transform(self, x: pd.DataFrame) -> list[np.ndarray]:
        """Return word numbers, (rows, steps) int32, filled up at the end; and what stands beside, where it does."""
        codes = np.full((len(x), self.steps), PADDING, dtype=np.int32)
        columns = [texts(x[name]) for name in self.lengths]
        for row, parts in enumerate(zip(*columns, strict=True)):
            numbers = [number for part, length in zip(parts, self.lengths.values(), strict=True)
                       for number in self._read(part, length)]  # fmt: skip
            codes[row, : len(numbers)] = numbers
        return [codes] if self.beside is None else [codes, np.asarray(self.beside.transform(x))]

    def _read(self, text: str, length: int) -> list[int]:
        found = split_words(text, length * _CHARACTERS_A_STEP)[:length]
        return [START, *(self._numbers.get(word, UNKNOWN) for word in found)]

    def save(self, folder: Path) -> None:
        """Write `tokens.json`, and `beside.skops` where something stands beside."""
        facts = {"lengths": dict(self.lengths), "vocabulary": self.vocabulary}
        (folder / "tokens.json").write_text(json.dumps(facts), encoding="utf-8")
        if self.beside is not None:
            persistence.save(self.beside, folder / "beside.skops")

    @classmethod
    def load(cls, folder: Path) -> TextVectorizer:
        """Read what `save` wrote."""
        facts = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
        file = folder / "beside.skops"
        beside = persistence.load(file) if file.exists() else None
        return cls(facts["lengths"], tuple(facts["vocabulary"]), beside)


def fit_text_vectorizer(
    columns: Mapping[str, ColumnKind],
    x: pd.DataFrame,
    y: np.ndarray,
    *,
    numbers: Scaling,
    classes: int,
    seed: int,
    most: int = 20_000,
    longest: int = 256,
    labelled: bool = True,
) -> tuple[TextVectorizer, list[np.ndarray]]:
    """Return the fitted view of a net that reads, and the training rows in it.

    Args:
        columns: the kind of each column; some are text.
        x: the fold's training rows.
        y: their targets, which long categories are told by.
        numbers: how the numbers beside are scaled.
        classes: the number of classes, 0 for regression.
        seed: of the folds inside target encoding.
        most: how many words the vocabulary may hold; words of one row alone are not in it, unless all are.
        longest: how many steps a row may have; 19 of 20 texts are read whole where that is enough for them.
        labelled: whether long categories are told by the target.
    """
    names = [name for name, kind in columns.items() if kind == "text"]
    rest = {name: kind for name, kind in columns.items() if kind != "text"}
    read = {name: [split_words(text, longest * _CHARACTERS_A_STEP) for text in texts(x[name])] for name in names}
    rows = Counter(word for column in read.values() for found in column for word in set(found))
    least = 2 if max(rows.values(), default=0) > 1 else 1
    # Sorted by word among equals, so that the order of the rows does not matter.
    ranked = sorted((-count, word) for word, count in rows.items() if count >= least)[:most]
    beside = (
        dense_preprocessor(rest, x, numbers=numbers, classes=classes, seed=seed, labelled=labelled) if rest else None
    )
    # Before the view holds it: a training row's means must be those of other rows, which only fit_transform gives.
    matrix = [] if beside is None else [np.asarray(beside.fit_transform(x, y))]
    reader = TextVectorizer(_lengths(read, longest), tuple(word for _, word in ranked), None)
    return replace(reader, beside=beside), [*reader.transform(x), *matrix]


def _lengths(read: Mapping[str, list[list[str]]], longest: int) -> dict[str, int]:
    """Return how many words of each column are read; where all together are too many, each gives its share."""
    wanted = {name: max(1, int(np.quantile([len(found) for found in column], 0.95))) for name, column in read.items()}
    share = min(1.0, (longest - len(wanted)) / sum(wanted.values()))
    return {name: max(1, int(length * share)) for name, length in wanted.items()}
