"""Wide and deep (Cheng et al., 2016): a wide part that memorises and a deep part that generalises, trained jointly.

The wide part is linear over one-hot categories, binned numbers and their crosses. It is computed as a sum of embeddings
with one weight for each output, so no one-hot matrix is built. The deep part is dense layers over numbers and
embeddings. With images among the columns, images and texts have their own branches in the deep part.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd

from workbench import features
from workbench.models.nn import dense_layers, heads, input_branches, training
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a wide-and-deep net."""
    if problem.kind == "mixed":
        return _fit_with_images(hp, problem, train, valid, context)
    encoder = features.fit_wide_and_deep(
        problem.columns,
        pd.DataFrame(train.x),
        numbers=hp.Choice("numbers", ["quantile", "standard"]),
        crosses=hp.Int("crosses", 0, 16, step=4, default=8),
        seed=context.seed,
    )
    matrix = encoder.transform(train.x)
    spec = training.NetSpec(lambda: _build(hp, problem, encoder, matrix), preprocessor=encoder, train_inputs=matrix)
    return training.fit(spec, hp, problem, train, valid, context)


def _build(hp: Any, problem: Problem, encoder: features.WideAndDeepEncoder, matrix: list[np.ndarray]) -> Any:
    entrances = [keras.Input((part.shape[1],), dtype=part.dtype.name) for part in matrix]
    parts = iter(entrances)
    deep = [next(parts)] if encoder.dense is not None else []
    if encoder.deep is not None:
        max_width = hp.Int("embedding", 4, 32, step=2, sampling="log", default=16)
        deep += _embed(next(parts), encoder.levels("deep"), max_width)
    wide = None
    if encoder.wide is not None:
        wide = _build_wide(next(parts), sum(encoder.levels("wide")), problem.outputs)
    hidden = deep[0] if len(deep) == 1 else keras.layers.Concatenate()(deep)
    hidden = dense_layers.build_dense_stack(hp, hidden, units=128)
    return keras.Model(entrances, heads.build_output_layer(hidden, problem, wide))


def _fit_with_images(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a net whose deep part has a branch for each kind of column."""
    data = input_branches.fit_encoder(hp, problem, train, context, crosses=hp.Int("crosses", 0, 16, step=4, default=8))

    def build() -> Any:
        branches = input_branches.build_branches(hp, data)
        wide = None
        if data.encoder.wide is not None:
            wide = _build_wide(branches.wide, sum(data.encoder.wide[-1].levels_), problem.outputs)
        outputs = branches.outputs
        hidden = outputs[0] if len(outputs) == 1 else keras.layers.Concatenate()(outputs)
        hidden = dense_layers.build_dense_stack(hp, hidden, units=128)
        return keras.Model(branches.inputs, heads.build_output_layer(hidden, problem, wide))

    spec = training.NetSpec(build, preprocessor=data.encoder, train_inputs=data.train_inputs)
    return training.fit(spec, hp, problem, train, valid, context)


def _build_wide(indices: Any, levels: int, outputs: int) -> Any:
    """Return a linear layer over one-hot levels, computed as the sum of an embedded weight for each column."""
    weights = keras.layers.Embedding(levels, outputs, embeddings_initializer="zeros", name="wide")(indices)
    return keras.ops.sum(weights, axis=1)


def _embed(indices: Any, levels: list[int], max_width: int) -> list[Any]:
    """Return an embedding of each column, of at most `max_width` dimensions and fewer for few levels."""
    return [
        keras.layers.Embedding(count, min(max_width, count // 2 + 1))(indices[:, column])
        for column, count in enumerate(levels)
    ]
