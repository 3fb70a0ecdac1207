"""Residuals: prediction errors against predictions, and their distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.report import captions, plot_style
from workbench.report.density_scatter import DensityScatter, bin_rows, draw_scatter, needs_log_axis
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_BINS = 12
_MIN_ROWS_PER_BIN = 15
_HISTOGRAM_BINS = 40
_QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, eq=False)
class Residuals:
    """Residuals: predicted minus actual values."""

    rows: DensityScatter
    """x is the predicted value, y the residual."""
    centres: Array
    """(bins,) the mean prediction in bins of about the same size; empty for few rows."""
    quantiles: Array
    """(3, bins) the 10 %, 50 % and 90 % quantiles of the residuals."""
    histogram: NDArray[np.int64]
    """(40,) the number of rows by residual."""
    edges: Array
    """(41,) the borders of the histogram's bins."""
    log_axes: bool
    """Whether the axis of predictions is logarithmic."""
    target: str
    note: str


def compute(data: ReportData) -> Residuals | None:
    """Return the residuals; None without an ensemble, and for classification."""
    if data.oof is None or data.study.task != "regression":
        return None
    predicted = data.oof.astype(np.float64)
    residual = predicted - data.y
    bins = min(_BINS, len(residual) // _MIN_ROWS_PER_BIN)
    centres, quantiles = np.empty(0), np.empty((len(_QUANTILES), 0))
    if bins > 1:
        parts = np.array_split(np.argsort(predicted, kind="stable"), bins)
        centres = np.array([predicted[part].mean() for part in parts])
        quantiles = np.array([np.quantile(residual[part], _QUANTILES) for part in parts]).T
    low, high = _choose_range(residual)
    clipped = int(((residual < low) | (residual > high)).sum())
    histogram, edges = np.histogram(residual.clip(low, high), _HISTOGRAM_BINS)
    rows = bin_rows(predicted, residual.clip(low, high), log_x=needs_log_axis(predicted))
    note = captions.join_sentences(
        f"{clipped:,} residuals lie beyond the edges and are drawn there." if clipped else "", rows.note
    )
    return Residuals(rows, centres, quantiles, histogram, edges, needs_log_axis(predicted), data.study.target, note)


def _choose_range(residual: Array) -> tuple[float, float]:
    """Return the range of residuals that is shown: the middle 99 %, widened by its own width on either side."""
    low, high = np.quantile(residual, (0.005, 0.995))
    width = high - low
    return max(float(residual.min()), float(low - width)), min(float(residual.max()), float(high + width))


@plot_style.apply_style
def draw(numbers: Residuals) -> Figure:
    """Draw residuals against predictions above their histogram."""
    figure, grid = plot_style.create_figure("Residuals", height=5.2, rows=2, height_ratios=(2, 1))
    upper, lower = grid[:, 0]
    draw_scatter(upper, numbers.rows)
    upper.margins(0.03)
    upper.autoscale()
    upper.axhline(0, color=plot_style.TEXT_COLOR, linewidth=1, linestyle="--")
    low, middle, high = numbers.quantiles
    color = plot_style.PALETTE[1]
    upper.fill_between(numbers.centres, low, high, color=color, alpha=0.2, linewidth=0)
    for edge in (low, high):
        upper.plot(numbers.centres, edge, color=color, linewidth=0.8)
    upper.plot(numbers.centres, middle, color=color, linewidth=2)
    if numbers.log_axes:
        upper.set_xscale("log")
        plot_style.use_plain_log_ticks(upper.xaxis)
    target = plot_style.shorten(numbers.target, 22)
    upper.set_xlabel(f"predicted {target}")
    upper.set_ylabel("predicted - actual")
    width = np.diff(numbers.edges)
    lower.bar(numbers.edges[:-1] + width / 2, numbers.histogram, width * 0.9, color=(plot_style.PALETTE[0], 0.8))
    lower.axvline(0, color=plot_style.TEXT_COLOR, linewidth=1, linestyle="--")
    lower.set_xlabel(f"residual: predicted - actual {target}")
    lower.set_ylabel("predictions")
    return figure
