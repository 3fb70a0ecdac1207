"""Recurrent nets of long short-term memory (Hochreiter and Schmidhuber, 1997), for sequences and texts."""

from functools import partial
from typing import Any

import keras

from workbench.models import network, recurrence, sequences
from workbench.models.network import load
from workbench.models.protocol import Problem, Rows, Setting

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: Setting) -> network.Network:
    """Train a recurrent net."""
    return sequences.fit(partial(recurrence.read, keras.layers.LSTM), hp, problem, train, valid, setting)
