"""Whether members are wrong on the same rows: the correlation of their errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_MEMBERS = 25
_MOST_WITH_NUMBERS = 12


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
        """The correlation that is drawn palest, so that high ones can be told apart: below the least, 0 or more."""
        return float(np.clip(np.floor(10 * self.matrix.min()) / 10, 0, 0.9))


def compute(story: ReportData) -> ErrorCorrelation | None:
    """Return the correlations; None without an ensemble of at least two."""
    if story.ensemble is None or len(story.ensemble["diversity"]["members"]) < 2:
        return None
    document = story.ensemble["diversity"]
    names = tuple(member["name"] for member in document["members"])
    told = document["error_correlation"]
    shown = slice(0, _MOST_MEMBERS)
    left = captions.best_of(len(names[shown]), len(names), "members", "heaviest")
    matrix = np.asarray(told["matrix"], dtype=np.float64)[shown, shown]
    return ErrorCorrelation(
        names[shown], matrix, told["measure"], captions.join_sentences(f"Measured: {told['measure']}.", left)
    )


@plot_style.apply_style
def draw(numbers: ErrorCorrelation) -> Figure:
    """Draw a grid; members are numbered, and named at its side."""
    count = len(numbers.names)
    figure, grid = plot_style.canvas("Do members fail on the same rows?", height=1.7 + min(0.36 * count, 3.4))
    axes = grid[0, 0]
    strength = 0.08 + 0.92 * (numbers.matrix - numbers.low) / (1 - numbers.low)
    plot_style.shades(axes, np.where(numbers.matrix < 0, 0, strength))
    if (numbers.matrix < 0).any():
        plot_style.shades(axes, np.maximum(-numbers.matrix, 0), ink=plot_style.INKS[1], hatch=plot_style.HATCHES[1])
    axes.invert_yaxis()
    axes.grid(visible=False)
    small = {"size": 9 if count <= 15 else 7}
    step = 1 if count <= 15 else 2
    axes.set_xticks(range(0, count, step), [str(place) for place in range(1, count + 1, step)], **small)
    axes.set_yticks(range(count), [f"{plot_style.cut(n)} · {p}" for p, n in enumerate(numbers.names, 1)], **small)
    axes.tick_params(length=0)
    axes.set_xlabel("member, by number")
    axes.set_ylabel("member")
    if count <= _MOST_WITH_NUMBERS:
        for (row, column), value in np.ndenumerate(numbers.matrix):
            said, ink = (
                f"{value:.2f}".replace("0.", "."),
                plot_style.on(float(strength[row, column]) if value >= 0 else -value),
            )
            axes.text(column, row, said, ha="center", va="center", size=8, color=ink)
    _scale(figure, numbers.low, negative=bool((numbers.matrix < 0).any()))
    return figure


def _scale(figure: Figure, low: float, *, negative: bool) -> None:
    """Say what a cell's strength means."""
    from matplotlib.patches import Patch

    ink, edge = plot_style.INKS[0], plot_style.GRID
    handles = [
        Patch(facecolor=(ink, 0.08 + 0.92 * part), edgecolor=edge, label=f"{low + part * (1 - low):.3g}")
        for part in (0, 0.5, 1)
    ]
    if negative:
        look: dict[str, Any] = {"facecolor": "none", "hatch": plot_style.HATCHES[1], "edgecolor": plot_style.SOFT}
        handles.insert(0, Patch(**look, label="below 0"))
    plot_style.key(figure, handles, columns=4)
