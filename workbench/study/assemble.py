"""An ensemble -> what predicts new rows: its members' models, trained again where they are not kept."""

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
from workbench.search.pool import cores
from workbench.search.storage import TrialRecord
from workbench.study.study_store import StudyStore
from workbench.study.task import Task
from workbench.trial import TrialSpec

Listen = Callable[[str], object]
"""Told in a line of each model that is to be trained."""


def assemble(
    task: Task, archive: StudyStore, ensemble: EnsembleResult, rows: Sequence[TrialRecord], listen: Listen
) -> Predictor:
    """Return an ensemble with its members' models; those that had to be trained are kept in the archive.

    Args:
        task: the study's.
        archive: where the members' models are kept.
        ensemble: the ensemble.
        rows: the study's trials.
        listen: told of each model that is to be trained.

    Raises:
        StudyError: the study was begun with other data, or members cannot be loaded or trained here.
    """
    config, home, context = task.config, archive.home, archive.inference
    members = _members(ensemble, rows, config)
    made = _made(task, archive, members)
    anew = [making for trials in made for makings in trials for making in makings if not making.kept]
    # Weights are freed by whoever holds the lock; what is there already may be read without it.
    with home.lock(config.name) if anew else nullcontext(), home.explain_disk_errors():
        for place, making in enumerate(anew, 1):
            listen(f"Training {making.name} ({place} of {len(anew)})")
            making.make()
    return Predictor(
        reader=context.reader,
        members=[_member(*each) for each in zip(ensemble.members, members, made, strict=True)],
        aggregation=_joiner(ensemble, members, task, archive),
        layout=context.layout,
        transform=context.transform,
        threshold=ensemble.threshold,
    )


def complete(task: Task, archive: StudyStore, ensemble: EnsembleResult, rows: Sequence[TrialRecord]) -> bool:
    """Tell whether every model of an ensemble is kept, so that nothing has to be trained to assemble it."""
    try:
        members = _members(ensemble, rows, task.config)
    except StudyError:
        return False
    made = _made(task, archive, members)
    return all(making.kept for trials in made for makings in trials for making in makings)


@dataclass(frozen=True)
class _Making:
    """One model of a member: where it is kept, and how it is made when it is not there."""

    family: str
    """The family as `models` finds it."""
    name: str
    """As it is called while it is trained."""
    place: Path
    train: Callable[[], Model]

    @property
    def kept(self) -> bool:
        return self.place.is_dir()

    def make(self) -> None:
        with warnings.catch_warnings():
            # In a search, what libraries say of a model that is hard to train stays in the trial's log.
            warnings.simplefilter("ignore")
            trial.save_model(self.train(), self.place)


def _made(task: Task, archive: StudyStore, members: Sequence[Sequence[TrialRecord]]) -> list[list[list[_Making]]]:
    """Return the models of each trial of each member."""
    return [[[*_makings(task, row, archive)] for row in trials] for trials in members]


def _member(known: EnsembleMember, rows: Sequence[TrialRecord], made: Sequence[Sequence[_Making]]) -> Member:
    stored = [[StoredModel(making.family, making.place) for making in makings] for makings in made]
    return Member(known.name, rows[0].family, known.weight, stored, known.output_weights)


def _joiner(
    ensemble: EnsembleResult, members: Sequence[Sequence[TrialRecord]], task: Task, archive: StudyStore
) -> Aggregation:
    """Return how the ensemble's members, each the mean of some trials, become one."""
    tracker = archive.tracker
    return ensemble.aggregation.restore(
        # Only ranks need the predictions, and with them the ids and folds of the training data.
        lambda: [
            np.mean([tracker.predictions(row.run_id, task.schema, test=False).oof for row in trials], axis=0)
            for trials in members
        ]
    )


def _members(ensemble: EnsembleResult, rows: Sequence[TrialRecord], config: StudyConfig) -> list[list[TrialRecord]]:
    """Return the trials of each member, or name the members that cannot be trained here.

    Of trials that differ by their seed only, those of other studies are done without where this one has some.
    """
    trials = {row.run_id: row for row in rows}
    strangers, found = [], []
    for member in ensemble.members:
        own = [trials[run_id] for run_id in member.run_ids if run_id in trials]
        found.append(own)
        if not own:
            strangers.append(f"{member.name} (not a trial of this study)")
            continue
        try:
            models.get_entry(own[0].family, config.resolve)
        except FamilyError as error:
            strangers.append(f"{member.name} ({str(error).rstrip('.')})")
    if strangers:
        raise StudyError(
            f"Study {config.name!r}: predict needs a model of every member of the newest ensemble. Received members "
            f"that cannot be trained here: {format_list(strangers)}. "
            "Install what is missing, or make an ensemble without them."
        )
    return found


def _makings(task: Task, row: TrialRecord, archive: StudyStore) -> Iterator[_Making]:
    """Yield the models whose mean is a member: those of its folds, or those on all rows, by the study file."""
    final, folder = archive.config.ensemble, archive.checkpoints.folder(row.key)
    name, family = row.name, models.resolve_family(row.family, task.config.resolve)
    if final.final == "folds":
        for repeat, fold in archive.inference.models:
            again = partial(_fold_model, task, row, repeat, fold)
            yield _Making(family, f"{name}, repeat {repeat}, fold {fold}", folder / f"{repeat}-{fold}", again)
        return
    for seed in range(task.config.seed, task.config.seed + final.seeds):
        full = partial(_full_model, task, row, archive, seed)
        yield _Making(family, f"{name} on all rows, seed {seed}", folder / f"refit-{seed}", full)


def _spec(task: Task, row: TrialRecord) -> TrialSpec:
    """Return the specification of a trial, with the training data, which are loaded unless they are in memory."""
    return task.spec(row.family, task.threads(task.config.search.workers or cores(), cores()))


def _fold_model(task: Task, row: TrialRecord, repeat: int, fold: int) -> Model:
    spec = _spec(task, row)
    hp = trial.restore_space(spec.resolved_family, row.hyperparameters)
    return trial.fit_fold(spec, row.number, hp, repeat, fold)


def _full_model(task: Task, row: TrialRecord, archive: StudyStore, seed: int) -> Model:
    spec = _spec(task, row)
    hp = trial.restore_space(spec.resolved_family, row.hyperparameters)
    length = trial.training_length(spec, archive.tracker.curves(row.run_id))
    return trial.fit_full(spec, row.number, hp, seed=seed, length=length)
