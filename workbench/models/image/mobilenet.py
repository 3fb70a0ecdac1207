"""Inverted residuals with depthwise convolutions, for small budgets (Sandler et al., 2018)."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import heads, image_input, stem, training
from workbench.models.nn.conv_layers import ConvLayers
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a net of inverted residuals."""
    return image_input.fit(_build, hp, problem, train, valid, setting)


def _build(hp: Any, problem: Problem, known: image_input.PixelStatistics) -> Any:
    start, hidden, made, filters, stages = stem.search_stem(hp, known, filters=16, fewest=8)
    expansion = hp.Int("expansion", 2, 6, default=4)
    depth = hp.Int("blocks", 1, 4, default=2)
    for stage in range(stages):
        for block in range(depth):
            halves = stage and not block and min(hidden.shape[1:3]) >= 2
            hidden = _inverted(made, hidden, min(256, filters * 2**stage), expansion, stride=2 if halves else 1)
    # The blocks give few channels; what is averaged and decided on are many.
    hidden = made.activated(made.normalised(made.convolved(hidden, expansion * hidden.shape[-1], kernel=1)))
    hidden = made.dropped(keras.layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(start, heads.output_layer(hidden, problem))


def _inverted(made: ConvLayers, given: Any, filters: int, expansion: int, *, stride: int) -> Any:
    """Return a block: many channels are made, convolved one by one, and made few again without an activation."""
    hidden = made.activated(made.normalised(made.convolved(given, expansion * given.shape[-1], kernel=1)))
    hidden = made.activated(made.normalised(made.depthwise(hidden, stride=stride)))
    hidden = made.normalised(made.convolved(hidden, filters, kernel=1))
    return keras.layers.Add()([given, hidden]) if stride == 1 and given.shape[-1] == filters else hidden
