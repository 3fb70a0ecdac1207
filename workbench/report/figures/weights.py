"""The members' weights in the ensemble, and their standard errors over resampled rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_MEMBERS = 25


@dataclass(frozen=True)
class MemberWeights:
    """The members, heaviest first."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    standard_errors: tuple[float, ...] | None
    """The weights' standard errors; None where nothing is fitted."""
    note: str
    output_weights: tuple[tuple[float, ...], ...] = ()
    """Each member's weights by target or class, whose mean is its weight; empty where members have one weight."""


def compute(data: ReportData) -> MemberWeights | None:
    """Return the weights; None without an ensemble of at least two members."""
    if data.ensemble is None or len(data.ensemble.members) < 2:
        return None
    members = sorted(data.ensemble.members, key=lambda member: -member.weight)
    shown = members[:_MAX_MEMBERS]
    output_weights = tuple(tuple((member.output_weights or {}).values()) for member in shown)
    errors = [member.weight_se for member in shown if member.weight_se is not None]
    fitted = len(errors) == len(shown)
    rest = sum(member.weight for member in members[_MAX_MEMBERS:])
    note = captions.join_sentences(
        f"{len(members) - len(shown)} more members have {rest:.2g} of the weight together." if rest else "",
        "No weights were fitted, so there are no standard errors." if not fitted else "",
        f"A dot is the weight for one {data.ensemble.weighting}, a bar their mean." if any(output_weights) else "",
    )
    return MemberWeights(
        tuple(member.name for member in shown),
        tuple(member.weight for member in shown),
        tuple(errors) if fitted else None,
        note,
        output_weights if any(output_weights) else (),
    )


@plot_style.apply_style
def draw(numbers: MemberWeights) -> Figure:
    """Draw a bar for each member."""
    count = len(numbers.names)
    figure, grid = plot_style.create_figure("Weights", height=1.1 + 0.25 * count)
    axes, indices = grid[0, 0], range(count)
    plot_style.prepare_bars(axes, [plot_style.shorten(name) for name in numbers.names], "weight (they sum to 1)")
    axes.barh(indices, numbers.weights, 0.62, color=(plot_style.PALETTE[0], 0.8))
    errors = numbers.standard_errors or (0.0,) * count
    if numbers.standard_errors:
        # Weights are never negative.
        low = [min(weight, se) for weight, se in zip(numbers.weights, errors, strict=True)]
        axes.errorbar(
            numbers.weights,
            indices,
            xerr=[low, errors],
            fmt="none",
            ecolor=plot_style.PALETTE[1],
            elinewidth=1.8,
            capsize=2.5,
        )
    for index, own in enumerate(numbers.output_weights):
        axes.plot(own, [index] * len(own), "o", color=plot_style.PALETTE[2], markeredgecolor="white", markersize=5.5)
    tops = [max(own) for own in numbers.output_weights] or [0.0] * count
    ends = [max(weight + se, top) for weight, se, top in zip(numbers.weights, errors, tops, strict=True)]
    mean = "mean " if numbers.output_weights else ""
    for index, (weight, end) in enumerate(zip(numbers.weights, ends, strict=True)):
        plot_style.label_bar(axes, end, index, mean + (f"{weight:.2f}" if weight >= 0.01 else "<0.01"))
    axes.set_xlim(0, max(ends) * 1.18)
    axes.set_ylabel("member")
    return figure
