"""A net with a branch for each kind of column: numbers, categories, texts and images; merged, then dense layers."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import heads, multi_input_layers, training
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> training.Network:
    """Train a net with a branch for each kind of column."""
    known = multi_input_layers.fit_inputs(hp, problem, train, context)
    return training.fit(
        lambda: _build(hp, problem, known),
        hp,
        problem,
        train,
        valid,
        context,
        view=known.view,
        matrix=known.inputs,
    )


def _build(hp: Any, problem: Problem, known: multi_input_layers.MultiInputData) -> Any:
    layers = multi_input_layers.multi_input_layers(hp, known)
    hidden = training.dense_stack(hp, merge_branches(hp, layers.ends), units=128)
    return keras.Model(layers.inputs, heads.output_layer(hidden, problem))


def merge_branches(hp: Any, branches: list[Any]) -> Any:
    """Return the branches as one tensor, (rows, values): concatenated, or projected to one width and added."""
    merge = hp.Choice("merge", ["concatenate", "add"])
    with hp.conditional_scope("merge", ["add"]):
        width = hp.Int("merged", 32, 256, step=2, sampling="log", default=64)
    if len(branches) == 1:
        return branches[0]
    if merge == "concatenate":
        return keras.layers.Concatenate()(branches)
    projected = [training.batch_normalize(keras.layers.Dense(width, use_bias=False)(branch)) for branch in branches]
    return keras.layers.Activation("relu")(keras.layers.Add()(projected))
