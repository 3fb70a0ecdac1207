"""Contribution of each member: how much worse the metric is without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_MEMBERS = 25
# A contribution below this share of the largest is drawn as 0.
_NEGLIGIBLE = 1e-4


@dataclass(frozen=True)
class MemberContributions:
    """The members, the largest contribution first."""

    names: tuple[str, ...]
    contributions: tuple[float, ...]
    """The contributions in the metric's units; positive where the member helps."""
    reoptimised: tuple[bool, ...]
    """Whether the weights of the others were fitted again; the time limit may prevent it."""
    metric: str
    note: str


def compute(data: ReportData) -> MemberContributions | None:
    """Return the contributions; None without an ensemble of at least two members."""
    if data.ensemble is None or data.ensemble.diversity is None:
        return None
    members = [(each, each.contribution) for each in data.ensemble.diversity.members if each.contribution is not None]
    if not members:
        return None
    members.sort(key=lambda item: -item[1])
    shown = members[:_MAX_MEMBERS]
    rough = sum(not member.reoptimised for member, _ in shown)
    note = captions.join_sentences(
        f"Time ran out for {rough} of them, hatched: the weights of the others were scaled up." if rough else "",
        captions.describe_selection(len(shown), len(members), "members"),
    )
    return MemberContributions(
        tuple(member.name for member, _ in shown),
        tuple(contribution for _, contribution in shown),
        tuple(member.reoptimised for member, _ in shown),
        data.study.metric.rpartition(":")[2],
        note,
    )


@plot_style.apply_style
def draw(numbers: MemberContributions) -> Figure:
    """Draw a bar for each member, left of 0 for a negative contribution."""
    count = len(numbers.names)
    figure, grid = plot_style.create_figure("What each member adds", height=1.1 + 0.25 * count)
    axes = grid[0, 0]
    length = f"how much worse {plot_style.shorten(numbers.metric)} is without it"
    plot_style.prepare_bars(axes, [plot_style.shorten(name) for name in numbers.names], length)
    widest = max(max(map(abs, numbers.contributions)), 1e-12)
    for index, (contribution, exact) in enumerate(zip(numbers.contributions, numbers.reoptimised, strict=True)):
        color = plot_style.PALETTE[0 if contribution >= 0 else 1]
        hatch = "" if exact else plot_style.HATCHES[1]
        axes.barh(
            index, contribution, 0.62, facecolor=color if exact else "none", edgecolor=color, hatch=hatch, linewidth=0.8
        )
        end = max(contribution, 0.0)
        text = f"{contribution:+.2g}" if abs(contribution) > _NEGLIGIBLE * widest else "0"
        plot_style.label_bar(axes, end, index, text)
    axes.axvline(0, color=plot_style.MUTED_COLOR, linewidth=0.8)
    axes.set_xlim(min(min(numbers.contributions), 0) - 0.02 * widest, max(max(numbers.contributions), 0) + 0.3 * widest)
    axes.locator_params(axis="x", nbins=5)
    axes.set_ylabel("member")
    return figure
