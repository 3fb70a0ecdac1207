"""Inception nets: branches that look at an image in windows of several sizes, joined again (Szegedy et al., 2015)."""

from __future__ import annotations

from typing import Any

import keras

from workbench.models.nn import heads, image_input, stem, training
from workbench.models.nn.conv_layers import ConvLayers
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a net of parallel branches."""
    return image_input.fit(_build, hp, problem, train, valid, setting)


def _build(hp: Any, problem: Problem, known: image_input.PixelStatistics) -> Any:
    start, hidden, made, filters, stages = stem.search_stem(hp, known)
    depth = hp.Int("blocks", 1, 3, default=1)
    twice = hp.Choice("wide", ["3x3 twice", "5x5"]) == "3x3 twice"
    for stage in range(stages):
        if stage and min(hidden.shape[1:3]) >= 2:
            hidden = keras.layers.MaxPooling2D(3, strides=2, padding="same")(hidden)
        for _ in range(depth):
            hidden = _branched(made, hidden, min(512, filters * 2 ** (stage + 1)), twice=twice)
    hidden = made.dropped(keras.layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(start, heads.output_layer(hidden, problem))


def _branched(made: ConvLayers, given: Any, filters: int, *, twice: bool) -> Any:
    """Return four branches side by side, in about the shares of channels of the paper's first module (its table 1).

    Args:
        made: how convolutions are made.
        given: what all branches see.
        filters: of all branches together.
        twice: whether 5×5 is seen by two convolutions of 3×3 (Szegedy et al., 2016).
    """

    def convolved(hidden: Any, share: float, kernel: int) -> Any:
        return made.activated(made.normalised(made.convolved(hidden, max(1, round(filters * share)), kernel=kernel)))

    near = convolved(given, 1 / 4, 1)
    middle = convolved(convolved(given, 3 / 8, 1), 1 / 2, 3)
    far = convolved(given, 1 / 16, 1)
    far = convolved(convolved(far, 1 / 8, 3), 1 / 8, 3) if twice else convolved(far, 1 / 8, 5)
    pooled = convolved(keras.layers.MaxPooling2D(3, strides=1, padding="same")(given), 1 / 8, 1)
    return keras.layers.Concatenate()([near, middle, far, pooled])
