"""1-D convolutions with pooling, then gated recurrent units along the remaining steps."""

from __future__ import annotations

import math
from typing import Any

import keras

from workbench.models.nn import conv1d_stages, recurrent, sequence_input
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.nn.sequence_stem import SequenceStem
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]

# By default convolutions pool down to about this many steps.
_POOLED_STEPS = 32


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a net of convolutions and recurrent layers."""
    return sequence_input.fit(_summarize, hp, problem, train, valid, context)


def _summarize(hp: Any, stem: SequenceStem) -> Any:
    # No more stages than the pooling needs: nets learn badly from short texts after three stages.
    halvings = math.ceil(math.log2(max(1.0, stem.steps.shape[1] / _POOLED_STEPS)))
    steps, mask = conv1d_stages.build_conv1d_stages(hp, stem, stages=min(3, 1 + halvings))
    return recurrent.summarize_steps(keras.layers.GRU, hp, steps, mask)
