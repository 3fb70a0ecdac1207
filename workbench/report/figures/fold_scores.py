"""The scores of the folds, for the best trial of each family and the members of the ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, plot_style
from workbench.report.axis_limits import choose_limits
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_TRIALS = 16


@dataclass(frozen=True, eq=False)
class TrialFoldScores:
    """The scores of one trial's folds."""

    name: str
    is_member: bool
    """Whether the trial is in the ensemble."""
    scores: NDArray[np.float64]
    """(folds,) without undefined ones."""

    @property
    def mean(self) -> float:
        """The mean over the folds."""
        return float(self.scores.mean())

    @property
    def std(self) -> float:
        """The standard deviation over the folds; 0 for a single fold."""
        return float(self.scores.std())


@dataclass(frozen=True, eq=False)
class FoldScores:
    """The trials, best mean first."""

    trials: tuple[TrialFoldScores, ...]
    label: str
    note: str


def compute(data: ReportData) -> FoldScores | None:
    """Return the folds' scores; None where no trial is complete."""
    members = () if data.ensemble is None else data.ensemble.members
    member_runs = {run_id for member in members for run_id in member.run_ids}
    best_runs = {trials[0].run_id for trials in data.complete_by_family.values()}
    found = []
    for trial in data.complete_trials:
        scores = np.array([score for score in trial.fold_scores if np.isfinite(score)], dtype=np.float64)
        if trial.run_id in member_runs | best_runs and len(scores):
            found.append(TrialFoldScores(trial.name, trial.run_id in member_runs, scores))
    if not found:
        return None
    found.sort(key=lambda each: data.sign * each.mean)
    limits = choose_limits([each.mean for each in found], data.sign)
    near = [each for each in found if limits.contains(each.mean)]
    far = [f"{each.name} ({each.mean:.3g})" for each in found if not limits.contains(each.mean)]
    shown = tuple(near[:_MAX_TRIALS])
    note = captions.join_sentences(
        f"Left out because they are far worse: {captions.join_names(far)}." if far else "",
        captions.describe_selection(len(shown), len(near), "trials"),
    )
    return FoldScores(shown, data.score_label, note)


@plot_style.apply_style
def draw(numbers: FoldScores) -> Figure:
    """Draw a line of dots for each trial."""
    trials = numbers.trials
    figure, grid = plot_style.create_figure("Scores of the folds", height=1.2 + 0.26 * len(trials))
    axes, color, mean_color = grid[0, 0], plot_style.PALETTE[0], plot_style.PALETTE[1]
    plot_style.prepare_bars(axes, [plot_style.shorten(each.name) for each in trials], numbers.label)
    for index, each in enumerate(trials):
        axes.plot(
            [each.mean - each.std, each.mean + each.std], [index, index], color=mean_color, linewidth=2.2, zorder=1
        )
        fill = color if each.is_member else plot_style.BACKGROUND
        dots = {"markerfacecolor": fill, "markeredgecolor": color, "markersize": 4.5, "markeredgewidth": 0.8}
        axes.plot(each.scores, np.full(len(each.scores), index), linestyle="", marker="o", alpha=0.8, **dots)
        axes.plot(each.mean, index, marker="|", markersize=15, markeredgewidth=2.4, color=mean_color)
    axes.set_ylabel("trial")
    axes.locator_params(axis="x", nbins=6)
    return figure
