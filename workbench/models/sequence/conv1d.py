"""Convolutions along the steps of a sequence or a text, averaged over all of them (Wang et al., 2017)."""

from __future__ import annotations

from typing import Any

from workbench.models.nn import conv1d_stages, sequence_input, training
from workbench.models.nn.text_input import TextInput
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a net of convolutions."""
    return sequence_input.fit(_read, hp, problem, train, valid, setting)


def _read(hp: Any, begun: TextInput) -> Any:
    steps, mask = conv1d_stages.conv1d_stages(hp, begun, stages=3)
    return sequence_input.pool_steps(steps, mask, hp.Choice("pooling", ["both", "average", "max"]))
