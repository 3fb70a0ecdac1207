"""Recommendations: rules that check a study; each recommendation has a reason and a command or a line to change.

A rule is a function that returns a recommendation, or None where its condition does not hold. To add one: the function,
and its name in `_RULES`, the most urgent first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench import models
from workbench.report.formatting import count_noun, format_command, join_words
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from workbench.search.storage import TrialRecord

# TPE models the scores from a family's seventh trial on; below this many trials it has hardly had an effect.
_TRIALS_PER_FAMILY = 12
# The course of a search says nothing before this many trials.
_MIN_TRIALS = 20
_DOMINANT_WEIGHT = 0.8
_MANY_FAILED, _MANY_PRUNED = 0.2, 0.8
# The share of a range at either end that counts as its boundary.
_BOUNDARY = 0.05
# Probabilities are off where this many of ten bins deviate by more than so many standard errors, and by more than this
# difference.
_DEVIATING_BINS, _STANDARD_ERRORS, _DIFFERENCE = 2, 3.0, 0.03
_BINS, _MIN_ROWS_PER_BIN = 10, 30
_MAX_REASON = 160


@dataclass(frozen=True)
class Recommendation:
    """One thing to do next."""

    title: str
    reason: str
    where: str
    """The place of the line below: a shell, or a part of the study file."""
    line: str


Rule = Callable[[ReportData], Recommendation | None]


def recommend(data: ReportData) -> list[Recommendation]:
    """Return what to do next, the most urgent first."""
    return [recommendation for rule in _RULES if (recommendation := rule(data)) is not None]


def check_complete_trials(data: ReportData) -> Recommendation | None:
    """Recommend a run where no trial but the baseline is complete and none failed."""
    if _select(data, "complete") or _select(data, "failed"):
        return None
    reason = "No trial but the baseline is complete yet, so there is nothing to choose from."
    return Recommendation("Let it run", reason, "Run", format_command("run", data.study.file, "--minutes 10"))


def check_failures(data: ReportData) -> Recommendation | None:
    """Recommend a remedy for the most frequent failure where a fifth of the trials or more failed."""
    failed, total = _select(data, "failed"), len(_exclude_baseline(data))
    if not failed or len(failed) < _MANY_FAILED * total:
        return None
    cause, count = Counter(_shorten(trial.reason) for trial in failed).most_common(1)[0]
    families = join_words(sorted({trial.family for trial in failed}))
    reason = f"{len(failed)} of {count_noun(total, 'trial')} failed ({families}), mostly ({count}): {cause}"
    if cause.startswith("out of time"):
        line = "search: {trial_seconds: …}  # raise it"
        return Recommendation("Give trials more time", reason, "In the study file", line)
    if "memory" in cause:
        line = "search: {workers: 1}  # fewer at a time"
        return Recommendation("Trials need more memory", reason, "In the study file", line)
    where = "Read log.txt of a failed trial among its artifacts"
    return Recommendation("Find out why trials fail", reason, where, "workbench ui")


def check_unsearched_families(data: ReportData) -> Recommendation | None:
    """Recommend a longer run where a family of the study file has no trial yet."""
    missing = [name for name in data.study.families if name not in data.trials_by_family]
    if not missing or not data.trials:
        return None
    pronoun = "its" if len(missing) == 1 else "their"
    reason = f"{join_words(missing)} had no trial yet: the budget was spent before {pronoun} turn."
    return Recommendation("Reach every family", reason, "Run", format_command("run", data.study.file, "--minutes 10"))


def check_missing_ensemble(data: ReportData) -> Recommendation | None:
    """Recommend an ensemble where there are models to blend and none has been made."""
    if data.ensemble is not None or not _select(data, "complete"):
        return None
    reason = f"{count_noun(len(data.complete_trials), 'complete trial')} could be blended; nothing has been yet."
    return Recommendation("Make an ensemble", reason, "Run", format_command("ensemble", data.study.file))


def check_single_model_ahead(data: ReportData) -> Recommendation | None:
    """Recommend the best single model where its cross-fitted score is clearly better than a requested method's."""
    ensemble = data.ensemble
    if ensemble is None or ensemble.candidates < 2 or ensemble.method != ensemble.requested_method:
        return None
    best = ensemble.baselines["best"]
    if best.gain >= -(best.gain_se or 0.0):
        return None
    reason = (
        f"On rows that the weights were not fitted to, the best single model is ahead by {-best.gain:.2g} "
        f"{ensemble.metric}: the ensemble's weights are overfitted."
    )
    line = format_command("ensemble", data.study.file, "--method best")
    return Recommendation("Take the best single model", reason, "Run, then submit again", line)


def check_gain_within_noise(data: ReportData) -> Recommendation | None:
    """Recommend more folds where the ensemble's gain is positive and not above its standard error."""
    ensemble = data.ensemble
    if ensemble is None or ensemble.candidates < 2:
        return None
    best = ensemble.baselines["best"]
    if best.gain_se is None or not 0 <= best.gain <= best.gain_se:
        return None
    reason = (
        f"The gain over the best single model ({best.gain:+.2g} ± {best.gain_se:.2g}) is within the noise of the "
        "rows. More folds or repeats make scores steadier. Folds belong to a study's identity, so this needs another "
        "name."
    )
    return Recommendation("Measure more finely", reason, "In a study file of another name", _suggest_folds(data))


