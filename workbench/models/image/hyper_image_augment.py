"""KerasTuner's HyperImageAugment, rotations, shifts and contrast in its space, before a small net of convolutions."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import applications, heads, image_input, training
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space.hypermodels import application

__all__ = ["fit", "load"]

# Standard scores from -3 to 3 as bytes.
_MIDDLE, _SPREAD = 127.5, 42.5


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a small net of convolutions on images that HyperImageAugment changes."""
    return applications.fit(_build, "hyper_image_augment", hp, problem, train, valid, setting)


def _build(hp: Any, problem: Problem, known: image_input.PixelStatistics) -> Any:
    entrance, hidden = image_input.image_input(None, known)
    # Each of its changes once: its other way, some of them drawn for each image, makes layers anew at every step.
    changed = application("HyperImageAugment", input_shape=tuple(hidden.shape[1:]), augment_layers=0)
    # It takes values from 0 to 255 for granted.
    hidden = keras.layers.Rescaling(_SPREAD, _MIDDLE)(hidden)
    hidden = keras.layers.Rescaling(1 / _SPREAD, -_MIDDLE / _SPREAD)(changed.build(hp)(hidden))
    filters = hp.Int("filters", 16, 64, step=2, sampling="log", default=32)
    for block in range(min(4, known.halvings + 1)):
        if block:
            hidden = keras.layers.MaxPooling2D(padding="same")(hidden)
        hidden = keras.layers.Conv2D(min(256, filters * 2**block), 3, padding="same", use_bias=False)(hidden)
        hidden = keras.layers.Activation("relu")(training.batch_normalize(hidden))
    hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    hidden = keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.2))(hidden)
    net = keras.Model(entrance, heads.output_layer(hidden, problem))
    rate = hp.Float("learning_rate", 3e-4, 1e-2, sampling="log", default=2e-3)
    net.compile(keras.optimizers.Adam(rate), heads.loss(problem, mixed=False))
    return net
