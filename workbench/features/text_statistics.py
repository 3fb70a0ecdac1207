"""Texts -> statistics of their form: lengths, and shares of kinds of characters."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from workbench.features.tokenizer import texts

# Characters that are read of a text.
_MAX_CHARACTERS = 20_000
# Digits, capitals and exclamation marks indicate spam; punctuation and line breaks indicate a style.
_CHARACTERS = [re.compile(kind) for kind in (r"\d", r"[A-ZÀ-ÖØ-ÞΑ-ΩА-Я]", r"[^\w\s]", r"\s", r"\n", r"[^\x00-\x7f]")]
_RUNS = [re.compile(run) for run in (r"\S+", r"\d{4,}", r"https?://|www\.", r"[!?]{2,}|!")]


class TextStatistics(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A column of texts -> (rows, statistics) float32: shares of kinds of characters, and logarithms of counts."""

    def fit(self, x: Any, y: Any = None) -> TextStatistics:
        """Return the transformer; there is nothing to fit."""
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the statistics; of long texts only the beginning is read."""
        return np.array([_measure(text) for text in texts(x)], dtype=np.float32)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that there is nothing to fit."""
        return True


def _measure(text: str) -> list[float]:
    beginning = text[:_MAX_CHARACTERS]
    length = max(len(beginning), 1)
    shares = [len(kind.findall(beginning)) / length for kind in _CHARACTERS]
    counts = [len(run.findall(beginning)) for run in _RUNS]
    # The last statistic is the mean length of a word.
    return [np.log1p(len(text)), *shares, *np.log1p(counts), length / max(counts[0], 1)]
