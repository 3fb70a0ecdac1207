"""One net for numbers, categories, texts and images of a table: a branch for each, merged, then dense layers."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import dense_layers, heads, input_branches, training
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> KerasModel:
    """Train a net with a branch for each kind of column."""
    known = input_branches.fit_encoder(hp, problem, train, setting)
    spec = training.NetSpec(
        lambda: _build(hp, problem, known), preprocessor=known.encoder, train_inputs=known.train_inputs
    )
    return training.fit(spec, hp, problem, train, valid, setting)


def _build(hp: Any, problem: Problem, known: input_branches.BranchData) -> Any:
    begun = input_branches.build_branches(hp, known)
    hidden = dense_layers.build_dense_stack(hp, merge_branches(hp, begun.outputs), units=128)
    return keras.Model(begun.inputs, heads.build_output_layer(hidden, problem))


def merge_branches(hp: Any, ends: list[Any]) -> Any:
    """Return the branches as one, (rows, values): side by side, or each of the same width and added up."""
    how = hp.Choice("merge", ["concatenate", "add"])
    with hp.conditional_scope("merge", ["add"]):
        width = hp.Int("merged", 32, 256, step=2, sampling="log", default=64)
    if len(ends) == 1:
        return ends[0]
    if how == "concatenate":
        return keras.layers.Concatenate()(ends)
    alike = [dense_layers.batch_normalize(keras.layers.Dense(width, use_bias=False)(end)) for end in ends]
    return keras.layers.Activation("relu")(keras.layers.Add()(alike))
