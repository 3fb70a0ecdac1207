"""The leaderboard, the families, the ensemble and its diversity as console tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from workbench.report.formatting import clock as clock
from workbench.report.formatting import number as number
from workbench.report.report_tables import KINDS, others

if TYPE_CHECKING:
    from workbench.search.storage import TrialRecord

# With more targets or classes than this, only the range of a member's weights is shown.
_MAX_PARTS = 8
_RANGE = "from – to"
# The most columns of further scores; all scores are in the report and in MLflow.
_MAX_SCORES = 4


def leaderboard(trials: Sequence[TrialRecord], *, metric: str, most: int | None = None) -> Table:
    """Return the table of trials, the best first; at most `most` are listed, with a note on the rest."""
    also = _score_columns(trials)
    shown = trials if most is None else trials[:most]
    rest = f"{len(trials) - len(shown)} more: workbench leaderboard" if len(shown) < len(trials) else None
    table = Table(title="Leaderboard", caption=rest, title_justify="left", caption_justify="left")
    table.add_column("#", justify="right")
    table.add_column("trial", no_wrap=True)
    table.add_column(metric, justify="right", style="bold")
    table.add_column("± folds", justify="right")
    for name in also:
        table.add_column(name, justify="right")
    has_parameters = any(trial.parameters is not None for trial in trials)
    if has_parameters:
        table.add_column("parameters", justify="right")
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("state")
    for rank, trial in enumerate(shown, 1):
        state = trial.state if trial.reason is None else f"{trial.state}: {trial.reason}"
        others = [number(trial.also.get(name)) for name in also]
        others += ["–" if trial.parameters is None else f"{trial.parameters:,}"] if has_parameters else []
        name = trial.name
        table.add_row(
            str(rank), name, number(trial.score), number(trial.std), *others, clock(trial.seconds), state[:60],
            style="dim" if trial.state != "complete" else None,
        )  # fmt: skip
    return table


def _score_columns(trials: Sequence[TrialRecord]) -> list[str]:
    """Return the names of the further scores that fit on a terminal; of many, those of single targets are left out."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.also))
    return names if len(names) <= _MAX_SCORES else [name for name in names if "." not in name][:_MAX_SCORES]


def by_family(trials: Sequence[TrialRecord], *, metric: str) -> Table:
    """Return the table of the families, with the best trial and the counts of trials of each."""
    table = Table(title="Best of each family", title_justify="left")
    also = _score_columns(trials)
    table.add_column("family", no_wrap=True)
    table.add_column(metric, justify="right", style="bold")
    table.add_column("± folds", justify="right")
    for name in also:
        table.add_column(name, justify="right")
    for heading in ("trials", "pruned", "failed", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for family in dict.fromkeys(trial.family for trial in trials):
        own = [trial for trial in trials if trial.family == family]
        best = own[0]
        counts = [sum(trial.state == state for trial in own) for state in ("complete", "pruned", "failed")]
        others = [number(best.also.get(name)) for name in also]
        total = clock(sum(trial.seconds for trial in own))
        table.add_row(family, number(best.score), number(best.std), *others, *map(str, counts), total)
    return table


def ensemble(document: Mapping[str, Any]) -> Table:
    """Return the table of an ensemble: its members, and its score beside those of simpler ensembles."""
    count, considered = len(document["members"]), document["candidates"]
    members = f"{count} of {considered} trials" if considered > 1 else "the only complete trial"
    parts = _parts(document)
    notes = [document["remark"]] if document["remark"] else []
    notes += ["No certificate exists for this metric and method."] if document["gap"] is None else []
    table = Table(
        title=f"Ensemble ({document['method']}, {members}{', ' + KINDS[document['weights']] if parts else ''})",
        caption="\n".join(notes),
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("mean weight" if parts else "weight", justify="right")
    table.add_column("member", no_wrap=True)
    for name in parts:
        table.add_column(name, justify="right")
    table.add_column(document["metric"], justify="right")
    table.add_column("honest", justify="right")
    for member in document["members"]:
        spread = "" if member["weight_se"] is None else f" ± {member['weight_se']:.3f}"
        own = _weights(member, parts)
        table.add_row(f"{member['weight']:.3f}{spread}", member["name"], *own, number(member["score"]))
    table.add_section()
    empty = [""] * len(parts)
    for name, score, other, error in _rivals(document):
        table.add_row("", name, *empty, number(score), number(other) + _error(error), style="dim")
    honest = number(document["honest_score"]) + _error(document["honest_se"])
    table.add_row("", "this ensemble", *empty, number(document["score"]), honest, style="bold")
    for name, value in document["also"].items():
        table.add_row("", f"… {name}", *empty, number(value))
    for name, least in _thresholds(document["threshold"]):
        table.add_row("", name, *empty, number(least), style="dim")
    if document["gap"] is not None:
        table.add_row("", "gap to the best weights", *empty, f"≤ {document['gap']:.2g}", style="dim")
    return table


def _parts(document: Mapping[str, Any]) -> list[str]:
    """Return the columns of a member's weights by target or class; with many, the one column of their range."""
    names = list(document["members"][0].get("weights") or ())
    return names if len(names) <= _MAX_PARTS else [_RANGE]


def _weights(member: Mapping[str, Any], parts: Sequence[str]) -> list[str]:
    """Return the cells of a member's weights by target or class."""
    if not parts:
        return []
    own: Mapping[str, float] = member["weights"]
    if list(parts) == [_RANGE]:
        return [f"{min(own.values()):.3f} – {max(own.values()):.3f}"]
    return [f"{own[name]:.3f}" for name in parts]


def _rivals(document: Mapping[str, Any]) -> Iterator[tuple[str, float | None, float | None, float | None]]:
    """Yield name, score, cross-fitted score and its error of simpler blends and of the other kind of weights."""
    for name, key in (("best single", "best"), ("uniform mean", "uniform"), ("greedy", "greedy")):
        rival = document["rivals"][key]
        yield name, rival["score"], rival["honest_score"], None
    for whose, each in others(document).items():
        yield KINDS[whose], each["score"], each["honest_score"], each["honest_se"]


def _error(error: float | None) -> str:
    """Return a standard error as it follows a score."""
    return "" if error is None else f" ± {error:.2g}"


def _thresholds(given: float | Mapping[str, float | None] | None) -> list[tuple[str, float]]:
    """Return the names and values of the thresholds; with several targets, of the first few that have one."""
    if not isinstance(given, Mapping):
        return [] if given is None else [("threshold of class 1", given)]
    return [(f"threshold of {name}", value) for name, value in given.items() if value is not None][:_MAX_PARTS]


def diversity(document: Mapping[str, Any]) -> Table:
    """Return the table of an ensemble's diversity, from the document that `ensemble.Diversity.document` makes."""
    members, ambiguity = document["members"], document["ambiguity"]
    figures = ("contribution", "error_correlation", "disagreement")
    caption = [f"{name.replace('_', ' ')}: {document[name]['measure']}" for name in figures]
    caption.append("error correlation and disagreement are a member's means over the others")
    if not all(member["reoptimised"] for member in members) and len(members) > 1:
        caption.append("* the time was out: the others' weights were scaled up, not optimised again")
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
