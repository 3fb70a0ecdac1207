"""Residual nets: blocks that add to what they are given (He et al., 2015), also with the activation first (2016)."""

from typing import Any

import keras

from workbench.models import images, network, style
from workbench.models.network import load
from workbench.models.protocol import Problem, Rows, Setting
from workbench.models.style import Style

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: Setting) -> network.Network:
    """Train a residual net."""
    return images.fit(_build, hp, problem, train, valid, setting)


def _build(hp: Any, problem: Problem, known: images.Pixels) -> Any:
    entrance, hidden = images.entrance(hp, known)
    made = style.searched(hp, normalise=True)
    stride = hp.Choice("stride", [1, 2], default=1 if min(known.shape[:2]) < 16 else 2)
    filters = hp.Int("filters", 16, 64, step=2, sampling="log", default=32)
    depth = hp.Int("blocks", 1, 3, default=1)
    residual = {"post": _after, "pre": _before}[hp.Choice("order", ["post", "pre"])]
    hidden = made.convolved(hidden, filters, stride=stride)
    hidden = made.activated(made.normalised(hidden))
    for stage in range(hp.Int("stages", 1, 5, default=min(5, known.halvings - (stride > 1) + 1))):
        for block in range(depth):
            halves = stage and not block and min(hidden.shape[1:3]) >= 2
            hidden = residual(made, hidden, min(256, filters * 2**stage), 2 if halves else 1)
    if residual is _before:
        hidden = made.activated(made.normalised(hidden))
    hidden = made.dropped(keras.layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(entrance, network.outputs(hidden, problem))


def _after(made: Style, given: Any, filters: int, stride: int) -> Any:
    """Return the block of 2015: two convolutions, and the activation after the sum."""
    hidden = made.activated(made.normalised(made.convolved(given, filters, stride=stride)))
    hidden = made.normalised(made.convolved(hidden, filters))
    if stride > 1 or given.shape[-1] != filters:
        given = made.normalised(made.convolved(given, filters, kernel=1, stride=stride))
    return made.activated(keras.layers.Add()([given, hidden]))


def _before(made: Style, given: Any, filters: int, stride: int) -> Any:
    """Return the block of 2016: normalisation and activation before each convolution, nothing after the sum."""
    hidden = made.activated(made.normalised(given))
    if stride > 1 or given.shape[-1] != filters:
        given = made.convolved(hidden, filters, kernel=1, stride=stride)
    hidden = made.convolved(hidden, filters, stride=stride)
    hidden = made.convolved(made.dropped(made.activated(made.normalised(hidden))), filters)
    return keras.layers.Add()([given, hidden])
