"""What each member adds: how much worse the metric becomes without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_MEMBERS = 25
# What is so much smaller than the largest is as good as nothing.
_LITTLE = 1e-4


@dataclass(frozen=True)
class Contribution:
    """The members, the one that adds most first."""

    names: tuple[str, ...]
    gains: tuple[float, ...]
    """In the metric's units; above 0 the member helps."""
    reoptimised: tuple[bool, ...]
    """Whether there was time to weigh the others anew."""
    metric: str
    note: str


def compute(story: ReportData) -> Contribution | None:
    """Return what members add; None without an ensemble of at least two."""
    if story.ensemble is None:
        return None
    told = [each for each in story.ensemble["diversity"]["members"] if each["contribution"] is not None]
    if not told:
        return None
    told.sort(key=lambda each: -each["contribution"])
    shown = told[:_MOST_MEMBERS]
    rough = sum(not each["reoptimised"] for each in shown)
    note = captions.join_sentences(
        f"The time was out for {rough} of them, hatched: the others' weights were scaled up." if rough else "",
        captions.best_of(len(shown), len(told), "members"),
    )
    return Contribution(
        tuple(each["name"] for each in shown),
        tuple(each["contribution"] for each in shown),
        tuple(each["reoptimised"] for each in shown),
        story.question.metric.rpartition(":")[2],
        note,
    )


@plot_style.apply_style
def draw(numbers: Contribution) -> Figure:
    """Draw a bar for each member, to the left of 0 where it harms."""
    count = len(numbers.names)
    figure, grid = plot_style.canvas("What each member adds", height=1.1 + 0.25 * count)
    axes = grid[0, 0]
    length = f"how much worse {plot_style.cut(numbers.metric)} is without it"
    plot_style.bars(axes, [plot_style.cut(name) for name in numbers.names], length)
    widest = max(max(map(abs, numbers.gains)), 1e-12)
    for place, (gain, exact) in enumerate(zip(numbers.gains, numbers.reoptimised, strict=True)):
        ink = plot_style.INKS[0 if gain >= 0 else 1]
        hatch = "" if exact else plot_style.HATCHES[1]
        axes.barh(place, gain, 0.62, facecolor=ink if exact else "none", edgecolor=ink, hatch=hatch, linewidth=0.8)
        end = max(gain, 0.0)
        said = f"{gain:+.2g}" if abs(gain) > _LITTLE * widest else "0"
        plot_style.beside(axes, end, place, said)
    axes.axvline(0, color=plot_style.SOFT, linewidth=0.8)
    axes.set_xlim(min(min(numbers.gains), 0) - 0.02 * widest, max(max(numbers.gains), 0) + 0.3 * widest)
    axes.locator_params(axis="x", nbins=5)
    axes.set_ylabel("member")
    return figure
