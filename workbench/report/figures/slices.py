"""Scores against the values of the most important hyperparameters, one panel each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, figure_text, plot_style
from workbench.report.axis_limits import AxisLimits, choose_limits
from workbench.report.report_data import ReportData
from workbench.search.storage import TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_PANELS = 6
_MAX_FAMILIES = 3
_MAX_CHOICES = 6
_MIN_TRIALS = 3
# The width of a panel in ems of the labels below it.
_PANEL_EMS = 14.0
# Values whose maximum is at least this many times their minimum are drawn on a logarithmic axis.
_LOG_RATIO = 30.0


@dataclass(frozen=True, eq=False)
class HyperparameterSlice:
    """The trials of a family by one hyperparameter, in the order in which they started."""

    family: str
    name: str
    values: NDArray[np.float64]
    """(trials,) numbers, or indices into `choices`."""
    scores: NDArray[np.float64]
    choices: tuple[str, ...] = ()
    """The most frequent values, where they are not numbers."""

    @property
    def log_axis(self) -> bool:
        """Whether the values are drawn on a logarithmic axis."""
        low, high = float(self.values.min()), float(self.values.max())
        return not self.choices and low > 0 and high / low >= _LOG_RATIO


@dataclass(frozen=True, eq=False)
class HyperparameterSlices:
    """The slices, those of a family side by side."""

    slices: tuple[HyperparameterSlice, ...]
    limits: dict[str, AxisLimits]
    """The limits of the score axis, by family."""
    sign: int
    label: str
    note: str


def compute(data: ReportData) -> HyperparameterSlices | None:
    """Return the slices of the best families; None where no family has had enough trials."""
    by_family: dict[str, list[HyperparameterSlice]] = {}
    for family, trials in data.complete_by_family.items():
        ordered = sorted(trials, key=lambda trial: trial.number)
        own = _slice_family(data, family, ordered) if len(trials) >= _MIN_TRIALS else []
        if own and len(by_family) < _MAX_FAMILIES:
            by_family[family] = own
    if not by_family:
        return None
    limit = _MAX_PANELS // len(by_family)
    slices = [each for own in by_family.values() for each in own[:limit]]
    limits = {
        family: choose_limits(
            [each.score for each in data.complete_by_family[family] if each.score is not None], data.sign
        )
        for family in by_family
    }
    omitted = sum(max(0, len(own) - limit) for own in by_family.values())
    clipped = any(not limits[each.family].contains(each.scores).all() for each in slices)
    note = captions.join_sentences(
        captions.describe_omitted(omitted, "further hyperparameter"),
        "Poor scores are drawn at the edge, where marks are hollow." if clipped else "",
    )
    return HyperparameterSlices(tuple(slices), limits, data.sign, data.score_label, note)


def _slice_family(data: ReportData, family: str, trials: Sequence[TrialRecord]) -> list[HyperparameterSlice]:
    """Return a slice for each hyperparameter that varies, the most important first."""
    importances = data.importances.get(family, {})
    names = dict.fromkeys([*sorted(importances, key=lambda name: -importances[name]), *trials[0].hyperparameters])
    found = (_slice(family, name, [trial for trial in trials if name in trial.hyperparameters]) for name in names)
    return [each for each in found if each is not None]


def _slice(family: str, name: str, trials: Sequence[TrialRecord]) -> HyperparameterSlice | None:
    """Return the trials by a hyperparameter; None where it is the same in all."""
    values: list[Any] = [trial.hyperparameters[name] for trial in trials]
    scores = [float(trial.score or 0) for trial in trials]
    if len({str(value) for value in values}) < 2:
        return None
    if all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values):
        return HyperparameterSlice(family, name, np.array(values, dtype=np.float64), np.array(scores))
    frequent = Counter(map(str, values)).most_common(_MAX_CHOICES)
    choices = tuple(sorted(choice for choice, _ in frequent))
    kept = [(choices.index(str(v)), score) for v, score in zip(values, scores, strict=True) if str(v) in choices]
    indices, kept_scores = np.array(kept, dtype=np.float64).T
    return HyperparameterSlice(family, name, indices, kept_scores, choices)


@plot_style.apply_style
def draw(numbers: HyperparameterSlices) -> Figure:
    """Draw the panels, two in a row."""
    count = len(numbers.slices)
    rows = -(-count // 2)
    figure, grid = plot_style.create_figure("Hyperparameters and scores", height=0.6 + 2.0 * rows, rows=rows, columns=2)
    for index, axes in enumerate(grid.flat):
        if index >= count:
            axes.set_visible(False)
            continue
        shown = numbers.slices[index]
        _draw_panel(axes, shown, numbers.limits[shown.family], numbers.sign)
    figure.supylabel(numbers.label, size=9.5)
    return figure


def _draw_panel(axes: Axes, shown: HyperparameterSlice, limits: AxisLimits, sign: int) -> None:
    from matplotlib.colors import to_rgba

    color, count = plot_style.PALETTE[0], len(shown.scores)
    # Trials of one choice are spread out so that they do not overlap.
    offsets = 0.24 * np.cos(2.4 * np.arange(count)) if shown.choices else np.zeros(count)
    x, y, within = shown.values + offsets, limits.clip(shown.scores), limits.contains(shown.scores)
    opacity = np.linspace(0.3, 1.0, count)
    axes.scatter(x[within], y[within], s=16, color=[to_rgba(color, alpha) for alpha in opacity[within]], linewidths=0)
    if (~within).any():
        axes.scatter(x[~within], y[~within], s=14, facecolors="none", edgecolors=color, linewidths=0.7)
    best = int(np.argmin(sign * shown.scores))
    axes.plot(
        x[best], y[best], marker="*", markersize=11, color=plot_style.PALETTE[1],
        markeredgecolor=plot_style.TEXT_COLOR, markeredgewidth=0.5, linestyle="",
    )  # fmt: skip
    axes.set_title(plot_style.shorten(shown.family, 24))
    axes.set_xlabel(plot_style.shorten(shown.name, 23))
    if shown.choices:
        many = len(shown.choices)
        names = [plot_style.shorten(choice, 12 if many < 3 else 9) for choice in shown.choices]
        axes.set_xticks(range(many), names)
        widest = max(map(figure_text.measure_text, names))
        axes.tick_params(axis="x", rotation=0 if widest * many <= _PANEL_EMS else 40)
        axes.set_xlim(-0.6, many - 0.4)
    elif shown.log_axis:
        axes.set_xscale("log")
        plot_style.use_plain_log_ticks(axes.xaxis, 4)
    else:
        axes.locator_params(axis="x", nbins=4)
    axes.locator_params(axis="y", nbins=4)
