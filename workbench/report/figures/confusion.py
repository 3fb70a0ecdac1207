"""Confusion matrix: for which class the ensemble takes the rows of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_CLASSES = 10
_MOST_WITH_COUNTS = 5


@dataclass(frozen=True, eq=False)
class Confusion:
    """Out-of-fold predictions by true and by predicted class."""

    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    """(classes, classes) rows are true classes, columns are predicted ones."""
    shares: NDArray[np.float64]
    """(classes, classes) of all predictions for the true class, those taken for a class that is not shown included."""
    note: str


def compute(story: ReportData) -> Confusion | None:
    """Return the matrix; None without an ensemble, or of values."""
    if story.oof is None or story.ensemble is None or story.question.task == "regression":
        return None
    threshold = story.ensemble.get("threshold")
    if story.oof.ndim == 1:
        predicted = (story.oof >= (0.5 if threshold is None else threshold)).astype(np.int64)
    else:
        predicted = story.oof.argmax(axis=1)
    classes = 2 if story.oof.ndim == 1 else story.oof.shape[1]
    counts = np.bincount(story.y.astype(np.int64) * classes + predicted, minlength=classes**2)
    counts = counts.reshape(classes, classes)
    names = story.question.classes or tuple(range(classes))
    wrong = counts - np.diag(np.diag(counts))
    confused = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")
    shown = np.sort(confused[:_MOST_CLASSES])
    note = captions.join_sentences(
        f"A row is taken for {names[1]} from a probability of {threshold:.3g} on." if threshold is not None else "",
        captions.best_of(len(shown), classes, "classes", "most confused"),
        "Rows were predicted in several repeats and count as often." if len(story.y) > story.question.rows else "",
    )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    chosen = np.ix_(shown, shown)
    return Confusion(tuple(str(names[i]) for i in shown), counts[chosen], shares[chosen], note)


@plot_style.apply_style
def draw(numbers: Confusion) -> Figure:
    """Draw a grid of shares, with counts where there is room."""
    count = len(numbers.classes)
    figure, grid = plot_style.canvas("Confusion matrix", height=1.5 + min(0.62 * count, 3.6))
    axes, most = grid[0, 0], 16 if count <= _MOST_WITH_COUNTS else 9
    names = [plot_style.cut(name, most) for name in numbers.classes]
    plot_style.shades(axes, numbers.shares)
    axes.invert_yaxis()
    axes.grid(visible=False)
    turn = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if count > _MOST_WITH_COUNTS else {}
    axes.set_xticks(range(count), names, **turn)
    axes.set_yticks(range(count), names)
    axes.tick_params(length=0)
    for (row, column), share in np.ndenumerate(numbers.shares):
        said = f"{share:.0%}" if count > _MOST_WITH_COUNTS else f"{share:.1%}\n{numbers.counts[row, column]:,}"
        if numbers.counts[row, column]:
            size = 8 if count > _MOST_WITH_COUNTS else 9
            axes.text(column, row, said, ha="center", va="center", color=plot_style.on(share), size=size)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return figure
