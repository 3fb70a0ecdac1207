"""New rows -> the ensemble's predictions: its members' models loaded, or trained again where they are not kept."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench import models, submission, trial
from workbench.ensemble.joiners import Joiner, Mean, Ranks, Stack
from workbench.errors import FamilyError, StudyError, listed
from workbench.models.protocol import Model
from workbench.search.books import Row
from workbench.search.pool import cores
from workbench.study.archive import Archive
from workbench.study.competition import Competition
from workbench.trial import Spec

Listen = Callable[[str], object]
"""Told in a line of each model that is to be trained."""


def predict(
    competition: Competition, archive: Archive, document: Mapping[str, Any], rows: Sequence[Row], listen: Listen
) -> pd.DataFrame:
    """Return an ensemble's predictions for a competition's test rows, with the submission's columns.

    Args:
        competition: the study's, with the rows to predict as its test rows.
        archive: where the members' models are kept; those that had to be trained are kept there too.
        document: the ensemble.
        rows: the study's trials.
        listen: told of each model that is to be trained.

    Raises:
        StudyError: the study was begun with other data, or members cannot be loaded or trained here.
        DataError: the rows do not have what the study's models need.
    """
    config, home, data = competition.config, archive.home, competition.dataset
    competition.facts.check(home.facts(config.name), config, but=["test"])
    threads = competition.threads(config.search.workers or cores(), cores())
    members = _members(document, rows, config.name)
    made = [[[*_makings(competition.spec(row.family, threads), row, archive)] for row in trials] for trials in members]
    anew = [making for trials in made for makings in trials for making in makings if not making.kept]
    # Weights are freed by whoever holds the lock; what is there already may be read without it.
    with home.lock(config.name) if anew else nullcontext(), home.room():
        for place, making in enumerate(anew, 1):
            listen(f"Training {making.name} ({place} of {len(anew)})")
            making.make()
    test = [_mean(_mean(making.predictions() for making in makings) for makings in trials) for trials in made]
    weights = np.array([member["weight"] for member in document["members"]])
    joined = _joiner(document, members, competition, archive)(test, weights)
    return submission.table(data, joined, competition.metric, threshold=document.get("threshold"))


@dataclass(frozen=True)
class _Making:
    """One model of a member: where it is kept, and how it is made when it is not there."""

    spec: Spec
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
            trial.save(self.train(), self.place)

    def predictions(self) -> np.ndarray:
        model = models.family(self.spec.family).load(self.place)
        return trial.predict(self.spec, model, self.spec.dataset.x_test)


def _mean(predictions: Iterable[np.ndarray]) -> np.ndarray:
    each = list(predictions)
    return np.asarray(sum(each) / len(each))


def _joiner(
    document: Mapping[str, Any], members: Sequence[Sequence[Row]], competition: Competition, archive: Archive
) -> Joiner:
    """Return how the ensemble's members, each the mean of some trials, become one."""
    if document["method"] == "stack":
        return Stack.read(document["joiner"])
    if document["method"] != "rank":
        return Mean()
    vault, tracker = competition.vault, archive.tracker
    return Ranks.of([
        _mean(tracker.predictions(row.run_id, vault, test=False).oof for row in trials) for trials in members
    ])  # fmt: skip


def _members(document: Mapping[str, Any], rows: Sequence[Row], study: str) -> list[list[Row]]:
    """Return the trials of each member, or name the members that cannot be trained here.

    Of trials that differ by their seed only, those of other studies are done without where this one has some.
    """
    trials = {row.run_id: row for row in rows}
    strangers, found = [], []
    for member in document["members"]:
        own = [trials[run_id] for run_id in member["run_ids"] if run_id in trials]
        found.append(own)
        if not own:
            strangers.append(f"{member['name']} (not a trial of this study)")
            continue
        try:
            models.entry(own[0].family)
        except FamilyError as error:
            strangers.append(f"{member['name']} ({str(error).rstrip('.')})")
    if strangers:
        raise StudyError(
            f"Study {study!r}: predict needs a model of every member of the newest ensemble. Received members that "
            f"cannot be trained here: {listed(strangers)}. Install what is missing, or make an ensemble without them."
        )
    return found


def _makings(spec: Spec, row: Row, archive: Archive) -> Iterator[_Making]:
    """Yield the models whose mean is a member: those of its folds, or those on all rows, by the study file."""
    final, folder = archive.config.ensemble, archive.weights.folder(row.key)
    name = f"{row.family} #{row.number}"
    if final.final == "folds":
        for repeat, fold in spec.folds.pairs():
            again = partial(_fold_model, spec, row, repeat, fold)
            yield _Making(spec, f"{name}, repeat {repeat}, fold {fold}", folder / f"{repeat}-{fold}", again)
        return
    for seed in range(spec.seed, spec.seed + final.seeds):
        full = partial(_full_model, spec, row, archive, seed)
        yield _Making(spec, f"{name} on all rows, seed {seed}", folder / f"refit-{seed}", full)


def _fold_model(spec: Spec, row: Row, repeat: int, fold: int) -> Model:
    hp = trial.restored(row.family, row.hyperparameters)
    return trial.fold_model(spec, row.number, hp, repeat, fold)


def _full_model(spec: Spec, row: Row, archive: Archive, seed: int) -> Model:
    hp = trial.restored(row.family, row.hyperparameters)
    length = trial.length(spec, archive.tracker.curves(row.run_id))
    return trial.full_model(spec, row.number, hp, seed=seed, length=length)
