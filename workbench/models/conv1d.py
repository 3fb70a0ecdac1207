"""Convolutions along the steps of a sequence or a text, averaged over all of them (Wang et al., 2017)."""

from typing import Any

from workbench.models import network, sequences, stages
from workbench.models.network import load
from workbench.models.protocol import Problem, Rows, Setting
from workbench.models.reading import Entrance

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: Setting) -> network.Network:
    """Train a net of convolutions."""
    return sequences.fit(_read, hp, problem, train, valid, setting)


def _read(hp: Any, begun: Entrance) -> Any:
    steps, mask = stages.convolved(hp, begun, stages=3)
    return sequences.pooled(steps, mask, hp.Choice("pooling", ["both", "average", "max"]))
