"""One net for numbers, categories, texts and images of a table: a branch for each, merged, then dense layers."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import heads, multi_input_layers, training
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a net with a branch for each kind of column."""
    known = multi_input_layers.fit_inputs(hp, problem, train, setting)
    return training.fit(
        lambda: _build(hp, problem, known),
        hp,
        problem,
        train,
        valid,
        setting,
        view=known.view,
        matrix=known.inputs,
    )


def _build(hp: Any, problem: Problem, known: multi_input_layers.MultiInputData) -> Any:
    begun = multi_input_layers.multi_input_layers(hp, known)
    hidden = training.dense_stack(hp, merge_branches(hp, begun.ends), units=128)
    return keras.Model(begun.inputs, heads.output_layer(hidden, problem))


def merge_branches(hp: Any, ends: list[Any]) -> Any:
    """Return the branches as one, (rows, values): side by side, or each of the same width and added up."""
    how = hp.Choice("merge", ["concatenate", "add"])
    with hp.conditional_scope("merge", ["add"]):
        width = hp.Int("merged", 32, 256, step=2, sampling="log", default=64)
    if len(ends) == 1:
        return ends[0]
    if how == "concatenate":
        return keras.layers.Concatenate()(ends)
    alike = [training.batch_normalize(keras.layers.Dense(width, use_bias=False)(end)) for end in ends]
    return keras.layers.Activation("relu")(keras.layers.Add()(alike))
