"""Texts -> how they look, whatever they say: how long they are, and what they are made of."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from workbench.features.tokenizer import texts

_MOST = 20_000
# Digits, capitals and exclamation marks tell spam; marks and lines tell a form of writing.
_KINDS = [re.compile(kind) for kind in (r"\d", r"[A-ZÀ-ÖØ-ÞΑ-ΩА-Я]", r"[^\w\s]", r"\s", r"\n", r"[^\x00-\x7f]")]
_RUNS = [re.compile(run) for run in (r"\S+", r"\d{4,}", r"https?://|www\.", r"[!?]{2,}|!")]


class TextStatistics(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A column of texts -> (rows, looks) float32: shares of kinds of characters, and logarithms of counts."""

    def fit(self, x: Any, y: Any = None) -> TextStatistics:
        """Learn nothing."""
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the looks; of long texts those of the beginning."""
        return np.array([_looks(text) for text in texts(x)], dtype=np.float32)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that there is nothing to fit."""
        return True


def _looks(text: str) -> list[float]:
    beginning = text[:_MOST]
    length = max(len(beginning), 1)
    shares = [len(kind.findall(beginning)) / length for kind in _KINDS]
    runs = [len(run.findall(beginning)) for run in _RUNS]
    return [np.log1p(len(text)), *shares, *np.log1p(runs), length / max(runs[0], 1)]
