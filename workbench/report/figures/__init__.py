"""The figures of a study, one file each: `compute` returns the numbers, `draw` draws them.

A figure is a module with two functions. `compute(data)` returns its numbers as a frozen dataclass, or None where the
study has nothing to show; `draw(numbers)` returns the drawn figure. The numbers' `note` says what is left out. To add a
figure: its file, and an entry in `ENTRIES`.
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
# Figures of a single target are drawn for the first few of several.
_MAX_TARGETS = 3


@dataclass(frozen=True)
class FigureEntry:
    """The registry entry of a figure."""

    name: str
    """The name of its module in this package."""
    title: str
    caption: str
    """A caption that explains the figure; for a computed figure, it also names what the figure leaves out."""
    group: Group
    """The subject: the search, or the ensemble."""
    single_target: bool = False
    """Whether the figure shows one target; for several targets it is drawn for each of the first few."""
    target: str = ""
    """The target that is shown, where there are several."""
    target_index: int = 0

    @property
    def file_name(self) -> str:
        """The stem of the figure's file."""
        return f"{self.name}_{self.target_index}" if self.target else self.name


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
        "Each mark is a trial: its score against one of its hyperparameters. Later trials are darker; the best one is "
        "a star.",
        "study",
    ),
    FigureEntry(
        "fold_scores",
        "Scores of the folds",
        "A dot is the score of one fold, the bar their mean, the line one standard deviation to either side; filled "
        "dots belong to members of the ensemble.",
        "study",
    ),
    FigureEntry(
        "curves",
        "Learning curves",
        "Validation and training loss of the best trial of each family: a thin line for each fold, and their mean. A "
        "dot marks the lowest mean validation loss.",
        "study",
    ),
    FigureEntry(
        "pareto",
        "Score and time",
        "Each mark is a trial; no trial is both better and faster than those on the line.",
        "study",
    ),
    FigureEntry(
        "endings",
        "How trials ended",
        "How many trials of each family are complete, and why the others ended early.",
        "study",
    ),
    FigureEntry(
        "weights",
        "Weights",
        "The weight of each member; the line is one standard error to either side, over resampled rows.",
        "ensemble",
    ),
    FigureEntry(
        "contribution",
        "What each member adds",
        "How much worse the score is when the member is left out and the weights of the others are fitted again; left "
        "of 0 the ensemble would be better without it.",
        "ensemble",
    ),
    FigureEntry(
        "error_correlation",
        "Do members fail on the same rows?",
        "Correlation of the members' errors: the fainter a cell, the more two members gain from each other.",
        "ensemble",
    ),
    FigureEntry(
        "confusion",
        "Confusion matrix",
        "Each row is a true class: the share of its rows that the ensemble predicts as each class, out of fold.",
        "ensemble",
        single_target=True,
    ),
    FigureEntry(
        "roc",
        "ROC curves",
        "True and false positive rate as the threshold falls; the diagonal is chance.",
        "ensemble",
        single_target=True,
    ),
    FigureEntry(
        "precision_recall",
        "Precision and recall",
        "The share of the predicted rows that belong to the class, against the share of the class that is found.",
        "ensemble",
        single_target=True,
    ),
    FigureEntry(
        "calibration",
        "Calibration",
        "Observed against predicted frequency: on the diagonal, 70 of 100 rows predicted with 70 % are of the class. "
        "Lines are 95 % intervals.",
        "ensemble",
        single_target=True,
    ),
    FigureEntry(
        "predicted",
        "Predicted and actual",
        "Each mark is a row, predicted out of fold; a perfect prediction lies on the diagonal.",
        "ensemble",
        single_target=True,
    ),
    FigureEntry(
        "residuals",
        "Residuals",
        "Prediction error against prediction; the line is the running median, the band holds the middle 80 %.",
        "ensemble",
        single_target=True,
    ),
    FigureEntry(
        "grad_cam",
        "Where nets look",
        "The more orange a region is, the more it counts for the predicted class (Grad-CAM, at the resolution of the "
        "net's last feature map). Images are validation images of the net's last fold: on the right up to three of its "
        "most confident errors, before them its most confident correct predictions, each of another class.",
        "ensemble",
    ),
    FigureEntry(
        "filters",
        "Inside a net",
        "Filters of the first layer: grey is 0, lighter is positive, darker is negative. Below, for one image, the "
        "activations of layers from the first to the last: the channels that vary most, lighter is stronger.",
        "ensemble",
    ),
)
"""Every figure, in the order of a report."""


def list_names(group: Group | None = None) -> tuple[str, ...]:
    """Return the names of all figures, or of those of a group."""
    return tuple(entry.name for entry in ENTRIES if group in (None, entry.group))


def compute_figures(data: ReportData, names: Collection[str] | None = None) -> Iterator[tuple[FigureEntry, Any]]:
    """Yield the entry and the numbers of each figure that has something to show; captions say what is left out.

    Args:
        data: the study.
        names: restricts the figures.
    """
    for registered in ENTRIES:
        if names is not None and registered.name not in names:
            continue
        for entry, target_data in _split_targets(registered, data):
            numbers = _module(entry.name).compute(target_data)
            if numbers is not None:
                yield replace(entry, caption=f"{entry.caption} {numbers.note}".strip()), numbers


def draw_figures(data: ReportData, names: Collection[str] | None = None) -> Iterator[tuple[FigureEntry, Figure]]:
    """Yield the entry and the drawing of each figure that has something to show; each is drawn when it is reached.

    Args:
        data: the study.
        names: restricts the figures.
    """
    from workbench.report import plot_style

    for entry, numbers in compute_figures(data, names):
        figure = _module(entry.name).draw(numbers)
        if entry.target:
            figure.suptitle(plot_style.shorten(entry.title, 60), x=0.02, ha="left")
        yield entry, figure


def _split_targets(entry: FigureEntry, data: ReportData) -> Iterator[tuple[FigureEntry, ReportData]]:
    """Yield the entry with the data; for a figure of one target, once for each of the first few targets."""
    targets = data.study.targets
    if not entry.single_target or not targets:
        yield entry, data
        return
    shown = targets[:_MAX_TARGETS]
    omitted = captions.describe_selection(len(shown), len(targets), "targets", "first")
    for index, target in enumerate(shown):
        title, caption = f"{entry.title}: {target.name}", f"{target.name}: {entry.caption} {omitted}".strip()
        target_entry = replace(entry, title=title, caption=caption, target=target.name, target_index=index)
        yield target_entry, data.select_target(index)


def _module(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")
