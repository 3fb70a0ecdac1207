"""The first layers of deep convolutional nets, and their number of filters and stages."""

from __future__ import annotations

from typing import Any, NamedTuple

from workbench.models.nn import conv_layers, image_input
from workbench.models.nn.conv_layers import ConvLayers
from workbench.models.nn.image_input import ImageStatistics


class ImageStem(NamedTuple):
    """The first layers of a net, and the hyperparameters of the layers that follow."""

    start: Any
    """The net's input."""
    hidden: Any
    """(height, width, filters) after the first convolution, normalised and activated."""
    layers: ConvLayers
    filters: int
    """The filters of the first convolution."""
    stages: int
    """The number of stages; the size is halved from one to the next."""


def build_image_stem(hp: Any, statistics: ImageStatistics, *, filters: int = 32, min_filters: int = 16) -> ImageStem:
    """Build the first layers of a net.

    Args:
        hp: the search space.
        statistics: of the training images.
        filters: the default number of filters of the first convolution.
        min_filters: the least number of filters.
    """
    start, hidden = image_input.build_image_input(hp, statistics)
    layers = conv_layers.search_conv_layers(hp, batch_norm=True)
    stride = hp.Choice("stride", [1, 2], default=1 if min(statistics.shape[:2]) < 16 else 2)
    filters = hp.Int("filters", min_filters, 64, step=2, sampling="log", default=filters)
    stages = hp.Int("stages", 1, 5, default=min(5, statistics.halvings - (stride > 1) + 1))
    hidden = layers.activate(layers.normalize(layers.convolve(hidden, filters, stride=stride)))
    return ImageStem(start, hidden, layers, filters, stages)
