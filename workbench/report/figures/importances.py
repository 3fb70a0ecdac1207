"""Hyperparameter importances: the share of a family's score variation that each hyperparameter explains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_FAMILIES = 6
_MAX_BARS = 24
_MAX_PER_FAMILY = 8


@dataclass(frozen=True)
class HyperparameterImportances:
    """The most important hyperparameters of each family and their shares of the score's variation, largest first."""

    families: Mapping[str, Mapping[str, float]]
    note: str


def compute(data: ReportData) -> HyperparameterImportances | None:
    """Return the importances; None where no family has had enough trials."""
    known = [family for family in data.trials_by_family if data.importances.get(family)]
    if not known:
        return None
    shown = known[:_MAX_FAMILIES]
    limit = min(_MAX_PER_FAMILY, _MAX_BARS // len(shown))
    families, omitted = {}, 0
    for family in shown:
        ranked = sorted(data.importances[family].items(), key=lambda item: -item[1])
        families[family] = dict(ranked[:limit])
        omitted += max(0, len(ranked) - limit)
    missing = [family for family in data.trials_by_family if family not in known]
    note = captions.join_sentences(
        captions.describe_omitted(omitted, "less important hyperparameter"),
        captions.describe_selection(len(shown), len(known), "families"),
        f"Too few trials, or no hyperparameters: {captions.join_names(missing)}." if missing else "",
    )
    return HyperparameterImportances(families, note)


@plot_style.apply_style
def draw(numbers: HyperparameterImportances) -> Figure:
    """Draw a bar for each hyperparameter under the name of its family."""
    names: list[str] = []
    values: list[float] = []
    headings: list[tuple[int, str]] = []
    for family, shares in numbers.families.items():
        headings.append((len(names), family))
        names += ["", *(plot_style.shorten(name, 24) for name in shares)]
        values += [0.0, *shares.values()]
    figure, grid = plot_style.create_figure("What matters", height=1.1 + 0.21 * len(names))
    axes = grid[0, 0]
    plot_style.prepare_bars(axes, names, "share of the score's variation")
    axes.barh(range(len(names)), values, height=0.62, color=plot_style.PALETTE[0])
    for index, family in headings:
        axes.text(0, index + 0.1, plot_style.shorten(family, 30), weight="bold", va="center", ha="left")
    for index, value in enumerate(values):
        if names[index]:
            plot_style.label_bar(axes, value, index, f"{value:.0%}")
    axes.set_xlim(0, max(values) * 1.15)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_ylabel("hyperparameter")
    return figure
