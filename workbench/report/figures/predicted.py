"""Predicted against actual values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.report import plot_style
from workbench.report.density_scatter import DensityScatter, gather, scatter, wide
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Predicted:
    """The rows; x is the actual value, y the predicted one."""

    rows: DensityScatter
    low: float
    """The least and the greatest of all values, actual or predicted."""
    high: float
    wide: bool
    """Whether the axes are logarithmic."""
    target: str
    note: str


def compute(story: ReportData) -> Predicted | None:
    """Return the rows; None without an ensemble, or of classes."""
    if story.oof is None or story.question.task != "regression":
        return None
    actual, predicted = story.y.astype(np.float64), story.oof.astype(np.float64)
    low, high = float(min(actual.min(), predicted.min())), float(max(actual.max(), predicted.max()))
    logarithmic = low > 0 and wide(actual)
    rows = gather(actual, predicted, wide_x=logarithmic, wide_y=logarithmic)
    return Predicted(rows, low, high, logarithmic, story.question.target, rows.note)


@plot_style.apply_style
def draw(numbers: Predicted) -> Figure:
    """Draw the rows and the diagonal."""
    figure, grid = plot_style.canvas("Predicted and actual", height=4.6)
    axes = grid[0, 0]
    scatter(axes, numbers.rows)
    axes.plot(
        [numbers.low, numbers.high], [numbers.low, numbers.high], color=plot_style.INK, linewidth=1, linestyle="--"
    )
    room = 0.03 * (numbers.high - numbers.low) or 0.5
    if numbers.wide:
        axes.set(xscale="log", yscale="log", xlim=(numbers.low / 1.2, numbers.high * 1.2))
        axes.set_ylim(axes.get_xlim())
        plot_style.plain_numbers(axes.xaxis)
        plot_style.plain_numbers(axes.yaxis)
    else:
        axes.set_xlim(numbers.low - room, numbers.high + room)
        axes.set_ylim(numbers.low - room, numbers.high + room)
    axes.set_xlabel(f"actual {plot_style.cut(numbers.target, 28)}")
    axes.set_ylabel(f"predicted {plot_style.cut(numbers.target, 28)}")
    return figure
