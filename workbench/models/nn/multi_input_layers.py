"""The entrance of nets with a branch for each kind of column: numbers, categories, texts and images.

Columns that the study file lists together under `training.shared` go through the same layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from workbench import features
from workbench.models.image import cnn
from workbench.models.nn import image_input, sequence_input, text_input, training
from workbench.models.nn.conv_layers import ConvLayers
from workbench.models.protocol import FitContext, Problem, Rows


class MultiInputLayers(NamedTuple):
    """What a net with branches begins with."""

    inputs: list[Any]
    """The net's inputs, in the order of the view's."""
    ends: list[Any]
    """(rows, values) of each branch."""
    wide: Any | None
    """The input of a wide part, where there is one."""


class MultiInputData(NamedTuple):
    """What the branches are fitted to."""

    view: features.MultiInputEncoder
    train: Rows
    """The fold's training rows."""
    inputs: list[Any]
    """The training rows in the view, as the net is fed with them."""
    setting: FitContext


def fit_inputs(
    hp: Any, problem: Problem, train: Rows, setting: FitContext, *, crosses: int | None = None
) -> MultiInputData:
    """Return the view that such a net is fed with, fitted on the training rows.

    Args:
        hp: the search space.
        problem: what is to be learned.
        train: the rows to learn from.
        setting: how to train.
        crosses: how many pairs of columns a wide part joins; None where there is to be none.
    """
    wordy = "text" in problem.columns.values()
    view = features.fit_multi_input(
        problem.columns,
        train.x,
        train.y,
        numbers=hp.Choice("numbers", ["quantile", "standard"]),
        seed=setting.seed,
        longest=hp.Int("words", 16, 256, step=2, sampling="log", default=64) if wordy else 0,
        shared=setting.training.shared,
        crosses=crosses,
    )
    return MultiInputData(view, train, training.inputs(view, train.x), setting)


def multi_input_layers(hp: Any, known: MultiInputData) -> MultiInputLayers:
    """Return the first layers, up to the end of every branch."""
    view = known.view
    inputs = [keras.Input(part.shape[1:], dtype=np.dtype(part.dtype).name) for part in known.inputs]
    rest = iter(inputs)
    ends = [] if view.dense is None else [_numbers(hp, next(rest))]
    if view.levels:
        ends += _categories(hp, view, next(rest))
    ends += _branches(view, list(view.texts), rest, partial(_reader, hp, known))
    ends += _branches(view, list(view.images), rest, partial(_viewer, hp, known))
    return MultiInputLayers(inputs, ends, next(rest, None))


def _branches(
    view: features.MultiInputEncoder, names: Sequence[str], inputs: Any, made: Callable[[str], Any]
) -> list[Any]:
    """Return the ends of the branches of some columns; `made` gives the layers that one goes through, with others."""
    layers: dict[str, Any] = {}
    ends = []
    for name in names:
        key = view.key(name)
        if key not in layers:
            layers[key] = made(name)
        ends.append(layers[key](next(inputs)))
    return ends


def _numbers(hp: Any, hidden: Any) -> Any:
    """Return numbers, booleans and dates after some dense layers."""
    units = hp.Int("number_units", 16, 256, step=2, sampling="log", default=64)
    for _ in range(hp.Int("number_layers", 0, 2, default=1)):
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    return hidden


def _categories(hp: Any, view: features.MultiInputEncoder, codes: Any) -> list[Any]:
    """Return categories as vectors, of fewer numbers where there are few levels."""
    most = hp.Int("embedding", 4, 32, step=2, sampling="log", default=16)
    layers: dict[str, Any] = {}
    ends = []
    for place, (name, levels) in enumerate(view.levels.items()):
        # One more for the unknown's 0.
        count, key = len(levels) + 1, view.key(name)
        if key not in layers:
            layers[key] = keras.layers.Embedding(count, min(most, count // 2 + 1))
        ends.append(layers[key](codes[:, place]))
    return ends


def _reader(hp: Any, known: MultiInputData, name: str) -> Any:
    """Return layers that read a text: words as vectors, averaged, or read by convolutions or a memory first."""
    tokens = known.view.texts[name]
    start = keras.Input((None,), dtype="int32")
    vectors, tuned = text_input.pretrained_vectors(tokens, known.setting), known.setting.training.word_vectors.tuned
    if vectors is None:
        width = hp.Int("word_embedding", 8, 128, step=2, sampling="log", default=32)
        words = keras.layers.Embedding(tokens.levels, width)(start)
    else:
        words = text_input.embed_pretrained(hp, start, vectors, tuned, rows=len(known.train.y))
    words = keras.layers.SpatialDropout1D(hp.Float("text_dropout", 0.0, 0.5, step=0.1, default=0.2))(words)
    mask = keras.ops.not_equal(start, features.PADDING)
    words = text_input.mask_padding(words, mask)
    how = hp.Choice("text_reader", ["average", "convolutions", "memory"])
    with hp.conditional_scope("text_reader", ["convolutions", "memory"]):
        units = hp.Int("text_units", 16, 128, step=2, sampling="log", default=32)
    if how == "memory":
        return keras.Model(start, keras.layers.Bidirectional(keras.layers.GRU(units))(words, mask=mask))
    if how == "convolutions":
        words = keras.layers.Conv1D(units, 5, padding="same", activation="relu")(words)
    return keras.Model(start, sequence_input.pool_steps(words, mask, "both"))


def _viewer(hp: Any, known: MultiInputData, name: str) -> Any:
    """Return layers that look at an image: a small stack of convolutions."""
    alike = [other for other in known.view.images if known.view.key(other) == known.view.key(name)]
    x = features.as_table(known.train.x)
    shown: Any = pd.concat([x[other] for other in alike], ignore_index=True)
    pixels = image_input.measure_pixels(shown.array.seen)
    start, hidden = image_input.image_input(hp, pixels)
    dropout = hp.Float("image_dropout", 0.0, 0.5, step=0.1, default=0.1)
    made = ConvLayers("relu", "he_normal", l1=0.0, l2=0.0, normalise=True, dropout=dropout)
    hidden = cnn.conv_blocks(
        made,
        hidden,
        blocks=hp.Int("image_blocks", 1, 5, default=min(4, pixels.halvings + 1)),
        convolutions=hp.Int("image_convolutions", 1, 2, default=1),
        filters=hp.Int("image_filters", 8, 64, step=2, sampling="log", default=16),
        stride=hp.Choice("image_stride", [1, 2], default=1 if min(pixels.shape[:2]) < 32 else 2),
    )
    if hp.Choice("image_top", ["average", "flatten"]) == "average":
        return keras.Model(start, keras.layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(start, made.dense(keras.layers.Flatten()(hidden), 64))
