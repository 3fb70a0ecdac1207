"""Inception nets: parallel branches with several kernel sizes, concatenated (Szegedy et al., 2015)."""

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
    """Train a net of parallel branches."""
    return image_input.fit(_build, hp, problem, train, valid, context)


def _build(hp: Any, problem: Problem, statistics: ImageStatistics) -> Any:
    start, hidden, layers, filters, stages = image_stem.build_image_stem(hp, statistics)
    blocks = hp.Int("blocks", 1, 3, default=1)
    factorized = hp.Choice("wide", ["3x3 twice", "5x5"]) == "3x3 twice"
    for stage in range(stages):
        if stage and min(hidden.shape[1:3]) >= 2:
            hidden = keras.layers.MaxPooling2D(3, strides=2, padding="same")(hidden)
        for _ in range(blocks):
            hidden = _apply_branches(layers, hidden, min(512, filters * 2 ** (stage + 1)), factorized=factorized)
    hidden = layers.apply_dropout(keras.layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(start, heads.build_output_layer(hidden, problem))


def _apply_branches(layers: ConvLayers, inputs: Any, filters: int, *, factorized: bool) -> Any:
    """Apply four branches and concatenate them, with about the channel shares of the paper's first module (table 1).

    Args:
        layers: the hyperparameters of the layers.
        inputs: the input of all branches.
        filters: the filters of all branches together.
        factorized: whether two 3×3 convolutions replace the 5×5 one (Szegedy et al., 2016).
    """

    def convolve(hidden: Any, share: float, kernel: int) -> Any:
        width = max(1, round(filters * share))
        return layers.activate(layers.normalize(layers.convolve(hidden, width, kernel=kernel)))

    narrow = convolve(inputs, 1 / 4, 1)
    middle = convolve(convolve(inputs, 3 / 8, 1), 1 / 2, 3)
    wide = convolve(inputs, 1 / 16, 1)
    wide = convolve(convolve(wide, 1 / 8, 3), 1 / 8, 3) if factorized else convolve(wide, 1 / 8, 5)
    pooled = convolve(keras.layers.MaxPooling2D(3, strides=1, padding="same")(inputs), 1 / 8, 1)
    return keras.layers.Concatenate()([narrow, middle, wide, pooled])
