"""The tables of a report, whatever form it takes: what the cells say, and what they are sorted by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.report.formatting import clock, format_parameter, number, spread
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from workbench.search.storage import TrialRecord
    from workbench.trial import State

# Of more targets or classes than these only the least and the most that a member weighs are shown.
_MOST_PARTS = 8
_RANGE = ("least", "most")
# What weights of each kind are called.
KINDS = {"shared": "shared weights", "target": "weights by target", "class": "weights by class"}
# Of a family, how many trials are shown beside each other.
_BEST = 3


@dataclass(frozen=True)
class Cell:
    """What a cell says; `value` is what it is sorted by, where that is a number."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class ColumnHead:
    """The head of a column."""

    title: str
    number: bool = False


@dataclass(frozen=True)
class ReportTable:
    """Rows of cells under a caption; the first cell of a row is its head."""

    caption: str
    columns: tuple[ColumnHead, ...]
    rows: tuple[tuple[Cell, ...], ...]
    marked: tuple[int, ...] = ()
    """Rows that are brought out."""
    faint: tuple[int, ...] = ()
    """Rows that stand back."""
    sortable: bool = False


def families(story: ReportData) -> ReportTable:
    """Return the best trial of each family, and how many it had; families of the study file without one come last."""
    also = story.question.also
    states: tuple[State, ...] = ("pruned", "failed")
    ended = [state for state in states if any(row.state == state for row in story.trials)]
    rows = []
    for family, trials in story.families.items():
        best, counts = trials[0], Counter(row.state for row in trials)
        score, std = (best.score, best.std) if best.state == "complete" else (None, None)
        figures = [_score(score), _score(std, 2), *(_score(best.also.get(name)) for name in also)]
        tallies = [_count(len(trials)), *(_count(counts[state]) for state in ended)]
        rows.append((Cell(family), *figures, *tallies, _time(sum(row.seconds for row in trials))))
    for family in story.question.families:
        if family not in story.families:
            empty = [Cell("–")] * (2 + len(also))
            rows.append((Cell(family), *empty, *[_count(0)] * (1 + len(ended)), _time(0)))
    heads = [story.question.metric, "± folds", *also, "trials", *ended, "time"]
    columns = (ColumnHead("family"), *_numbers(*heads))
    return ReportTable("The best trial of each family", columns, tuple(rows), marked=(0,) if story.complete else ())


def members(story: ReportData) -> ReportTable | None:
    """Return the ensemble's members, the heaviest first, and what each adds."""
    document = story.ensemble
    if document is None:
        return None
    explained = {each["name"]: each for each in document["diversity"]["members"]}
    names = tuple(document["members"][0].get("weights") or ())
    parts = names if len(names) <= _MOST_PARTS else _RANGE
    rows = []
    for member in document["members"]:
        known = explained.get(member["name"], {})
        contribution, correlation = known.get("contribution"), known.get("mean_error_correlation")
        error = member["weight_se"]
        weight = f"{member['weight']:.3f}" + ("" if error is None else f" ± {error:.3f}")
        rows.append((
            Cell(member["name"]), Cell(weight, member["weight"]), *_weights(member, parts), _score(member["score"]),
            Cell("–" if contribution is None else f"{contribution:+.2g}", contribution), _score(correlation, 3),
        ))  # fmt: skip
    columns = (
        ColumnHead("member"),
        *_numbers("mean weight ± se" if parts else "weight ± se", *parts),
        *_numbers(document["metric"], "adds", "error correlation"),
    )
    return ReportTable("Members of the ensemble", columns, tuple(rows))


def _weights(member: Mapping[str, Any], parts: Sequence[str]) -> list[Cell]:
    """Return what a member weighs in each target or class, or, of many, the least and the most."""
    own: Mapping[str, float] = member.get("weights") or {}
    shown = [min(own.values()), max(own.values())] if tuple(parts) == _RANGE else own.values()
    return [Cell(f"{weight:.3f}", weight) for weight in shown]


