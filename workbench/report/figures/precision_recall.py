"""Precision–recall curves: of the ensemble and its heaviest members for two classes, of each class for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, plot_style, ranking
from workbench.report.ranking import Ranking
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_MEMBERS = 3
_MAX_CLASSES = 5


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    """One curve, thinned for drawing."""

    name: str
    average_precision: float
    prevalence: float
    """The share of the rows that belong to the class: the precision of random predictions."""
    recall: NDArray[np.float64]
    precision: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurves:
    """The curves, first the ensemble's; for more than two classes, first the hardest class."""

    curves: tuple[PrecisionRecallCurve, ...]
    subject: str
    """The class that is to be found."""
    note: str


def compute(data: ReportData) -> PrecisionRecallCurves | None:
    """Return the curves; None without an ensemble, for regression, and where only one class occurs."""
    if data.study.task == "regression":
        return None
    if members := ranking.rank_members(data, _MAX_MEMBERS):
        curves = tuple(_curve(name, each) for name, each in members.items())
        omitted = captions.describe_selection(len(curves) - 1, len(data.member_oof), "members", "heaviest")
        note = captions.join_sentences("The dotted line is random guessing.", omitted)
        return PrecisionRecallCurves(curves, str((data.study.classes or (0, 1))[1]), note)
    classes = ranking.rank_classes(data)
    if not classes:
        return None
    names = data.study.classes or tuple(range(max(classes) + 1))
    hardest = sorted(
        (_curve(str(names[index]), each) for index, each in classes.items()), key=lambda curve: curve.average_precision
    )
    shown = tuple(hardest[:_MAX_CLASSES])
    return PrecisionRecallCurves(
        shown, "each class", captions.describe_selection(len(shown), len(classes), "classes", "hardest")
    )


def _curve(name: str, ranked: Ranking) -> PrecisionRecallCurve:
    return PrecisionRecallCurve(
        name, ranked.average_precision(), ranked.prevalence, *ranking.thin_points(*ranked.precision_recall())
    )


@plot_style.apply_style
def draw(numbers: PrecisionRecallCurves) -> Figure:
    """Draw the curves, and a line for random guessing where it is the same for all."""
    figure, grid = plot_style.create_figure("Precision and recall", height=4.4)
    axes, handles = grid[0, 0], []
    prevalences = {curve.prevalence for curve in numbers.curves}
    if len(prevalences) == 1:
        axes.axhline(prevalences.pop(), color=plot_style.MUTED_COLOR, linewidth=0.8, linestyle=plot_style.DASHES[2])
    for index, curve in reversed(list(enumerate(numbers.curves))):
        label = f"{plot_style.shorten(curve.name)}: mean {curve.average_precision:.3f}"
        handles.append(
            axes.step(curve.recall, curve.precision, where="pre", **plot_style.line_style(index), label=label)[0]
        )
    axes.set_xlabel(f"recall (share of the rows of {plot_style.shorten(numbers.subject)} that are found)")
    axes.set_ylabel("precision (share of the predicted rows that are right)")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(top=1.01)
    plot_style.add_legend(figure, handles[::-1], columns=2)
    return figure
