"""Stages of 1-D convolutions along the steps, with pooling between them; padding never enters a convolution."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import conv_layers, sequence_input, sequence_stem
from workbench.models.nn.conv_layers import ConvLayers
from workbench.models.nn.sequence_stem import MaskedSteps, SequenceStem

# By default the steps of longer sequences are merged.
_MAX_STEPS = 256


def build_conv1d_stages(hp: Any, stem: SequenceStem, *, stages: int, kernel: int = 5, filters: int = 32) -> MaskedSteps:
    """Build stages of convolutions, plain or residual (Wang et al., 2017).

    Args:
        hp: the search space.
        stem: the first layers.
        stages: the default number of stages.
        kernel: the default kernel size, in steps.
        filters: the default number of filters of the first stage; it doubles from stage to stage, up to 256.
    """
    layers = conv_layers.search_conv_layers(hp)
    residual = hp.Boolean("residual", default=True)
    kernel = hp.Choice("kernel", [3, 5, 7, 9, 15], default=kernel)
    filters = hp.Int("filters", 16, 128, step=2, sampling="log", default=filters)
    convolutions = hp.Int("convolutions", 1, 3, default=2)
    pool_size = hp.Int("pool", 2, 4, default=2)
    steps, mask = sequence_input.merge_steps(hp, stem.steps, stem.mask, max_steps=_MAX_STEPS)
    for stage in range(hp.Int("stages", 1, 5, default=stages)):
        if stage and steps.shape[1] > 1:
            steps = keras.layers.MaxPooling1D(pool_size, padding="same")(steps)
            mask = sequence_input.pool_mask(mask, pool_size)
        shortcut, width = steps, min(256, filters * 2**stage)
        for index in range(convolutions):
            steps = layers.normalize(layers.convolve(steps, width, kernel=kernel), mask)
            if residual and index == convolutions - 1:
                steps = keras.layers.Add()([steps, _project_shortcut(layers, shortcut, width, mask)])
            steps = sequence_stem.mask_padding(layers.activate(steps), mask)
        steps = layers.apply_dropout(steps)
    return MaskedSteps(steps, mask)


def _project_shortcut(layers: ConvLayers, steps: Any, filters: int, mask: Any) -> Any:
    """Return a residual shortcut with the given number of channels."""
    if steps.shape[-1] == filters:
        return steps
    return layers.normalize(layers.convolve(steps, filters, kernel=1), mask)
