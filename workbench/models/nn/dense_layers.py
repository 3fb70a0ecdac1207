"""Stacks of dense layers, and batch normalisation."""

from __future__ import annotations

from typing import Any

import keras


def build_dense_stack(hp: Any, hidden: Any, *, units: int) -> Any:
    """Apply dense layers whose number, width, activation and regularisation are searched.

    Args:
        hp: the search space.
        hidden: the input, (rows, values).
        units: the default width of a layer.
    """
    activation = hp.Choice("activation", ["relu", "gelu", "elu"])
    batch_norm = hp.Boolean("batch_norm", default=True)
    dropout = hp.Float("dropout", 0.0, 0.5, step=0.05, default=0.2)
    width = hp.Int("units", 32, 512, step=2, sampling="log", default=units)
    for _ in range(hp.Int("layers", 1, 4, default=2)):
        hidden = keras.layers.Dense(width, use_bias=not batch_norm)(hidden)
        if batch_norm:
            hidden = batch_normalize(hidden)
        hidden = keras.layers.Activation(activation)(hidden)
        hidden = keras.layers.Dropout(dropout)(hidden)
    return hidden


def batch_normalize(hidden: Any, mask: Any | None = None) -> Any:
    """Apply batch normalisation; masked steps do not enter the statistics.

    Keras's default momentum of 0.99 is too slow: training on a small fold ends before the moving averages settle.
    """
    return keras.layers.BatchNormalization(momentum=0.9)(hidden, mask=mask)
