"""Scores of finished trials by another metric, computed from their out-of-fold predictions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import files
from workbench.study import inference_context
from workbench.study.recorded_settings import list_settings, refuse
from workbench.study.study_store import StudyStore, trial_generation

if TYPE_CHECKING:
    from workbench.search.storage import TrialRecord
    from workbench.study.task import Task
    from workbench.tracking import Tracker


def follow_metric(store: StudyStore, tell: Callable[[str], object]) -> None:
    """Score the trials by the study file's metric if the study was begun with another one.

    Finished trials and imports get new scores, which the leaderboard, blends and the sampler use from then on. The old
    score stays in the runs in MLflow, and in a trial's further scores under the old metric's name. The old trials stay
    in Optuna's journal. Later calls return at once.

    Args:
        store: the study's; its storage of trials must not have been opened yet.
        tell: receives a line before the work begins.

    Raises:
        StudyError: something else has changed too, the metric needs other predictions than the trials made, or the
            study is being run by another process.
    """
    begun, task = store.read_fingerprint(), store.task
    if not store.metric_may_differ() or task.facts.metric == begun["metric"] or not store.home.journal.exists():
        return
    task.check()
    task.facts.check(store.home.fingerprint(store.config.name), store.config, but=["metric", "test"])
    change = f"metric: {begun['metric']} -> {task.facts.metric}"
    if not inference_context.makes_same_predictions(task, store.home):
        raise refuse(store.config, [f"{change}, with another transform or range of the predictions"])
    with store.home.lock(store.config.name), store.home.explain_disk_errors():
        tell(f"{change}: the trials are scored anew, by their out-of-fold predictions …")
        _rescore(store, begun)


def _rescore(store: StudyStore, begun: dict[str, Any]) -> None:
    """Score trials and imports anew, and record the metric; a kill before the end leaves the study as it was."""
    from workbench.search.trial_copy import copy_trials

    task, home, name = store.task, store.home, store.config.name
    before, generation = begun["metric"].partition(" of ")[0], begun.get("generation", 1)
    source, target = trial_generation(name, generation), trial_generation(name, generation + 1)
    rescore = partial(_rescore_trial, task, store.tracker, before)
    copy_trials(home.journal, source, target, direction=task.metric.direction, rescore=rescore)
    task.fidelity = "full"
    for imported in store.tracker.imports(before):
        _rescore_import(task, store.tracker, imported.run_id)
    # The finished folds of interrupted trials hold scores of the old metric.
    shutil.rmtree(home.trials(name), ignore_errors=True)
    inference_context.store(task, home)
    now = {**begun, "metric": task.facts.metric, "settings": list_settings(store.config), "generation": generation + 1}
    files.write_text(home.fingerprint(name), json.dumps(now, indent=1))
    store.settle_fidelity()
    store.describe()


def _rescore_trial(task: Task, tracker: Tracker, before: str, record: TrialRecord) -> TrialRecord:
    """Return a complete trial with its scores by the task's metrics, and log them with its run.

    Args:
        task: the data, the folds and the metrics.
        tracker: the study's runs.
        before: the name of the metric that the trial was scored by.
        record: the trial.
    """
    task.fidelity = record.fidelity
    score, folds, also = _score(task, tracker, record.run_id)
    # With other weights of several targets, the metric keeps its name.
    old = {} if record.score is None or before == task.metric.name else {before: record.score}
    std = float(np.std(folds)) if len(folds) > 1 else None
    tracker.log_scores(record.run_id, {task.metric.name: score, **also} | ({} if std is None else {"std": std}))
    return replace(record, score=score, std=std, fold_scores=folds, also={**old, **also})


def _rescore_import(task: Task, tracker: Tracker, run_id: str) -> None:
    """Log the scores of imported predictions by the task's metrics."""
    score, _, also = _score(task, tracker, run_id)
    tracker.log_scores(run_id, {task.metric.name: score, **also})


def _score(task: Task, tracker: Tracker, run_id: str) -> tuple[float, list[float], dict[str, float]]:
    """Return the score of a run's out-of-fold predictions, the scores of its folds, and the further scores."""
    schema, metric = task.schema, task.metric
    oof, y = tracker.predictions(run_id, schema, test=False).oof, task.dataset.y[schema.rows]
    assigned = task.folds.assignment[schema.repeats, schema.rows]
    folds = [
        metric.score(y[within], oof[within])
        for repeat, fold in task.folds.pairs()
        for within in [(schema.repeats == repeat) & (assigned == fold)]
    ]
    return metric.score(y, oof), folds, {each.name: each.score(y, oof) for each in task.also}
