"""Predicted against actual values of the ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.report import plot_style
from workbench.report.density_scatter import DensityScatter, bin_rows, draw_scatter, needs_log_axis
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class PredictedVersusActual:
    """The rows; x is the actual value, y the predicted one."""

    rows: DensityScatter
    low: float
    """The minimum of all values, actual and predicted."""
    high: float
    """The maximum of all values, actual and predicted."""
    log_axes: bool
    """Whether the axes are logarithmic."""
    target: str
    note: str


def compute(data: ReportData) -> PredictedVersusActual | None:
    """Return the rows; None without an ensemble, and for classification."""
    if data.oof is None or data.study.task != "regression":
        return None
    actual, predicted = data.y.astype(np.float64), data.oof.astype(np.float64)
    low, high = float(min(actual.min(), predicted.min())), float(max(actual.max(), predicted.max()))
    logarithmic = low > 0 and needs_log_axis(actual)
    rows = bin_rows(actual, predicted, log_x=logarithmic, log_y=logarithmic)
    return PredictedVersusActual(rows, low, high, logarithmic, data.study.target, rows.note)


@plot_style.apply_style
def draw(numbers: PredictedVersusActual) -> Figure:
    """Draw the rows and the diagonal."""
    figure, grid = plot_style.create_figure("Predicted and actual", height=4.6)
    axes = grid[0, 0]
    draw_scatter(axes, numbers.rows)
    axes.plot(
        [numbers.low, numbers.high],
        [numbers.low, numbers.high],
        color=plot_style.TEXT_COLOR,
        linewidth=1,
        linestyle="--",
    )
    margin = 0.03 * (numbers.high - numbers.low) or 0.5
    if numbers.log_axes:
        axes.set(xscale="log", yscale="log", xlim=(numbers.low / 1.2, numbers.high * 1.2))
        axes.set_ylim(axes.get_xlim())
        plot_style.use_plain_log_ticks(axes.xaxis)
        plot_style.use_plain_log_ticks(axes.yaxis)
    else:
        axes.set_xlim(numbers.low - margin, numbers.high + margin)
        axes.set_ylim(numbers.low - margin, numbers.high + margin)
    axes.set_xlabel(f"actual {plot_style.shorten(numbers.target, 28)}")
    axes.set_ylabel(f"predicted {plot_style.shorten(numbers.target, 28)}")
    return figure
