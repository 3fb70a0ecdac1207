"""A small convolutional net after KerasTuner's HyperImageAugment, which searches rotation, shift and contrast."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import applications, dense_layers, heads, image_input
from workbench.models.nn.image_input import ImageStatistics
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space.hypermodels import application

__all__ = ["fit", "load"]

# Standard scores from -3 to 3 map to pixel values from 0 to 255.
_OFFSET, _SCALE = 127.5, 42.5


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a small convolutional net on images that HyperImageAugment changes."""
    return applications.fit(_build, "hyper_image_augment", hp, problem, train, valid, context)


def _build(hp: Any, problem: Problem, statistics: ImageStatistics) -> Any:
    start, hidden = image_input.build_image_input(None, statistics)
    # augment_layers=0 applies each change once; random selections for each image would build new layers at every step.
    augmentation = application("HyperImageAugment", input_shape=tuple(hidden.shape[1:]), augment_layers=0)
    # It assumes values from 0 to 255.
    hidden = keras.layers.Rescaling(_SCALE, _OFFSET)(hidden)
    hidden = keras.layers.Rescaling(1 / _SCALE, -_OFFSET / _SCALE)(augmentation.build(hp)(hidden))
    filters = hp.Int("filters", 16, 64, step=2, sampling="log", default=32)
    for block in range(min(4, statistics.halvings + 1)):
        if block:
            hidden = keras.layers.MaxPooling2D(padding="same")(hidden)
        hidden = keras.layers.Conv2D(min(256, filters * 2**block), 3, padding="same", use_bias=False)(hidden)
        hidden = keras.layers.Activation("relu")(dense_layers.batch_normalize(hidden))
    hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    hidden = keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.2))(hidden)
    net = keras.Model(start, heads.build_output_layer(hidden, problem))
    rate = hp.Float("learning_rate", 3e-4, 1e-2, sampling="log", default=2e-3)
    net.compile(keras.optimizers.Adam(rate), heads.build_loss(problem, mixup=False))
    return net
