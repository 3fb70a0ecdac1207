"""What to do next: every rule where it speaks, and a study in which all of them are silent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from workbench.report import ReportData, StudyDescription
from workbench.report.recommendations import recommend
from workbench.search.storage import TrialRecord

QUESTION = StudyDescription(
    "miniature", "y", "binary", "log_loss", "minimize", "train.csv", "table", 2000, None, "stratified, 5 folds × 1",
    "abc", families=("linear", "xgboost"), file="my study.yaml",
)  # fmt: skip
TRIALS = 60
# Neither in the first half nor in the last quarter.
BEST = 38


def row(number: int, **known: Any) -> TrialRecord:
    family = QUESTION.families[number % 2]
    score = 0.2 if number == BEST else 0.3 + number / 1000
    facts: dict[str, Any] = {"family": family, "score": score, "state": "complete", "reason": None} | known
    return TrialRecord(
        run_id=f"run{number}", number=number, std=0.01, fold_scores=[0.3, 0.3], seconds=1.0,
        hyperparameters={"depth": 5}, **facts,
    )  # fmt: skip


def study(rows: list[TrialRecord], **known: Any) -> ReportData:
    """Return a study of trials in the order in which they ended."""
    ranks = {"complete": 0, "pruned": 1, "failed": 2}
    ranked = sorted(rows, key=lambda each: (ranks[each.state], each.score or 0))
    ended = {each.key: float(place) for place, each in enumerate(rows)}
    told: dict[str, Any] = {"importances": {}, "curves": {}, "y": np.zeros(0), "fold": np.zeros(0)} | known
    return ReportData(QUESTION, ranked, ended, **told)


def baseline() -> TrialRecord:
    return row(0, family="constant")


@cache
def calm() -> ReportData:
    """A study that has been searched long enough, with an ensemble that is clearly better and says what is so."""
    rng = np.random.default_rng(1)
    oof = rng.random(2000)
    y = (rng.random(2000) < oof).astype(int)
    rows = [baseline(), *(row(number) for number in range(1, TRIALS))]
    members = [
        {"name": f"{family} #1", "family": family, "weight": 0.5, "weight_se": 0.1, "run_id": family, "score": 0.3}
        for family in QUESTION.families
    ]
    document = {
        "metric": "log_loss", "method": "nelder_mead", "asked": "nelder_mead", "candidates": 40, "members": members,
        "honest_score": 0.19, "honest_se": 0.004, "optimism": 0.001, "remark": None,
        "rivals": {"best": {"gain": 0.02, "gain_se": 0.005, "score": 0.2, "honest_score": 0.21}},
    }  # fmt: skip
    places = {each.key: {"depth": 0.5} for each in rows}
    return study(rows, y=y, fold=np.arange(2000) % 5, ensemble=document, oof=oof, members={}, places=places)


def changed(**document: Any) -> ReportData:
    return replace(calm(), ensemble={**(calm().ensemble or {}), **document})


def gaining(gain: float, error: float = 0.005) -> ReportData:
    return changed(rivals={"best": {"gain": gain, "gain_se": error}})


def ending(state: str, reason: str, every: int) -> ReportData:
    made = [
        row(number, state=state, score=None, reason=reason) if number % every == 0 else row(number)
        for number in range(1, TRIALS)
    ]
    rest = calm()
    return study([baseline(), *made], ensemble=rest.ensemble, oof=rest.oof, y=rest.y, places=rest.places)


def only(*rows: TrialRecord) -> ReportData:
    return study([baseline(), *rows])


def best_at(number: int) -> ReportData:
    made = [row(each, score=0.2 if each == number else 0.4) for each in range(1, TRIALS)]
    rest = calm()
    return study([baseline(), *made], ensemble=rest.ensemble, oof=rest.oof, y=rest.y, places=rest.places)


def leaning() -> ReportData:
    members = [
        {**each, "weight": weight} for each, weight in zip(calm().ensemble["members"], (0.95, 0.05), strict=True)
    ]
    return changed(members=members)


def at_edge(place: float) -> ReportData:
    return replace(calm(), places={key: {"depth": place} for key in calm().places})


def sure_of_itself() -> ReportData:
    """An ensemble whose probabilities are further from a half than the truth is."""
    oof = calm().oof
    return replace(calm(), oof=np.clip(0.5 + 1.6 * (oof - 0.5), 0.001, 0.999))


SPEAKING: dict[str, tuple[Callable[[], ReportData], str, str]] = {
    "nothing but the baseline": (only, "Let it run", "workbench run 'my study.yaml' --minutes 10"),
    "out of time": (lambda: ending("failed", "out of time: 9 s", 3), "Give trials more time", "trial_seconds"),
    "out of memory": (lambda: ending("failed", "out of memory", 3), "Trials need more memory", "workers: 1"),
    "errors": (lambda: ending("failed", "ValueError: <b>", 3), "Find out why trials fail", "workbench ui"),
    "all failed": (lambda: only(row(1, state="failed", score=None)), "Find out why trials fail", "workbench ui"),
    "never reached": (
        lambda: replace(calm(), study=replace(QUESTION, families=(*QUESTION.families, "mlp"))),
        "Reach every family", "workbench run",
    ),
    "no ensemble": (lambda: replace(calm(), ensemble=None, oof=None), "Make an ensemble", "workbench ensemble"),
    "behind the best single": (lambda: gaining(-0.01), "Take the best single model", "--method best"),
    "gain in the noise": (lambda: gaining(0.002), "Measure more finely", "folds: 5, repeats: 3"),
    "optimism": (lambda: changed(optimism=0.01), "Do not trust the ensemble's own score", "--members 2"),
    "one family carries it": (leaning, "Add families unlike those you have", "families: [linear, xgboost, "),
    "few trials": (lambda: only(row(1), row(2), row(3)), "Search for longer", "--trials 25"),
    "still improving": (lambda: best_at(55), "It is still getting better", "--trials 90"),
    "levelled off": (lambda: best_at(5), "The search has levelled off", "workbench folds"),
    "upper edge": (lambda: at_edge(1.0), "Widen the range of depth", "widen it upward"),
    "lower edge": (lambda: at_edge(0.01), "Widen the range of depth", "widen it downward"),
    "pruned": (lambda: ending("pruned", "pruned after fold 0", 1), "Prune less", "pruner: "),
    "sure of itself": (sure_of_itself, "Probabilities are off", "--method stack"),
}  # fmt: skip


def test_where_all_is_well_nothing_is_said() -> None:
    assert recommend(calm()) == []


@pytest.mark.parametrize("case", SPEAKING)
def test_a_rule_speaks_with_a_reason_and_something_to_do(case: str) -> None:
    make, title, line = SPEAKING[case]
    found = {each.title: each for each in recommend(make())}
    assert title in found, list(found)
    assert line in found[title].line
    assert len(found[title].reason) > 30
    assert found[title].where


def test_every_rule_is_heard_somewhere() -> None:
    from workbench.report import recommendations as rules

    for rule in rules._RULES:
        assert any(rule(make()) is not None for make, _, _ in SPEAKING.values()), rule.__name__
        assert rule(calm()) is None
    assert len(rules._RULES) == 14


@pytest.mark.parametrize(
    ("folds", "line"),
    [
        ("kfold, 5 folds × 2", "folds: {kind: kfold, folds: 5, repeats: 6}"),
        ("group, 4 folds × 1", "folds: {kind: group, folds: 8}"),
        ("holdout, 1 folds × 1", "folds: {kind: stratified, folds: 5, repeats: 3}"),
    ],
)
def test_more_folds_are_asked_for_in_the_words_of_a_study_file(folds: str, line: str) -> None:
    story = replace(gaining(0.002), study=replace(QUESTION, folds=folds))
    assert line in [each.line for each in recommend(story)]


def test_rows_that_are_dealt_repeatedly_are_counted_once() -> None:
    rng = np.random.default_rng(3)
    oof = rng.random(400)
    y = (rng.random(400) < np.clip(oof + rng.choice([-0.05, 0.05], 400), 0, 1)).astype(int)
    once = replace(calm(), oof=oof, y=y, study=replace(QUESTION, rows=400))
    often = replace(once, oof=np.tile(oof, 30), y=np.tile(y, 30))
    assert [each.title for each in recommend(often)] == [each.title for each in recommend(once)]


def test_advice_is_given_in_every_state_of_a_study() -> None:
    assert recommend(study([])) != []
    assert recommend(only(row(1, state="pruned", score=None)))[0].title == "Let it run"
