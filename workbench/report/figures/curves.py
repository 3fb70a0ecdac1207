"""Learning curves of the best trial of each family: losses by epoch, fold by fold and on average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.array import Array
from workbench.report import captions, plot_style
from workbench.report.report_data import Curves, ReportData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Line = tuple[Array, Array]
"""Epochs from 1, and the losses at their ends."""

_MOST_TRIALS = 6
_MOST_FOLDS = 10
_MOST_POINTS = 120
# Losses that spread over so many times the smallest are shown by their logarithms.
_WIDE = 20.0


@dataclass(frozen=True, eq=False)
class TrialCurves:
    """How one trial learnt."""

    name: str
    folds: Mapping[str, tuple[Line, ...]]
    """By what was measured, `val_loss` or `loss`: a line for each fold that is shown."""
    means: Mapping[str, Line]
    """By what was measured: the mean of all folds, as far as at least half of them went."""


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """The trials, best first."""

    trials: tuple[TrialCurves, ...]
    note: str


def compute(story: ReportData) -> LearningCurves | None:
    """Return the curves; None where no trial that has some is known."""
    found = [each for each in (_learning(*item) for item in story.curves.items()) if each is not None]
    if not found:
        return None
    shown = found[:_MOST_TRIALS]
    folds = max(len(curves) for curves in story.curves.values())
    note = captions.join_sentences(
        f"The first {_MOST_FOLDS} of {folds} folds have a line of their own." if folds > _MOST_FOLDS else "",
        captions.best_of(len(shown), len(found), "families"),
    )
    return LearningCurves(tuple(shown), note)


def _learning(name: str, curves: Curves) -> TrialCurves | None:
    folds, means = {}, {}
    for measured in ("val_loss", "loss"):
        lines = [line for line in (_line(curve, measured) for curve in curves.values()) if line is not None]
        if lines:
            folds[measured] = tuple(_thinned(line) for line in lines[:_MOST_FOLDS])
            means[measured] = _thinned(_mean(lines))
    return TrialCurves(name, folds, means) if folds else None


def _line(curve: Mapping[str, Sequence[float]], measured: str) -> Line | None:
    """Return the losses of a fold that are numbers; None where there are none."""
    if measured not in curve:
        return None
    losses = np.asarray(curve[measured], dtype=np.float64)
    epochs = np.asarray(curve.get("epoch", range(len(losses))), dtype=np.float64) + 1
    told = np.isfinite(losses)
    return (epochs[told], losses[told]) if told.any() else None


def _mean(lines: Sequence[Line]) -> Line:
    """Return the mean loss at every epoch that at least half of the folds have; those that ended keep their last."""
    epochs = np.unique(np.concatenate([line[0] for line in lines]))
    kept = np.sum([epochs <= line[0][-1] for line in lines], axis=0) >= len(lines) / 2
    # Left out of the mean, a fold that ended would make it jump.
    losses = np.mean([np.interp(epochs, *line) for line in lines], axis=0)
    return epochs[kept], losses[kept]


def _thinned(line: Line) -> Line:
    """Return so few points that they can be drawn, the last and the lowest among them."""
    epochs, losses = line
    if len(epochs) <= _MOST_POINTS:
        return line
    taken = np.linspace(0, len(epochs) - 1, _MOST_POINTS).round().astype(int)
    taken = np.unique(np.append(taken, losses.argmin()))
    return epochs[taken], losses[taken]


@plot_style.apply_style
def draw(numbers: LearningCurves) -> Figure:
    """Draw a panel for each trial."""
    count = len(numbers.trials)
    rows, columns = -(-count // 2), min(count, 2)
    figure, grid = plot_style.canvas("Learning curves", height=1.1 + 2.0 * rows, rows=rows, columns=columns)
    for place, axes in enumerate(grid.flat):
        if place < count:
            _panel(axes, numbers.trials[place])
        else:
            axes.set_visible(False)
    shown = {name for trial in numbers.trials for name in trial.means}
    handles = [
        grid[0, 0].plot([], [], **_look(name), linewidth=2.2, label=label)[0]
        for name, label in (("val_loss", "validation"), ("loss", "training"))
        if name in shown
    ]
    plot_style.key(figure, handles)
    figure.supylabel("loss that training lowers", size=9.5)
    return figure


def _look(measured: str) -> dict[str, Any]:
    place = 0 if measured == "val_loss" else 1
    return {"color": plot_style.INKS[place], "linestyle": plot_style.DASHES[place]}


def _panel(axes: Axes, trial: TrialCurves) -> None:
    for measured, lines in trial.folds.items():
        for epochs, losses in lines:
            axes.plot(epochs, losses, color=plot_style.INKS[measured != "val_loss"], alpha=0.35, linewidth=0.6)
    for measured, mean in trial.means.items():
        axes.plot(*mean, **_look(measured), linewidth=2.2)
    if "val_loss" in trial.means:
        epochs, losses = trial.means["val_loss"]
        axes.plot(epochs[losses.argmin()], losses.min(), marker="o", color=plot_style.INKS[0], markersize=6)
    values = np.concatenate([line[1] for lines in trial.folds.values() for line in lines])
    if values.min() > 0 and values.max() / values.min() > _WIDE:
        axes.set_yscale("log")
        plot_style.plain_numbers(axes.yaxis)
    axes.set_title(plot_style.cut(trial.name, 24))
    axes.set_xlabel("epoch or boosting round")
    axes.locator_params(axis="x", nbins=5, integer=True)
