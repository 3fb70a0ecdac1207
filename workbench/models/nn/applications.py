"""The hypermodels that come with KerasTuner as families: images scaled and standardised, and their own net on top."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from workbench.models.nn import hypermodel, image_input, training
from workbench.models.nn.hypermodel import HypermodelInputs
from workbench.models.nn.image_input import PixelStatistics
from workbench.models.nn.training import Network
from workbench.models.protocol import FitContext, Problem, Rows


def fit(
    build: Callable[[Any, Problem, PixelStatistics], Any],
    name: str,
    hp: Any,
    problem: Problem,
    train: Rows,
    valid: Rows | None,
    setting: FitContext,
) -> Network:
    """Train the net that `build` makes of the space, the problem and what is known of the images, in its own way."""
    training.reset_state(setting.seed)
    shown: HypermodelInputs = hypermodel.prepare_inputs(problem, train, setting)
    net = build(hp, problem, image_input.measure_pixels(train.x))
    # KerasTuner makes a list of a single input, which Keras warns of.
    plain = keras.Model(net.inputs[0], net.output)
    plain.compile_from_config(net.get_compile_config())
    return hypermodel.train(plain, hp, problem, train, valid, setting, shown=shown, name=name)
