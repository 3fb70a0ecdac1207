"""1-D convolutions along a sequence or a text, pooled over all steps (Wang et al., 2017)."""

from __future__ import annotations

from typing import Any

from workbench.models.nn import conv1d_stages, sequence_input
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.nn.sequence_stem import SequenceStem
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a net of 1-D convolutions."""
    return sequence_input.fit(_summarize, hp, problem, train, valid, context)


def _summarize(hp: Any, stem: SequenceStem) -> Any:
    steps, mask = conv1d_stages.build_conv1d_stages(hp, stem, stages=3)
    return sequence_input.pool_steps(steps, mask, hp.Choice("pooling", ["both", "average", "max"]))
