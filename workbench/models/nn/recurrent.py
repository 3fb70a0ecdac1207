"""Layers that go along the steps with a memory: what LSTM and GRU nets share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from workbench.models.nn import sequence_input
from workbench.models.nn.text_input import TextInput

# Each step takes its time, one after the other: more than about these are read several at a time unless told otherwise.
_STEPS = 48


def recurrent_layers(cell: Callable[..., Any], hp: Any, begun: TextInput) -> Any:
    """Return what a recurrent net knows of a row, (rows, values); several steps may be taken as one."""
    steps, mask = sequence_input.merge_steps(hp, begun.steps, begun.mask, most=_STEPS)
    return summarize_steps(cell, hp, steps, mask)


def summarize_steps(cell: Callable[..., Any], hp: Any, steps: Any, mask: Any) -> Any:
    """Return what recurrent layers know of the steps at the end, or over all of them, (rows, values)."""
    units = hp.Int("units", 16, 256, step=2, sampling="log", default=64)
    both = hp.Boolean("bidirectional", default=True)
    dropout = hp.Float("recurrent_input_dropout", 0.0, 0.5, step=0.1, default=0.2)
    # It costs a draw a step.
    recurrent = hp.Float("recurrent_dropout", 0.0, 0.4, step=0.1, default=0.0)
    how = hp.Choice("pooling", ["both", "average", "max", "last"])
    layers = hp.Int("layers", 1, 3, default=1)
    for layer in range(layers):
        whole = layer < layers - 1 or how != "last"
        made = cell(units, return_sequences=whole, recurrent_dropout=recurrent)
        steps = (keras.layers.Bidirectional(made) if both else made)(
            keras.layers.SpatialDropout1D(dropout)(steps), mask=mask
        )
    return steps if how == "last" else sequence_input.pool_steps(steps, mask, how)
