"""Optimisation history: the score of each trial by when it ended, and each family's best so far."""

from __future__ import annotations

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


@dataclass(frozen=True, eq=False)
class BestSoFar:
    """The complete trials of a family, in the order in which they ended."""

    family: str
    seconds: NDArray[np.float64]
    """(trials,) from the beginning of the study's first trial."""
    scores: NDArray[np.float64]
    best: NDArray[np.float64]
    """(trials,) the best score so far."""


@dataclass(frozen=True, eq=False)
class OptimizationHistory:
    """A line for each family, the one with the best trial first."""

    lines: tuple[BestSoFar, ...]
    label: str
    """Of the axis of scores."""
    window: AxisLimits
    note: str


def compute(story: ReportData) -> OptimizationHistory | None:
    """Return the history; None where no trial is complete."""
    lines = []
    for family, rows in story.scored.items():
        found = sorted((story.ended[row.key], row.score) for row in rows if row.key in story.ended)
        if found:
            seconds, scores = np.array(found, dtype=np.float64).T
            running = np.minimum if story.sign > 0 else np.maximum
            lines.append(BestSoFar(family, seconds, scores, running.accumulate(scores)))
    if not lines:
        return None
    shown = lines[:_MOST_FAMILIES]
    scores = np.concatenate([line.scores for line in shown])
    seen = choose_limits(scores.tolist(), story.sign)
    beyond = int((~seen.within(scores)).sum())
    note = captions.join_sentences(
        captions.count_at_edge(beyond, len(scores)),
        captions.best_of(len(shown), len(lines), "families"),
        captions.count_left_out(len(story.trials) - len(story.complete), "pruned or failed trial"),
    )
    return OptimizationHistory(tuple(shown), story.score_label, seen, note)


@plot_style.apply_style
def draw(numbers: OptimizationHistory) -> Figure:
    """Draw the history."""
    figure, grid = plot_style.canvas("Optimisation history")
    axes, handles = grid[0, 0], []
    longest = max(line.seconds.max() for line in numbers.lines)
    unit, word = plot_style.clock(longest)
    # Below the others' lines stand those of the worse families.
    for place, line in reversed(list(enumerate(numbers.lines))):
        look = plot_style.look(place)
        ink, marker = look["color"], look["marker"]
        within, x = numbers.window.within(line.scores), line.seconds / unit
        y = numbers.window.clipped(line.scores)
        axes.plot(x[within], y[within], linestyle="", marker=marker, color=ink, alpha=0.55, markeredgewidth=0)
        axes.plot(x[~within], y[~within], linestyle="", marker=marker, markerfacecolor="none", color=ink)
        steps, best = np.append(x, longest / unit), numbers.window.clipped(np.append(line.best, line.best[-1]))
        axes.step(steps, best, where="post", color=ink, linestyle=look["linestyle"])
        handles.append(axes.plot([], [], **look, label=plot_style.cut(line.family))[0])
    axes.set_xlabel(f"time since the study's first trial began ({word})")
    axes.set_ylabel(numbers.label)
    plot_style.key(figure, handles[::-1])
    return figure
