"""A net of dense layers on scaled inputs; images and sequences are flattened."""

from __future__ import annotations

from typing import Any

import keras

from workbench import features
from workbench.models.nn import dense_layers, heads, training
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a multi-layer perceptron."""
    numbers: features.NumberScaling = hp.Choice("numbers", ["quantile", "standard"]) if problem.columns else "standard"
    preprocessor = features.dense_preprocessor(
        problem.columns,
        train.x,
        numbers=numbers,
        classes=problem.classes,
        seed=context.seed,
        kind=problem.kind,
        target_encoding=not problem.targets,
    )
    matrix = preprocessor.fit_transform(train.x, train.y)

    def build() -> Any:
        entrance = keras.Input((matrix.shape[1],))
        hidden = dense_layers.build_dense_stack(hp, entrance, units=128)
        return keras.Model(entrance, heads.build_output_layer(hidden, problem))

    spec = training.NetSpec(build, preprocessor=preprocessor, train_inputs=matrix)
    return training.fit(spec, hp, problem, train, valid, context)
