"""What to do next: rules that look at a story, each with its reason and a command or a line to change.

A rule is a function that returns its advice, or None where it has nothing to say. To add one: the function, and its
name in `_RULES`, the most pressing first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench import models
from workbench.report.formatting import command, count_noun, listing
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from workbench.search.storage import TrialRecord

# A family is only searched when it has had so many trials: TPE learns from the seventh on.
_TRIALS_A_FAMILY = 12
# Of a search with fewer trials its course says nothing yet.
_LEAST_TRIALS = 20
_HEAVY = 0.8
# The share of a range at either end that counts as its edge.
_EDGE = 0.05
# How far stated and true shares may be apart, in standard errors and as such, in this many of ten bins.
_ERRORS, _APART, _BINS = 3.0, 0.03, 2


@dataclass(frozen=True)
class Recommendation:
    """One thing to do next."""

    title: str
    reason: str
    where: str
    """Where the line below belongs: a shell, or a place in the study file."""
    line: str


Rule = Callable[[ReportData], Recommendation | None]


def recommend(story: ReportData) -> list[Recommendation]:
    """Return what to do next, the most pressing first."""
    return [found for rule in _RULES if (found := rule(story)) is not None]


def nothing_complete(story: ReportData) -> Recommendation | None:
    """No trial but the baseline is complete."""
    if _searched(story) or _failures(story):
        return None
    reason = "No trial but the baseline has run to its end yet, so there is nothing to choose from."
    return Recommendation("Let it run", reason, "Run", command("run", story.question.file, "--minutes 10"))


def failing(story: ReportData) -> Recommendation | None:
    """A fifth of the trials or more failed."""
    failed = _failures(story)
    if not failed or len(failed) < 0.2 * len(_own(story)):
        return None
    reason, times = Counter(_short(row.reason) for row in failed).most_common(1)[0]
    families = listing(sorted({row.family for row in failed}))
    said = f"{len(failed)} of {count_noun(len(_own(story)), 'trial')} failed ({families}), mostly ({times}): {reason}"
    if reason.startswith("out of time"):
        return Recommendation(
            "Give trials more time", said, "In the study file", "search: {trial_seconds: …}  # raise it"
        )
    if "memory" in reason:
        return Recommendation(
            "Trials need more memory", said, "In the study file", "search: {workers: 1}  # fewer at a time"
        )
    where = "Read log.txt of a failed trial among its artifacts"
    return Recommendation("Find out why trials fail", said, where, "workbench ui")


def unreached(story: ReportData) -> Recommendation | None:
    """A family of the study file had no trial yet."""
    missing = [name for name in story.question.families if name not in story.families]
    if not missing or not story.trials:
        return None
    reason = f"{listing(missing)} had no trial yet: the budget was spent before {_their(missing)} turn."
    return Recommendation("Reach every family", reason, "Run", command("run", story.question.file, "--minutes 10"))


def no_ensemble(story: ReportData) -> Recommendation | None:
    """There are models to blend and no ensemble of them."""
    if story.ensemble is not None or not _searched(story):
        return None
    reason = f"{count_noun(len(story.complete), 'complete trial')} could be blended; nothing has been yet."
    return Recommendation("Make an ensemble", reason, "Run", command("ensemble", story.question.file))


def behind(story: ReportData) -> Recommendation | None:
    """By the honest scores the best single model is ahead of the ensemble."""
    document = story.ensemble
    if document is None or document["candidates"] < 2 or document["method"] == "best":
        return None
    best = document["rivals"]["best"]
    if best["gain"] >= 0:
        return None
    reason = (
        f"On rows that the weights have not seen, the best single model is ahead by {-best['gain']:.2g} "
        f"{document['metric']}: the ensemble fits its weights to chance."
    )
    line = command("ensemble", story.question.file, "--method best")
    return Recommendation("Take the best single model", reason, "Run, then submit again", line)


def within_noise(story: ReportData) -> Recommendation | None:
    """The ensemble's gain is above zero and not above its standard error."""
    document = story.ensemble
    if document is None or document["candidates"] < 2:
        return None
    best = document["rivals"]["best"]
    if best["gain_se"] is None or not 0 <= best["gain"] <= best["gain_se"]:
        return None
    reason = (
        f"The gain over the best single model ({best['gain']:+.2g} ± {best['gain_se']:.2g}) is within the noise of "
        "the rows. Dealing them repeatedly makes scores steadier. Folds belong to a study's identity, so it needs "
        "another name."
    )
    return Recommendation("Measure more finely", reason, "In a study file of another name", _folds(story))


