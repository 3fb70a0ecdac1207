"""Score against seconds, and the trials that no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, plot_style
from workbench.report.axis_limits import AxisLimits, choose_limits
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_FAMILIES = 7
# Names stand apart by this share of the front's width.
_APART = 0.4
# A trial that took less than can be measured.
_LEAST_SECONDS = 1e-3


@dataclass(frozen=True, eq=False)
class Pareto:
    """The complete trials, and the front: the quickest first, each better than all that are quicker."""

    families: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """By family, the one with the best trial first: seconds and scores."""
    front: tuple[tuple[str, float, float], ...]
    """Name, seconds and score."""
    window: AxisLimits
    label: str
    note: str


def compute(story: ReportData) -> Pareto | None:
    """Return seconds and scores; None where no trial is complete."""
    if not story.complete:
        return None
    families = {}
    for family, rows in list(story.scored.items())[:_MOST_FAMILIES]:
        seconds = np.array([max(row.seconds, _LEAST_SECONDS) for row in rows])
        families[family] = seconds, np.array([float(row.score or 0) for row in rows])
    shown = [row for row in story.complete if row.family in families]
    front: list[tuple[str, float, float]] = []
    for row in sorted(shown, key=lambda each: (each.seconds, story.sign * float(each.score or 0))):
        score = float(row.score or 0)
        if not front or story.sign * score < story.sign * front[-1][2]:
            front.append((row.name, max(row.seconds, _LEAST_SECONDS), score))
    seen = choose_limits([float(row.score or 0) for row in shown], story.sign)
    beyond = int((~seen.within([float(row.score or 0) for row in shown])).sum())
    note = captions.join_sentences(
        captions.count_at_edge(beyond, len(shown)), captions.best_of(len(families), len(story.scored), "families")
    )
    return Pareto(families, tuple(front), seen, story.score_label, note)


@plot_style.apply_style
def draw(numbers: Pareto) -> Figure:
    """Draw the trials and the front."""
    figure, grid = plot_style.canvas("Score and time")
    axes, handles = grid[0, 0], []
    for place, (family, (seconds, scores)) in reversed(list(enumerate(numbers.families.items()))):
        look = {**plot_style.look(place), "linestyle": ""}
        within, y = numbers.window.within(scores), numbers.window.clipped(scores)
        axes.plot(seconds[within], y[within], **look, alpha=0.6, markeredgewidth=0)
        axes.plot(seconds[~within], y[~within], **look, markerfacecolor="none")
        handles.append(axes.plot([], [], **look, label=plot_style.cut(family))[0])
    x = [seconds for _, seconds, _ in numbers.front]
    y = numbers.window.clipped([score for _, _, score in numbers.front])
    handles.insert(0, axes.step(x, y, where="post", color=plot_style.INK, linewidth=1.2, label="Pareto front")[0])
    axes.set_xscale("log")
    plot_style.plain_numbers(axes.xaxis)
    high = numbers.label.endswith("(higher is better)")
    for name, took, score in _apart(numbers.front):
        # Towards the better and quicker there is nothing, by definition.
        early = np.log(took / numbers.front[0][1]) <= _APART / 2 * np.log(max(x) / min(x))
        axes.annotate(
            plot_style.cut(name, 18), (took, float(numbers.window.clipped(score))), (-3, 4 if high else -11),
            textcoords="offset points", ha="left" if early else "right", fontsize=8.5, color=plot_style.SOFT,
        )  # fmt: skip
    axes.margins(x=0.1, y=0.18)
    axes.set_xlabel("time of a trial, all folds (seconds)")
    axes.set_ylabel(numbers.label)
    plot_style.key(figure, handles[::-1])
    return figure


def _apart(front: Sequence[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Return the trials of a front whose names would not lie on each other: the best, then quicker ones."""
    span = np.log(front[-1][1] / front[0][1])
    named = [front[-1]]
    for each in reversed(front):
        if np.log(named[-1][1] / each[1]) > _APART * span > 0:
            named.append(each)
    return named
