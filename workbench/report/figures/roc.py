"""ROC curves: of the ensemble and its heaviest members for two classes, of each class against the rest for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, plot_style, ranking
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_MEMBERS = 3
_MAX_CLASSES = 4


@dataclass(frozen=True, eq=False)
class RocCurve:
    """One ROC curve, thinned for drawing."""

    name: str
    area: float
    """The area under the curve, computed from all points."""
    false_positive: NDArray[np.float64]
    true_positive: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RocCurves:
    """The curves, first the ensemble's; for more than two classes, first the mean over the classes."""

    curves: tuple[RocCurve, ...]
    note: str


def compute(data: ReportData) -> RocCurves | None:
    """Return the curves; None without an ensemble, for regression, and where only one class occurs."""
    if data.study.task == "regression":
        return None
    if members := ranking.rank_members(data, _MAX_MEMBERS):
        curves = tuple(RocCurve(name, each.area(), *ranking.thin_points(*each.roc())) for name, each in members.items())
        return RocCurves(
            curves, captions.describe_selection(len(curves) - 1, len(data.member_oof), "members", "heaviest")
        )
    classes = ranking.rank_classes(data)
    if not classes:
        return None
    names = data.study.classes or tuple(range(max(classes) + 1))
    rates = np.linspace(0, 1, ranking.MAX_POINTS)
    # At a vertical step the highest true positive rate counts.
    heights = np.mean([_interpolate(*each.roc(), rates) for each in classes.values()], axis=0)
    areas = {index: each.area() for index, each in classes.items()}
    mean = RocCurve(
        "mean of classes", float(np.mean(list(areas.values()))), np.append(0.0, rates), np.append(0.0, heights)
    )
    worst = sorted(areas, key=lambda index: areas[index])[:_MAX_CLASSES]
    shown = (RocCurve(str(names[index]), areas[index], *ranking.thin_points(*classes[index].roc())) for index in worst)
    omitted = captions.describe_selection(len(worst), len(classes), "classes", "least recognised")
    return RocCurves((mean, *shown), captions.join_sentences("Each class is compared with all others.", omitted))


def _interpolate(x: NDArray[np.float64], y: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the highest y of a rising curve at each of `at`, linear between points."""
    last = np.append(np.flatnonzero(x[1:] != x[:-1]), len(x) - 1)
    heights: NDArray[np.float64] = np.interp(at, x[last], y[last])
    return heights


@plot_style.apply_style
def draw(numbers: RocCurves) -> Figure:
    """Draw the curves and the diagonal of random guessing."""
    figure, grid = plot_style.create_figure("ROC curves", height=4.6)
    axes, handles = grid[0, 0], []
    axes.plot([0, 1], [0, 1], color=plot_style.MUTED_COLOR, linewidth=0.8, linestyle=plot_style.DASHES[2])
    for index, curve in reversed(list(enumerate(numbers.curves))):
        label = f"{plot_style.shorten(curve.name)}: area {curve.area:.3f}"
        handles.append(
            axes.plot(curve.false_positive, curve.true_positive, **plot_style.line_style(index), label=label)[0]
        )
    axes.set_xlabel("false positive rate (share of the other rows)")
    axes.set_ylabel("true positive rate (share of its rows)")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    plot_style.add_legend(figure, handles[::-1], columns=2)
    return figure
