"""Residual nets (He et al., 2015), also with pre-activation (He et al., 2016)."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import heads, image_input, image_stem
from workbench.models.nn.conv_layers import ConvLayers
from workbench.models.nn.image_input import ImageStatistics
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a residual net."""
    return image_input.fit(_build, hp, problem, train, valid, context)


def _build(hp: Any, problem: Problem, statistics: ImageStatistics) -> Any:
    start, hidden, layers, filters, stages = image_stem.build_image_stem(hp, statistics)
    blocks = hp.Int("blocks", 1, 3, default=1)
    apply_block = {"post": _apply_postactivation, "pre": _apply_preactivation}[hp.Choice("order", ["post", "pre"])]
    for stage in range(stages):
        for block in range(blocks):
            halves = stage and not block and min(hidden.shape[1:3]) >= 2
            hidden = apply_block(layers, hidden, min(256, filters * 2**stage), 2 if halves else 1)
    if apply_block is _apply_preactivation:
        hidden = layers.activate(layers.normalize(hidden))
    hidden = layers.apply_dropout(keras.layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(start, heads.build_output_layer(hidden, problem))


def _apply_postactivation(layers: ConvLayers, shortcut: Any, filters: int, stride: int) -> Any:
    """Apply the block of 2015: two convolutions, and the activation after the sum."""
    hidden = layers.activate(layers.normalize(layers.convolve(shortcut, filters, stride=stride)))
    hidden = layers.normalize(layers.convolve(hidden, filters))
    if stride > 1 or shortcut.shape[-1] != filters:
        shortcut = layers.normalize(layers.convolve(shortcut, filters, kernel=1, stride=stride))
    return layers.activate(keras.layers.Add()([shortcut, hidden]))


def _apply_preactivation(layers: ConvLayers, shortcut: Any, filters: int, stride: int) -> Any:
    """Apply the block of 2016: normalisation and activation before each convolution, nothing after the sum."""
    hidden = layers.activate(layers.normalize(shortcut))
    if stride > 1 or shortcut.shape[-1] != filters:
        shortcut = layers.convolve(hidden, filters, kernel=1, stride=stride)
    hidden = layers.convolve(hidden, filters, stride=stride)
    hidden = layers.convolve(layers.apply_dropout(layers.activate(layers.normalize(hidden))), filters)
    return keras.layers.Add()([shortcut, hidden])