def check_optimism(data: ReportData) -> Recommendation | None:
    """Recommend fewer members where the ensemble's own score is optimistic by more than a standard error."""
    ensemble = data.ensemble
    if ensemble is None or ensemble.honest_se is None or ensemble.optimism <= ensemble.honest_se:
        return None
    reason = (
        f"On the rows that its weights were fitted to, the ensemble scores better by {ensemble.optimism:.2g} "
        f"{ensemble.metric} than on others (standard error {ensemble.honest_se:.2g}): its weights, or its choice of "
        "members, are overfitted. With fewer members there is less to fit."
    )
    fewer = max(2, len(ensemble.members) // 2)
    line = format_command("ensemble", data.study.file, f"--members {fewer}")
    return Recommendation("Do not trust the ensemble's own score", reason, "Run, and compare the honest scores", line)


def check_dominant_family(data: ReportData) -> Recommendation | None:
    """Recommend further families where one family has nearly all weight and others could be tried."""
    if data.ensemble is None:
        return None
    weights: Counter[str] = Counter()
    for member in data.ensemble.members:
        weights[member.family] += member.weight  # type: ignore[assignment]
    (family, weight), study = weights.most_common(1)[0], data.study
    others = [
        name
        for name, entry in models.FAMILIES.items()
        if name not in (*study.families, *data.trials_by_family, models.BASELINE)
        and study.tasks <= set(entry.tasks) and entry.suits(study.kind, "text" in study.columns.values())
        and entry.installed
    ]  # fmt: skip
    if weight < _DOMINANT_WEIGHT or not others:
        return None
    reason = f"{weight:.0%} of the weight is on {family}. An ensemble gains from models that are wrong on other rows."
    line = f"families: [{', '.join([*study.families, *others])}]"
    return Recommendation("Add families unlike those you have", reason, "In the study file, then run", line)


def check_trial_count(data: ReportData) -> Recommendation | None:
    """Recommend more trials where families have had too few for a sampler to learn from."""
    families = {trial.family for trial in _exclude_baseline(data)}
    trials = [trial for trial in _exclude_baseline(data) if trial.state != "failed"]
    if not _select(data, "complete") or len(trials) >= _TRIALS_PER_FAMILY * len(families):
        return None
    number = "one family" if len(families) == 1 else f"{len(families)} families"
    reason = (
        f"{count_noun(len(trials), 'trial')} over {number} are little more than known-good defaults and a few "
        "random draws."
    )
    line = format_command("run", data.study.file, f"--trials {_TRIALS_PER_FAMILY * len(families) + 1}")
    return Recommendation("Search for longer", reason, "Run", line)


def check_recent_improvement(data: ReportData) -> Recommendation | None:
    """Recommend more trials where the best trial is among the last quarter to end."""
    trials = _sort_by_end(data)
    if len(trials) < _MIN_TRIALS or check_trial_count(data) is not None:
        return None
    late = trials[-(len(trials) // 4) :]
    best = data.complete_trials[0]
    if best not in late:
        return None
    before = [trial for trial in trials if trial not in late and trial.score is not None and trial.state == "complete"]
    if not before or best.score is None:
        return None
    gain = min(data.sign * (trial.score or 0.0) for trial in before) - data.sign * best.score
    if gain <= 0:
        return None
    reason = f"The last quarter of the trials still improved the best score, by {gain:.2g} {data.study.metric}."
    line = format_command("run", data.study.file, f"--trials {len(data.trials) + len(data.trials) // 2}")
    return Recommendation("It is still getting better", reason, "Run", line)


def check_plateau(data: ReportData) -> Recommendation | None:
    """Recommend other models where the last half of the trials found nothing better."""
    trials = _sort_by_end(data)
    if len(trials) < 2 * _MIN_TRIALS or check_trial_count(data) is not None:
        return None
    best = data.complete_trials[0]
    if best not in trials[: len(trials) // 2]:
        return None
    reason = (
        f"The best trial, {best.name}, was found in the first half of {len(trials)} trials. More "
        "of the same will hardly help; other features, other families or predictions made elsewhere may."
    )
    line = format_command("folds", data.study.file, "-o folds.csv")
    return Recommendation("The search has levelled off", reason, "Run", line)


def check_range_boundary(data: ReportData) -> Recommendation | None:
    """Recommend a wider range where the three best trials of one of the best two families are at the same end of it."""
    for family, trials in list(data.trials_by_family.items())[:2]:
        best = [data.relative_positions.get(trial.key, {}) for trial in trials if trial.state == "complete"][:3]
        for name in dict.fromkeys(name for positions in best for name in positions):
            positions = [each.get(name, 0.5) for each in best]
            low, high = max(positions) <= _BOUNDARY, min(positions) >= 1 - _BOUNDARY
            if len(best) == 3 and (low or high):
                end = "lower" if low else "upper"
                reason = f"The three best trials of {family} all have {name} at the {end} end of its range."
                line = f"hp.…({name!r}, …)  # widen it {'downward' if low else 'upward'}"
                where = f"In {_source_file(family)}, then run"
                return Recommendation(f"Widen the range of {name}", reason, where, line)
    return None


def check_pruning(data: ReportData) -> Recommendation | None:
    """Recommend a more patient pruner where nearly all trials were pruned."""
    total, pruned = len(_exclude_baseline(data)), len(_select(data, "pruned"))
    if total < _MIN_TRIALS or pruned < _MANY_PRUNED * total:
        return None
    reason = (
        f"{pruned} of {total} trials were pruned, so few are left to blend. A pruner that waits longer leaves more "
        "models, and more diverse ones."
    )
    return Recommendation("Prune less", reason, "In the study file, then run", "search: {pruner: wilcoxon}")


def check_calibration(data: ReportData) -> Recommendation | None:
    """Recommend a stack where the ensemble's probabilities differ from the observed frequencies."""
    ensemble, oof = data.ensemble, data.oof
    if ensemble is None or oof is None or data.study.task == "regression" or data.study.targets:
        return None
    # Ranks are not probabilities, and a stack is the remedy itself.
    if not ensemble.predicts_probabilities or ensemble.is_calibrated or oof.min() < 0 or oof.max() > 1 + 1e-6:
        return None
    predicted = oof if oof.ndim == 1 else oof.max(axis=1)
    correct = data.y == 1 if oof.ndim == 1 else oof.argmax(axis=1) == data.y
    # The predictions of one row in several repeats are not independent.
    repeats = max(1.0, len(predicted) / data.study.rows)
    bins = [
        part for part in np.array_split(np.argsort(predicted, kind="stable"), _BINS) if len(part) >= _MIN_ROWS_PER_BIN
    ]
    means = np.array([predicted[part].mean() for part in bins])
    gaps = np.array([correct[part].mean() for part in bins]) - means
    errors = np.sqrt(np.maximum(means * (1 - means), 1e-4) * repeats / np.array([len(part) for part in bins]))
    off = (np.abs(gaps) > _STANDARD_ERRORS * errors) & (np.abs(gaps) > _DIFFERENCE)
    if off.sum() < _DEVIATING_BINS:
        return None
    worst = bins[int(np.argmax(np.abs(gaps) * off))]
    reason = (
        f"Where the ensemble predicts {predicted[worst].mean():.0%}, the observed frequency is "
        f"{correct[worst].mean():.0%} of {len(worst)} rows. A stack corrects "
        f"that{'' if ensemble.metric == 'log_loss' else '; so does log loss as the metric'}."
    )
    line = format_command("ensemble", data.study.file, "--method stack")
    return Recommendation("Probabilities are off", reason, "Run, and compare the honest scores", line)


_RULES: tuple[Rule, ...] = (
    check_complete_trials,
    check_failures,
    check_unsearched_families,
    check_missing_ensemble,
    check_single_model_ahead,
    check_trial_count,
    check_recent_improvement,
    check_range_boundary,
    check_dominant_family,
    check_optimism,
    check_gain_within_noise,
    check_calibration,
    check_pruning,
    check_plateau,
)


def _exclude_baseline(data: ReportData) -> list[TrialRecord]:
    """Return the finished trials without the baseline's."""
    return [trial for trial in data.trials if trial.family != models.BASELINE]


def _select(data: ReportData, state: str) -> list[TrialRecord]:
    """Return the finished trials in a state, without the baseline's."""
    return [trial for trial in _exclude_baseline(data) if trial.state == state]


def _sort_by_end(data: ReportData) -> list[TrialRecord]:
    """Return the trials without the baseline's, in the order in which they ended."""
    trials = [trial for trial in _exclude_baseline(data) if trial.key in data.end_times]
    return sorted(trials, key=lambda trial: data.end_times[trial.key])


def _suggest_folds(data: ReportData) -> str:
    """Return the line of a study file with three times the repeats, or twice the folds where repeats are impossible."""
    kind, _, rest = data.study.folds.partition(", ")
    folds, _, repeats = rest.partition(" folds × ")
    if kind in ("kfold", "stratified"):
        return f"folds: {{kind: {kind}, folds: {folds}, repeats: {3 * int(repeats)}}}"
    if kind in ("group", "group_stratified", "time"):
        return f"folds: {{kind: {kind}, folds: {2 * int(folds)}}}"
    kind = "kfold" if data.study.tasks == {"regression"} else "stratified"
    return f"folds: {{kind: {kind}, folds: 5, repeats: 3}}"


def _source_file(family: str) -> str:
    """Return the file that defines a family's hyperparameters."""
    entry = models.FAMILIES.get(family)
    return entry.module_name.replace(".", "/") + ".py" if entry else family.rpartition(":")[0] or family


def _shorten(reason: str | None) -> str:
    text = " ".join((reason or "no reason given").split())
    return text if len(text) <= _MAX_REASON else f"{text[: _MAX_REASON - 1]}…"
