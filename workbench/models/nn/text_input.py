"""The entrance of nets that read texts: a table's texts as embedded words, and the other columns beside them."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from workbench import features
from workbench.models.nn import word_vectors
from workbench.models.protocol import FitContext, Problem, Rows

# From so many texts on it pays to change vectors that were learnt from others.
_FEW = 5000


class TextInput(NamedTuple):
    """What a net that reads begins with."""

    inputs: list[Any]
    """The net's inputs, in the order of the view's matrices."""
    steps: Any
    """(rows, steps, values): what is read step by step, 0 where a row is filled up."""
    mask: Any
    """(rows, steps) of True where there is something to read, at least at each row's first step."""
    beside: Any | None
    """(rows, values): the other columns on one scale, to be joined after the steps are read; None without any."""


def fit_text_input(
    hp: Any, problem: Problem, train: Rows, setting: FitContext
) -> tuple[features.TextVectorizer, list[np.ndarray]]:
    """Return the view that a net which reads is fed with, fitted on the training rows, and these rows in it."""
    longest = hp.Int("words", 64, 512, step=2, sampling="log", default=256)
    options: Any = {"numbers": "quantile", "classes": problem.classes, "seed": setting.seed, "longest": longest}
    options |= {"labelled": not problem.targets}
    return features.fit_text_vectorizer(problem.columns, pd.DataFrame(train.x), train.y, **options)


def pretrained_vectors(tokens: features.TextVectorizer, setting: FitContext) -> np.ndarray | None:
    """Return what the study file's vectors say of the fold's words, (levels, numbers) float32; None without any.

    Those of words that the file lacks are drawn so that they look like the others.
    """
    found = word_vectors.load_vectors(setting.training.word_vectors, tokens.vocabulary, setting.cache)
    if found is None:
        return None
    given = found.matrix[found.known]
    drawn = np.random.default_rng(setting.seed).normal(given.mean(), given.std(), (tokens.levels, given.shape[1]))
    filled: np.ndarray = drawn.astype(np.float32)
    filled[features.PADDING] = 0
    filled[-len(found.known) :][found.known] = given
    return filled


def text_input(
    hp: Any,
    tokens: features.TextVectorizer,
    matrices: list[np.ndarray],
    known: np.ndarray | None = None,
    tuned: bool | None = None,
) -> TextInput:
    """Return the first layers.

    Args:
        hp: the search space.
        tokens: the view.
        matrices: the training rows in it.
        known: what is known of the words from elsewhere, (levels, numbers).
        tuned: whether that may change; searched unless given.
    """
    inputs = [keras.Input((matrix.shape[1],), dtype=matrix.dtype.name) for matrix in matrices]
    if known is None:
        width = hp.Int("embedding", 16, 128, step=2, sampling="log", default=64)
        words = keras.layers.Embedding(tokens.levels, width)(inputs[0])
    else:
        words = embed_pretrained(hp, inputs[0], known, tuned, rows=len(matrices[0]))
    # Whole channels are dropped, for single values could be guessed from the steps before and after.
    words = keras.layers.SpatialDropout1D(hp.Float("embedding_dropout", 0.0, 0.5, step=0.1, default=0.2))(words)
    mask = keras.ops.not_equal(inputs[0], features.PADDING)
    return TextInput(inputs, mask_padding(words, mask), mask, inputs[1] if len(inputs) > 1 else None)


def embed_pretrained(hp: Any, numbers: Any, known: np.ndarray, tuned: bool | None, *, rows: int) -> Any:
    """Return words as what is known of them from elsewhere.

    Args:
        hp: the search space.
        numbers: of the words, (rows, steps).
        known: what is known of each, (levels, numbers).
        tuned: whether that may change; searched unless given.
        rows: how many texts there are to learn from.
    """
    # So few texts would only spoil what was learnt from many.
    tuned = hp.Boolean("tuned_vectors", default=rows >= _FEW) if tuned is None else tuned
    layer = keras.layers.Embedding(*known.shape, trainable=tuned)
    words = layer(numbers)
    # Not as an initialiser, which would be written into the net's description number by number.
    layer.set_weights([known])
    return words


def mask_padding(steps: Any, mask: Any) -> Any:
    """Return what is read with 0 where there is nothing to read, so that no convolution sees more."""
    return steps * keras.ops.cast(mask, steps.dtype)[:, :, None]
