"""The filters of an image net's first layer, and the activations of some layers for one image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 8
# The height of a row in inches, and the share of it between images.
_ROW_HEIGHT, _GAP = 0.48, 0.06


@dataclass(frozen=True, eq=False)
class NetFilters:
    """The heaviest member that is a convolutional net."""

    name: str
    filters: NDArray[np.float32]
    """(filters, height, width, 1 or 3) from -1 to 1."""
    image: NDArray[np.uint8]
    """(height, width, 1 or 3)."""
    layers: tuple[str, ...]
    activations: tuple[NDArray[np.float32], ...]
    """(channels, rows, columns) from 0 to 1, for each layer."""
    note: str


def compute(data: ReportData) -> NetFilters | None:
    """Return filters and activations; None where no member is a convolutional net."""
    if data.ensemble is None or not data.image_inspections:
        return None
    name, inspection = next(iter(data.image_inspections.items()))
    omitted = inspection.filters_in_all - len(inspection.filters)
    note = captions.join_sentences(f"{omitted} more filters are not shown." if omitted else "")
    image, layers, activations = inspection.images[0], inspection.layers, inspection.activations
    return NetFilters(name, inspection.filters, image, layers, activations, note)


@plot_style.apply_style
def draw(numbers: NetFilters) -> Figure:
    """Draw rows of small images: the filters, the image, then a row for each layer."""
    rows = list(_list_rows(numbers))
    figure, grid = plot_style.create_figure("Inside a net", height=0.8 + _ROW_HEIGHT * len(rows))
    axes, side = grid[0, 0], 1 - _GAP
    for row, (_, images) in enumerate(rows):
        for column, image in enumerate(images):
            height, width = (min(1.0, image.shape[axis] / image.shape[1 - axis]) * side for axis in (0, 1))
            plot_style.draw_image(axes, image, (column, row, width, height))
    plot_style.prepare_images(axes, _COLUMNS, len(rows), equal=True)
    axes.set_xticks([])
    axes.set_yticks(np.arange(len(rows)) + side / 2, [name for name, _ in rows], fontsize=8)
    axes.set_xlabel("filters of the first layer; then channels of later ones", loc="right")
    axes.set_ylabel(plot_style.shorten(numbers.name))
    return figure


def _list_rows(numbers: NetFilters) -> Iterator[tuple[str, list[NDArray[np.uint8]]]]:
    """Yield the label and the images of each row."""
    filters = [_to_bytes(0.5 + each / 2) for each in numbers.filters]
    for start in range(0, len(filters), _COLUMNS):
        yield ("" if start else "filters"), filters[start : start + _COLUMNS]
    yield "image", [numbers.image]
    for name, channels in zip(numbers.layers, numbers.activations, strict=True):
        layer, _, size = name.rpartition(", ")
        yield f"{plot_style.shorten(layer, 14)}\n{size}", [plot_style.map_colors(each) for each in channels[:_COLUMNS]]


def _to_bytes(values: Any) -> NDArray[np.uint8]:
    return np.asarray(np.clip(values, 0, 1) * 255, dtype=np.uint8)
