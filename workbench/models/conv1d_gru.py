"""Convolutions first, that make fewer and richer steps, then gated recurrent units along those."""

from typing import Any

import keras

from workbench.models import network, recurrence, sequences, stages
from workbench.models.network import load
from workbench.models.protocol import Problem, Rows, Setting
from workbench.models.reading import Entrance

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: Setting) -> network.Network:
    """Train a net of convolutions and recurrent layers."""
    return sequences.fit(_read, hp, problem, train, valid, setting)


def _read(hp: Any, begun: Entrance) -> Any:
    steps, mask = stages.convolved(hp, begun, stages=3)
    return recurrence.remembered(keras.layers.GRU, hp, steps, mask)
