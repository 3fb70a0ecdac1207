"""Inverted residuals with depthwise convolutions, for small compute budgets (MobileNetV2, Sandler et al., 2018)."""

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
    """Train a net of inverted residuals."""
    return image_input.fit(_build, hp, problem, train, valid, context)


def _build(hp: Any, problem: Problem, statistics: ImageStatistics) -> Any:
    start, hidden, layers, filters, stages = image_stem.build_image_stem(hp, statistics, filters=16, min_filters=8)
    expansion = hp.Int("expansion", 2, 6, default=4)
    blocks = hp.Int("blocks", 1, 4, default=2)
    for stage in range(stages):
        for block in range(blocks):
            halves = stage and not block and min(hidden.shape[1:3]) >= 2
            hidden = _apply_inverted_residual(
                layers, hidden, min(256, filters * 2**stage), expansion, stride=2 if halves else 1
            )
    # The blocks have few output channels; a last 1×1 convolution widens them for the classifier.
    hidden = layers.activate(layers.normalize(layers.convolve(hidden, expansion * hidden.shape[-1], kernel=1)))
    hidden = layers.apply_dropout(keras.layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(start, heads.build_output_layer(hidden, problem))


def _apply_inverted_residual(layers: ConvLayers, inputs: Any, filters: int, expansion: int, *, stride: int) -> Any:
    """Apply a block: a 1×1 expansion, a depthwise convolution, and a 1×1 projection without activation."""
    hidden = layers.activate(layers.normalize(layers.convolve(inputs, expansion * inputs.shape[-1], kernel=1)))
    hidden = layers.activate(layers.normalize(layers.convolve_depthwise(hidden, stride=stride)))
    hidden = layers.normalize(layers.convolve(hidden, filters, kernel=1))
    return keras.layers.Add()([inputs, hidden]) if stride == 1 and inputs.shape[-1] == filters else hidden
