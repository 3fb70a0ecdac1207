"""Optimisation history: the score of each trial against its end time, and the best so far of each family."""

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

_MAX_FAMILIES = 7


@dataclass(frozen=True, eq=False)
class FamilyHistory:
    """The complete trials of a family, in the order in which they ended."""

    family: str
    seconds: NDArray[np.float64]
    """(trials,) the end times, counted from the start of the study's first trial."""
    scores: NDArray[np.float64]
    best: NDArray[np.float64]
    """(trials,) the best score so far."""


@dataclass(frozen=True, eq=False)
class OptimizationHistory:
    """A line for each family, the one with the best trial first."""

    lines: tuple[FamilyHistory, ...]
    label: str
    """The label of the axis of scores."""
    limits: AxisLimits
    note: str


def compute(data: ReportData) -> OptimizationHistory | None:
    """Return the history; None where no trial is complete."""
    lines = []
    for family, trials in data.complete_by_family.items():
        found = sorted((data.end_times[trial.key], trial.score) for trial in trials if trial.key in data.end_times)
        if found:
            seconds, scores = np.array(found, dtype=np.float64).T
            running = np.minimum if data.sign > 0 else np.maximum
            lines.append(FamilyHistory(family, seconds, scores, running.accumulate(scores)))
    if not lines:
        return None
    shown = lines[:_MAX_FAMILIES]
    scores = np.concatenate([line.scores for line in shown])
    limits = choose_limits(scores.tolist(), data.sign)
    clipped = int((~limits.contains(scores)).sum())
    note = captions.join_sentences(
        captions.describe_clipped(clipped, len(scores)),
        captions.describe_selection(len(shown), len(lines), "families"),
        captions.describe_omitted(len(data.trials) - len(data.complete_trials), "pruned or failed trial"),
    )
    return OptimizationHistory(tuple(shown), data.score_label, limits, note)


@plot_style.apply_style
def draw(numbers: OptimizationHistory) -> Figure:
    """Draw marks for trials, and a step line for the best so far of each family."""
    figure, grid = plot_style.create_figure("Optimisation history")
    axes, handles = grid[0, 0], []
    longest = max(line.seconds.max() for line in numbers.lines)
    unit, unit_name = plot_style.choose_time_unit(longest)
    # The lines of better families are drawn on top.
    for index, line in reversed(list(enumerate(numbers.lines))):
        style = plot_style.series_style(index)
        color, marker = style["color"], style["marker"]
        within, x = numbers.limits.contains(line.scores), line.seconds / unit
        y = numbers.limits.clip(line.scores)
        axes.plot(x[within], y[within], linestyle="", marker=marker, color=color, alpha=0.55, markeredgewidth=0)
        axes.plot(x[~within], y[~within], linestyle="", marker=marker, markerfacecolor="none", color=color)
        steps, best = np.append(x, longest / unit), numbers.limits.clip(np.append(line.best, line.best[-1]))
        axes.step(steps, best, where="post", color=color, linestyle=style["linestyle"])
        handles.append(axes.plot([], [], **style, label=plot_style.shorten(line.family))[0])
    axes.set_xlabel(f"time since the study's first trial began ({unit_name})")
    axes.set_ylabel(numbers.label)
    plot_style.add_legend(figure, handles[::-1])
    return figure
