"""Families made of the hypermodels that come with KerasTuner: scaled images as input, the hypermodel's net on top."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from workbench.models.nn import hypermodel, image_input, training
from workbench.models.nn.hypermodel import BuiltNet
from workbench.models.nn.image_input import ImageStatistics
from workbench.models.nn.keras_model import KerasModel
from workbench.models.protocol import FitContext, Problem, Rows


def fit(
    build: Callable[[Any, Problem, ImageStatistics], Any],
    name: str,
    hp: Any,
    problem: Problem,
    train: Rows,
    valid: Rows | None,
    context: FitContext,
) -> KerasModel:
    """Train the compiled net that `build` returns, given the search space, the problem and the image statistics."""
    training.reset_keras(context.seed)
    inputs = hypermodel.prepare_inputs(problem, train, context)
    net = build(hp, problem, image_input.measure_images(train.x))
    # KerasTuner wraps a single input in a list, which Keras warns about.
    unwrapped = keras.Model(net.inputs[0], net.output)
    unwrapped.compile_from_config(net.get_compile_config())
    return hypermodel.train(BuiltNet(unwrapped, inputs, name), hp, problem, train, valid, context)
