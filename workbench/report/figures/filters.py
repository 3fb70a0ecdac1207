"""What is in a net of images: the filters of its first layer, and what some layers make of an image."""

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
# Inches of a row; and the share of it that is left between pictures.
_ROW, _GAP = 0.48, 0.06


@dataclass(frozen=True, eq=False)
class Filters:
    """The heaviest member that is a net of convolutions."""

    name: str
    filters: NDArray[np.float32]
    """(filters, height, width, 1 or 3) from -1 to 1."""
    image: NDArray[np.uint8]
    """(height, width, 1 or 3)."""
    layers: tuple[str, ...]
    activations: tuple[NDArray[np.float32], ...]
    """(channels, rows, columns) from 0 to 1 of each layer."""
    note: str


def compute(story: ReportData) -> Filters | None:
    """Return what is in the net; None where no member is one."""
    if story.ensemble is None or not story.looks:
        return None
    name, look = next(iter(story.looks.items()))
    left = look.filters_in_all - len(look.filters)
    note = captions.join_sentences(f"{left} more filters are not shown." if left else "")
    return Filters(name, look.filters, look.images[0], look.layers, look.activations, note)


@plot_style.apply_style
def draw(numbers: Filters) -> Figure:
    """Draw rows of small pictures: the filters, the image, then a row for each layer."""
    rows = list(_rows(numbers))
    figure, grid = plot_style.canvas("Inside a net", height=0.8 + _ROW * len(rows))
    axes, side = grid[0, 0], 1 - _GAP
    for row, (_, shown) in enumerate(rows):
        for place, each in enumerate(shown):
            high, wide = (min(1.0, each.shape[axis] / each.shape[1 - axis]) * side for axis in (0, 1))
            plot_style.picture(axes, each, (place, row, wide, high))
    plot_style.show_image(axes, _COLUMNS, len(rows), equal=True)
    axes.set_xticks([])
    axes.set_yticks(np.arange(len(rows)) + side / 2, [name for name, _ in rows], fontsize=8)
    axes.set_xlabel("filters of the first layer; then channels of later ones", loc="right")
    axes.set_ylabel(plot_style.cut(numbers.name))
    return figure


def _rows(numbers: Filters) -> Iterator[tuple[str, list[NDArray[np.uint8]]]]:
    """Yield what a row is called, and its pictures."""
    filters = [_bytes(0.5 + each / 2) for each in numbers.filters]
    for start in range(0, len(filters), _COLUMNS):
        yield ("" if start else "filters"), filters[start : start + _COLUMNS]
    yield "image", [numbers.image]
    for name, channels in zip(numbers.layers, numbers.activations, strict=True):
        layer, _, size = name.rpartition(", ")
        yield f"{plot_style.cut(layer, 14)}\n{size}", [plot_style.tint(each) for each in channels[:_COLUMNS]]


def _bytes(values: Any) -> NDArray[np.uint8]:
    return np.asarray(np.clip(values, 0, 1) * 255, dtype=np.uint8)
