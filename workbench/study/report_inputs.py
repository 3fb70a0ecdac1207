"""The data of a report, read from the home; nothing is written or locked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from workbench import config as configs
from workbench.ensemble import EnsembleResult
from workbench.errors import StudyError
from workbench.evaluation.fidelity import describe_fidelity
from workbench.report import Curves, Recipe, ReportData, StudyDescription
from workbench.search import trial_history
from workbench.study import net_images
from workbench.study.study_store import StudyStore
from workbench.study.task import Task
from workbench.tracking.provenance import versions

if TYPE_CHECKING:
    from workbench.search.storage import TrialRecord


def gather_report(task: Task, store: StudyStore, rows: Sequence[TrialRecord]) -> ReportData:
    """Return what there is to tell of a study, which may be running.

    Args:
        task: what the study is about.
        store: what it has written down.
        rows: its finished trials, best first.

    Raises:
        StudyError: the study was begun with other data, target, folds or metric.
    """
    facts = store.home.fingerprint(store.config.name)
    if facts.exists():
        task.facts.check(facts, store.config)
    schema, storage = task.schema, store.storage
    blend = _blend(task, store)
    seen = net_images.read(store.tracker, rows, blend.ensemble)
    return ReportData(
        study=_describe(task),
        trials=rows,
        end_times=trial_history.end_times(storage),
        importances=trial_history.importances(storage),
        curves=_curves(store, rows),
        y=task.dataset.y[schema.rows],
        fold=schema.folds,
        ensemble=blend.ensemble,
        oof=blend.oof,
        member_oof=blend.members,
        relative_positions=trial_history.relative_positions(storage),
        architectures=seen.architectures,
        image_inspections=seen.looks,
        recipe=_recipe(store.config),
        unfinished_trials=len(storage.list_unfinished()),
        notes=(*blend.notes, *seen.notes, *_note_others(store, rows)),
    )


def _note_others(store: StudyStore, rows: Sequence[TrialRecord]) -> list[str]:
    """Return a note on the trials that a report leaves out because they cannot be compared."""
    others = len(store.all_trials()) - len(rows)
    if not others:
        return []
    fidelity = describe_fidelity(store.task.fidelity)
    return [f"The report is on trials that use {fidelity}. The leaderboard lists {others} of another fidelity."]


@dataclass
class _Blend:
    """The newest ensemble with predictions, and what of it cannot be read."""

    ensemble: EnsembleResult | None = None
    oof: np.ndarray | None = None
    members: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def _blend(task: Task, store: StudyStore) -> _Blend:
    found, schema, tracker = _Blend(), task.schema, store.tracker
    try:
        ensemble = tracker.newest_ensemble()
        found.oof = tracker.predictions(ensemble.run_id, schema, test=False).oof
    except StudyError as error:
        found.notes.append(str(error))
        return found
    if ensemble.metric != task.metric.name:
        found.notes.append(f"The newest ensemble is one for {ensemble.metric}. Make one for {task.metric.name}.")
        return _Blend(notes=found.notes)
    found.ensemble = ensemble
    for member in ensemble.members:
        try:
            predictions = [tracker.predictions(run, schema, test=False).oof for run in member.run_ids]
        except StudyError as error:
            found.notes.append(f"{member.name} is left out of figures that need its predictions. {error}")
            continue
        found.members[member.name] = np.mean(predictions, axis=0)
    return found


def _describe(task: Task) -> StudyDescription:
    data, config = task.dataset, task.config
    return StudyDescription(
        name=config.name,
        target=data.target,
        task=data.task,
        metric=task.metric.name,
        direction=task.metric.direction,
        source=configs.mask_secrets(config.data.train),
        kind=data.kind,
        rows=len(data.y),
        test_rows=None if data.test_ids is None else len(data.test_ids),
        folds=task.describe_folds(),
        fold_hash=task.all_folds.hash,
        columns=dict(data.columns),
        classes=data.classes,
        targets=data.targets,
        also=tuple(metric.name for metric in task.also[: len(config.also)]),
        target_scores=tuple(metric.name for metric in task.also[len(config.also) :]),
        notes=data.notes,
        families=config.families,
        file=str(config.file),
    )


def _curves(store: StudyStore, rows: Sequence[TrialRecord]) -> dict[str, Curves]:
    """Return the curves of the best trial of each family, of those that tell of losses."""
    best: dict[str, TrialRecord] = {}
    for row in rows:
        if row.state == "complete":
            best.setdefault(row.family, row)
    named = ((row.name, store.tracker.curves(row.run_id)) for row in best.values())
    return {name: curves for name, curves in named if curves}


def _recipe(config: configs.StudyConfig) -> Recipe:
    text = config.file.read_text(encoding="utf-8-sig")
    return Recipe(configs.mask_secrets(text), config.seed, versions())
