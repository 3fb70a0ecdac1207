"""Confusion matrix of the ensemble's out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_CLASSES = 10
_MAX_WITH_COUNTS = 5
# Inches beside the cells, apart from the labels of the rows.
_MARGINS = 0.5


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Out-of-fold predictions by true and by predicted class."""

    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    """(classes, classes) true classes by predicted ones."""
    shares: NDArray[np.float64]
    """(classes, classes) counts over all predictions for the true class, including classes that are not shown."""
    note: str


def compute(data: ReportData) -> ConfusionMatrix | None:
    """Return the matrix; None without an ensemble, and for regression."""
    if data.oof is None or data.ensemble is None or data.study.task == "regression":
        return None
    threshold = data.ensemble.threshold
    if isinstance(threshold, Mapping):
        threshold = None
    if data.oof.ndim == 1:
        predicted = (data.oof >= (0.5 if threshold is None else threshold)).astype(np.int64)
    else:
        predicted = data.oof.argmax(axis=1)
    classes = 2 if data.oof.ndim == 1 else data.oof.shape[1]
    counts = np.bincount(data.y.astype(np.int64) * classes + predicted, minlength=classes**2)
    counts = counts.reshape(classes, classes)
    names = data.study.classes or tuple(range(classes))
    wrong = counts - np.diag(np.diag(counts))
    confused = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")
    shown = np.sort(confused[:_MAX_CLASSES])
    note = captions.join_sentences(
        f"From a probability of {threshold:.3g} on, a row is predicted as {names[1]}." if threshold is not None else "",
        captions.describe_selection(len(shown), classes, "classes", "most confused"),
        "Each row counts once for every repeat of the folds." if len(data.y) > data.study.rows else "",
    )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    chosen = np.ix_(shown, shown)
    return ConfusionMatrix(tuple(str(names[i]) for i in shown), counts[chosen], shares[chosen], note)


def _name_classes(classes: tuple[str, ...]) -> list[str]:
    """Return the labels of the classes: many are written aslant, few must fit side by side."""
    if len(classes) > _MAX_WITH_COUNTS:
        return [plot_style.shorten(name, 9) for name in classes]
    # The labels of the rows take the space of one more column at most.
    width = (plot_style.WIDTH - _MARGINS) * len(classes) / (len(classes) + 1)
    return plot_style.shorten_side_by_side(classes, width, 9, 16)


@plot_style.apply_style
def draw(numbers: ConfusionMatrix) -> Figure:
    """Draw a grid of shares, with counts for few classes."""
    count = len(numbers.classes)
    figure, grid = plot_style.create_figure("Confusion matrix", height=1.5 + min(0.62 * count, 3.6))
    axes = grid[0, 0]
    names = _name_classes(numbers.classes)
    plot_style.draw_cells(axes, numbers.shares)
    axes.invert_yaxis()
    axes.grid(visible=False)
    rotation = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if count > _MAX_WITH_COUNTS else {}
    axes.set_xticks(range(count), names, **rotation)
    axes.set_yticks(range(count), names)
    axes.tick_params(length=0)
    for (row, column), share in np.ndenumerate(numbers.shares):
        text = f"{share:.0%}" if count > _MAX_WITH_COUNTS else f"{share:.1%}\n{numbers.counts[row, column]:,}"
        if numbers.counts[row, column]:
            size = 8 if count > _MAX_WITH_COUNTS else 9
            axes.text(column, row, text, ha="center", va="center", color=plot_style.choose_text_color(share), size=size)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return figure
