"""Convolutions along the steps of a sequence or a text, averaged over all of them (Wang et al., 2017)."""

from typing import Any

from workbench.models.nn import conv1d_stages, sequence_input, training
from workbench.models.nn.text_input import Entrance
from workbench.models.nn.training import load
from workbench.models.protocol import Problem, Rows, Setting

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: Setting) -> training.Network:
    """Train a net of convolutions."""
    return sequence_input.fit(_read, hp, problem, train, valid, setting)


def _read(hp: Any, begun: Entrance) -> Any:
    steps, mask = conv1d_stages.convolved(hp, begun, stages=3)
    return sequence_input.pooled(steps, mask, hp.Choice("pooling", ["both", "average", "max"]))
