"""Residuals: how far predictions are off, against what was predicted, and how they are spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.report import captions, plot_style
from workbench.report.density_scatter import DensityScatter, gather, scatter, wide
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_BINS = 12
_FEWEST_IN_A_BIN = 15
_COLUMNS = 40
_QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, eq=False)
class Residuals:
    """Predicted less actual values."""

    rows: DensityScatter
    """x is the predicted value, y the residual."""
    centres: Array
    """(bins,) the mean prediction in bins of about the same number of rows; none of few rows."""
    quantiles: Array
    """(3, bins) of the residuals: a tenth, the half, nine tenths."""
    columns: NDArray[np.int64]
    """(40,) rows by residual."""
    edges: Array
    """(41,) of the columns."""
    wide: bool
    """Whether predictions are on a logarithmic axis."""
    target: str
    note: str


def compute(story: ReportData) -> Residuals | None:
    """Return the residuals; None without an ensemble, or of classes."""
    if story.oof is None or story.question.task != "regression":
        return None
    predicted = story.oof.astype(np.float64)
    residual = predicted - story.y
    bins = min(_BINS, len(residual) // _FEWEST_IN_A_BIN)
    centres, quantiles = np.empty(0), np.empty((len(_QUANTILES), 0))
    if bins > 1:
        parts = np.array_split(np.argsort(predicted, kind="stable"), bins)
        centres = np.array([predicted[part].mean() for part in parts])
        quantiles = np.array([np.quantile(residual[part], _QUANTILES) for part in parts]).T
    low, high = _reach(residual)
    beyond = int(((residual < low) | (residual > high)).sum())
    columns, edges = np.histogram(residual.clip(low, high), _COLUMNS)
    rows = gather(predicted, residual.clip(low, high), wide_x=wide(predicted))
    note = captions.join_sentences(
        f"{beyond:,} residuals lie beyond the edges, where they are put." if beyond else "", rows.note
    )
    return Residuals(rows, centres, quantiles, columns, edges, wide(predicted), story.question.target, note)


def _reach(residual: Array) -> tuple[float, float]:
    """Return the stretch of the residuals that is shown: all but those far from 99 % of them."""
    low, high = np.quantile(residual, (0.005, 0.995))
    room = high - low
    return max(float(residual.min()), float(low - room)), min(float(residual.max()), float(high + room))


@plot_style.apply_style
def draw(numbers: Residuals) -> Figure:
    """Draw residuals against predictions above, and how they are spread below."""
    figure, grid = plot_style.canvas("Residuals", height=5.2, rows=2, height_ratios=(2, 1))
    upper, lower = grid[:, 0]
    scatter(upper, numbers.rows)
    upper.margins(0.03)
    upper.autoscale()
    upper.axhline(0, color=plot_style.INK, linewidth=1, linestyle="--")
    low, middle, high = numbers.quantiles
    ink = plot_style.INKS[1]
    upper.fill_between(numbers.centres, low, high, color=ink, alpha=0.2, linewidth=0)
    for edge in (low, high):
        upper.plot(numbers.centres, edge, color=ink, linewidth=0.8)
    upper.plot(numbers.centres, middle, color=ink, linewidth=2)
    if numbers.wide:
        upper.set_xscale("log")
        plot_style.plain_numbers(upper.xaxis)
    named = plot_style.cut(numbers.target, 22)
    upper.set_xlabel(f"predicted {named}")
    upper.set_ylabel("predicted - actual")
    width = np.diff(numbers.edges)
    lower.bar(numbers.edges[:-1] + width / 2, numbers.columns, width * 0.9, color=(plot_style.INKS[0], 0.8))
    lower.axvline(0, color=plot_style.INK, linewidth=1, linestyle="--")
    lower.set_xlabel(f"residual: predicted - actual {named}")
    lower.set_ylabel("predictions")
    return figure
