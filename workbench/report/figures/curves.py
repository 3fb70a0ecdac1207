"""Learning curves of the best trial of each family: losses by epoch for each fold, and their mean."""

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
"""Epochs from 1, and the losses at their ends, (epochs,) each."""

_MAX_TRIALS = 6
_MAX_FOLDS = 10
_MAX_POINTS = 120
# Losses whose maximum is more than this many times their minimum are drawn on a logarithmic axis.
_LOG_RATIO = 20.0


@dataclass(frozen=True, eq=False)
class TrialCurves:
    """The learning curves of one trial."""

    name: str
    folds: Mapping[str, tuple[Line, ...]]
    """A line for each fold that is shown, by `val_loss` or `loss`."""
    means: Mapping[str, Line]
    """The mean of all folds up to the epoch that at least half of them reached, by `val_loss` or `loss`."""


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """The trials, best first."""

    trials: tuple[TrialCurves, ...]
    note: str


def compute(data: ReportData) -> LearningCurves | None:
    """Return the curves; None where no trial has any."""
    found = [each for each in (_trial_curves(*item) for item in data.curves.items()) if each is not None]
    if not found:
        return None
    shown = found[:_MAX_TRIALS]
    folds = max(len(curves) for curves in data.curves.values())
    note = captions.join_sentences(
        f"Lines are those of the first {_MAX_FOLDS} of {folds} folds." if folds > _MAX_FOLDS else "",
        captions.describe_selection(len(shown), len(found), "families"),
    )
    return LearningCurves(tuple(shown), note)


def _trial_curves(name: str, curves: Curves) -> TrialCurves | None:
    folds, means = {}, {}
    for loss in ("val_loss", "loss"):
        lines = [line for line in (_line(curve, loss) for curve in curves.values()) if line is not None]
        if lines:
            folds[loss] = tuple(_thin(line) for line in lines[:_MAX_FOLDS])
            means[loss] = _thin(_mean(lines))
    return TrialCurves(name, folds, means) if folds else None


def _line(curve: Mapping[str, Sequence[float]], loss: str) -> Line | None:
    """Return the finite losses of a fold; None where there are none."""
    if loss not in curve:
        return None
    losses = np.asarray(curve[loss], dtype=np.float64)
    epochs = np.asarray(curve.get("epoch", range(len(losses))), dtype=np.float64) + 1
    finite = np.isfinite(losses)
    return (epochs[finite], losses[finite]) if finite.any() else None


def _mean(lines: Sequence[Line]) -> Line:
    """Return the mean loss at every epoch that at least half of the folds reached; folds that ended keep their last."""
    epochs = np.unique(np.concatenate([line[0] for line in lines]))
    kept = np.sum([epochs <= line[0][-1] for line in lines], axis=0) >= len(lines) / 2
    # A fold that left the mean when it ended would make the mean jump.
    losses = np.mean([np.interp(epochs, *line) for line in lines], axis=0)
    return epochs[kept], losses[kept]


def _thin(line: Line) -> Line:
    """Return a line with about `_MAX_POINTS` points, the last and the lowest among them."""
    epochs, losses = line
    if len(epochs) <= _MAX_POINTS:
        return line
    kept = np.linspace(0, len(epochs) - 1, _MAX_POINTS).round().astype(int)
    kept = np.unique(np.append(kept, losses.argmin()))
    return epochs[kept], losses[kept]


@plot_style.apply_style
def draw(numbers: LearningCurves) -> Figure:
    """Draw a panel for each trial."""
    count = len(numbers.trials)
    rows, columns = -(-count // 2), min(count, 2)
    figure, grid = plot_style.create_figure("Learning curves", height=1.1 + 2.0 * rows, rows=rows, columns=columns)
    for index, axes in enumerate(grid.flat):
        if index < count:
            _draw_panel(axes, numbers.trials[index])
        else:
            axes.set_visible(False)
    shown = {name for trial in numbers.trials for name in trial.means}
    handles = [
        grid[0, 0].plot([], [], **_loss_style(name), linewidth=2.2, label=label)[0]
        for name, label in (("val_loss", "validation"), ("loss", "training"))
        if name in shown
    ]
    plot_style.add_legend(figure, handles)
    figure.supylabel("training objective (loss)", size=9.5)
    return figure


def _loss_style(loss: str) -> dict[str, Any]:
    index = 0 if loss == "val_loss" else 1
    return {"color": plot_style.PALETTE[index], "linestyle": plot_style.DASHES[index]}


def _draw_panel(axes: Axes, trial: TrialCurves) -> None:
    for loss, lines in trial.folds.items():
        for epochs, losses in lines:
            axes.plot(epochs, losses, color=plot_style.PALETTE[loss != "val_loss"], alpha=0.35, linewidth=0.6)
    for loss, mean in trial.means.items():
        axes.plot(*mean, **_loss_style(loss), linewidth=2.2)
    if "val_loss" in trial.means:
        epochs, losses = trial.means["val_loss"]
        axes.plot(epochs[losses.argmin()], losses.min(), marker="o", color=plot_style.PALETTE[0], markersize=6)
    values = np.concatenate([line[1] for lines in trial.folds.values() for line in lines])
    if values.min() > 0 and values.max() / values.min() > _LOG_RATIO:
        axes.set_yscale("log")
        plot_style.use_plain_log_ticks(axes.yaxis)
    axes.set_title(plot_style.shorten(trial.name, 24))
    axes.set_xlabel("epoch or boosting round")
    axes.locator_params(axis="x", nbins=5, integer=True)
