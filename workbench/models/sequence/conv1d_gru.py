"""Convolutions first, that make fewer and richer steps, then gated recurrent units along those."""

from __future__ import annotations

import math
from typing import Any

import keras

from workbench.models.nn import conv1d_stages, recurrent, sequence_input, training
from workbench.models.nn.text_input import TextInput
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]

_STEPS = 32


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a net of convolutions and recurrent layers."""
    return sequence_input.fit(_read, hp, problem, train, valid, setting)


def _read(hp: Any, begun: TextInput) -> Any:
    # Pooled down to about so many steps, and no deeper: short texts are learnt badly behind three stages.
    halvings = math.ceil(math.log2(max(1.0, begun.steps.shape[1] / _STEPS)))
    steps, mask = conv1d_stages.conv1d_stages(hp, begun, stages=min(3, 1 + halvings))
    return recurrent.summarize_steps(keras.layers.GRU, hp, steps, mask)
