"""Correlation of the members' errors: whether they are wrong on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_MEMBERS = 25
_MAX_WITH_NUMBERS = 12


@dataclass(frozen=True, eq=False)
class ErrorCorrelation:
    """The members, the heaviest first."""

    names: tuple[str, ...]
    matrix: NDArray[np.float64]
    """(members, members) from -1 to 1."""
    measure: str
    note: str

    @property
    def low(self) -> float:
        """The correlation that is drawn palest, at least 0: just below the minimum, so that high ones are distinct."""
        return float(np.clip(np.floor(10 * self.matrix.min()) / 10, 0, 0.9))


def compute(data: ReportData) -> ErrorCorrelation | None:
    """Return the correlations; None without an ensemble of at least two members."""
    diversity = None if data.ensemble is None else data.ensemble.diversity
    if diversity is None or len(diversity.names) < 2:
        return None
    shown = slice(0, _MAX_MEMBERS)
    names = diversity.names[shown]
    matrix = np.asarray(diversity.error_correlation, dtype=np.float64)[shown, shown]
    measure = diversity.measures["error_correlation"]
    omitted = captions.describe_selection(len(names), len(diversity.names), "members", "heaviest")
    return ErrorCorrelation(names, matrix, measure, captions.join_sentences(f"Measure: {measure}.", omitted))


@plot_style.apply_style
def draw(numbers: ErrorCorrelation) -> Figure:
    """Draw a grid; members are numbered on x, and named on y."""
    count = len(numbers.names)
    figure, grid = plot_style.create_figure("Do members fail on the same rows?", height=1.7 + min(0.36 * count, 3.4))
    axes = grid[0, 0]
    opacity = 0.08 + 0.92 * (numbers.matrix - numbers.low) / (1 - numbers.low)
    plot_style.draw_cells(axes, np.where(numbers.matrix < 0, 0, opacity))
    if (numbers.matrix < 0).any():
        plot_style.draw_cells(
            axes, np.maximum(-numbers.matrix, 0), color=plot_style.PALETTE[1], hatch=plot_style.HATCHES[1]
        )
    axes.invert_yaxis()
    axes.grid(visible=False)
    font = {"size": 9 if count <= 15 else 7}
    step = 1 if count <= 15 else 2
    axes.set_xticks(range(0, count, step), [str(place) for place in range(1, count + 1, step)], **font)
    axes.set_yticks(range(count), [f"{plot_style.shorten(n)} · {p}" for p, n in enumerate(numbers.names, 1)], **font)
    axes.tick_params(length=0)
    axes.set_xlabel("member, by number")
    axes.set_ylabel("member")
    if count <= _MAX_WITH_NUMBERS:
        for (row, column), value in np.ndenumerate(numbers.matrix):
            text = f"{value:.2f}".replace("0.", ".")
            color = plot_style.choose_text_color(float(opacity[row, column]) if value >= 0 else -value)
            axes.text(column, row, text, ha="center", va="center", size=8, color=color)
    _add_scale(figure, numbers.low, negative=bool((numbers.matrix < 0).any()))
    return figure


def _add_scale(figure: Figure, low: float, *, negative: bool) -> None:
    """Add a legend of correlations by opacity."""
    from matplotlib.patches import Patch

    color, edge = plot_style.PALETTE[0], plot_style.GRID_COLOR
    handles = [
        Patch(facecolor=(color, 0.08 + 0.92 * part), edgecolor=edge, label=f"{low + part * (1 - low):.3g}")
        for part in (0, 0.5, 1)
    ]
    if negative:
        style: dict[str, Any] = {
            "facecolor": "none",
            "hatch": plot_style.HATCHES[1],
            "edgecolor": plot_style.MUTED_COLOR,
        }
        handles.insert(0, Patch(**style, label="below 0"))
    plot_style.add_legend(figure, handles, columns=4)
