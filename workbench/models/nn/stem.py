"""What deep nets of convolutions begin with: the images, one convolution of them, and how wide and long it goes on."""

from __future__ import annotations

from typing import Any, NamedTuple

from workbench.models.nn import conv_layers, image_input
from workbench.models.nn.conv_layers import ConvLayers


class Stem(NamedTuple):
    """The first layers of a net, and what the search says of those to come."""

    start: Any
    """The net's input."""
    hidden: Any
    """(height, width, filters) after the first convolution, normalised and activated."""
    made: ConvLayers
    filters: int
    """Of the first convolution."""
    stages: int
    """How many there will be; from one to the next the size is halved."""


def search_stem(hp: Any, known: image_input.PixelStatistics, *, filters: int = 32, fewest: int = 16) -> Stem:
    """Return the first layers of a net.

    Args:
        hp: the search space.
        known: what is known of the images.
        filters: the default of the first convolution's filters.
        fewest: the fewest of them.
    """
    start, hidden = image_input.image_input(hp, known)
    made = conv_layers.search_conv_layers(hp, normalise=True)
    stride = hp.Choice("stride", [1, 2], default=1 if min(known.shape[:2]) < 16 else 2)
    filters = hp.Int("filters", fewest, 64, step=2, sampling="log", default=filters)
    stages = hp.Int("stages", 1, 5, default=min(5, known.halvings - (stride > 1) + 1))
    hidden = made.activated(made.normalised(made.convolved(hidden, filters, stride=stride)))
    return Stem(start, hidden, made, filters, stages)
