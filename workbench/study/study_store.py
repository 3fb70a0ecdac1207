"""What a study has written down: Optuna's books, MLflow's vault of predictions, and the weights of its best models."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import StudyError
from workbench.home import Home
from workbench.study import description
from workbench.study.task import Task

if TYPE_CHECKING:
    from workbench.ensemble import EnsembleResult
    from workbench.search.ensemble_objective import EnsembleObjective
    from workbench.search.storage import TrialRecord, TrialStorage
    from workbench.tracking import Checkpoints, Tracker
    from workbench.tracking.checkpoints import TrialKey
    from workbench.trial import TrialResult

# How many trials of each family keep the weights of their models while the search goes on.
TRIALS_WITH_WEIGHTS = 3
# What a trial is judged by under `goal: ensemble`: so many trials to choose an ensemble from, so many rows.
_CANDIDATES = 15
_ROWS_TO_JUDGE = 2000
# Of many targets so many have a column in the run table that MLflow opens with; all have their metric.
_MOST_COLUMNS = 12


class StudyStore:
    """A study's part of the home; each book is opened when first asked for."""

    def __init__(self, task: Task, home: Home) -> None:
        """Look into the home; nothing is made."""
        self.task = task
        self.config = task.config
        self.home = home
        # The loss of the best trial that MLflow's page tells of.
        self._best: float | None = None

    @cached_property
    def tracker(self) -> Tracker:
        """MLflow's: predictions, curves and ensembles."""
        from workbench.tracking import Tracker

        return Tracker(self.home, self.config.name, partial(description.origin, self.task))

    @cached_property
    def weights(self) -> Checkpoints:
        """The fold models of the best trials."""
        from workbench.tracking import Checkpoints

        return Checkpoints(self.home, self.config.name)

    @cached_property
    def storage(self) -> TrialStorage:
        """Optuna's: every trial, and what was asked and told."""
        from workbench.search.storage import TrialStorage

        search = self.config.search
        return TrialStorage(
            self.home.journal,
            self.config.name,
            direction=self.task.scored_by.direction,
            sampler=search.sampler,
            pruner=search.pruner,
            seed=self.config.seed,
            objective=self.judge if search.goal == "ensemble" else None,
        )

    @cached_property
    def goal(self) -> EnsembleObjective:
        """What trials are worth to the ensemble, judged on some thousand rows of the first repeat."""
        import numpy as np

        from workbench.search.ensemble_objective import EnsembleObjective

        own, vault = self.task, self.task.schema
        first = np.flatnonzero(vault.repeats == 0)
        some = first[:: -(-len(first) // _ROWS_TO_JUDGE)]
        return EnsembleObjective(
            own.metric,
            own.dataset.y[vault.rows[some]],
            vault.folds[some],
            lambda run_id: self.tracker.predictions(run_id, vault, test=False).oof[some],
        )

    def begin(self) -> None:
        """Hold the task against what the study was begun with, write that down, and tidy up after a kill.

        Raises:
            StudyError: the study was begun with something else.
        """
        from workbench import models
        from workbench.evaluation import folds

        own, home, name = self.task, self.home, self.config.name
        own.facts.settle(home.fingerprint(name), self.config)
        if not home.folds(name).exists():
            folds.save(own.folds, home.folds(name))
        also = [metric.name for metric in own.also][:_MOST_COLUMNS]
        scored = {"metric": own.metric.name, "direction": own.metric.direction}
        nets = any(models.entry(family, self.config.resolve).keras for family in self.config.families)
        columns = [*also, *(["parameters"] if nets else [])]
        self.tracker.describe(**scored, also=columns, folds=own.folds.folds)
        self.tracker.log_provenance(home.folds(name))
        self.tell()
        self.storage.requeue_running()
        self._tidy()

    def tell(self, newest: TrialRecord | None = None) -> None:
        """Bring up to date what MLflow's page says of the study; of `newest`, a trial, Optuna is yet to be told."""
        own = self.task
        rows = [*self.rows(), *([] if newest is None else [newest])]
        scored = [row for row in rows if row.state == "complete" and row.score is not None]
        best = min(scored, key=self._loss, default=None)
        self._best = None if best is None else self._loss(best)
        told = description.markdown(own, best, self._ensemble(), self.tracker.experiment_id)
        self.tracker.update_summary(told, description.title(best))

    def _loss(self, row: TrialRecord) -> float:
        return self.task.metric.loss_of(row.score or 0.0)

    def _ensemble(self) -> EnsembleResult | None:
        """Return the newest ensemble, where there is one."""
        try:
            return self.tracker.newest_ensemble()
        except StudyError:
            return None

    def _tidy(self) -> None:
        """Put right what a kill came between: ensembles half written, folders of trials that Optuna was told of."""
        self.tracker.close_stale_runs()
        under_way = {self.home.trial(self.config.name, *trial) for trial in self.storage.unfinished()}
        for folder in set(self.home.trials(self.config.name).glob("*")) - under_way:
            shutil.rmtree(folder, ignore_errors=True)

    def rows(self) -> list[TrialRecord]:
        """Return every finished trial, best first; asking makes no journal."""
        return self.storage.records() if self.home.journal.exists() else []

    def setting(self) -> list[Any]:
        """Return what all trials of the study were given beside hyperparameters and seed."""
        from workbench.study.fingerprint import Fingerprint

        own = self.task
        features = Fingerprint.features_of(self.home.fingerprint(self.config.name))
        return [features, own.metric.loss, own.transform, self.config.class_weight, self.config.data.weight]

    def record(self, result: TrialResult, folder: Path) -> str:
        """Write a trial to MLflow, and keep its weights where they are whole and it is among its family's best."""
        from workbench.search import net_artifacts, resource_usage, worker
        from workbench.search.storage import TrialRecord
        from workbench.tracking.checkpoints import best_per_family

        made = folder / worker.CHECKPOINTS
        if result.state == "complete" and all((made / f"{r}-{f}").is_dir() for r, f in self.task.folds.pairs()):
            own, rows = (result.family, result.number), self.storage.records()
            self.weights.add(own, made)
            scores = {own: result.score} | {row.key: row.score for row in rows if row.state == "complete"}
            ranked = sorted(scores, key=lambda key: self.task.metric.loss_of(scores[key] or 0.0))
            needed = self.needed(rows)
            self.weights.free_except([*needed, *best_per_family(ranked, TRIALS_WITH_WEIGHTS)], needed)
        used, log, metric = resource_usage.read(folder), folder / worker.LOG, self.task.metric.name
        vault, nets = self.task.schema, folder / net_artifacts.FOLDER
        run_id = self.tracker.log_trial(result, vault, metric=metric, log=log, usage=used, nets=nets)
        row = TrialRecord.of(result, run_id)
        if result.state == "complete" and (self._best is None or self._loss(row) < self._best):
            self.tell(row)
        return run_id

    def needed(self, rows: Sequence[TrialRecord]) -> set[TrialKey]:
        """Return the trials among `rows` that are members of the newest ensemble."""
        keys = {row.run_id: row.key for row in rows}
        ensemble = self._ensemble()
        runs = [] if ensemble is None else [run_id for member in ensemble.members for run_id in member.run_ids]
        return {keys[run_id] for run_id in runs if run_id in keys}

    def full(self) -> bool:
        """Tell whether the home has no room for another trial, also when the weights that can be spared are freed."""
        most = self.config.search.disk
        if not self.home.is_full(most):
            return False
        needed = self.needed(self.storage.records())
        self.weights.free_except([*needed], needed)
        return self.home.is_full(most)

    def weigh(self, rows: Sequence[TrialRecord]) -> Mapping[str, float]:
        """Return the weights of the families' best trials in a quick blend of them."""
        from workbench.study.nomination import weights

        vault = self.task.schema
        oof = [self.tracker.predictions(row.run_id, vault, test=False).oof for row in rows]
        found = weights(oof, self.task.dataset.y[vault.rows], self.task.metric)
        return {row.family: weight for row, weight in zip(rows, found, strict=True)}

    def judge(self, trials: Sequence[TrialRecord], rows: Sequence[TrialRecord]) -> Mapping[int, float]:
        """Return, by number, what the ensemble of the best of `rows` would score with each of a family's `trials`."""
        from workbench.study.nomination import nominate

        # The rows come best first.
        whole = [row for row in rows if row.state == "complete" and row.score is not None]
        return self.goal.evaluate(trials, nominate([whole], _CANDIDATES))

    def free(self, rows: Sequence[TrialRecord]) -> int:
        """Free the weights that neither the best of `rows` nor the newest ensemble needs; return the bytes freed."""
        needed = {rows[0].key, *self.needed(rows)}
        return self.weights.free_except([*needed], needed)
