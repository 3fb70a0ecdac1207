"""Convolutional nets of 3×3 convolutions with pooling between blocks, after VGG (Simonyan and Zisserman, 2014)."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import conv_layers, heads, image_input
from workbench.models.nn.image_input import ImageStatistics
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a convolutional net."""
    return image_input.fit(_build, hp, problem, train, valid, context)


def _build(hp: Any, problem: Problem, statistics: ImageStatistics) -> Any:
    start, hidden = image_input.build_image_input(hp, statistics)
    layers = conv_layers.search_conv_layers(hp)
    stride = hp.Choice("stride", [1, 2], default=1 if min(statistics.shape[:2]) < 16 else 2)
    filters = hp.Int("filters", 16, 64, step=2, sampling="log", default=32)
    convolutions = hp.Int("convolutions", 1, 3, default=2)
    blocks = hp.Int("blocks", 1, 6, default=min(6, statistics.halvings - (stride > 1) + 1))
    hidden = conv_layers.build_conv_blocks(
        layers, hidden, blocks=blocks, convolutions=convolutions, filters=filters, stride=stride
    )
    if hp.Choice("top", ["average", "flatten"]) == "average":
        hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    else:
        hidden = layers.apply_dropout(layers.apply_dense(keras.layers.Flatten()(hidden), 128))
    return keras.Model(start, heads.build_output_layer(hidden, problem))
