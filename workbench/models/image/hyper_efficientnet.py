"""KerasTuner's HyperEfficientNet: EfficientNet (Tan and Le, 2019) with the weights of ImageNet, tuned as a whole."""

from __future__ import annotations

from typing import Any

import keras

from workbench.errors import FamilyError
from workbench.models.nn import applications, image_input, training
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space.hypermodels import application

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a net that HyperEfficientNet builds.

    Raises:
        FamilyError: its weights are not here and cannot be fetched.
    """
    return applications.fit(_build, "hyper_efficientnet", hp, problem, train, valid, setting)


def _build(hp: Any, problem: Problem, known: image_input.PixelStatistics) -> Any:
    entrance = keras.Input(known.shape, dtype=known.dtype)
    # The net scales bytes itself, and knows photographs only.
    hidden = keras.layers.Rescaling(255 / known.brightest)(entrance)
    if len(known.shape) == 2:
        hidden = keras.layers.Reshape((*known.shape, 1))(hidden)
    if known.channels == 1:
        hidden = keras.layers.Concatenate()([hidden] * 3)
    try:
        return application("HyperEfficientNet", input_tensor=hidden, classes=problem.classes).build(hp)
    except Exception as error:
        # Keras has no error of its own for what it cannot fetch.
        if "URL fetch failure" not in str(error):
            raise
        version = str(hp.get("version")).lower()
        raise FamilyError(
            f"hyper_efficientnet needs the weights of EfficientNet{version.upper()}, which Keras fetches. "
            f"Received: {error}. Put efficientnet{version}_notop.h5 into the folder models of Keras's home "
            "(KERAS_HOME, ~/.keras unless set), or choose another family."
        ) from error
