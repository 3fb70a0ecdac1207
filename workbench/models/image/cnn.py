"""Blocks of 3×3 convolutions with pooling between them, in the manner of VGG (Simonyan and Zisserman, 2014)."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import conv_layers, heads, image_input, training
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a convolutional net."""
    return image_input.fit(_build, hp, problem, train, valid, setting)


def _build(hp: Any, problem: Problem, known: image_input.PixelStatistics) -> Any:
    entrance, hidden = image_input.image_input(hp, known)
    made = conv_layers.search_conv_layers(hp)
    stride = hp.Choice("stride", [1, 2], default=1 if min(known.shape[:2]) < 16 else 2)
    filters = hp.Int("filters", 16, 64, step=2, sampling="log", default=32)
    convolutions = hp.Int("convolutions", 1, 3, default=2)
    blocks = hp.Int("blocks", 1, 6, default=min(6, known.halvings - (stride > 1) + 1))
    hidden = conv_blocks(made, hidden, blocks=blocks, convolutions=convolutions, filters=filters, stride=stride)
    if hp.Choice("top", ["average", "flatten"]) == "average":
        hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    else:
        hidden = made.dropped(made.dense(keras.layers.Flatten()(hidden), 128))
    return keras.Model(entrance, heads.output_layer(hidden, problem))


def conv_blocks(
    made: conv_layers.ConvLayers, hidden: Any, *, blocks: int, convolutions: int, filters: int, stride: int
) -> Any:
    """Return what blocks of convolutions make of images, (rows, height, width, channels); each halves them.

    Args:
        made: the style of the layers.
        hidden: the images.
        blocks: their number.
        convolutions: in each of them.
        filters: of the first block; each has twice as many as that before it.
        stride: of the first convolution.
    """
    for block in range(blocks):
        if block and min(hidden.shape[1:3]) >= 2:
            hidden = keras.layers.MaxPooling2D(padding="same")(hidden)
        for place in range(convolutions):
            first = not block and not place
            hidden = made.convolved(hidden, min(256, filters * 2**block), stride=stride if first else 1)
            hidden = made.activated(made.normalised(hidden))
        hidden = made.dropped(hidden)
    return hidden
