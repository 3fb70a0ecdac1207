"""Wide and deep (Cheng et al., 2016): what memorises and what generalises, trained jointly.

The wide part is linear over one-hot categories, binned numbers and their crosses; as a sum of embeddings of one
weight an output it never holds a one-hot matrix. The deep part is dense layers over numbers and embeddings. Where there
are images among the columns, these and the texts have branches of their own in the deep part.
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


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> KerasModel:
    """Train a wide-and-deep net."""
    if problem.kind == "mixed":
        return _with_images(hp, problem, train, valid, setting)
    view = features.fit_wide_and_deep(
        problem.columns,
        pd.DataFrame(train.x),
        numbers=hp.Choice("numbers", ["quantile", "standard"]),
        crosses=hp.Int("crosses", 0, 16, step=4, default=8),
        seed=setting.seed,
    )
    matrix = view.transform(train.x)
    spec = training.NetSpec(lambda: _build(hp, problem, view, matrix), preprocessor=view, train_inputs=matrix)
    return training.fit(spec, hp, problem, train, valid, setting)


def _build(hp: Any, problem: Problem, view: features.WideAndDeepInputs, matrix: list[np.ndarray]) -> Any:
    entrances = [keras.Input((part.shape[1],), dtype=part.dtype.name) for part in matrix]
    parts = iter(entrances)
    deep = [next(parts)] if view.dense is not None else []
    if view.deep is not None:
        most = hp.Int("embedding", 4, 32, step=2, sampling="log", default=16)
        deep += _embeddings(next(parts), view.levels("deep"), most)
    wide = _linear(next(parts), sum(view.levels("wide")), problem.outputs) if view.wide is not None else None
    hidden = deep[0] if len(deep) == 1 else keras.layers.Concatenate()(deep)
    hidden = dense_layers.build_dense_stack(hp, hidden, units=128)
    return keras.Model(entrances, heads.build_output_layer(hidden, problem, wide))


def _with_images(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> KerasModel:
    """Train a net whose deep part has a branch for each kind of column."""
    known = input_branches.fit_encoder(hp, problem, train, setting, crosses=hp.Int("crosses", 0, 16, step=4, default=8))

    def build() -> Any:
        begun = input_branches.build_branches(hp, known)
        wide = None
        if known.encoder.wide is not None:
            wide = _linear(begun.wide, sum(known.encoder.wide[-1].levels_), problem.outputs)
        hidden = begun.outputs[0] if len(begun.outputs) == 1 else keras.layers.Concatenate()(begun.outputs)
        hidden = dense_layers.build_dense_stack(hp, hidden, units=128)
        return keras.Model(begun.inputs, heads.build_output_layer(hidden, problem, wide))

    spec = training.NetSpec(build, preprocessor=known.encoder, train_inputs=known.train_inputs)
    return training.fit(spec, hp, problem, train, valid, setting)


def _linear(codes: Any, levels: int, width: int) -> Any:
    """Return a linear layer over one-hot levels, written as the sum of a looked-up weight for each column."""
    weights = keras.layers.Embedding(levels, width, embeddings_initializer="zeros", name="wide")(codes)
    return keras.ops.sum(weights, axis=1)


def _embeddings(codes: Any, levels: list[int], most: int) -> list[Any]:
    """Embed each column in at most `most` dimensions, fewer where it has few levels."""
    return [
        keras.layers.Embedding(count, min(most, count // 2 + 1))(codes[:, column])
        for column, count in enumerate(levels)
    ]
