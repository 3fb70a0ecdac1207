"""Leaderboard and ensemble as a person reads them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from workbench.report.words import clock as clock
from workbench.report.words import number as number

if TYPE_CHECKING:
    from workbench.search.books import Row


def leaderboard(rows: "Sequence[Row]", *, metric: str, most: int | None = None) -> Table:
    """Return the trials, best first; `most` cuts the list and says so."""
    also = list(dict.fromkeys(name for row in rows for name in row.also))
    shown = rows if most is None else rows[:most]
    rest = f"{len(rows) - len(shown)} more: workbench leaderboard" if len(shown) < len(rows) else None
    table = Table(title="Leaderboard", caption=rest, title_justify="left", caption_justify="left")
    table.add_column("#", justify="right")
    table.add_column("trial", no_wrap=True)
    table.add_column(metric, justify="right", style="bold")
    table.add_column("± folds", justify="right")
    for name in also:
        table.add_column(name, justify="right")
    nets = any(row.parameters is not None for row in rows)
    if nets:
        table.add_column("parameters", justify="right")
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("state")
    for place, row in enumerate(shown, 1):
        state = row.state if row.reason is None else f"{row.state}: {row.reason}"
        others = [number(row.also.get(name)) for name in also]
        others += ["–" if row.parameters is None else f"{row.parameters:,}"] if nets else []
        name = f"{row.family} #{row.number}"
        table.add_row(
            str(place), name, number(row.score), number(row.std), *others, clock(row.seconds), state[:60],
            style="dim" if row.state != "complete" else None,
        )  # fmt: skip
    return table


def by_family(rows: "Sequence[Row]", *, metric: str) -> Table:
    """Return the best trial of each family, and how many it had."""
    table = Table(title="Best of each family", title_justify="left")
    also = list(dict.fromkeys(name for row in rows for name in row.also))
    table.add_column("family", no_wrap=True)
    table.add_column(metric, justify="right", style="bold")
    table.add_column("± folds", justify="right")
    for name in also:
        table.add_column(name, justify="right")
    for heading in ("trials", "pruned", "failed", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for family in dict.fromkeys(row.family for row in rows):
        own = [row for row in rows if row.family == family]
        best = own[0]
        counts = [sum(row.state == state for row in own) for state in ("complete", "pruned", "failed")]
        others = [number(best.also.get(name)) for name in also]
        spent = clock(sum(row.seconds for row in own))
        table.add_row(family, number(best.score), number(best.std), *others, *map(str, counts), spent)
    return table


def ensemble(document: Mapping[str, Any]) -> Table:
    """Return an ensemble's members, and its score beside simpler ones."""
    count, considered = len(document["members"]), document["candidates"]
    members = f"{count} of {considered} trials" if considered > 1 else "the only complete trial"
    said = [document["remark"]] if document["remark"] else []
    said += ["No certificate exists for this metric and method."] if document["gap"] is None else []
    table = Table(
        title=f"Ensemble ({document['method']}, {members})",
        caption="\n".join(said),
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("weight", justify="right")
    table.add_column("member", no_wrap=True)
    table.add_column(document["metric"], justify="right")
    table.add_column("honest", justify="right")
    for member in document["members"]:
        spread = "" if member["weight_se"] is None else f" ± {member['weight_se']:.3f}"
        table.add_row(f"{member['weight']:.3f}{spread}", member["name"], number(member["score"]))
    table.add_section()
    for name, key in (("best single", "best"), ("uniform mean", "uniform"), ("greedy", "greedy")):
        rival = document["rivals"][key]
        table.add_row("", name, number(rival["score"]), number(rival["honest_score"]), style="dim")
    se = "" if document["honest_se"] is None else f" ± {document['honest_se']:.2g}"
    table.add_row("", "this ensemble", number(document["score"]), number(document["honest_score"]) + se, style="bold")
    for name, value in document["also"].items():
        table.add_row("", f"… {name}", number(value))
    if document["threshold"] is not None:
        table.add_row("", "threshold of class 1", number(document["threshold"]), style="dim")
    if document["gap"] is not None:
        table.add_row("", "gap to the best weights", f"≤ {document['gap']:.2g}", style="dim")
    return table


def diversity(document: Mapping[str, Any]) -> Table:
    """Return how an ensemble's members differ and what each adds, as `ensemble.Diversity.document` says it."""
    members, ambiguity = document["members"], document["ambiguity"]
    figures = ("contribution", "error_correlation", "disagreement")
    caption = [f"{name.replace('_', ' ')}: {document[name]['measure']}" for name in figures]
    caption.append("error correlation and disagreement are a member's means over the others")
    if not all(member["reoptimised"] for member in members) and len(members) > 1:
        caption.append("* the time was out: the others' weights were scaled up, not found anew")
    if ambiguity is not None:
        mean, less, whole = (number(ambiguity[key]) for key in ("mean_member_loss", "ambiguity", "ensemble_loss"))
        caption.append(
            f"ambiguity, of {ambiguity['measure']}: members' mean {mean} - ambiguity {less} = ensemble {whole}"
        )
    table = Table(title="Diversity", caption="\n".join(caption), title_justify="left", caption_justify="left")
    table.add_column("weight", justify="right")
    table.add_column("member", no_wrap=True)
    for name in figures:
        table.add_column(name.replace("_", " "), justify="right")
    for member in members:
        gain = "–" if member["contribution"] is None else f"{member['contribution']:+.2g}"
        star = "" if member["reoptimised"] or member["contribution"] is None else "*"
        others = [number(member[f"mean_{name}"]) for name in figures[1:]]
        table.add_row(f"{member['weight']:.3f}", member["name"], gain + star, *others)
    return table
