"""How sequences and texts enter nets that go along them step by step, how they leave, and how such nets are trained."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from workbench import features
from workbench.models.nn import heads, optimizer, text_input, training
from workbench.models.nn.text_input import TextInput
from workbench.models.protocol import FitContext, Problem, Rows

# How many sequences, again and again, a net sees in all unless told otherwise.
_SEEN = 20_000
# Of those that are texts; a net has learnt them by heart before long.
_READ = 20_000
# How many steps may be taken as one.
_TOGETHER = [1, 2, 4, 8, 16, 32, 64]


def sequence_input(hp: Any, view: features.SequenceScaler) -> TextInput:
    """Return the first layers of a net for sequences."""
    start = keras.Input((view.steps, view.values), dtype="float32")
    padding = ops.isnan(start)
    mask = ops.logical_not(padding[:, :, 0])
    steps = ops.where(padding, ops.zeros_like(start), start)
    noise = hp.Float("noise", 0.0, 0.3, step=0.05, default=0.0)
    if noise:
        steps = text_input.mask_padding(keras.layers.GaussianNoise(noise)(steps), mask)
    return TextInput([start], steps, mask, None)


def fit(
    read: Callable[[Any, TextInput], Any],
    hp: Any,
    problem: Problem,
    train: Rows,
    valid: Rows | None,
    setting: FitContext,
) -> training.Network:
    """Train a net for sequences or texts.

    Args:
        read: gives of the space and the entrance what is known of a row when all of it is read, (rows, values).
        hp: the search space.
        problem: what is to be learned.
        train: the rows to learn from.
        valid: the fold's validation rows, if any.
        setting: how to train.
    """
    view: Any
    if problem.kind == "text":
        view, matrix = text_input.fit_text_input(hp, problem, train, setting)
        vectors, tuned = text_input.pretrained_vectors(view, setting), setting.training.word_vectors.tuned
        enter = partial(text_input.text_input, hp, view, matrix, vectors, tuned)
        seen, least, most = _READ, 5, 24
    else:
        view, matrix = features.fit_sequence_scaler(train.x), None
        enter = partial(sequence_input, hp, view)
        seen, least, most = _SEEN, 8, 48
    return training.fit(
        lambda: _net(hp, problem, read, enter()),
        hp,
        problem,
        train,
        valid,
        setting,
        view=view,
        matrix=matrix,
        choices=optimizer.search_any_optimizer(int(np.clip(round(seen / len(train.y)), least, most))),
    )


def pool_steps(steps: Any, mask: Any, how: str) -> Any:
    """Return one vector a row, (rows, values): the average or the maximum over its own steps, or both."""
    found = []
    if how in ("average", "both"):
        found.append(keras.layers.GlobalAveragePooling1D()(steps, mask=mask))
    if how in ("max", "both"):
        lowest = ops.full_like(steps, -1e4)
        found.append(ops.max(ops.where(mask[:, :, None], steps, lowest), axis=1))
    return found[0] if len(found) == 1 else keras.layers.Concatenate()(found)


def merge_steps(hp: Any, steps: Any, mask: Any, *, most: int) -> tuple[Any, Any]:
    """Return steps of which several are taken as one, their values side by side, and the mask.

    Args:
        hp: the search space.
        steps: (rows, steps, values).
        mask: (rows, steps).
        most: how many steps there may be unless told otherwise.
    """
    long, width = steps.shape[1:]
    fitting = next((count for count in _TOGETHER if long <= count * most), _TOGETHER[-1])
    count = min(long, hp.Choice("together", _TOGETHER, default=fitting))
    if count == 1:
        return steps, mask
    short = -(-long // count)
    lacking = (0, short * count - long)
    steps, mask = ops.pad(steps, ((0, 0), lacking, (0, 0))), ops.pad(mask, ((0, 0), lacking), constant_values=False)
    # Steps taken as one are there where the first of them is.
    return keras.layers.Reshape((short, count * width))(steps), mask[:, ::count]


def shorten_mask(mask: Any, by: int) -> Any:
    """Return the mask of steps of which every `by` were made one."""
    asked = ops.cast(mask, "float32")[:, :, None]
    return ops.max_pool(asked, by, strides=by, padding="same")[:, :, 0] > 0


def _net(hp: Any, problem: Problem, read: Callable[[Any, TextInput], Any], begun: TextInput) -> Any:
    hidden = read(hp, begun)
    if begun.beside is not None:
        aside = keras.layers.Dense(hp.Int("beside", 8, 128, step=2, sampling="log", default=32), "relu")(begun.beside)
        hidden = keras.layers.Concatenate()([hidden, aside])
    hidden = keras.layers.Dropout(hp.Float("top_dropout", 0.0, 0.6, step=0.1, default=0.3))(hidden)
    return keras.Model(begun.inputs, heads.output_layer(hidden, problem))
