"""ROC curves: of two classes the ensemble and its heaviest members, of more each class against the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, plot_style, ranking
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_MEMBERS = 3
_MOST_CLASSES = 4


@dataclass(frozen=True, eq=False)
class RocCurve:
    """One ROC curve, thinned."""

    name: str
    area: float
    """Under the whole curve."""
    false_positive: NDArray[np.float64]
    true_positive: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Roc:
    """The curves, the ensemble's own first: of more than two classes it is the mean over the classes."""

    curves: tuple[RocCurve, ...]
    note: str


def compute(story: ReportData) -> Roc | None:
    """Return the curves; None without an ensemble, of values, or where only one class occurs."""
    if story.question.task == "regression":
        return None
    if members := ranking.of_members(story, _MOST_MEMBERS):
        curves = tuple(RocCurve(name, each.area(), *ranking.thin_points(*each.roc())) for name, each in members.items())
        return Roc(curves, captions.best_of(len(curves) - 1, len(story.members), "members", "heaviest"))
    classes = ranking.of_classes(story)
    if not classes:
        return None
    names = story.question.classes or tuple(range(max(classes) + 1))
    rates = np.linspace(0, 1, ranking.MOST_POINTS)
    # Where a curve rises straight up it has several heights; the highest counts.
    heights = np.mean([_heights(*each.roc(), rates) for each in classes.values()], axis=0)
    areas = {index: each.area() for index, each in classes.items()}
    whole = RocCurve(
        "mean of classes", float(np.mean(list(areas.values()))), np.append(0.0, rates), np.append(0.0, heights)
    )
    worst = sorted(areas, key=lambda index: areas[index])[:_MOST_CLASSES]
    shown = (RocCurve(str(names[i]), areas[i], *ranking.thin_points(*classes[i].roc())) for i in worst)
    left = captions.best_of(len(worst), len(classes), "classes", "least recognised")
    return Roc((whole, *shown), captions.join_sentences("Each class is held against all others.", left))


def _heights(x: NDArray[np.float64], y: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the highest y of a rising curve at each x."""
    last = np.append(np.flatnonzero(x[1:] != x[:-1]), len(x) - 1)
    heights: NDArray[np.float64] = np.interp(at, x[last], y[last])
    return heights


@plot_style.apply_style
def draw(numbers: Roc) -> Figure:
    """Draw the curves."""
    figure, grid = plot_style.canvas("ROC curves", height=4.6)
    axes, handles = grid[0, 0], []
    axes.plot([0, 1], [0, 1], color=plot_style.SOFT, linewidth=0.8, linestyle=plot_style.DASHES[2])
    for place, curve in reversed(list(enumerate(numbers.curves))):
        label = f"{plot_style.cut(curve.name)}: area {curve.area:.3f}"
        handles.append(axes.plot(curve.false_positive, curve.true_positive, **plot_style.stroke(place), label=label)[0])
    axes.set_xlabel("false positive rate (share of the other rows)")
    axes.set_ylabel("true positive rate (share of its rows)")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    plot_style.key(figure, handles[::-1], columns=2)
    return figure