def optimistic(story: ReportData) -> Recommendation | None:
    """The ensemble's own score is better than the honest one by more than a standard error."""
    document = story.ensemble
    if document is None or document["honest_se"] is None or document["optimism"] <= document["honest_se"]:
        return None
    reason = (
        f"On its own rows the ensemble looks better by {document['optimism']:.2g} {document['metric']} than on others "
        f"(standard error {document['honest_se']:.2g}): its weights, or its choice of members, fit chance. Fewer "
        "members have less to fit."
    )
    fewer = max(2, len(document["members"]) // 2)
    line = command("ensemble", story.question.file, f"--members {fewer}")
    return Recommendation("Do not trust the ensemble's own score", reason, "Run, and compare the honest scores", line)


def one_sided(story: ReportData) -> Recommendation | None:
    """Nearly all weight is on one family, and there are others that could be tried."""
    document = story.ensemble
    if document is None:
        return None
    weights: Counter[str] = Counter()
    for member in document["members"]:
        weights[member["family"]] += member["weight"]
    (family, weight), asked = weights.most_common(1)[0], story.question
    others = [
        name
        for name, entry in models.FAMILIES.items()
        if name not in (*asked.families, *story.families, models.BASELINE)
        and asked.tasks <= set(entry.tasks) and entry.suits(asked.kind, "text" in asked.columns.values())
        and entry.installed
    ]  # fmt: skip
    if weight < _HEAVY or not others:
        return None
    reason = f"{weight:.0%} of the weight rests on {family}. An ensemble lives of models that err on other rows."
    line = f"families: [{', '.join([*asked.families, *others])}]"
    return Recommendation("Add families unlike those you have", reason, "In the study file, then run", line)


def young(story: ReportData) -> Recommendation | None:
    """Families had too few trials for a sampler to have learnt much."""
    families = {row.family for row in _own(story)}
    tried = [row for row in _own(story) if row.state != "failed"]
    if not _searched(story) or len(tried) >= _TRIALS_A_FAMILY * len(families):
        return None
    reason = (
        f"{count_noun(len(tried), 'trial')} over {'one family' if len(families) == 1 else f'{len(families)} families'} "
        "are little more than known-good defaults and a few random draws."
    )
    line = command("run", story.question.file, f"--trials {_TRIALS_A_FAMILY * len(families) + 1}")
    return Recommendation("Search for longer", reason, "Run", line)


def improving(story: ReportData) -> Recommendation | None:
    """The best trial is among the last quarter to end."""
    order = _in_order(story)
    if len(order) < _LEAST_TRIALS or young(story) is not None:
        return None
    late = order[-(len(order) // 4) :]
    best = story.complete[0]
    if best not in late:
        return None
    before = [row for row in order if row not in late and row.score is not None and row.state == "complete"]
    if not before or best.score is None:
        return None
    gain = min(story.sign * (row.score or 0.0) for row in before) - story.sign * best.score
    if gain <= 0:
        return None
    reason = f"The last quarter of the trials still improved the best score, by {gain:.2g} {story.question.metric}."
    line = command("run", story.question.file, f"--trials {len(story.trials) + len(story.trials) // 2}")
    return Recommendation("It is still getting better", reason, "Run", line)


def levelled(story: ReportData) -> Recommendation | None:
    """The last half of the trials brought nothing better."""
    order = _in_order(story)
    if len(order) < 2 * _LEAST_TRIALS or young(story) is not None or story.complete[0] not in order[: len(order) // 2]:
        return None
    reason = (
        f"The best trial, {story.complete[0].name}, was found in the first half of {len(order)} trials. More of the "
        "same will hardly help; other features, other families or predictions made elsewhere may."
    )
    return Recommendation(
        "The search has levelled off", reason, "Run", command("folds", story.question.file, "-o folds.csv")
    )


def edge(story: ReportData) -> Recommendation | None:
    """The three best trials of one of the best two families are all at the same end of a range."""
    for family, rows in list(story.families.items())[:2]:
        best = [story.places.get(row.key, {}) for row in rows if row.state == "complete"][:3]
        for name in dict.fromkeys(name for place in best for name in place):
            places = [place.get(name, 0.5) for place in best]
            low, high = max(places) <= _EDGE, min(places) >= 1 - _EDGE
            if len(best) == 3 and (low or high):
                end = "lower" if low else "upper"
                reason = f"The three best trials of {family} all have {name} at the {end} end of its range."
                line = f"hp.…({name!r}, …)  # widen it {'downward' if low else 'upward'}"
                return Recommendation(f"Widen the range of {name}", reason, f"In {_file(family)}, then run", line)
    return None


def pruned_away(story: ReportData) -> Recommendation | None:
    """Nearly all trials were pruned."""
    own = _own(story)
    pruned = sum(row.state == "pruned" for row in own)
    if len(own) < _LEAST_TRIALS or pruned < 0.8 * len(own):
        return None
    reason = (
        f"{pruned} of {len(own)} trials were pruned, so few are left to blend. A pruner that waits longer leaves more "
        "models that are good in another way."
    )
    return Recommendation("Prune less", reason, "In the study file, then run", "search: {pruner: wilcoxon}")


def uncalibrated(story: ReportData) -> Recommendation | None:
    """The ensemble's probabilities are not the shares that come true."""
    document, oof = story.ensemble, story.oof
    if document is None or oof is None or story.question.task == "regression" or story.question.targets:
        return None
    # Ranks are no probabilities, and a stack is the remedy.
    if document["method"] in ("rank", "stack") or oof.min() < 0 or oof.max() > 1 + 1e-6:
        return None
    said = oof if oof.ndim == 1 else oof.max(axis=1)
    true = story.y == 1 if oof.ndim == 1 else oof.argmax(axis=1) == story.y
    # A row that is dealt repeatedly is one row all the same.
    dealt = max(1.0, len(said) / story.question.rows)
    bins = [part for part in np.array_split(np.argsort(said, kind="stable"), 10) if len(part) >= 30]
    means = np.array([said[part].mean() for part in bins])
    gaps = np.array([true[part].mean() for part in bins]) - means
    errors = np.sqrt(np.maximum(means * (1 - means), 1e-4) * dealt / np.array([len(part) for part in bins]))
    off = (np.abs(gaps) > _ERRORS * errors) & (np.abs(gaps) > _APART)
    if off.sum() < _BINS:
        return None
    worst = bins[int(np.argmax(np.abs(gaps) * off))]
    reason = (
        f"Where the ensemble says {said[worst].mean():.0%}, it is so in {true[worst].mean():.0%} of {len(worst)} rows. "
        f"A stack corrects that{'' if document['metric'] == 'log_loss' else '; so does log loss as the metric'}."
    )
    line = command("ensemble", story.question.file, "--method stack")
    return Recommendation("Probabilities are off", reason, "Run, and compare the honest scores", line)


_RULES: tuple[Rule, ...] = (
    nothing_complete,
    failing,
    unreached,
    no_ensemble,
    behind,
    young,
    improving,
    edge,
    one_sided,
    optimistic,
    within_noise,
    uncalibrated,
    pruned_away,
    levelled,
)


def _own(story: ReportData) -> list[TrialRecord]:
    """Return the finished trials but the baseline's."""
    return [row for row in story.trials if row.family != models.BASELINE]


def _searched(story: ReportData) -> list[TrialRecord]:
    return [row for row in _own(story) if row.state == "complete"]


def _failures(story: ReportData) -> list[TrialRecord]:
    return [row for row in _own(story) if row.state == "failed"]


def _in_order(story: ReportData) -> list[TrialRecord]:
    """Return the trials but the baseline's in the order in which they ended."""
    return sorted((row for row in _own(story) if row.key in story.ended), key=lambda row: story.ended[row.key])


def _folds(story: ReportData) -> str:
    """Return the line that asks more of the folds: rows dealt thrice as often, or more folds where that cannot be."""
    kind, _, rest = story.question.folds.partition(", ")
    folds, _, repeats = rest.partition(" folds × ")
    if kind in ("kfold", "stratified"):
        return f"folds: {{kind: {kind}, folds: {folds}, repeats: {3 * int(repeats)}}}"
    if kind in ("group", "group_stratified", "time"):
        return f"folds: {{kind: {kind}, folds: {2 * int(folds)}}}"
    plain = story.question.tasks == {"regression"}
    return f"folds: {{kind: {'kfold' if plain else 'stratified'}, folds: 5, repeats: 3}}"


def _file(family: str) -> str:
    """Return the file in which a family asks for its hyperparameters."""
    return family.rpartition(":")[0] or f"workbench/models/{family}.py"


def _short(reason: str | None) -> str:
    words = " ".join((reason or "no reason given").split())
    return words if len(words) <= 160 else f"{words[:159]}…"


def _their(names: Sequence[str]) -> str:
    return "its" if len(names) == 1 else "their"
