"""A net with a branch for each kind of column: numbers, categories, texts and images; merged, then dense layers."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import dense_layers, heads, input_branches, training
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a net with a branch for each kind of column."""
    data = input_branches.fit_encoder(hp, problem, train, context)
    spec = training.NetSpec(
        lambda: _build(hp, problem, data), preprocessor=data.encoder, train_inputs=data.train_inputs
    )
    return training.fit(spec, hp, problem, train, valid, context)


def _build(hp: Any, problem: Problem, data: input_branches.BranchData) -> Any:
    branches = input_branches.build_branches(hp, data)
    hidden = dense_layers.build_dense_stack(hp, merge_branches(hp, branches.outputs), units=128)
    return keras.Model(branches.inputs, heads.build_output_layer(hidden, problem))


def merge_branches(hp: Any, outputs: list[Any]) -> Any:
    """Return the branches as one tensor, (rows, values): concatenated, or projected to one width and added."""
    merge = hp.Choice("merge", ["concatenate", "add"])
    with hp.conditional_scope("merge", ["add"]):
        width = hp.Int("merged", 32, 256, step=2, sampling="log", default=64)
    if len(outputs) == 1:
        return outputs[0]
    if merge == "concatenate":
        return keras.layers.Concatenate()(outputs)
    projected = [dense_layers.batch_normalize(keras.layers.Dense(width, use_bias=False)(output)) for output in outputs]
    return keras.layers.Activation("relu")(keras.layers.Add()(projected))
