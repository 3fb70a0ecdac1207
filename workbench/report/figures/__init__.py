"""The figures of a study, one file each: computed from the story first, drawn second.

A figure is a module with two functions. `compute(story)` returns its numbers, as a frozen dataclass that says what
they are, or None where the study has nothing to show; `draw(numbers)` returns them drawn. The numbers' `note` says
what was left out. To add a figure: its file, and a line in `ENTRIES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from workbench.report import captions
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Group = Literal["study", "ensemble"]
# Of so many targets the figures of a single one are drawn.
_MOST_TARGETS = 3


@dataclass(frozen=True)
class FigureEntry:
    """What there is to know about a figure before it is drawn."""

    name: str
    """Of its module here."""
    title: str
    caption: str
    """How to read it; of a figure that was drawn, also what it leaves out."""
    group: Group
    """What it is about: the search, or what came of it."""
    single: bool = False
    """Whether it tells of one target; of several it is drawn for some of them."""
    target: str = ""
    """Which of several targets it tells of."""
    place: int = 0

    @property
    def file(self) -> str:
        """What a file of it is called."""
        return f"{self.name}_{self.place}" if self.target else self.name


ENTRIES = (
    FigureEntry(
        "history",
        "Optimisation history",
        "Each mark is a trial at the time at which it ended; the line is its family's best so far.",
        "study",
    ),
    FigureEntry(
        "importances",
        "What matters",
        "How much of the score's variation within a family each hyperparameter accounts for.",
        "study",
    ),
    FigureEntry(
        "slices",
        "Hyperparameters and scores",
        "Each mark is a trial: its score against one of its hyperparameters; the stronger the later it was tried, "
        "the best one is a star.",
        "study",
    ),
    FigureEntry(
        "fold_scores",
        "Scores of the folds",
        "A dot is one fold's score, the bar their mean, the line one standard deviation to either side; filled dots "
        "belong to members of the ensemble.",
        "study",
    ),
    FigureEntry(
        "curves",
        "Learning curves",
        "Loss while the best trial of a family trains: on the rows of validation and on those it learns from, a thin "
        "line for each fold and their mean; a dot marks the lowest mean of validation.",
        "study",
    ),
    FigureEntry(
        "pareto",
        "Score and time",
        "Each mark is a trial; no trial is both better and quicker than those that the line joins.",
        "study",
    ),
    FigureEntry(
        "endings",
        "How trials ended",
        "How many trials of each family ran to their end, and why the others did not.",
        "study",
    ),
    FigureEntry(
        "weights",
        "Weights",
        "How much each member counts in the ensemble; the line is one standard error to either side, as rows are "
        "drawn anew.",
        "ensemble",
    ),
    FigureEntry(
        "contribution",
        "What each member adds",
        "How much worse the score becomes when the member is left out and the others are weighed anew; to the left of "
        "0 the ensemble would be better without it.",
        "ensemble",
    ),
    FigureEntry(
        "error_correlation",
        "Do members fail on the same rows?",
        "Correlation of the members' errors: the fainter a cell, the more two members have to gain from each other.",
        "ensemble",
    ),
    FigureEntry(
        "confusion",
        "Confusion matrix",
        "A row holds the rows of data of one true class: the share of them that the ensemble takes for each class, "
        "out of fold.",
        "ensemble",
        single=True,
    ),
    FigureEntry(
        "roc",
        "ROC curves",
        "How many positive rows are found for how many false alarms as the threshold falls; chance is the diagonal.",
        "ensemble",
        single=True,
    ),
    FigureEntry(
        "precision_recall",
        "Precision and recall",
        "Of the rows taken for the class, the share that is of it, as more and more of the class are found.",
        "ensemble",
        single=True,
    ),
    FigureEntry(
        "calibration",
        "Calibration",
        "Where the ensemble says 70 %, is it so in 70 of 100 rows? Lines are 95 % intervals; on the diagonal it is.",
        "ensemble",
        single=True,
    ),
    FigureEntry(
        "predicted",
        "Predicted and actual",
        "Each mark is a row, predicted out of fold; a perfect prediction lies on the diagonal.",
        "ensemble",
        single=True,
    ),
    FigureEntry(
        "residuals",
        "Residuals",
        "How far predictions are off, against what was predicted; the line is the running median, the band holds the "
        "middle 80 %.",
        "ensemble",
        single=True,
    ),
    FigureEntry(
        "grad_cam",
        "Where nets look",
        "The more orange a place is, the more it spoke for the class that the image was taken for (Grad-CAM, in the "
        "places of the net's last map). Images are out of fold, of the net's last fold: up to three wrong ones that it "
        "was surest of, at the right, and before them right ones that it was surest of, each of another class.",
        "ensemble",
    ),
    FigureEntry(
        "filters",
        "Inside a net",
        "What the first layer looks for: grey is 0, what is lighter counts for a filter and what is darker against it. "
        "Below, for one image, what layers from the first to the last make of it: their channels that vary most, the "
        "lighter the stronger.",
        "ensemble",
    ),
)
"""Every figure, in the order of a report."""


def names(group: Group | None = None) -> tuple[str, ...]:
    """Return the names of all figures, or of those of a group."""
    return tuple(entry.name for entry in ENTRIES if group in (None, entry.group))


def compute_figures(story: ReportData, wanted: Collection[str] | None = None) -> Iterator[tuple[FigureEntry, Any]]:
    """Yield each figure that has something to show with its numbers, not drawn; captions say what was left out.

    Args:
        story: what to tell.
        wanted: the names of the figures, all unless given.
    """
    for entry in ENTRIES:
        if wanted is not None and entry.name not in wanted:
            continue
        for one, told in _told(entry, story):
            numbers = _module(entry.name).compute(told)
            if numbers is not None:
                yield replace(one, caption=f"{one.caption} {numbers.note}".strip()), numbers


def draw_figures(story: ReportData, wanted: Collection[str] | None = None) -> Iterator[tuple[FigureEntry, Figure]]:
    """Yield each figure that has something to show, drawn when it is asked for.

    Args:
        story: what to tell.
        wanted: the names of the figures, all unless given.
    """
    from workbench.report import plot_style

    for entry, numbers in compute_figures(story, wanted):
        figure = _module(entry.name).draw(numbers)
        if entry.target:
            figure.suptitle(plot_style.cut(entry.title, 60), x=0.02, ha="left")
        yield entry, figure


def _told(entry: FigureEntry, story: ReportData) -> Iterator[tuple[FigureEntry, ReportData]]:
    """Yield what a figure is drawn of: the story, or that of each of its first targets."""
    targets = story.question.targets
    if not entry.single or not targets:
        yield entry, story
        return
    shown = targets[:_MOST_TARGETS]
    left = captions.best_of(len(shown), len(targets), "targets", "first")
    for place, target in enumerate(shown):
        title, caption = f"{entry.title}: {target.name}", f"{target.name}: {entry.caption} {left}".strip()
        yield replace(entry, title=title, caption=caption, target=target.name, place=place), story.alone(place)


def _module(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")
