"""Calibration: how often the ensemble is right, by how sure it is."""

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
_FEWEST_IN_A_BIN = 10
_COLUMNS = 20
# Of the normal distribution, for an interval that holds 95 %.
_QUANTILE = 1.96


@dataclass(frozen=True, eq=False)
class Calibration:
    """Rows in bins of about the same number, by predicted probability."""

    predicted: Array
    """(bins,) the mean probability."""
    observed: Array
    """(bins,) the share of the rows that are of the class."""
    low: Array
    """(bins,) the ends of the 95 % interval of that share, after Wilson (1927)."""
    high: Array
    counts: NDArray[np.int64]
    """(bins,) of predictions."""
    columns: NDArray[np.int64]
    """(20,) of predictions, in bins of the same width from 0 to 1."""
    error: float
    """The mean distance between predicted and observed, weighted by counts."""
    subject: str
    """What the probability is of."""
    note: str


def compute(story: ReportData) -> Calibration | None:
    """Return the bins; None without an ensemble, of values, and of ranks, which are no probabilities."""
    oof = story.oof
    if oof is None or story.ensemble is None or story.question.task == "regression":
        return None
    if story.ensemble.get("method") == "rank" or oof.min() < 0 or oof.max() > 1 + 1e-6:
        return None
    if oof.ndim == 1:
        probability, hit = oof, story.y == 1
        subject = f"class {(story.question.classes or (0, 1))[1]}"
    else:
        probability, hit = oof.max(axis=1), story.y == oof.argmax(axis=1)
        subject = "the likeliest class"
    bins = max(1, min(_BINS, len(probability) // _FEWEST_IN_A_BIN))
    edges = np.quantile(probability, np.linspace(0, 1, bins + 1))
    place = np.searchsorted(edges[1:-1], probability)
    counts = np.bincount(place, minlength=bins)
    met = counts > 0
    predicted = np.bincount(place, probability, bins)[met] / counts[met]
    observed = np.bincount(place, hit, bins)[met] / counts[met]
    # A row that was predicted in several repeats is one row.
    share = min(1.0, story.question.rows / len(probability))
    low, high = _interval(observed, counts[met].astype(np.float64) * share)
    error = float(np.abs(predicted - observed) @ counts[met] / counts.sum())
    columns = np.histogram(probability.clip(0, 1), _COLUMNS, (0, 1))[0]
    note = f"On average over all rows the distance is {error:.1%}."
    return Calibration(predicted, observed, low, high, counts[met], columns, error, subject, note)


def _interval(share: Array, rows: Array) -> tuple[Array, Array]:
    """Return the ends of the 95 % interval of a share (Wilson, "Probable inference", 1927)."""
    square = _QUANTILE**2 / rows
    middle = (share + square / 2) / (1 + square)
    reach = np.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return np.clip(middle - reach, 0, share), np.clip(middle + reach, share, 1)


@plot_style.apply_style
def draw(numbers: Calibration) -> Figure:
    """Draw shares above, and below how many predictions are how sure."""
    options: dict[str, Any] = {"height": 4.9, "rows": 2, "sharex": True, "height_ratios": (3, 1)}
    figure, grid = plot_style.canvas("Calibration", **options)
    upper, lower = grid[:, 0]
    upper.plot([0, 1], [0, 1], color=plot_style.SOFT, linewidth=0.8, linestyle=plot_style.DASHES[2])
    reach = [numbers.observed - numbers.low, numbers.high - numbers.observed]
    upper.errorbar(
        numbers.predicted, numbers.observed, yerr=reach, fmt="o-", color=plot_style.INKS[0], ecolor=plot_style.INKS[1],
        elinewidth=1.6, capsize=2.5, linewidth=1.2,
    )  # fmt: skip
    upper.set_ylabel("observed share of rows")
    upper.set_ylim(-0.03, 1.03)
    width = 1 / _COLUMNS
    lower.bar(np.arange(_COLUMNS) * width + width / 2, numbers.columns, width * 0.9, color=(plot_style.INKS[0], 0.8))
    lower.set_ylabel("predictions")
    lower.locator_params(axis="y", nbins=3, integer=True)
    lower.set_xlabel(f"predicted probability of {plot_style.cut(numbers.subject, 28)}")
    lower.set_xlim(-0.02, 1.02)
    return figure
