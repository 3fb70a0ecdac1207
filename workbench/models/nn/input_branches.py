"""The first layers of multi-input nets: one branch for each kind of column (numbers, categories, texts, images).

Columns that the study file groups under `training.shared` pass through the same layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from workbench import features
from workbench.models.nn import conv_layers, image_input, keras_model, sequence_input, sequence_stem, text_input
from workbench.models.nn.conv_layers import ConvLayers
from workbench.models.protocol import FitContext, Problem, Rows


class InputBranches(NamedTuple):
    """The first layers of a net with branches."""

    inputs: list[Any]
    """The net's inputs, in the order of the encoder's."""
    outputs: list[Any]
    """(rows, values) of each branch."""
    wide: Any | None
    """The input of a wide part; None if there is no such part."""


class BranchData(NamedTuple):
    """The data that the branches are built for."""

    encoder: features.MultiInputEncoder
    train: Rows
    """The fold's training rows."""
    train_inputs: list[Any]
    """The encoded training rows."""
    context: FitContext


def fit_encoder(
    hp: Any, problem: Problem, train: Rows, context: FitContext, *, crosses: int | None = None
) -> BranchData:
    """Fit the encoder of a multi-input net on the training rows, and encode them.

    Args:
        hp: the search space.
        problem: the columns.
        train: the rows to learn from.
        context: seed and shared columns.
        crosses: the number of column pairs that a wide part crosses; None: no wide part.
    """
    has_texts = "text" in problem.columns.values()
    encoder = features.fit_multi_input(
        problem.columns,
        train.x,
        train.y,
        numbers=hp.Choice("numbers", ["quantile", "standard"]),
        seed=context.seed,
        max_length=hp.Int("words", 16, 256, step=2, sampling="log", default=64) if has_texts else 0,
        shared=context.training.shared,
        crosses=crosses,
    )
    return BranchData(encoder, train, keras_model.transform_inputs(encoder, train.x), context)


def build_branches(hp: Any, data: BranchData) -> InputBranches:
    """Build the inputs and the branches."""
    encoder = data.encoder
    inputs = [keras.Input(part.shape[1:], dtype=np.dtype(part.dtype).name) for part in data.train_inputs]
    remaining = iter(inputs)
    outputs = [] if encoder.dense is None else [_build_number_branch(hp, next(remaining))]
    if encoder.levels:
        outputs += _embed_categories(hp, encoder, next(remaining))
    outputs += _apply_branches(encoder, list(encoder.texts), remaining, partial(_build_text_branch, hp, data))
    outputs += _apply_branches(encoder, list(encoder.images), remaining, partial(_build_image_branch, hp, data))
    return InputBranches(inputs, outputs, next(remaining, None))


def _apply_branches(
    encoder: features.MultiInputEncoder, names: Sequence[str], inputs: Iterator[Any], build: Callable[[str], Any]
) -> list[Any]:
    """Return the branch outputs of some columns; `build` returns a branch, which columns that share layers reuse."""
    branches: dict[str, Any] = {}
    outputs = []
    for name in names:
        key = encoder.find_layer_key(name)
        if key not in branches:
            branches[key] = build(name)
        outputs.append(branches[key](next(inputs)))
    return outputs


def _build_number_branch(hp: Any, hidden: Any) -> Any:
    """Apply dense layers to numbers, booleans and dates."""
    units = hp.Int("number_units", 16, 256, step=2, sampling="log", default=64)
    for _ in range(hp.Int("number_layers", 0, 2, default=1)):
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    return hidden


def _embed_categories(hp: Any, encoder: features.MultiInputEncoder, codes: Any) -> list[Any]:
    """Embed each categorical column; a column with few levels gets a narrower embedding."""
    max_width = hp.Int("embedding", 4, 32, step=2, sampling="log", default=16)
    layers: dict[str, Any] = {}
    outputs = []
    for column, (name, levels) in enumerate(encoder.levels.items()):
        # Code 0 is an unknown level.
        count, key = len(levels) + 1, encoder.find_layer_key(name)
        if key not in layers:
            layers[key] = keras.layers.Embedding(count, min(max_width, count // 2 + 1))
        outputs.append(layers[key](codes[:, column]))
    return outputs


def _build_text_branch(hp: Any, data: BranchData, name: str) -> Any:
    """Return a net for a text column: token embeddings, pooled, or passed through a convolution or a GRU."""
    vectorizer = data.encoder.texts[name]
    start = keras.Input((None,), dtype="int32")
    vectors = text_input.load_pretrained_vectors(vectorizer, data.context)
    if vectors is None:
        width = hp.Int("word_embedding", 8, 128, step=2, sampling="log", default=32)
        tokens = keras.layers.Embedding(vectorizer.vocabulary_size, width)(start)
    else:
        tuned = data.context.training.word_vectors.tuned
        tokens = text_input.embed_pretrained(hp, start, vectors, tuned, rows=len(data.train.y))
    tokens = keras.layers.SpatialDropout1D(hp.Float("text_dropout", 0.0, 0.5, step=0.1, default=0.2))(tokens)
    mask = keras.ops.not_equal(start, features.PADDING)
    tokens = sequence_stem.mask_padding(tokens, mask)
    reader = hp.Choice("text_reader", ["average", "convolutions", "memory"])
    with hp.conditional_scope("text_reader", ["convolutions", "memory"]):
        units = hp.Int("text_units", 16, 128, step=2, sampling="log", default=32)
    if reader == "memory":
        return keras.Model(start, keras.layers.Bidirectional(keras.layers.GRU(units))(tokens, mask=mask))
    if reader == "convolutions":
        tokens = keras.layers.Conv1D(units, 5, padding="same", activation="relu")(tokens)
    return keras.Model(start, sequence_input.pool_steps(tokens, mask, "both"))


def _build_image_branch(hp: Any, data: BranchData, name: str) -> Any:
    """Return a small convolutional net for an image column."""
    encoder = data.encoder
    sharing = [other for other in encoder.images if encoder.find_layer_key(other) == encoder.find_layer_key(name)]
    table = features.as_table(data.train.x)
    images: Any = pd.concat([table[other] for other in sharing], ignore_index=True)
    statistics = image_input.measure_images(images.array.seen)
    start, hidden = image_input.build_image_input(hp, statistics)
    dropout = hp.Float("image_dropout", 0.0, 0.5, step=0.1, default=0.1)
    layers = ConvLayers("relu", "he_normal", l1=0.0, l2=0.0, batch_norm=True, dropout=dropout)
    hidden = conv_layers.build_conv_blocks(
        layers,
        hidden,
        blocks=hp.Int("image_blocks", 1, 5, default=min(4, statistics.halvings + 1)),
        convolutions=hp.Int("image_convolutions", 1, 2, default=1),
        filters=hp.Int("image_filters", 8, 64, step=2, sampling="log", default=16),
        stride=hp.Choice("image_stride", [1, 2], default=1 if min(statistics.shape[:2]) < 32 else 2),
    )
    if hp.Choice("image_top", ["average", "flatten"]) == "average":
        return keras.Model(start, keras.layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(start, layers.apply_dense(keras.layers.Flatten()(hidden), 64))
