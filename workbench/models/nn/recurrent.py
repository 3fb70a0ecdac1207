"""Recurrent layers that LSTM and GRU nets share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from workbench.models.nn import sequence_input
from workbench.models.nn.sequence_stem import SequenceStem

# Recurrent steps run one after the other, so that by default the steps of longer sequences are merged.
_MAX_STEPS = 48


def build_recurrent_layers(cell: Callable[..., Any], hp: Any, stem: SequenceStem) -> Any:
    """Summarise a stem by recurrent layers, (rows, values); several steps may be merged into one before."""
    steps, mask = sequence_input.merge_steps(hp, stem.steps, stem.mask, max_steps=_MAX_STEPS)
    return summarize_steps(cell, hp, steps, mask)


def summarize_steps(cell: Callable[..., Any], hp: Any, steps: Any, mask: Any) -> Any:
    """Summarise steps by recurrent layers: their last output or their pooled outputs, (rows, values)."""
    units = hp.Int("units", 16, 256, step=2, sampling="log", default=64)
    bidirectional = hp.Boolean("bidirectional", default=True)
    dropout = hp.Float("recurrent_input_dropout", 0.0, 0.5, step=0.1, default=0.2)
    # Off by default: it costs a random draw for every step.
    recurrent_dropout = hp.Float("recurrent_dropout", 0.0, 0.4, step=0.1, default=0.0)
    pooling = hp.Choice("pooling", ["both", "average", "max", "last"])
    layers = hp.Int("layers", 1, 3, default=1)
    for index in range(layers):
        all_steps = index < layers - 1 or pooling != "last"
        layer = cell(units, return_sequences=all_steps, recurrent_dropout=recurrent_dropout)
        wrapped = keras.layers.Bidirectional(layer) if bidirectional else layer
        steps = wrapped(keras.layers.SpatialDropout1D(dropout)(steps), mask=mask)
    return steps if pooling == "last" else sequence_input.pool_steps(steps, mask, pooling)
