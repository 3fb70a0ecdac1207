"""How much each hyperparameter of a family matters to its scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_FAMILIES = 6
_MOST_BARS = 24
_MOST_OF_A_FAMILY = 8


@dataclass(frozen=True)
class Importances:
    """By family, the hyperparameters that matter most and their shares of the score's variation, largest first."""

    families: Mapping[str, Mapping[str, float]]
    note: str


def compute(story: ReportData) -> Importances | None:
    """Return the importances; None where no family has had enough trials to say."""
    known = [family for family in story.families if story.importances.get(family)]
    if not known:
        return None
    shown = known[:_MOST_FAMILIES]
    most = min(_MOST_OF_A_FAMILY, _MOST_BARS // len(shown))
    families, left = {}, 0
    for family in shown:
        ranked = sorted(story.importances[family].items(), key=lambda item: -item[1])
        families[family] = dict(ranked[:most])
        left += max(0, len(ranked) - most)
    silent = [family for family in story.families if family not in known]
    note = captions.join_sentences(
        captions.count_left_out(left, "less important hyperparameter"),
        captions.best_of(len(shown), len(known), "families"),
        f"Too few trials to say, or nothing to choose: {captions.join_names(silent)}." if silent else "",
    )
    return Importances(families, note)


@plot_style.apply_style
def draw(numbers: Importances) -> Figure:
    """Draw a bar for each hyperparameter, below the name of its family."""
    names: list[str] = []
    values: list[float] = []
    heads: list[tuple[int, str]] = []
    for family, shares in numbers.families.items():
        heads.append((len(names), family))
        names += ["", *(plot_style.cut(name, 24) for name in shares)]
        values += [0.0, *shares.values()]
    figure, grid = plot_style.canvas("What matters", height=1.1 + 0.21 * len(names))
    axes = grid[0, 0]
    plot_style.bars(axes, names, "share of the score's variation")
    axes.barh(range(len(names)), values, height=0.62, color=plot_style.INKS[0])
    for place, family in heads:
        axes.text(0, place + 0.1, plot_style.cut(family, 30), weight="bold", va="center", ha="left")
    for place, value in enumerate(values):
        if names[place]:
            plot_style.beside(axes, value, place, f"{value:.0%}")
    axes.set_xlim(0, max(values) * 1.15)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_ylabel("hyperparameter")
    return figure
