"""Residual nets: blocks that add to what they are given (He et al., 2015), also with the activation first (2016)."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import heads, image_input, stem, training
from workbench.models.nn.conv_layers import ConvLayers
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a residual net."""
    return image_input.fit(_build, hp, problem, train, valid, setting)


def _build(hp: Any, problem: Problem, known: image_input.PixelStatistics) -> Any:
    start, hidden, made, filters, stages = stem.search_stem(hp, known)
    depth = hp.Int("blocks", 1, 3, default=1)
    residual = {"post": _after, "pre": _before}[hp.Choice("order", ["post", "pre"])]
    for stage in range(stages):
        for block in range(depth):
            halves = stage and not block and min(hidden.shape[1:3]) >= 2
            hidden = residual(made, hidden, min(256, filters * 2**stage), 2 if halves else 1)
    if residual is _before:
        hidden = made.activated(made.normalised(hidden))
    hidden = made.dropped(keras.layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(start, heads.output_layer(hidden, problem))


def _after(made: ConvLayers, given: Any, filters: int, stride: int) -> Any:
    """Return the block of 2015: two convolutions, and the activation after the sum."""
    hidden = made.activated(made.normalised(made.convolved(given, filters, stride=stride)))
    hidden = made.normalised(made.convolved(hidden, filters))
    if stride > 1 or given.shape[-1] != filters:
        given = made.normalised(made.convolved(given, filters, kernel=1, stride=stride))
    return made.activated(keras.layers.Add()([given, hidden]))


def _before(made: ConvLayers, given: Any, filters: int, stride: int) -> Any:
    """Return the block of 2016: normalisation and activation before each convolution, nothing after the sum."""
    hidden = made.activated(made.normalised(given))
    if stride > 1 or given.shape[-1] != filters:
        given = made.convolved(hidden, filters, kernel=1, stride=stride)
    hidden = made.convolved(hidden, filters, stride=stride)
    hidden = made.convolved(made.dropped(made.activated(made.normalised(hidden))), filters)
    return keras.layers.Add()([given, hidden])
