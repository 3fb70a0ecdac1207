"""Scores against the values of the hyperparameters that matter most, a panel each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.report import captions, plot_style
from workbench.report.axis_limits import AxisLimits, choose_limits
from workbench.report.report_data import ReportData
from workbench.search.storage import TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_PANELS = 6
_MOST_FAMILIES = 3
_MOST_CHOICES = 6
_FEWEST_TRIALS = 3
# So many letters fit below a panel side by side.
_ROOM = 22
# Values that spread over so many times their smallest are shown by their logarithms.
_WIDE = 30.0


@dataclass(frozen=True, eq=False)
class Slice:
    """The trials of a family by one hyperparameter, in the order in which they were tried."""

    family: str
    name: str
    values: NDArray[np.float64]
    """(trials,) numbers, or places among `choices`."""
    scores: NDArray[np.float64]
    choices: tuple[str, ...] = ()
    """The most frequent ones, where the values are not numbers."""

    @property
    def wide(self) -> bool:
        """Whether the values belong on a logarithmic axis."""
        low, high = float(self.values.min()), float(self.values.max())
        return not self.choices and low > 0 and high / low >= _WIDE


@dataclass(frozen=True, eq=False)
class Slices:
    """The panels, those of one family together."""

    panels: tuple[Slice, ...]
    windows: dict[str, AxisLimits]
    """By family."""
    sign: int
    label: str
    note: str


def compute(story: ReportData) -> Slices | None:
    """Return the slices of the best families; None where none has had enough trials."""
    offered: dict[str, list[Slice]] = {}
    for family, rows in story.scored.items():
        found = _slices(story, family, sorted(rows, key=lambda row: row.number)) if len(rows) >= _FEWEST_TRIALS else []
        if found and len(offered) < _MOST_FAMILIES:
            offered[family] = found
    if not offered:
        return None
    most = _MOST_PANELS // len(offered)
    panels = [panel for found in offered.values() for panel in found[:most]]
    windows = {
        family: choose_limits([row.score for row in story.scored[family] if row.score is not None], story.sign)
        for family in offered
    }
    left = sum(max(0, len(found) - most) for found in offered.values())
    beyond = any(not windows[panel.family].within(panel.scores).all() for panel in panels)
    note = captions.join_sentences(
        captions.count_left_out(left, "further hyperparameter"),
        "Poor scores are moved to the edge, where marks are hollow." if beyond else "",
    )
    return Slices(tuple(panels), windows, story.sign, story.score_label, note)


def _slices(story: ReportData, family: str, rows: Sequence[TrialRecord]) -> list[Slice]:
    """Return a slice for each hyperparameter that varies, the one that matters most first."""
    matters = story.importances.get(family, {})
    names = dict.fromkeys([*sorted(matters, key=lambda name: -matters[name]), *rows[0].hyperparameters])
    found = (_slice(family, name, [row for row in rows if name in row.hyperparameters]) for name in names)
    return [each for each in found if each is not None]


def _slice(family: str, name: str, rows: Sequence[TrialRecord]) -> Slice | None:
    """Return the trials by a hyperparameter; None where it is the same in all."""
    given: list[Any] = [row.hyperparameters[name] for row in rows]
    scores = [float(row.score or 0) for row in rows]
    if len({str(value) for value in given}) < 2:
        return None
    if all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in given):
        return Slice(family, name, np.array(given, dtype=np.float64), np.array(scores))
    frequent = Counter(map(str, given)).most_common(_MOST_CHOICES)
    choices = tuple(sorted(choice for choice, _ in frequent))
    kept = [(choices.index(str(v)), score) for v, score in zip(given, scores, strict=True) if str(v) in choices]
    values, kept_scores = np.array(kept, dtype=np.float64).T
    return Slice(family, name, values, kept_scores, choices)


@plot_style.apply_style
def draw(numbers: Slices) -> Figure:
    """Draw the panels, two in a row."""
    count = len(numbers.panels)
    rows = -(-count // 2)
    figure, grid = plot_style.canvas("Hyperparameters and scores", height=0.6 + 2.0 * rows, rows=rows, columns=2)
    for place, axes in enumerate(grid.flat):
        if place >= count:
            axes.set_visible(False)
            continue
        panel = numbers.panels[place]
        _panel(axes, panel, numbers.windows[panel.family], numbers.sign)
    figure.supylabel(numbers.label, size=9.5)
    return figure


def _panel(axes: Axes, panel: Slice, seen: AxisLimits, sign: int) -> None:
    from matplotlib.colors import to_rgba

    ink, count = plot_style.INKS[0], len(panel.scores)
    # Of choices, trials stand beside each other rather than on each other.
    aside = 0.24 * np.cos(2.4 * np.arange(count)) if panel.choices else np.zeros(count)
    x, y, within = panel.values + aside, seen.clipped(panel.scores), seen.within(panel.scores)
    strength = np.linspace(0.3, 1.0, count)
    axes.scatter(x[within], y[within], s=16, color=[to_rgba(ink, s) for s in strength[within]], linewidths=0)
    if (~within).any():
        axes.scatter(x[~within], y[~within], s=14, facecolors="none", edgecolors=ink, linewidths=0.7)
    best = int(np.argmin(sign * panel.scores))
    axes.plot(x[best], y[best], marker="*", markersize=11, color=plot_style.INKS[1], markeredgecolor=plot_style.INK,
              markeredgewidth=0.5, linestyle="")  # fmt: skip
    axes.set_title(plot_style.cut(panel.family, 24))
    axes.set_xlabel(plot_style.cut(panel.name, 26))
    if panel.choices:
        many = len(panel.choices)
        names = [plot_style.cut(choice, 12 if many < 3 else 9) for choice in panel.choices]
        axes.set_xticks(range(many), names)
        axes.tick_params(axis="x", rotation=0 if len("".join(names)) <= _ROOM else 40)
        axes.set_xlim(-0.6, many - 0.4)
    elif panel.wide:
        axes.set_xscale("log")
        plot_style.plain_numbers(axes.xaxis, 4)
    else:
        axes.locator_params(axis="x", nbins=4)
    axes.locator_params(axis="y", nbins=4)
