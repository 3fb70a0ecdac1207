"""Score against time, and the Pareto front of trials that no other beats in both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, figure_text, plot_style
from workbench.report.axis_limits import AxisLimits, choose_limits
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_FAMILIES = 7
# Points: the size of labels, and the length of the axis that all trials take.
_LABEL_SIZE, _AXIS = 8.5, 250
# The least time of a trial on the logarithmic axis.
_MIN_SECONDS = 1e-3


@dataclass(frozen=True, eq=False)
class ParetoFront:
    """The complete trials, and the front: the fastest first, each better than all faster ones."""

    families: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """Seconds and scores by family, the family with the best trial first."""
    front: tuple[tuple[str, float, float], ...]
    """Name, seconds and score."""
    limits: AxisLimits
    label: str
    note: str


def compute(data: ReportData) -> ParetoFront | None:
    """Return seconds and scores; None where no trial is complete."""
    if not data.complete_trials:
        return None
    families = {}
    for family, trials in list(data.complete_by_family.items())[:_MAX_FAMILIES]:
        seconds = np.array([max(trial.seconds, _MIN_SECONDS) for trial in trials])
        families[family] = seconds, np.array([float(trial.score or 0) for trial in trials])
    shown = [trial for trial in data.complete_trials if trial.family in families]
    front: list[tuple[str, float, float]] = []
    for trial in sorted(shown, key=lambda trial: (trial.seconds, data.sign * float(trial.score or 0))):
        score = float(trial.score or 0)
        if not front or data.sign * score < data.sign * front[-1][2]:
            front.append((trial.name, max(trial.seconds, _MIN_SECONDS), score))
    scores = [float(trial.score or 0) for trial in shown]
    limits = choose_limits(scores, data.sign)
    clipped = int((~limits.contains(scores)).sum())
    note = captions.join_sentences(
        captions.describe_clipped(clipped, len(shown)),
        captions.describe_selection(len(families), len(data.complete_by_family), "families"),
    )
    return ParetoFront(families, tuple(front), limits, data.score_label, note)


@plot_style.apply_style
def draw(numbers: ParetoFront) -> Figure:
    """Draw the trials and the front."""
    figure, grid = plot_style.create_figure("Score and time")
    axes, handles = grid[0, 0], []
    for index, (family, (seconds, scores)) in reversed(list(enumerate(numbers.families.items()))):
        style = {**plot_style.series_style(index), "linestyle": ""}
        within, y = numbers.limits.contains(scores), numbers.limits.clip(scores)
        axes.plot(seconds[within], y[within], **style, alpha=0.6, markeredgewidth=0)
        axes.plot(seconds[~within], y[~within], **style, markerfacecolor="none")
        handles.append(axes.plot([], [], **style, label=plot_style.shorten(family))[0])
    x = [seconds for _, seconds, _ in numbers.front]
    y = numbers.limits.clip([score for _, _, score in numbers.front])
    handles.insert(
        0, axes.step(x, y, where="post", color=plot_style.TEXT_COLOR, linewidth=1.2, label="Pareto front")[0]
    )
    axes.set_xscale("log")
    plot_style.use_plain_log_ticks(axes.xaxis)
    high = numbers.label.endswith("(higher is better)")
    for text, took, score, left in _place_labels(numbers):
        # By definition no trial is in the direction of better and faster, so the label goes there.
        axes.annotate(
            text, (took, float(numbers.limits.clip(score))), (-3, 4 if high else -11), textcoords="offset points",
            ha="left" if left else "right", fontsize=_LABEL_SIZE, color=plot_style.MUTED_COLOR,
        )  # fmt: skip
    axes.margins(x=0.1, y=0.18)
    axes.set_xlabel("time of a trial, all folds (seconds)")
    axes.set_ylabel(numbers.label)
    plot_style.add_legend(figure, handles[::-1])
    return figure


def _place_labels(numbers: ParetoFront) -> list[tuple[str, float, float, bool]]:
    """Return the labels of trials on the front that do not overlap: the best one, then faster ones.

    A label is its text, the seconds and the score of its trial, and whether it begins there instead of ending there.
    """
    every = np.log(np.concatenate([seconds for seconds, _ in numbers.families.values()]))
    scale = _AXIS / max(float(np.ptp(every)), 1e-9)
    placed, taken = [], float("inf")
    for name, took, score in reversed(numbers.front):
        text = plot_style.shorten(name, 18)
        width = figure_text.measure_text(text) * _LABEL_SIZE
        position = (np.log(took) - every.min()) * scale
        # At the left edge there is no room for a label that ends at its trial.
        left = bool(position < width)
        start, end = (position, position + width) if left else (position - width, position)
        if end < taken:
            placed.append((text, took, score, left))
            taken = start
    return placed
