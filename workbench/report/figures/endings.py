"""How trials ended: how many of each family were complete, pruned and failed, and for which reasons."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STATES = ("complete", "pruned", "failed")
_MOST_FAMILIES = 10
_MOST_REASONS = 8


@dataclass(frozen=True)
class TrialEndings:
    """Counts of trials."""

    families: dict[str, tuple[int, int, int]]
    """By family: complete, pruned and failed ones."""
    reasons: tuple[tuple[str, str, int], ...]
    """State, reason and count, the most frequent first; reasons that differ in a number only are one."""
    note: str


def compute(story: ReportData) -> TrialEndings | None:
    """Return the counts; None where every trial was complete."""
    early = [row for row in story.trials if row.state != "complete"]
    if not early:
        return None
    counted = {
        family: (
            sum(row.state == "complete" for row in rows),
            sum(row.state == "pruned" for row in rows),
            sum(row.state == "failed" for row in rows),
        )
        for family, rows in story.families.items()
    }
    most = sorted(counted, key=lambda family: -sum(counted[family][1:]))[:_MOST_FAMILIES]
    families = {family: counted[family] for family in counted if family in most}
    ranked = Counter((row.state, _reason(row.reason)) for row in early).most_common()
    reasons = tuple((state, reason, count) for (state, reason), count in ranked[:_MOST_REASONS])
    rest = sum(count for _, count in ranked[_MOST_REASONS:])
    note = captions.join_sentences(
        captions.count_left_out(rest, "trial with a rarer reason"),
        captions.best_of(len(families), len(counted), "families", "most affected"),
    )
    return TrialEndings(families, reasons, note)


def _reason(text: str | None) -> str:
    """Return a reason without what tells one trial from the next: later lines, epochs, amounts."""
    first = re.sub(r" after epoch \d+$", "", (text or "no reason known").strip().splitlines()[0])
    return first if first.startswith("pruned") else re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "…", first)


@plot_style.apply_style
def draw(numbers: TrialEndings) -> Figure:
    """Draw a bar for each family, and one for each reason."""
    heights = [len(numbers.families) + 1.2, len(numbers.reasons) + 1.2]
    options: dict[str, Any] = {"height": 1.3 + 0.27 * sum(heights), "rows": 2, "height_ratios": heights}
    figure, grid = plot_style.canvas("How trials ended", **options)
    upper, lower = grid[:, 0]
    plot_style.bars(upper, [plot_style.cut(family) for family in numbers.families], "trials")
    left = [0] * len(numbers.families)
    for state, name in enumerate(_STATES):
        counts = [each[state] for each in numbers.families.values()]
        met = [place for place, count in enumerate(counts) if count]
        if met:
            starts = [left[place] for place in met]
            upper.barh(met, [counts[place] for place in met], 0.62, starts, label=name, **_look(name))
        left = [a + b for a, b in zip(left, counts, strict=True)]
    upper.set_ylabel("family")
    plot_style.bars(lower, [plot_style.cut(reason, 30) for _, reason, _ in numbers.reasons], "trials that ended for it")
    for place, (ending, _, count) in enumerate(numbers.reasons):
        lower.barh(place, count, 0.62, **_look(ending))
        plot_style.beside(lower, count, place, str(count))
    upper.set_xlim(0, max(left) * 1.05)
    lower.set_xlim(0, max(count for _, _, count in numbers.reasons) * 1.15)
    lower.set_ylabel("reason")
    for axes in (upper, lower):
        axes.locator_params(axis="x", nbins=5, integer=True)
    plot_style.key(figure, upper.get_legend_handles_labels()[0])
    return figure


def _look(state: str) -> dict[str, object]:
    place = _STATES.index(state)
    return {
        "facecolor": plot_style.INKS[place] if place == 0 else "none",
        "edgecolor": plot_style.INKS[place],
        "hatch": plot_style.HATCHES[place],
        "linewidth": 0.8,
    }
