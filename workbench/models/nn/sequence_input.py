"""Nets for sequences and texts: input layers, operations on steps and masks, and training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from workbench import features
from workbench.models.nn import heads, sequence_stem, text_input, training
from workbench.models.nn.keras_model import KerasModel
from workbench.models.nn.optimizer import OptimizerChoices
from workbench.models.nn.sequence_stem import MaskedSteps, SequenceStem
from workbench.models.nn.training import NetSpec
from workbench.models.protocol import FitContext, Problem, Rows

# By default a net sees this many rows in all epochs together.
_TOTAL_ROWS = 20_000
# The least and the most default epochs: a net soon memorises texts.
_SEQUENCE_EPOCHS = (8, 48)
_TEXT_EPOCHS = (5, 24)
# The numbers of steps that may be merged into one.
_MERGED_STEPS = [1, 2, 4, 8, 16, 32, 64]


def build_sequence_input(hp: Any, scaler: features.SequenceScaler) -> SequenceStem:
    """Build the first layers of a net for sequences."""
    start = keras.Input((scaler.steps, scaler.values), dtype="float32")
    padding = ops.isnan(start)
    mask = ops.logical_not(padding[:, :, 0])
    steps = ops.where(padding, ops.zeros_like(start), start)
    noise = hp.Float("noise", 0.0, 0.3, step=0.05, default=0.0)
    if noise:
        steps = sequence_stem.mask_padding(keras.layers.GaussianNoise(noise)(steps), mask)
    return SequenceStem([start], steps, mask, None)


def fit(
    summarize: Callable[[Any, SequenceStem], Any],
    hp: Any,
    problem: Problem,
    train: Rows,
    valid: Rows | None,
    context: FitContext,
) -> KerasModel:
    """Train a net for sequences or texts.

    Args:
        summarize: builds the layers from the stem to one vector a row, (rows, values), given the search space.
        hp: the search space.
        problem: the targets and the kind of the rows.
        train: the rows to learn from.
        valid: the fold's validation rows, if any.
        context: how to train.
    """
    preprocessor: Any
    if problem.kind == "text":
        preprocessor, train_inputs = text_input.search_text_vectorizer(hp, problem, train, context)
        vectors, tuned = text_input.load_pretrained_vectors(preprocessor, context), context.training.word_vectors.tuned
        build_stem = partial(text_input.build_text_input, hp, preprocessor, train_inputs, vectors, tuned)
        limits = _TEXT_EPOCHS
    else:
        preprocessor, train_inputs = features.fit_sequence_scaler(train.x), None
        build_stem = partial(build_sequence_input, hp, preprocessor)
        limits = _SEQUENCE_EPOCHS
    spec = NetSpec(
        lambda: _build_net(hp, problem, summarize, build_stem()),
        preprocessor=preprocessor,
        train_inputs=train_inputs,
        optimizers=OptimizerChoices(horizon=int(np.clip(round(_TOTAL_ROWS / len(train.y)), *limits))),
    )
    return training.fit(spec, hp, problem, train, valid, context)


def pool_steps(steps: Any, mask: Any, how: str) -> Any:
    """Pool the steps of a row that are not padding, (rows, values): their average, their maximum, or both."""
    pooled = []
    if how in ("average", "both"):
        pooled.append(keras.layers.GlobalAveragePooling1D()(steps, mask=mask))
    if how in ("max", "both"):
        lowest = ops.full_like(steps, -1e4)
        pooled.append(ops.max(ops.where(mask[:, :, None], steps, lowest), axis=1))
    return pooled[0] if len(pooled) == 1 else keras.layers.Concatenate()(pooled)


def merge_steps(hp: Any, steps: Any, mask: Any, *, max_steps: int) -> MaskedSteps:
    """Merge several successive steps into one, with their values side by side.

    Args:
        hp: the search space.
        steps: (rows, steps, values).
        mask: (rows, steps).
        max_steps: by default as many steps are merged as leave no more than this.
    """
    length, width = steps.shape[1:]
    fitting = next((count for count in _MERGED_STEPS if length <= count * max_steps), _MERGED_STEPS[-1])
    count = min(length, hp.Choice("together", _MERGED_STEPS, default=fitting))
    if count == 1:
        return MaskedSteps(steps, mask)
    merged_length = -(-length // count)
    missing = (0, merged_length * count - length)
    steps, mask = ops.pad(steps, ((0, 0), missing, (0, 0))), ops.pad(mask, ((0, 0), missing), constant_values=False)
    # A merged step is padding if the first of its steps is.
    return MaskedSteps(keras.layers.Reshape((merged_length, count * width))(steps), mask[:, ::count])


def pool_mask(mask: Any, size: int) -> Any:
    """Return the mask of steps after pooling with a window and stride of `size`."""
    values = ops.cast(mask, "float32")[:, :, None]
    return ops.max_pool(values, size, strides=size, padding="same")[:, :, 0] > 0


def _build_net(hp: Any, problem: Problem, summarize: Callable[[Any, SequenceStem], Any], stem: SequenceStem) -> Any:
    hidden = summarize(hp, stem)
    if stem.other_columns is not None:
        units = hp.Int("beside", 8, 128, step=2, sampling="log", default=32)
        columns = keras.layers.Dense(units, "relu")(stem.other_columns)
        hidden = keras.layers.Concatenate()([hidden, columns])
    hidden = keras.layers.Dropout(hp.Float("top_dropout", 0.0, 0.6, step=0.1, default=0.3))(hidden)
    return keras.Model(stem.inputs, heads.build_output_layer(hidden, problem))
