"""The entrance of nets that read texts: a table's texts as embedded words, and the other columns beside them."""

from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from workbench import features
from workbench.models.protocol import Problem, Rows, Setting


class Entrance(NamedTuple):
    """What a net that reads begins with."""

    inputs: list[Any]
    """The net's inputs, in the order of the view's matrices."""
    steps: Any
    """(rows, steps, values): what is read step by step, 0 where a row is filled up."""
    mask: Any
    """(rows, steps) of True where there is something to read, at least at each row's first step."""
    beside: Any | None
    """(rows, values): the other columns on one scale, to be joined after the steps are read; None without any."""


def view(hp: Any, problem: Problem, train: Rows, setting: Setting) -> tuple[features.Tokens, list[np.ndarray]]:
    """Return the view that a net which reads is fed with, fitted on the training rows, and these rows in it."""
    longest = hp.Int("words", 64, 512, step=2, sampling="log", default=256)
    options: Any = {"numbers": "quantile", "classes": problem.classes, "seed": setting.seed, "longest": longest}
    return features.tokens(problem.columns, pd.DataFrame(train.x), train.y, **options)


def entrance(hp: Any, tokens: features.Tokens, matrices: list[np.ndarray]) -> Entrance:
    """Return the first layers; `matrices` are the training rows in the view `tokens`."""
    inputs = [keras.Input((matrix.shape[1],), dtype=matrix.dtype.name) for matrix in matrices]
    width = hp.Int("embedding", 16, 128, step=2, sampling="log", default=64)
    words = keras.layers.Embedding(tokens.levels, width)(inputs[0])
    # Whole channels are dropped, for single values could be guessed from the steps before and after.
    words = keras.layers.SpatialDropout1D(hp.Float("embedding_dropout", 0.0, 0.5, step=0.1, default=0.2))(words)
    mask = keras.ops.not_equal(inputs[0], features.PADDING)
    return Entrance(inputs, masked(words, mask), mask, inputs[1] if len(inputs) > 1 else None)


def masked(steps: Any, mask: Any) -> Any:
    """Return what is read with 0 where there is nothing to read, so that no convolution sees more."""
    return steps * keras.ops.cast(mask, steps.dtype)[:, :, None]
