"""Blocks of 3×3 convolutions with pooling between them, in the manner of VGG (Simonyan and Zisserman, 2014)."""

from typing import Any

import keras
import numpy as np

from workbench.models import network
from workbench.models.network import load
from workbench.models.protocol import Problem, Rows, Setting

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: Setting) -> network.Network:
    """Train a convolutional net."""
    pixels = np.asarray(train.x)
    brightest = 255.0 if pixels.dtype == np.uint8 else float(np.abs(pixels).max()) or 1.0
    return network.fit(
        lambda: _build(hp, problem, pixels.shape[1:], brightest),
        hp,
        problem,
        train,
        valid,
        setting,
        view=None,
    )


def _build(hp: Any, problem: Problem, shape: tuple[int, ...], brightest: float) -> Any:
    entrance = keras.Input(shape)
    hidden = keras.layers.Rescaling(1 / brightest)(entrance)
    if len(shape) == 2:
        hidden = keras.layers.Reshape((*shape, 1))(hidden)
    shift = hp.Float("shift", 0.0, 0.2, step=0.05, default=0.1)
    if shift:
        hidden = keras.layers.RandomTranslation(shift, shift, fill_mode="constant")(hidden)
    filters = hp.Int("filters", 8, 64, step=2, sampling="log", default=16)
    normalise = hp.Boolean("batch_norm", default=True)
    dropout = hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.2)
    convolutions = hp.Int("convolutions", 1, 3, default=2)
    for block in range(hp.Int("blocks", 1, 4, default=2)):
        if block and min(hidden.shape[1:3]) >= 2:
            hidden = keras.layers.MaxPooling2D(padding="same")(hidden)
        for _ in range(convolutions):
            hidden = _convolve(hidden, filters * 2**block, normalise)
        hidden = keras.layers.Dropout(dropout)(hidden)
    top = hp.Choice("top", ["flatten", "average"])
    hidden = (keras.layers.Flatten if top == "flatten" else keras.layers.GlobalAveragePooling2D)()(hidden)
    hidden = keras.layers.Dense(hp.Int("units", 32, 256, step=2, sampling="log", default=64), activation="relu")(hidden)
    hidden = keras.layers.Dropout(dropout)(hidden)
    return keras.Model(entrance, network.outputs(hidden, problem))


def _convolve(hidden: Any, filters: int, normalise: bool) -> Any:
    hidden = keras.layers.Conv2D(filters, 3, padding="same", use_bias=not normalise)(hidden)
    if normalise:
        hidden = network.normalised(hidden)
    return keras.layers.Activation("relu")(hidden)
