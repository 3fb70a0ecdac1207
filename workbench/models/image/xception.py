"""Residual nets of depthwise separable convolutions (Xception, Chollet, 2017), scaled to the image size."""

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
    """Train a net of separable convolutions."""
    return image_input.fit(_build, hp, problem, train, valid, context)


def _build(hp: Any, problem: Problem, statistics: ImageStatistics) -> Any:
    # Few filters: the first stage doubles them, and depthwise convolutions are slow on a CPU.
    start, hidden, layers, filters, stages = image_stem.build_image_stem(hp, statistics, filters=16, min_filters=8)
    for stage in range(stages):
        # As in the paper, each stage of the entry flow doubles the channels; the middle flow keeps size and channels.
        hidden = _apply_entry_block(layers, hidden, min(512, filters * 2 ** (stage + 1)), halves=bool(stage))
    for _ in range(hp.Int("middle", 0, 4, default=1)):
        hidden = _apply_middle_block(layers, hidden)
    hidden = layers.apply_dropout(keras.layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(start, heads.build_output_layer(hidden, problem))


def _apply_entry_block(layers: ConvLayers, inputs: Any, filters: int, *, halves: bool) -> Any:
    """Apply two separable convolutions with pooling, and add a 1×1 convolution of the input."""
    stride = 2 if halves and min(inputs.shape[1:3]) >= 2 else 1
    hidden = layers.activate(layers.normalize(layers.convolve_separable(inputs, filters)))
    hidden = layers.normalize(layers.convolve_separable(hidden, filters))
    if stride > 1:
        hidden = keras.layers.MaxPooling2D(3, strides=2, padding="same")(hidden)
    shortcut = layers.normalize(layers.convolve(inputs, filters, kernel=1, stride=stride))
    return layers.activate(keras.layers.Add()([shortcut, hidden]))


def _apply_middle_block(layers: ConvLayers, inputs: Any) -> Any:
    """Apply two separable convolutions, and add the input."""
    hidden = layers.activate(layers.normalize(layers.convolve_separable(inputs, inputs.shape[-1])))
    hidden = layers.normalize(layers.convolve_separable(hidden, inputs.shape[-1]))
    return layers.activate(keras.layers.Add()([inputs, hidden]))
