"""Convolutions first, that make fewer and richer steps, then gated recurrent units along those."""

import math
from typing import Any

import keras

from workbench.models import network, recurrence, sequences, stages
from workbench.models.network import load
from workbench.models.protocol import Problem, Rows, Setting
from workbench.models.reading import Entrance

__all__ = ["fit", "load"]

_STEPS = 32


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: Setting) -> network.Network:
    """Train a net of convolutions and recurrent layers."""
    return sequences.fit(_read, hp, problem, train, valid, setting)


def _read(hp: Any, begun: Entrance) -> Any:
    # Pooled down to about so many steps, and no deeper: short texts are learnt badly behind three stages.
    halvings = math.ceil(math.log2(max(1.0, begun.steps.shape[1] / _STEPS)))
    steps, mask = stages.convolved(hp, begun, stages=min(3, 1 + halvings))
    return recurrence.remembered(keras.layers.GRU, hp, steps, mask)
