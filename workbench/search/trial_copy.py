"""A copy of a study's trials with the scores of another metric; the copied trials stay as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from workbench.search.journal import open_storage
from workbench.search.pruners import END, decode_step
from workbench.search.storage import RECORD, TrialRecord

Rescore = Callable[[TrialRecord], TrialRecord]
"""Receives a complete trial; returns it with the scores of the other metric."""


def copy_trials(
    journal: Path, source: str, target: str, *, direction: Literal["minimize", "maximize"], rescore: Rescore
) -> None:
    """Copy all trials of a study to another one in the same journal, with their numbers.

    Trials that have not ended wait in the copy and begin with their first fold. Trials that were pruned or failed have
    no predictions, so their folds lose their scores.

    Args:
        journal: Optuna's file.
        source: the study to copy.
        target: the study to make; one of this name, which a killed process left, is replaced.
        direction: the direction of the new scores.
        rescore: gives a trial its new scores.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_storage(journal)
    names = optuna.study.get_all_study_names(storage=storage)
    for name in names:
        if name.startswith(f"{target}/"):
            optuna.delete_study(study_name=name, storage=storage)
    for name in names:
        if name.startswith(f"{source}/"):
            before = optuna.load_study(study_name=name, storage=storage)
            family = name.removeprefix(f"{source}/")
            after = optuna.create_study(storage=storage, study_name=f"{target}/{family}", direction=direction)
            sign = 1 if after.direction == before.direction else -1
            after.add_trials([_copy(trial, sign, rescore) for trial in before.get_trials(deepcopy=False)])


def _copy(trial: FrozenTrial, sign: int, rescore: Rescore) -> FrozenTrial:
    """Return a trial with its new scores; `sign` turns losses within a fold into the new direction."""
    attributes, value, scores = dict(trial.user_attrs), None, {}
    state = trial.state if trial.state.is_finished() else TrialState.WAITING
    if RECORD in attributes:
        record = TrialRecord(**attributes[RECORD])
        record = _check(rescore(record)) if state == TrialState.COMPLETE else replace(record, fold_scores=[], std=None)
        attributes[RECORD] = asdict(record)
        state = TrialState.FAIL if state == TrialState.COMPLETE and record.state == "failed" else state
        value, scores = record.score, dict(enumerate(record.fold_scores))
    return FrozenTrial(
        number=trial.number,
        trial_id=-1,
        state=state,
        value=value,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=attributes,
        system_attrs=dict(trial.system_attrs),
        intermediate_values=_copy_values(trial, sign, scores) if state.is_finished() else {},
    )


def _check(record: TrialRecord) -> TrialRecord:
    """Return a rescored trial; one that the metric cannot score has failed."""
    if record.score is not None and math.isfinite(record.score):
        return record
    reason = "the metric is undefined for its predictions"
    return replace(record, state="failed", score=None, std=None, fold_scores=[], reason=reason)


def _copy_values(trial: FrozenTrial, sign: int, scores: Mapping[int, float]) -> dict[int, Any]:
    """Return the values of a trial by Optuna's step: losses within folds, and the new scores at their ends."""
    values = {}
    for step, value in trial.intermediate_values.items():
        fold, rung = decode_step(step)
        if rung != END:
            values[step] = sign * value
        elif math.isfinite(scores.get(fold, math.nan)):
            values[step] = scores[fold]
    return values
