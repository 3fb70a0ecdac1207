"""Recommendations: a study for every rule, and one in which no rule applies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from workbench.ensemble import EnsembleMember, EnsembleResult
from workbench.ensemble.cross_fitting import Baseline
from workbench.report import ReportData, StudyDescription
from workbench.report.recommendations import recommend
from workbench.search.storage import TrialRecord

STUDY = StudyDescription(
    "miniature", "y", "binary", "log_loss", "minimize", "train.csv", "table", 2000, None, "stratified, 5 folds × 1",
    "abc", families=("linear", "xgboost"), file="my study.yaml",
)  # fmt: skip
TRIALS = 60
# Neither in the first half nor in the last quarter.
BEST = 38


def trial(number: int, **fields: Any) -> TrialRecord:
    family = STUDY.families[number % 2]
    score = 0.2 if number == BEST else 0.3 + number / 1000
    known: dict[str, Any] = {"family": family, "score": score, "state": "complete", "reason": None} | fields
    return TrialRecord(
        run_id=f"run{number}", number=number, std=0.01, fold_scores=[0.3, 0.3], seconds=1.0,
        hyperparameters={"depth": 5}, **known,
    )  # fmt: skip


def build(trials: list[TrialRecord], **fields: Any) -> ReportData:
    """Return a study of trials in the order in which they ended."""
    ranks = {"complete": 0, "pruned": 1, "failed": 2}
    ranked = sorted(trials, key=lambda each: (ranks[each.state], each.score or 0))
    end_times = {each.key: float(second) for second, each in enumerate(trials)}
    known: dict[str, Any] = {"importances": {}, "curves": {}, "y": np.zeros(0), "fold": np.zeros(0)} | fields
    return ReportData(STUDY, ranked, end_times, **known)


def baseline() -> TrialRecord:
    return trial(0, family="constant")


@cache
def healthy_study() -> ReportData:
    """Return a study with enough trials and an ensemble with a clear gain and calibrated probabilities."""
    rng = np.random.default_rng(1)
    oof = rng.random(2000)
    y = (rng.random(2000) < oof).astype(int)
    trials = [baseline(), *(trial(number) for number in range(1, TRIALS))]
    members = tuple(EnsembleMember(family, family, f"{family} #1", 0.3, 0.5, 0.1) for family in STUDY.families)
    ensemble = EnsembleResult(
        method="nelder_mead", metric="log_loss", direction="minimize", score=0.189, members=members, candidates=40,
        honest_score=0.19, honest_se=0.004, optimism=0.001, baselines={"best": Baseline(0.2, 0.21, 0.02, 0.005)},
    )  # fmt: skip
    positions = {each.key: {"depth": 0.5} for each in trials}
    return build(trials, y=y, fold=np.arange(2000) % 5, ensemble=ensemble, oof=oof, relative_positions=positions)


def healthy_ensemble() -> EnsembleResult:
    ensemble = healthy_study().ensemble
    assert ensemble is not None
    return ensemble


def with_ensemble(**fields: Any) -> ReportData:
    return replace(healthy_study(), ensemble=replace(healthy_ensemble(), **fields))


def with_gain(gain: float, error: float = 0.005) -> ReportData:
    return with_ensemble(baselines={"best": Baseline(0.2, 0.21, gain, error)})


def with_trials(trials: list[TrialRecord]) -> ReportData:
    """Return the healthy study with other trials."""
    other = healthy_study()
    positions = other.relative_positions
    return build([baseline(), *trials], ensemble=other.ensemble, oof=other.oof, y=other.y, relative_positions=positions)


def with_endings(state: str, reason: str, every: int) -> ReportData:
    return with_trials(
        [
            trial(number, state=state, score=None, reason=reason) if number % every == 0 else trial(number)
            for number in range(1, TRIALS)
        ]
    )


def only(*trials: TrialRecord) -> ReportData:
    return build([baseline(), *trials])


def with_best_at(number: int) -> ReportData:
    return with_trials([trial(each, score=0.2 if each == number else 0.4) for each in range(1, TRIALS)])


def with_dominant_family() -> ReportData:
    pairs = zip(healthy_ensemble().members, (0.95, 0.05), strict=True)
    return with_ensemble(members=tuple(replace(member, weight=weight) for member, weight in pairs))


def at_boundary(position: float) -> ReportData:
    positions = {key: {"depth": position} for key in healthy_study().relative_positions}
    return replace(healthy_study(), relative_positions=positions)


def overconfident() -> ReportData:
    """Return a study whose probabilities are further from 0.5 than the observed frequencies."""
    oof = healthy_study().oof
    assert oof is not None
    return replace(healthy_study(), oof=np.clip(0.5 + 1.6 * (oof - 0.5), 0.001, 0.999))


CASES: dict[str, tuple[Callable[[], ReportData], str, str]] = {
    "nothing but the baseline": (only, "Let it run", "workbench run 'my study.yaml' --minutes 10"),
    "out of time": (lambda: with_endings("failed", "out of time: 9 s", 3), "Give trials more time", "trial_seconds"),
    "out of memory": (lambda: with_endings("failed", "out of memory", 3), "Trials need more memory", "workers: 1"),
    "errors": (lambda: with_endings("failed", "ValueError: <b>", 3), "Find out why trials fail", "workbench ui"),
    "all failed": (lambda: only(trial(1, state="failed", score=None)), "Find out why trials fail", "workbench ui"),
    "unsearched family": (
        lambda: replace(healthy_study(), study=replace(STUDY, families=(*STUDY.families, "mlp"))),
        "Reach every family", "workbench run",
    ),
    "no ensemble": (
        lambda: replace(healthy_study(), ensemble=None, oof=None), "Make an ensemble", "workbench ensemble",
    ),
    "behind the best model": (lambda: with_gain(-0.01), "Take the best single model", "--method best"),
    "gain in the noise": (lambda: with_gain(0.002), "Measure more finely", "folds: 5, repeats: 3"),
    "optimism": (lambda: with_ensemble(optimism=0.01), "Do not trust the ensemble's own score", "--members 2"),
    "dominant family": (with_dominant_family, "Add families unlike those you have", "families: [linear, xgboost, "),
    "few trials": (lambda: only(trial(1), trial(2), trial(3)), "Search for longer", "--trials 25"),
    "still improving": (lambda: with_best_at(55), "It is still getting better", "--trials 90"),
    "plateau": (lambda: with_best_at(5), "The search has levelled off", "workbench folds"),
    "upper boundary": (lambda: at_boundary(1.0), "Widen the range of depth", "widen it upward"),
    "lower boundary": (lambda: at_boundary(0.01), "Widen the range of depth", "widen it downward"),
    "pruned": (lambda: with_endings("pruned", "pruned after fold 0", 1), "Prune less", "pruner: "),
    "overconfident": (overconfident, "Probabilities are off", "--method stack"),
}  # fmt: skip


def test_a_healthy_study_has_no_recommendation() -> None:
    assert recommend(healthy_study()) == []


@pytest.mark.parametrize("case", CASES)
def test_a_rule_gives_a_reason_and_a_line(case: str) -> None:
    make, title, line = CASES[case]
    found = {each.title: each for each in recommend(make())}
    assert title in found, list(found)
    assert line in found[title].line
    assert len(found[title].reason) > 30
    assert found[title].where


def test_every_rule_is_covered() -> None:
    from workbench.report import recommendations as rules

    for rule in rules._RULES:
        assert any(rule(make()) is not None for make, _, _ in CASES.values()), rule.__name__
        assert rule(healthy_study()) is None
    assert len(rules._RULES) == 14


@pytest.mark.parametrize(
    ("folds", "line"),
    [
        ("kfold, 5 folds × 2", "folds: {kind: kfold, folds: 5, repeats: 6}"),
        ("group, 4 folds × 1", "folds: {kind: group, folds: 8}"),
        ("holdout, 1 folds × 1", "folds: {kind: stratified, folds: 5, repeats: 3}"),
    ],
)
def test_more_folds_are_suggested_as_a_line_of_a_study_file(folds: str, line: str) -> None:
    story = replace(with_gain(0.002), study=replace(STUDY, folds=folds))
    assert line in [each.line for each in recommend(story)]


def test_repeated_predictions_count_once() -> None:
    rng = np.random.default_rng(3)
    oof = rng.random(400)
    y = (rng.random(400) < np.clip(oof + rng.choice([-0.05, 0.05], 400), 0, 1)).astype(int)
    once = replace(healthy_study(), oof=oof, y=y, study=replace(STUDY, rows=400))
    often = replace(once, oof=np.tile(oof, 30), y=np.tile(y, 30))
    assert [each.title for each in recommend(often)] == [each.title for each in recommend(once)]


def test_an_empty_study_has_recommendations() -> None:
    assert recommend(build([])) != []
    assert recommend(only(trial(1, state="pruned", score=None)))[0].title == "Let it run"
