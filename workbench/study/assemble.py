"""An ensemble -> a predictor: its members' models, trained again where their checkpoints are not kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from workbench import models, trial
from workbench.config import StudyConfig
from workbench.ensemble import EnsembleMember, EnsembleResult
from workbench.ensemble.aggregation import Aggregation
from workbench.errors import FamilyError, StudyError, format_list
from workbench.inference.predictor import Member, Predictor, StoredModel
from workbench.models.protocol import Model
from workbench.search.fork_server import cores
from workbench.search.storage import TrialRecord
from workbench.study.study_store import StudyStore
from workbench.study.task import Task
from workbench.trial import TrialSpec

Listen = Callable[[str], object]
"""Called with a line for each model that must be trained."""


def assemble(
    task: Task, store: StudyStore, ensemble: EnsembleResult, records: Sequence[TrialRecord], listen: Listen
) -> Predictor:
    """Return the predictor of an ensemble; models that must be trained are kept in the store.

    Args:
        task: the study's task.
        store: the study's store, which keeps the checkpoints.
        ensemble: the ensemble.
        records: the study's trials.
        listen: called for each model that must be trained.

    Raises:
        StudyError: the data have changed, or members cannot be loaded or trained here.
    """
    config, home, context = task.config, store.home, store.inference
    trials = _find_trials(ensemble, records, config)
    checkpoints = [[[*_checkpoints(task, each, store)] for each in member] for member in trials]
    missing = [each for member in checkpoints for fold_models in member for each in fold_models if not each.exists]
    # Only the holder of the lock frees checkpoints; those that exist may be read without it.
    with home.lock(config.name) if missing else nullcontext(), home.explain_disk_errors():
        for place, checkpoint in enumerate(missing, 1):
            listen(f"Training {checkpoint.name} ({place} of {len(missing)})")
            checkpoint.make()
    return Predictor(
        reader=context.reader,
        members=[_member(*each) for each in zip(ensemble.members, trials, checkpoints, strict=True)],
        aggregation=_restore_aggregation(ensemble, trials, task, store),
        layout=context.layout,
        transform=context.transform,
        threshold=ensemble.threshold,
        bounds=context.bounds,
    )


def is_complete(task: Task, store: StudyStore, ensemble: EnsembleResult, records: Sequence[TrialRecord]) -> bool:
    """Return whether every model of an ensemble is kept, so that none must be trained to assemble it."""
    try:
        trials = _find_trials(ensemble, records, task.config)
    except StudyError:
        return False
    return all(
        checkpoint.exists for member in trials for each in member for checkpoint in _checkpoints(task, each, store)
    )


@dataclass(frozen=True)
class _Checkpoint:
    """One model of a member: its folder, and the training that makes it."""

    family: str
    """The family as `models` finds it."""
    name: str
    """The name in messages."""
    folder: Path
    train: Callable[[], Model]

    @property
    def exists(self) -> bool:
        return self.folder.is_dir()

    def make(self) -> None:
        with warnings.catch_warnings():
            # In a search, warnings of libraries about the training go to the trial's log.
            warnings.simplefilter("ignore")
            trial.save_model(self.train(), self.folder)


def _member(
    member: EnsembleMember, trials: Sequence[TrialRecord], checkpoints: Sequence[Sequence[_Checkpoint]]
) -> Member:
    stored = [[StoredModel(each.family, each.folder) for each in fold_models] for fold_models in checkpoints]
    return Member(member.name, trials[0].family, member.weight, stored, member.output_weights)


def _restore_aggregation(
    ensemble: EnsembleResult, trials: Sequence[Sequence[TrialRecord]], task: Task, store: StudyStore
) -> Aggregation:
    """Return the aggregation of the members, each the mean of its trials."""
    tracker = store.tracker
    return ensemble.aggregation.restore(
        # Only ranks need the predictions, and with them the ids and folds of the training data.
        lambda: [
            np.mean([tracker.predictions(each.run_id, task.schema, test=False).oof for each in member], axis=0)
            for member in trials
        ]
    )


def _find_trials(
    ensemble: EnsembleResult, records: Sequence[TrialRecord], config: StudyConfig
) -> list[list[TrialRecord]]:
    """Return the trials of each member.

    A member may be the mean of trials that differ by their seed only; those of other studies are left out where this
    study has some.

    Raises:
        StudyError: members cannot be trained here; the message names them.
    """
    by_run = {each.run_id: each for each in records}
    unavailable, found = [], []
    for member in ensemble.members:
        trials = [by_run[run_id] for run_id in member.run_ids if run_id in by_run]
        found.append(trials)
        if not trials:
            unavailable.append(f"{member.name} (not a trial of this study)")
            continue
        try:
            models.get_entry(trials[0].family, config.resolve)
        except FamilyError as error:
            unavailable.append(f"{member.name} ({str(error).rstrip('.')})")
    if unavailable:
        raise StudyError(
            f"Study {config.name!r}: predict needs a model of every member of the newest ensemble. Received members "
            f"that cannot be trained here: {format_list(unavailable)}. "
            "Install what is missing, or make an ensemble without them."
        )
    return found


def _checkpoints(task: Task, record: TrialRecord, store: StudyStore) -> Iterator[_Checkpoint]:
    """Yield the models whose mean is a trial: those of its folds, or those on all rows, as the study file says."""
    options, folder = store.config.ensemble, store.checkpoints.folder(record.key)
    name, family = record.name, models.resolve_family(record.family, task.config.resolve)
    if options.final == "folds":
        # At a lower fidelity there is one fold.
        for repeat, fold in store.inference.models if record.fidelity == "full" else ((0, 0),):
            train = partial(_fit_fold, task, record, repeat, fold)
            yield _Checkpoint(family, f"{name}, repeat {repeat}, fold {fold}", folder / f"{repeat}-{fold}", train)
        return
    for seed in range(task.config.seed, task.config.seed + options.seeds):
        train = partial(_fit_full, task, record, store, seed)
        yield _Checkpoint(family, f"{name} on all rows, seed {seed}", folder / f"refit-{seed}", train)


def _spec(task: Task, record: TrialRecord) -> TrialSpec:
    """Return the specification of a trial, with the training data, which are loaded unless they are in memory."""
    task.fidelity = record.fidelity
    return task.spec(record.family, task.threads(task.config.search.workers or cores(), cores()))


def _fit_fold(task: Task, record: TrialRecord, repeat: int, fold: int) -> Model:
    spec = _spec(task, record)
    hp = trial.restore_space(spec.resolved_family, record.hyperparameters)
    return trial.truncate(trial.fit_fold(spec, record.number, hp, repeat, fold), record.length)


def _fit_full(task: Task, record: TrialRecord, store: StudyStore, seed: int) -> Model:
    spec = _spec(task, record)
    hp = trial.restore_space(spec.resolved_family, record.hyperparameters)
    length = trial.extrapolate_length(spec, record.length or trial.read_length(store.tracker.curves(record.run_id)))
    return trial.fit_full(spec, record.number, hp, seed=seed, length=length)
