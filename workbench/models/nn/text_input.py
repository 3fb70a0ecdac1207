"""The input layers of nets for texts: embedded tokens, and the table's other columns beside them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd

from workbench import features
from workbench.array import Array
from workbench.models.nn import sequence_stem, word_vectors
from workbench.models.nn.sequence_stem import SequenceStem
from workbench.models.protocol import FitContext, Problem, Rows

# From this many texts on, pretrained word vectors are trained further by default.
_TUNED_TEXTS = 5000


def search_text_vectorizer(
    hp: Any, problem: Problem, train: Rows, context: FitContext
) -> tuple[features.TextVectorizer, list[Array]]:
    """Return the preprocessor of a net for texts, fitted on the training rows, and these rows transformed."""
    max_length = hp.Int("words", 64, 512, step=2, sampling="log", default=256)
    options: Any = {"numbers": "quantile", "classes": problem.classes, "seed": context.seed, "max_length": max_length}
    options |= {"target_encoding": not problem.targets}
    return features.fit_text_vectorizer(problem.columns, pd.DataFrame(train.x), train.y, **options)


def load_pretrained_vectors(vectorizer: features.TextVectorizer, context: FitContext) -> Array | None:
    """Return the study file's vectors of the fold's tokens, (tokens, values) float32; None if it names no file.

    Tokens that the file lacks get random vectors with the mean and standard deviation of the others.
    """
    found = word_vectors.load_vectors(context.training.word_vectors, vectorizer.vocabulary, context.cache)
    if found is None:
        return None
    known = found.matrix[found.known]
    shape = vectorizer.vocabulary_size, known.shape[1]
    random = np.random.default_rng(context.seed).normal(known.mean(), known.std(), shape)
    vectors: Array = random.astype(np.float32)
    vectors[features.PADDING] = 0
    vectors[-len(found.known) :][found.known] = known
    return vectors


def build_text_input(
    hp: Any,
    vectorizer: features.TextVectorizer,
    matrices: list[Array],
    vectors: Array | None = None,
    tuned: bool | None = None,
) -> SequenceStem:
    """Build the first layers.

    Args:
        hp: the search space.
        vectorizer: the fitted preprocessor.
        matrices: the transformed training rows.
        vectors: pretrained vectors of the tokens, (tokens, values).
        tuned: whether these are trained further; None: searched.
    """
    inputs = [keras.Input((matrix.shape[1],), dtype=matrix.dtype.name) for matrix in matrices]
    if vectors is None:
        width = hp.Int("embedding", 16, 128, step=2, sampling="log", default=64)
        tokens = keras.layers.Embedding(vectorizer.vocabulary_size, width)(inputs[0])
    else:
        tokens = embed_pretrained(hp, inputs[0], vectors, tuned, rows=len(matrices[0]))
    # Dropout of whole channels: single values could be inferred from the neighbouring steps.
    tokens = keras.layers.SpatialDropout1D(hp.Float("embedding_dropout", 0.0, 0.5, step=0.1, default=0.2))(tokens)
    mask = keras.ops.not_equal(inputs[0], features.PADDING)
    other_columns = inputs[1] if len(inputs) > 1 else None
    return SequenceStem(inputs, sequence_stem.mask_padding(tokens, mask), mask, other_columns)


def embed_pretrained(hp: Any, codes: Any, vectors: Array, tuned: bool | None, *, rows: int) -> Any:
    """Embed tokens with pretrained vectors.

    Args:
        hp: the search space.
        codes: of the tokens, (rows, steps).
        vectors: of the tokens, (tokens, values).
        tuned: whether the vectors are trained further; None: searched.
        rows: the number of training texts.
    """
    # Training on few texts would spoil vectors that were trained on many.
    tuned = hp.Boolean("tuned_vectors", default=rows >= _TUNED_TEXTS) if tuned is None else tuned
    layer = keras.layers.Embedding(*vectors.shape, trainable=tuned)
    tokens = layer(codes)
    # As an initialiser, the vectors would be written into the net's config number by number.
    layer.set_weights([vectors])
    return tokens
