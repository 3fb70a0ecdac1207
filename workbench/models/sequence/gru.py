"""Recurrent nets of gated recurrent units (Cho et al., 2014), for sequences and texts."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

from workbench.models.nn import recurrent, sequence_input, training
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a recurrent net."""
    return sequence_input.fit(partial(recurrent.recurrent_layers, keras.layers.GRU), hp, problem, train, valid, setting)
