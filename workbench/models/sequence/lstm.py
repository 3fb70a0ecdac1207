"""Recurrent nets with long short-term memory (LSTM, Hochreiter and Schmidhuber, 1997), for sequences and texts."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

from workbench.models.nn import recurrent, sequence_input
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a recurrent net."""
    summarize = partial(recurrent.build_recurrent_layers, keras.layers.LSTM)
    return sequence_input.fit(summarize, hp, problem, train, valid, context)
