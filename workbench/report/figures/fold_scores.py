"""The score of every fold: the best trial of each family, and the members of the ensemble."""

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

_MOST_TRIALS = 16


@dataclass(frozen=True, eq=False)
class FoldSpread:
    """The folds of one trial."""

    name: str
    member: bool
    """Whether it is in the ensemble."""
    scores: NDArray[np.float64]
    """(folds,) those that are defined."""

    @property
    def mean(self) -> float:
        """The mean of the folds' scores."""
        return float(self.scores.mean())

    @property
    def std(self) -> float:
        """Their standard deviation, 0 of a single fold."""
        return float(self.scores.std())


@dataclass(frozen=True, eq=False)
class FoldScores:
    """The trials, best mean first."""

    trials: tuple[FoldSpread, ...]
    label: str
    note: str


def compute(story: ReportData) -> FoldScores | None:
    """Return the folds' scores; None where no trial is complete."""
    inside = {run_id for member in (story.ensemble or {}).get("members", ()) for run_id in _runs(member)}
    best = {rows[0].run_id for rows in story.scored.values()}
    found = []
    for row in story.complete:
        scores = np.array([score for score in row.fold_scores if np.isfinite(score)], dtype=np.float64)
        if (row.run_id in inside or row.run_id in best) and len(scores):
            found.append(FoldSpread(row.name, row.run_id in inside, scores))
    if not found:
        return None
    found.sort(key=lambda each: story.sign * each.mean)
    seen = choose_limits([each.mean for each in found], story.sign)
    near = [each for each in found if seen.within(each.mean)]
    far = [f"{each.name} ({each.mean:.3g})" for each in found if not seen.within(each.mean)]
    shown = tuple(near[:_MOST_TRIALS])
    note = captions.join_sentences(
        f"Far worse and left out: {captions.join_names(far)}." if far else "",
        captions.best_of(len(shown), len(near), "trials"),
    )
    return FoldScores(shown, story.score_label, note)


def _runs(member: object) -> list[str]:
    """Return the runs that a member of an ensemble's document is made of."""
    known = member if isinstance(member, dict) else {}
    return [known.get("run_id", ""), *known.get("run_ids", ())]


@plot_style.apply_style
def draw(numbers: FoldScores) -> Figure:
    """Draw a line of dots for each trial."""
    trials = numbers.trials
    figure, grid = plot_style.canvas("Scores of the folds", height=1.2 + 0.26 * len(trials))
    axes, ink, mark = grid[0, 0], plot_style.INKS[0], plot_style.INKS[1]
    plot_style.bars(axes, [plot_style.cut(each.name) for each in trials], numbers.label)
    for place, each in enumerate(trials):
        axes.plot([each.mean - each.std, each.mean + each.std], [place, place], color=mark, linewidth=2.2, zorder=1)
        fill = ink if each.member else plot_style.GROUND
        dots = {"markerfacecolor": fill, "markeredgecolor": ink, "markersize": 4.5, "markeredgewidth": 0.8}
        axes.plot(each.scores, np.full(len(each.scores), place), linestyle="", marker="o", alpha=0.8, **dots)
        axes.plot(each.mean, place, marker="|", markersize=15, markeredgewidth=2.4, color=mark)
    axes.set_ylabel("trial")
    axes.locator_params(axis="x", nbins=6)
    return figure
