"""How images enter a net: bytes or numbers as they are, scaled, changed a little while it trains, standardised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from workbench.models.nn import augmentation, data_loader, mixup, optimizer, training
from workbench.models.protocol import FitContext, Problem, Rows

# From so many images mean and spread are learnt.
_SAMPLE = 1000
# A map of pixels is halved down to about this side, then averaged; larger images have deeper nets.
_LEAST_SIDE = 4
# How many images, again and again, a net sees in all unless told otherwise.
_SEEN = 120_000
# From so many epochs on it pays to change the images a little.
_LONG = 24


@dataclass(frozen=True)
class PixelStatistics:
    """What a fold's training images say of their values."""

    rows: int
    shape: tuple[int, ...]
    """(height, width[, channels]) of an image."""
    dtype: str
    brightest: float
    """What the values are divided by, so that they lie between -1 and 1."""
    mean: tuple[float, ...]
    """Of each channel, after that."""
    deviation: tuple[float, ...]

    @property
    def channels(self) -> int:
        """The number of values of a pixel."""
        return self.shape[2] if len(self.shape) == 3 else 1

    @property
    def halvings(self) -> int:
        """How often an image may be halved before too little is left of it."""
        return max(1, round(float(np.log2(min(self.shape[:2]) / _LEAST_SIDE))))

    @property
    def epochs(self) -> int:
        """How often a net sees the images unless told otherwise: the fewer there are, the more often."""
        return int(np.clip(round(_SEEN / self.rows), 12, 60))


def measure_pixels(x: Any) -> PixelStatistics:
    """Look at a fold's training images, at some of them where there are many."""
    sample = data_loader.to_numpy(x[:: max(1, len(x) // _SAMPLE)])
    brightest = 255.0 if sample.dtype == np.uint8 else float(np.abs(sample).max()) or 1.0
    values = sample.reshape(-1, sample.shape[3] if sample.ndim == 4 else 1) / np.float32(brightest)
    mean, deviation = values.mean(axis=0, dtype=float), values.std(axis=0, dtype=float)
    deviation = np.where(deviation > 1e-6, deviation, 1.0)
    return PixelStatistics(
        len(x), tuple(x.shape[1:]), np.dtype(sample.dtype).name, brightest, tuple(mean), tuple(deviation)
    )


def image_input(hp: Any | None, known: PixelStatistics) -> tuple[Any, Any]:
    """Return the net's input, and the images as its first block sees them: (height, width, channels).

    Without a search space they are not changed while the net trains.
    """
    start = keras.Input(known.shape, dtype=known.dtype)
    hidden = keras.layers.Rescaling(1 / known.brightest)(start)
    if len(known.shape) == 2:
        hidden = keras.layers.Reshape((*known.shape, 1))(hidden)
    asked = {} if hp is None else augmentation.search_augmentation(hp, known.channels, pays=known.epochs >= _LONG)
    hidden = augmentation.augment(asked, hidden)
    spread = [1 / each for each in known.deviation]
    offset = [-mean * each for mean, each in zip(known.mean, spread, strict=True)]
    return start, augmentation.erase(asked, keras.layers.Rescaling(spread, offset)(hidden))


def restore_pixels(hidden: Any, known: PixelStatistics, brightest: float) -> Any:
    """Return what `entrance` gave with the values of images again, as of some whose brightest are as given."""
    spread = [brightest * each for each in known.deviation]
    return keras.layers.Rescaling(spread, [brightest * each for each in known.mean])(hidden)


def fit(
    build: Callable[[Any, Problem, PixelStatistics], Any],
    hp: Any,
    problem: Problem,
    train: Rows,
    valid: Rows | None,
    setting: FitContext,
) -> training.Network:
    """Train the net that `build` makes of the space, the problem and what is known of the images."""
    known = measure_pixels(train.x)
    return training.fit(
        partial(build, hp, problem, known),
        hp,
        problem,
        train,
        valid,
        setting,
        view=None,
        mixing=mixup.search_mixup(hp) if problem.classes else None,
        choices=optimizer.search_any_optimizer(known.epochs),
    )
