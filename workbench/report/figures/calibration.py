"""Calibration: the observed frequency of a class against its predicted probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.report import plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_BINS = 10
_MIN_ROWS_PER_BIN = 10
_HISTOGRAM_BINS = 20
# The normal quantile of a 95 % interval.
_QUANTILE = 1.96


@dataclass(frozen=True, eq=False)
class Calibration:
    """Rows in bins of about the same size, by predicted probability."""

    predicted: Array
    """(bins,) the mean probability."""
    observed: Array
    """(bins,) the share of the rows that belong to the class."""
    low: Array
    """(bins,) the lower end of the 95 % interval of that share (Wilson, 1927)."""
    high: Array
    counts: NDArray[np.int64]
    """(bins,) the number of predictions."""
    histogram: NDArray[np.int64]
    """(20,) the number of predictions in bins of the same width from 0 to 1."""
    error: float
    """The expected calibration error: the mean |predicted - observed|, weighted by counts."""
    subject: str
    """The event whose probability is predicted."""
    note: str


def compute(data: ReportData) -> Calibration | None:
    """Return the bins; None without an ensemble, for regression, and for ranks, which are not probabilities."""
    oof = data.oof
    if oof is None or data.ensemble is None or data.study.task == "regression":
        return None
    if not data.ensemble.predicts_probabilities or oof.min() < 0 or oof.max() > 1 + 1e-6:
        return None
    if oof.ndim == 1:
        probability, correct = oof, data.y == 1
        subject = f"class {(data.study.classes or (0, 1))[1]}"
    else:
        probability, correct = oof.max(axis=1), data.y == oof.argmax(axis=1)
        subject = "the likeliest class"
    bins = max(1, min(_BINS, len(probability) // _MIN_ROWS_PER_BIN))
    edges = np.quantile(probability, np.linspace(0, 1, bins + 1))
    index = np.searchsorted(edges[1:-1], probability)
    counts = np.bincount(index, minlength=bins)
    filled = counts > 0
    predicted = np.bincount(index, probability, bins)[filled] / counts[filled]
    observed = np.bincount(index, correct, bins)[filled] / counts[filled]
    # The predictions of one row in several repeats are not independent, so they count as one.
    share = min(1.0, data.study.rows / len(probability))
    low, high = _interval(observed, counts[filled].astype(np.float64) * share)
    error = float(np.abs(predicted - observed) @ counts[filled] / counts.sum())
    histogram = np.histogram(probability.clip(0, 1), _HISTOGRAM_BINS, (0, 1))[0]
    note = f"The expected calibration error is {error:.1%}."
    return Calibration(predicted, observed, low, high, counts[filled], histogram, error, subject, note)


def _interval(share: Array, rows: Array) -> tuple[Array, Array]:
    """Return the ends of the 95 % score interval of a share (Wilson, "Probable inference", 1927)."""
    square = _QUANTILE**2 / rows
    centre = (share + square / 2) / (1 + square)
    half_width = np.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return np.clip(centre - half_width, 0, share), np.clip(centre + half_width, share, 1)


@plot_style.apply_style
def draw(numbers: Calibration) -> Figure:
    """Draw the reliability diagram above a histogram of the predictions."""
    options: dict[str, Any] = {"height": 4.9, "rows": 2, "sharex": True, "height_ratios": (3, 1)}
    figure, grid = plot_style.create_figure("Calibration", **options)
    upper, lower = grid[:, 0]
    upper.plot([0, 1], [0, 1], color=plot_style.MUTED_COLOR, linewidth=0.8, linestyle=plot_style.DASHES[2])
    errors = [numbers.observed - numbers.low, numbers.high - numbers.observed]
    upper.errorbar(
        numbers.predicted, numbers.observed, yerr=errors, fmt="o-", color=plot_style.PALETTE[0],
        ecolor=plot_style.PALETTE[1], elinewidth=1.6, capsize=2.5, linewidth=1.2,
    )  # fmt: skip
    upper.set_ylabel("observed share of rows")
    upper.set_ylim(-0.03, 1.03)
    width = 1 / _HISTOGRAM_BINS
    lower.bar(
        np.arange(_HISTOGRAM_BINS) * width + width / 2,
        numbers.histogram,
        width * 0.9,
        color=(plot_style.PALETTE[0], 0.8),
    )
    lower.set_ylabel("predictions")
    lower.locator_params(axis="y", nbins=3, integer=True)
    lower.set_xlabel(f"predicted probability of {plot_style.shorten(numbers.subject, 28)}")
    lower.set_xlim(-0.02, 1.02)
    return figure
