"""The members' weights in the ensemble, and how they vary as rows are drawn anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_MEMBERS = 25


@dataclass(frozen=True)
class MemberWeights:
    """The members, the heaviest first."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    spread: tuple[float, ...] | None
    """The weights' standard errors; None where nothing was fitted."""
    note: str
    apart: tuple[tuple[float, ...], ...] = ()
    """Each member's weights by target or class, of which the weight is the mean; none where it has one."""


def compute(story: ReportData) -> MemberWeights | None:
    """Return the weights; None without an ensemble of at least two."""
    if story.ensemble is None or len(story.ensemble["members"]) < 2:
        return None
    members = sorted(story.ensemble["members"], key=lambda member: -member["weight"])
    shown = members[:_MOST_MEMBERS]
    apart = tuple(tuple((member.get("weights") or {}).values()) for member in shown)
    spread = [member["weight_se"] for member in shown]
    rest = sum(member["weight"] for member in members[_MOST_MEMBERS:])
    note = captions.join_sentences(
        f"{len(members) - len(shown)} more members have {rest:.2g} of the weight together." if rest else "",
        "Nothing was fitted, so nothing varies." if None in spread else "",
        f"A dot is the weight for one {story.ensemble['weights']}, a bar their mean." if any(apart) else "",
    )
    return MemberWeights(
        tuple(member["name"] for member in shown),
        tuple(member["weight"] for member in shown),
        None if None in spread else tuple(spread),
        note,
        apart if any(apart) else (),
    )


@plot_style.apply_style
def draw(numbers: MemberWeights) -> Figure:
    """Draw a bar for each member."""
    count = len(numbers.names)
    figure, grid = plot_style.canvas("Weights", height=1.1 + 0.25 * count)
    axes, places = grid[0, 0], range(count)
    plot_style.bars(axes, [plot_style.cut(name) for name in numbers.names], "weight (they sum to 1)")
    axes.barh(places, numbers.weights, 0.62, color=(plot_style.INKS[0], 0.8))
    spread = numbers.spread or (0.0,) * count
    if numbers.spread:
        # A weight is never below 0.
        low = [min(weight, se) for weight, se in zip(numbers.weights, spread, strict=True)]
        axes.errorbar(
            numbers.weights,
            places,
            xerr=[low, spread],
            fmt="none",
            ecolor=plot_style.INKS[1],
            elinewidth=1.8,
            capsize=2.5,
        )
    for place, own in enumerate(numbers.apart):
        axes.plot(own, [place] * len(own), "o", color=plot_style.INKS[2], markeredgecolor="white", markersize=5.5)
    tops = [max(own) for own in numbers.apart] or [0.0] * count
    ends = [max(weight + se, top) for weight, se, top in zip(numbers.weights, spread, tops, strict=True)]
    mean = "mean " if numbers.apart else ""
    for place, (weight, end) in enumerate(zip(numbers.weights, ends, strict=True)):
        plot_style.beside(axes, end, place, mean + (f"{weight:.2f}" if weight >= 0.01 else "<0.01"))
    axes.set_xlim(0, max(ends) * 1.18)
    axes.set_ylabel("member")
    return figure
