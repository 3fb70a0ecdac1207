"""Stages of convolutions along steps, with pooling between them; what a row is filled up with stays out of them."""

from typing import Any, NamedTuple

import keras

from workbench.models.nn import conv_layers, sequence_input, text_input
from workbench.models.nn.conv_layers import Style
from workbench.models.nn.text_input import Entrance

# Of longer sequences several steps are taken as one unless told otherwise.
_STEPS = 256


class Stages(NamedTuple):
    """What stages of convolutions give."""

    steps: Any
    """(rows, fewer steps, filters)."""
    mask: Any
    """(rows, fewer steps)."""


def convolved(hp: Any, begun: Entrance, *, stages: int, kernel: int = 5, filters: int = 32) -> Stages:
    """Return stages of convolutions: plain ones, or with what they are given added (Wang et al., 2017).

    Args:
        hp: the search space.
        begun: what is read.
        stages: the default of their number.
        kernel: the default of a convolution's width in steps.
        filters: the default of the first stage's filters.
    """
    made = conv_layers.searched(hp)
    residual = hp.Boolean("residual", default=True)
    kernel = hp.Choice("kernel", [3, 5, 7, 9, 15], default=kernel)
    filters = hp.Int("filters", 16, 128, step=2, sampling="log", default=filters)
    depth = hp.Int("convolutions", 1, 3, default=2)
    pool = hp.Int("pool", 2, 4, default=2)
    steps, mask = sequence_input.together(hp, begun.steps, begun.mask, most=_STEPS)
    for stage in range(hp.Int("stages", 1, 5, default=stages)):
        if stage and steps.shape[1] > 1:
            steps, mask = keras.layers.MaxPooling1D(pool, padding="same")(steps), sequence_input.shortened(mask, pool)
        given, width = steps, min(256, filters * 2**stage)
        for place in range(depth):
            steps = made.normalised(made.convolved(steps, width, kernel=kernel), mask)
            if residual and place == depth - 1:
                steps = keras.layers.Add()([steps, _aside(made, given, width, mask)])
            steps = text_input.masked(made.activated(steps), mask)
        steps = made.dropped(steps)
    return Stages(steps, mask)


def _aside(made: Style, given: Any, filters: int, mask: Any) -> Any:
    """Return what is given with as many channels as are made of it."""
    if given.shape[-1] == filters:
        return given
    return made.normalised(made.convolved(given, filters, kernel=1), mask)
