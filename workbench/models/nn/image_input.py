"""The input layers of image nets: images are scaled, augmented during training, and standardised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from workbench.models.nn import augmentation, data_loader, mixup, training
from workbench.models.nn.keras_model import KerasModel
from workbench.models.nn.optimizer import OptimizerChoices
from workbench.models.nn.training import NetSpec
from workbench.models.protocol import FitContext, Problem, Rows

# Mean and standard deviation come from about this many images.
_SAMPLE = 1000
# A feature map is halved down to about this side, then averaged; larger images have deeper nets.
_MIN_SIDE = 4
# By default a net sees this many images in all epochs together.
_TOTAL_IMAGES = 120_000
# From this many epochs on, augmentation is the default: a net has no time to profit from it in fewer.
_AUGMENTED_EPOCHS = 24


@dataclass(frozen=True)
class ImageStatistics:
    """The number, the shape and the pixel values of a fold's training images."""

    rows: int
    shape: tuple[int, ...]
    """(height, width[, channels]) of an image."""
    dtype: str
    max_value: float
    """Pixel values are divided by it, so that they lie between -1 and 1."""
    mean: tuple[float, ...]
    """The mean of each channel, after the division."""
    std: tuple[float, ...]
    """The standard deviation of each channel, after the division."""

    @property
    def channels(self) -> int:
        """The number of channels."""
        return self.shape[2] if len(self.shape) == 3 else 1

    @property
    def halvings(self) -> int:
        """The number of times an image can be halved before it is too small."""
        return max(1, round(float(np.log2(min(self.shape[:2]) / _MIN_SIDE))))

    @property
    def default_epochs(self) -> int:
        """The default number of epochs: more for fewer images."""
        return int(np.clip(round(_TOTAL_IMAGES / self.rows), 12, 60))


def measure_images(x: Any) -> ImageStatistics:
    """Return the statistics of a fold's training images; many images are sampled."""
    sample = data_loader.to_numpy(x[:: max(1, len(x) // _SAMPLE)])
    max_value = 255.0 if sample.dtype == np.uint8 else float(np.abs(sample).max()) or 1.0
    values = sample.reshape(-1, sample.shape[3] if sample.ndim == 4 else 1) / np.float32(max_value)
    mean, std = values.mean(axis=0, dtype=float), values.std(axis=0, dtype=float)
    std = np.where(std > 1e-6, std, 1.0)
    return ImageStatistics(len(x), tuple(x.shape[1:]), np.dtype(sample.dtype).name, max_value, tuple(mean), tuple(std))


def build_image_input(hp: Any | None, statistics: ImageStatistics) -> tuple[Any, Any]:
    """Return the net's input, and the standardised images, (height, width, channels).

    Without a search space there is no augmentation.
    """
    start = keras.Input(statistics.shape, dtype=statistics.dtype)
    hidden = keras.layers.Rescaling(1 / statistics.max_value)(start)
    if len(statistics.shape) == 2:
        hidden = keras.layers.Reshape((*statistics.shape, 1))(hidden)
    strengths: dict[str, Any] = {}
    if hp is not None:
        enough_epochs = statistics.default_epochs >= _AUGMENTED_EPOCHS
        strengths = augmentation.search_augmentation(hp, statistics.channels, by_default=enough_epochs)
    hidden = augmentation.augment(strengths, hidden)
    scale = [1 / std for std in statistics.std]
    offset = [-mean * factor for mean, factor in zip(statistics.mean, scale, strict=True)]
    return start, augmentation.cut_out(strengths, keras.layers.Rescaling(scale, offset)(hidden))


def restore_pixels(hidden: Any, statistics: ImageStatistics, max_value: float) -> Any:
    """Invert the standardisation of `build_image_input`, to pixel values up to `max_value`."""
    scale = [max_value * std for std in statistics.std]
    return keras.layers.Rescaling(scale, [max_value * mean for mean in statistics.mean])(hidden)


def fit(
    build: Callable[[Any, Problem, ImageStatistics], Any],
    hp: Any,
    problem: Problem,
    train: Rows,
    valid: Rows | None,
    context: FitContext,
) -> KerasModel:
    """Train the net that `build` returns, given the search space, the problem and the image statistics."""
    statistics = measure_images(train.x)
    spec = NetSpec(
        partial(build, hp, problem, statistics),
        mixup=mixup.search_mixup(hp) if problem.classes else None,
        optimizers=OptimizerChoices(horizon=statistics.default_epochs),
    )
    return training.fit(spec, hp, problem, train, valid, context)
