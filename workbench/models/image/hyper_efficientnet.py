"""KerasTuner's HyperEfficientNet: EfficientNet (Tan and Le, 2019) with ImageNet weights, fine-tuned as a whole."""

from __future__ import annotations

from typing import Any

import keras

from workbench.errors import FamilyError
from workbench.models.nn import applications
from workbench.models.nn.image_input import ImageStatistics
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space.hypermodels import application

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a net that HyperEfficientNet builds.

    Raises:
        FamilyError: its weights are not here and cannot be downloaded.
    """
    return applications.fit(_build, "hyper_efficientnet", hp, problem, train, valid, context)


def _build(hp: Any, problem: Problem, statistics: ImageStatistics) -> Any:
    start = keras.Input(statistics.shape, dtype=statistics.dtype)
    # The net rescales pixel values up to 255 itself, and takes three channels.
    hidden = keras.layers.Rescaling(255 / statistics.max_value)(start)
    if len(statistics.shape) == 2:
        hidden = keras.layers.Reshape((*statistics.shape, 1))(hidden)
    if statistics.channels == 1:
        hidden = keras.layers.Concatenate()([hidden] * 3)
    try:
        return application("HyperEfficientNet", input_tensor=hidden, classes=problem.classes).build(hp)
    except Exception as error:
        # Keras raises a bare Exception if a download fails.
        if "URL fetch failure" not in str(error):
            raise
        version = str(hp.get("version")).lower()
        raise FamilyError(
            f"hyper_efficientnet needs the weights of EfficientNet{version.upper()}, which Keras fetches. "
            f"Received: {error}. Put efficientnet{version}_notop.h5 into the folder models of Keras's home "
            "(KERAS_HOME, ~/.keras unless set), or choose another family."
        ) from error
