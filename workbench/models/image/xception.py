"""Depthwise separable convolutions with residuals (Chollet, 2017), in the size of the images."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import heads, image_input, stem, training
from workbench.models.nn.conv_layers import ConvLayers
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a net of separable convolutions."""
    return image_input.fit(_build, hp, problem, train, valid, setting)


def _build(hp: Any, problem: Problem, known: image_input.PixelStatistics) -> Any:
    # Few: the channels are doubled before the first stage, and a processor is slow at channels one by one.
    start, hidden, made, filters, stages = stem.search_stem(hp, known, filters=16, fewest=8)
    for stage in range(stages):
        # The paper doubles the channels at each entry stage; its middle keeps size and channels.
        hidden = _entry(made, hidden, min(512, filters * 2 ** (stage + 1)), halves=bool(stage))
    for _ in range(hp.Int("middle", 0, 4, default=1)):
        hidden = _middle(made, hidden)
    hidden = made.dropped(keras.layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(start, heads.output_layer(hidden, problem))


def _entry(made: ConvLayers, given: Any, filters: int, *, halves: bool) -> Any:
    """Return two separable convolutions, halved, beside a convolution of one pixel."""
    stride = 2 if halves and min(given.shape[1:3]) >= 2 else 1
    hidden = made.activated(made.normalised(made.separated(given, filters)))
    hidden = made.normalised(made.separated(hidden, filters))
    if stride > 1:
        hidden = keras.layers.MaxPooling2D(3, strides=2, padding="same")(hidden)
    aside = made.normalised(made.convolved(given, filters, kernel=1, stride=stride))
    return made.activated(keras.layers.Add()([aside, hidden]))


def _middle(made: ConvLayers, given: Any) -> Any:
    """Return what it is given with two more separable convolutions added."""
    hidden = made.activated(made.normalised(made.separated(given, given.shape[-1])))
    hidden = made.normalised(made.separated(hidden, given.shape[-1]))
    return made.activated(keras.layers.Add()([given, hidden]))