def others(document: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return the kinds of weights that were found and are not used: score, honest score and its error."""
    alternatives = document.get("alternatives", {})
    simpler = document["method"] != document["asked"]
    return {whose: each for whose, each in alternatives.items() if simpler or whose != document["weights"]}


def rivals(story: ReportData) -> ReportTable | None:
    """Return the ensemble beside simpler ones."""
    document = story.ensemble
    if document is None:
        return None
    rows = []
    for name, key in (("best single model", "best"), ("uniform mean", "uniform"), ("greedy selection", "greedy")):
        rival = document["rivals"][key]
        error = "" if rival["gain_se"] is None else f" ± {rival['gain_se']:.2g}"
        gain = Cell(f"{rival['gain']:+.2g}{error}", rival["gain"])
        rows.append((Cell(name), _score(rival["score"]), _score(rival["honest_score"]), gain))
    for whose, each in others(document).items():
        honest = Cell(spread(each["honest_score"], each["honest_se"]), each["honest_score"])
        rows.append((Cell(KINDS[whose]), _score(each["score"]), honest, Cell("")))
    own = Cell(spread(document["honest_score"], document["honest_se"]), document["honest_score"])
    rows.append((Cell("this ensemble"), _score(document["score"]), own, Cell("")))
    columns = (ColumnHead("blend"), *_numbers(document["metric"], "honest", "gain over it"))
    caption = f"The ensemble beside simpler ones; a gain is that of {document['asked']}, by the honest scores"
    return ReportTable(caption, columns, tuple(rows), marked=(len(rows) - 1,))


def targets(story: ReportData) -> ReportTable | None:
    """Return what the ensemble and the best trials are worth for each of several targets."""
    asked, best = story.question, story.complete[:1]
    if not asked.targets:
        return None
    told = {} if story.ensemble is None else story.ensemble["also"]
    rows = []
    for target, name in zip(asked.targets, asked.target_scores, strict=True):
        cells = [Cell(target.name), Cell(target.task), Cell(name.removeprefix(f"{target.name}."))]
        scores = [told.get(name), *(row.also.get(name) for row in best)]
        rows.append((*cells, *(_score(score) for score in scores)))
    heads = ["ensemble", *(f"best trial, {row.name}" for row in best)]
    columns = (ColumnHead("target"), ColumnHead("task"), ColumnHead("metric"), *_numbers(*heads))
    return ReportTable("Each target by itself, out of fold", columns, tuple(rows), sortable=True)


def trials(story: ReportData) -> ReportTable:
    """Return every finished trial, best first."""
    also = story.question.also
    nets = ["parameters"] if any(row.parameters is not None for row in story.trials) else []
    columns = (
        ColumnHead("trial"), ColumnHead("state"), *_numbers(story.question.metric, "± folds", *also),
        *_numbers(*nets, "time", "ended after"), ColumnHead("hyperparameters"), ColumnHead("reason"),
    )  # fmt: skip
    rows = tuple(_trial(row, also, story.ended.get(row.key), nets=bool(nets)) for row in story.trials)
    faint = tuple(place for place, row in enumerate(story.trials) if row.state != "complete")
    return ReportTable("Every finished trial, best first", columns, rows, faint=faint, sortable=True)


def _trial(row: TrialRecord, also: Sequence[str], ended: float | None, *, nets: bool) -> tuple[Cell, ...]:
    values = ", ".join(f"{name}={format_parameter(value)}" for name, value in _active(row).items())
    figures = [_score(row.score), _score(row.std, 2), *(_score(row.also.get(name)) for name in also)]
    figures += [Cell("–") if row.parameters is None else _count(row.parameters)] if nets else []
    when = Cell("–") if ended is None else _time(ended)
    reason = " ".join((row.reason or "").split())
    shown = reason if len(reason) <= 200 else f"{reason[:199]}…"
    return (Cell(row.name), Cell(row.state), *figures, _time(row.seconds), when, Cell(values), Cell(shown))


def hyperparameters(story: ReportData) -> list[ReportTable]:
    """Return, for each family that has some, those of its best trials beside each other."""
    found = []
    for family, rows in story.families.items():
        best = [row for row in rows if row.state == "complete"][:_BEST]
        names = dict.fromkeys(name for row in best for name in _active(row))
        if not names:
            continue
        shares = story.importances.get(family, {})
        body = [
            (Cell(name), *(Cell(format_parameter(_active(row).get(name, "–"))) for row in best), *_share(shares, name))
            for name in sorted(names, key=lambda name: -shares.get(name, 0.0))
        ]
        rest = [Cell("")] if shares else []
        body.append((Cell(story.question.metric), *(_score(row.score) for row in best), *rest))
        heads = [*(f"#{row.number}" for row in best), *(["importance"] if shares else [])]
        caption = f"{family}: its best {'trial' if len(best) == 1 else f'{len(best)} trials'}"
        columns = (ColumnHead("hyperparameter"), *_numbers(*heads))
        found.append(ReportTable(caption, columns, tuple(body), marked=(len(body) - 1,)))
    return found


def columns(story: ReportData) -> ReportTable | None:
    """Return the data's columns, and what each is taken for."""
    known = story.question.columns
    rows = tuple((Cell(name), Cell(kind)) for name, kind in known.items())
    return ReportTable("Columns of the data", (ColumnHead("column"), ColumnHead("taken for")), rows) if rows else None


def count_finished(story: ReportData) -> int:
    """Return how many trials a budget of trials counts: those that did not fail."""
    return sum(row.state != "failed" for row in story.trials)


def kinds(story: ReportData) -> str:
    """Return how many columns there are of each kind, as in `7 number, 3 category`."""
    return ", ".join(f"{count} {kind}" for kind, count in Counter(story.question.columns.values()).most_common())


def versions(story: ReportData) -> ReportTable | None:
    """Return what the study was told with."""
    if story.recipe is None:
        return None
    rows = tuple((Cell(name), Cell(version)) for name, version in story.recipe.versions.items())
    return ReportTable("Versions, at the time of this report", (ColumnHead("library"), ColumnHead("version")), rows)


def _numbers(*titles: str) -> tuple[ColumnHead, ...]:
    return tuple(ColumnHead(title, number=True) for title in titles)


def _active(row: TrialRecord) -> dict[str, Any]:
    """Return the hyperparameters whose conditions hold."""
    return {name: value for name, value in row.hyperparameters.items() if value is not None}


def _share(shares: dict[str, float] | Any, name: str) -> Iterable[Cell]:
    return [Cell(f"{shares[name]:.0%}" if name in shares else "–", shares.get(name))] if shares else []


def _score(value: float | None, digits: int = 5) -> Cell:
    return Cell(number(value) if digits == 5 or value is None else f"{value:.{digits}g}", value)


def _count(count: int) -> Cell:
    return Cell(f"{count:,}", count)


def _time(seconds: float) -> Cell:
    return Cell(clock(seconds), seconds)
