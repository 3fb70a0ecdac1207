"""Stages of convolutions along steps, with pooling between them; what a row is filled up with stays out of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

from workbench.models.nn import conv_layers, sequence_input, text_input
from workbench.models.nn.conv_layers import ConvLayers
from workbench.models.nn.text_input import TextInput

# Of longer sequences several steps are taken as one unless told otherwise.
_STEPS = 256


class ConvStages(NamedTuple):
    """What stages of convolutions give."""

    steps: Any
    """(rows, fewer steps, filters)."""
    mask: Any
    """(rows, fewer steps)."""


def conv1d_stages(hp: Any, begun: TextInput, *, stages: int, kernel: int = 5, filters: int = 32) -> ConvStages:
    """Return stages of convolutions: plain ones, or with what they are given added (Wang et al., 2017).

    Args:
        hp: the search space.
        begun: what is read.
        stages: the default of their number.
        kernel: the default of a convolution's width in steps.
        filters: the default of the first stage's filters.
    """
    made = conv_layers.search_conv_layers(hp)
    residual = hp.Boolean("residual", default=True)
    kernel = hp.Choice("kernel", [3, 5, 7, 9, 15], default=kernel)
    filters = hp.Int("filters", 16, 128, step=2, sampling="log", default=filters)
    depth = hp.Int("convolutions", 1, 3, default=2)
    pool = hp.Int("pool", 2, 4, default=2)
    steps, mask = sequence_input.merge_steps(hp, begun.steps, begun.mask, most=_STEPS)
    for stage in range(hp.Int("stages", 1, 5, default=stages)):
        if stage and steps.shape[1] > 1:
            steps, mask = (
                keras.layers.MaxPooling1D(pool, padding="same")(steps),
                sequence_input.shorten_mask(mask, pool),
            )
        given, width = steps, min(256, filters * 2**stage)
        for place in range(depth):
            steps = made.normalised(made.convolved(steps, width, kernel=kernel), mask)
            if residual and place == depth - 1:
                steps = keras.layers.Add()([steps, _aside(made, given, width, mask)])
            steps = text_input.mask_padding(made.activated(steps), mask)
        steps = made.dropped(steps)
    return ConvStages(steps, mask)


def _aside(made: ConvLayers, given: Any, filters: int, mask: Any) -> Any:
    """Return what is given with as many channels as are made of it."""
    if given.shape[-1] == filters:
        return given
    return made.normalised(made.convolved(given, filters, kernel=1), mask)
