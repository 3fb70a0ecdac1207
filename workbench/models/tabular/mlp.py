"""A net of dense layers on scaled inputs; images and sequences are flattened."""

from __future__ import annotations

from typing import Any

import keras

from workbench import features
from workbench.models.nn import heads, training
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> training.Network:
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
        hidden = training.dense_stack(hp, entrance, units=128)
        return keras.Model(entrance, heads.output_layer(hidden, problem))

    return training.fit(build, hp, problem, train, valid, context, view=preprocessor, matrix=matrix)
