"""Scatter plots of many rows: a point for each row where they are few, else the counts in the cells of a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.report import plot_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MAX_POINTS = 1000
# Values whose maximum is this many times their median are drawn on a logarithmic axis.
_LOG_RATIO = 20.0
_CELLS = 36


@dataclass(frozen=True, eq=False)
class DensityScatter:
    """Rows by two values: as points, or as counts."""

    x: Array
    """(points,); empty where rows are counted."""
    y: Array
    counts: NDArray[np.int64] | None = None
    """(36, 36) the number of rows in each cell, y first."""
    x_edges: Array | None = None
    """(37,) the borders of the cells."""
    y_edges: Array | None = None

    @property
    def note(self) -> str:
        """A sentence on how to read counts; empty for points."""
        return (
            "" if self.counts is None else f"The stronger a cell, the more of the {self.counts.sum():,} rows are in it."
        )


def bin_rows(x: Array, y: Array, *, log_x: bool = False, log_y: bool = False) -> DensityScatter:
    """Return rows as points, or counted in cells if there are more than `MAX_POINTS`.

    Args:
        x: (rows,).
        y: (rows,).
        log_x: whether the x axis is logarithmic, so that cells have the same width there.
        log_y: whether the y axis is logarithmic.
    """
    if len(x) <= MAX_POINTS:
        return DensityScatter(x, y)
    counts, y_edges, x_edges = np.histogram2d(y, x, bins=[_edges(y, log_y), _edges(x, log_x)])
    return DensityScatter(np.empty(0), np.empty(0), counts.astype(np.int64), x_edges, y_edges)


def needs_log_axis(values: Array) -> bool:
    """Return whether values are drawn on a logarithmic axis."""
    return bool(values.min() > 0 and values.max() / np.median(values) >= _LOG_RATIO)


def draw_scatter(axes: Axes, rows: DensityScatter, *, color: str = plot_style.PALETTE[0]) -> None:
    """Draw points, or cells whose opacity is the logarithm of their count."""
    if rows.counts is None or rows.x_edges is None or rows.y_edges is None:
        # Many points overlap, so they are more transparent.
        alpha = float(np.clip(8 / np.sqrt(max(len(rows.x), 1)), 0.3, 0.8))
        axes.plot(rows.x, rows.y, linestyle="", marker="o", markersize=3.5, color=color, alpha=alpha, markeredgewidth=0)
        return
    opacity = np.log1p(rows.counts) / np.log1p(rows.counts.max())
    plot_style.draw_cells(axes, opacity, color=color, edges=(rows.y_edges, rows.x_edges))


def _edges(values: Array, logarithmic: bool) -> Array:
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    spaced = np.geomspace if logarithmic and low > 0 else np.linspace
    edges: Array = spaced(low, high, _CELLS + 1)
    # Rounding must not exclude the extreme values.
    edges[0], edges[-1] = low, high
    return edges
