"""Many rows as points: each one where they are few, else how many there are in each cell of a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.report import plot_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MOST_POINTS = 1000
# Values whose largest is so many times their median are shown by their logarithms.
_WIDE = 20.0
_CELLS = 36


@dataclass(frozen=True, eq=False)
class DensityScatter:
    """Rows by two values."""

    x: Array
    """(points,); none where the rows are too many."""
    y: Array
    counts: NDArray[np.int64] | None = None
    """(36, 36) rows in each cell, y first."""
    x_edges: Array | None = None
    """(37,) of the cells."""
    y_edges: Array | None = None

    @property
    def note(self) -> str:
        """What is to be said of its look."""
        return (
            "" if self.counts is None else f"The stronger a cell, the more of the {self.counts.sum():,} rows are in it."
        )


def gather(x: Array, y: Array, *, wide_x: bool = False, wide_y: bool = False) -> DensityScatter:
    """Return rows as points, or counted.

    Args:
        x: (rows,).
        y: (rows,).
        wide_x: whether x will be on a logarithmic axis, so that cells are to be even there.
        wide_y: the same of y.
    """
    if len(x) <= MOST_POINTS:
        return DensityScatter(x, y)
    counts, y_edges, x_edges = np.histogram2d(y, x, bins=[_edges(y, wide_y), _edges(x, wide_x)])
    return DensityScatter(np.empty(0), np.empty(0), counts.astype(np.int64), x_edges, y_edges)


def wide(values: Array) -> bool:
    """Return whether values belong on a logarithmic axis."""
    return bool(values.min() > 0 and values.max() / np.median(values) >= _WIDE)


def scatter(axes: Axes, cloud: DensityScatter, *, ink: str = plot_style.INKS[0]) -> None:
    """Draw rows; those in a cell by the logarithm of their number."""
    if cloud.counts is None or cloud.x_edges is None or cloud.y_edges is None:
        # The fewer there are, the less they lie on each other.
        strength = float(np.clip(8 / np.sqrt(max(len(cloud.x), 1)), 0.3, 0.8))
        axes.plot(
            cloud.x, cloud.y, linestyle="", marker="o", markersize=3.5, color=ink, alpha=strength, markeredgewidth=0
        )
        return
    strength = np.log1p(cloud.counts) / np.log1p(cloud.counts.max())
    plot_style.shades(axes, strength, ink=ink, edges=(cloud.y_edges, cloud.x_edges))


def _edges(values: Array, logarithmic: bool) -> Array:
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    spaced = np.geomspace if logarithmic and low > 0 else np.linspace
    edges: Array = spaced(low, high, _CELLS + 1)
    # Rounding must not leave the ends outside.
    edges[0], edges[-1] = low, high
    return edges
