"""Trial outcomes: complete, pruned and failed trials of each family, and the reasons."""

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
_MAX_FAMILIES = 10
_MAX_REASONS = 8


@dataclass(frozen=True)
class TrialOutcomes:
    """Counts of trials by state and reason."""

    families: dict[str, tuple[int, int, int]]
    """The number of complete, pruned and failed trials, by family."""
    reasons: tuple[tuple[str, str, int], ...]
    """State, reason and count, the most frequent first; reasons that differ in a number only are counted together."""
    note: str


def compute(data: ReportData) -> TrialOutcomes | None:
    """Return the counts; None where every trial is complete."""
    early = [trial for trial in data.trials if trial.state != "complete"]
    if not early:
        return None
    counts = {
        family: (
            sum(trial.state == "complete" for trial in trials),
            sum(trial.state == "pruned" for trial in trials),
            sum(trial.state == "failed" for trial in trials),
        )
        for family, trials in data.trials_by_family.items()
    }
    most = sorted(counts, key=lambda family: -sum(counts[family][1:]))[:_MAX_FAMILIES]
    families = {family: counts[family] for family in counts if family in most}
    ranked = Counter((trial.state, _normalize(trial.reason)) for trial in early).most_common()
    reasons = tuple((state, reason, count) for (state, reason), count in ranked[:_MAX_REASONS])
    rest = sum(count for _, count in ranked[_MAX_REASONS:])
    note = captions.join_sentences(
        captions.describe_omitted(rest, "trial with a rarer reason"),
        captions.describe_selection(len(families), len(counts), "families", "most affected"),
    )
    return TrialOutcomes(families, reasons, note)


def _normalize(text: str | None) -> str:
    """Return a reason without the parts that differ between trials: later lines, epochs, numbers."""
    first = re.sub(r" after epoch \d+$", "", (text or "no reason known").strip().splitlines()[0])
    return first if first.startswith("pruned") else re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "…", first)


@plot_style.apply_style
def draw(numbers: TrialOutcomes) -> Figure:
    """Draw a bar for each family above a bar for each reason."""
    heights = [len(numbers.families) + 1.2, len(numbers.reasons) + 1.2]
    options: dict[str, Any] = {"height": 1.3 + 0.27 * sum(heights), "rows": 2, "height_ratios": heights}
    figure, grid = plot_style.create_figure("How trials ended", **options)
    upper, lower = grid[:, 0]
    plot_style.prepare_bars(upper, [plot_style.shorten(family) for family in numbers.families], "trials")
    left = [0] * len(numbers.families)
    for column, name in enumerate(_STATES):
        counts = [each[column] for each in numbers.families.values()]
        filled = [index for index, count in enumerate(counts) if count]
        if filled:
            starts = [left[index] for index in filled]
            upper.barh(filled, [counts[index] for index in filled], 0.62, starts, label=name, **_state_style(name))
        left = [a + b for a, b in zip(left, counts, strict=True)]
    upper.set_ylabel("family")
    plot_style.prepare_bars(
        lower, [plot_style.shorten(reason, 30) for _, reason, _ in numbers.reasons], "trials that ended with it"
    )
    for index, (state, _, count) in enumerate(numbers.reasons):
        lower.barh(index, count, 0.62, **_state_style(state))
        plot_style.label_bar(lower, count, index, str(count))
    upper.set_xlim(0, max(left) * 1.05)
    lower.set_xlim(0, max(count for _, _, count in numbers.reasons) * 1.15)
    lower.set_ylabel("reason")
    for axes in (upper, lower):
        axes.locator_params(axis="x", nbins=5, integer=True)
    plot_style.add_legend(figure, upper.get_legend_handles_labels()[0])
    return figure


def _state_style(state: str) -> dict[str, object]:
    index = _STATES.index(state)
    return {
        "facecolor": plot_style.PALETTE[index] if index == 0 else "none",
        "edgecolor": plot_style.PALETTE[index],
        "hatch": plot_style.HATCHES[index],
        "linewidth": 0.8,
    }
