"""Precision against recall: of two classes the ensemble and its heaviest members, of more each class on its own."""

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

_MOST_MEMBERS = 3
_MOST_CLASSES = 5


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    """One curve, thinned."""

    name: str
    average_precision: float
    prevalence: float
    """The share of the rows that are of the class, which is the precision of guessing."""
    recall: NDArray[np.float64]
    precision: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """The curves: the ensemble's first, or of more than two classes the hardest one's."""

    curves: tuple[PrecisionRecallCurve, ...]
    subject: str
    """What is looked for."""
    note: str


def compute(story: ReportData) -> PrecisionRecall | None:
    """Return the curves; None without an ensemble, of values, or where only one class occurs."""
    if story.question.task == "regression":
        return None
    if members := ranking.of_members(story, _MOST_MEMBERS):
        curves = tuple(_curve(name, each) for name, each in members.items())
        left = captions.best_of(len(curves) - 1, len(story.members), "members", "heaviest")
        note = captions.join_sentences("The dotted line is guessing.", left)
        return PrecisionRecall(curves, str((story.question.classes or (0, 1))[1]), note)
    classes = ranking.of_classes(story)
    if not classes:
        return None
    names = story.question.classes or tuple(range(max(classes) + 1))
    hardest = sorted((_curve(str(names[index]), each) for index, each in classes.items()), key=_quality)
    shown = tuple(hardest[:_MOST_CLASSES])
    return PrecisionRecall(shown, "each class", captions.best_of(len(shown), len(classes), "classes", "hardest"))


def _curve(name: str, rows: Ranking) -> PrecisionRecallCurve:
    return PrecisionRecallCurve(
        name, rows.average_precision(), rows.prevalence, *ranking.thin_points(*rows.precision_recall())
    )


def _quality(curve: PrecisionRecallCurve) -> float:
    return curve.average_precision


@plot_style.apply_style
def draw(numbers: PrecisionRecall) -> Figure:
    """Draw the curves."""
    figure, grid = plot_style.canvas("Precision and recall", height=4.4)
    axes, handles = grid[0, 0], []
    guesses = {curve.prevalence for curve in numbers.curves}
    if len(guesses) == 1:
        axes.axhline(guesses.pop(), color=plot_style.SOFT, linewidth=0.8, linestyle=plot_style.DASHES[2])
    for place, curve in reversed(list(enumerate(numbers.curves))):
        label = f"{plot_style.cut(curve.name)}: mean {curve.average_precision:.3f}"
        handles.append(
            axes.step(curve.recall, curve.precision, where="pre", **plot_style.stroke(place), label=label)[0]
        )
    axes.set_xlabel(f"recall (share of the rows of {plot_style.cut(numbers.subject)} that are found)")
    axes.set_ylabel("precision (share of those found that are right)")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(top=1.01)
    plot_style.key(figure, handles[::-1], columns=2)
    return figure
