"""The study's part of the home: its trials in Optuna, its results in MLflow, and checkpoints of its best models."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench.errors import StudyError
from workbench.home import Home
from workbench.study import description, inference_context
from workbench.study.inference_context import InferenceContext
from workbench.study.recorded_settings import check_settings, metric_may_differ
from workbench.study.task import Task

if TYPE_CHECKING:
    from workbench.ensemble import EnsembleResult
    from workbench.evaluation.fidelity import Fidelity
    from workbench.search.ensemble_objective import EnsembleObjective
    from workbench.search.storage import TrialRecord, TrialStorage
    from workbench.tracking import Checkpoints, Tracker
    from workbench.tracking.checkpoints import TrialKey
    from workbench.trial import TrialResult, TrialSpec

# The number of trials of each family that keep their checkpoints during the search.
TRIALS_WITH_CHECKPOINTS = 3
# Under `goal: ensemble`: the number of trials that an ensemble is chosen from, and of rows that it is scored on.
_OBJECTIVE_TRIALS = 15
_OBJECTIVE_ROWS = 2000
# The number of further metrics with a column in the default run table of MLflow.
_MOST_COLUMNS = 12


def trial_generation(study: str, generation: int) -> str:
    """Return the name in Optuna's journal of the trials as scored by the first, second, … metric of a study."""
    # No study's name has this character.
    return study if generation == 1 else f"{study}@{generation}"


class StudyStore:
    """A study's part of the home; each storage is opened at its first use."""

    def __init__(self, task: Task, home: Home) -> None:
        """Keep the paths; nothing is opened or made."""
        self.task = task
        self.config = task.config
        self.home = home
        # The loss of the best trial in MLflow's description of the study.
        self._best: float | None = None
        self._beginning: Future[None] | None = None
        self._beginner: int | None = None
        """The thread that begins the tracking."""

    @property
    def tracker(self) -> Tracker:
        """The study's runs in MLflow: predictions, curves and ensembles; waits while another thread begins them."""
        if threading.get_ident() != self._beginner:
            self.finish_tracking()
        return self._tracker

    @cached_property
    def _tracker(self) -> Tracker:
        from workbench.tracking import Tracker

        return Tracker(self.home, self.config.name, partial(description.provenance, self.task))

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """The fold models of the best trials."""
        from workbench.tracking import Checkpoints

        return Checkpoints(self.home, self.config.name)

    @cached_property
    def storage(self) -> TrialStorage:
        """The study's trials in Optuna."""
        from workbench.search.storage import TrialStorage

        search = self.config.search
        return TrialStorage(
            self.home.journal,
            trial_generation(self.config.name, self.read_fingerprint().get("generation", 1)),
            direction=inference_context.read_direction(self.task, self.home) or self.task.scored_by.direction,
            sampler=search.sampler,
            pruner=search.pruner,
            seed=self.config.seed,
            objective=self.evaluate if search.goal == "ensemble" else None,
        )

    @cached_property
    def inference(self) -> InferenceContext:
        """The context of prediction; the training data are loaded only if it is not stored."""
        return inference_context.load(self.task, self.home)

    @cached_property
    def ensemble_objective(self) -> EnsembleObjective:
        """The value of trials to the ensemble, on some thousand rows of the first repeat."""
        import numpy as np

        from workbench.search.ensemble_objective import EnsembleObjective

        task, schema = self.task, self.task.schema
        first = np.flatnonzero(schema.repeats == 0)
        some = first[:: -(-len(first) // _OBJECTIVE_ROWS)]
        return EnsembleObjective(
            task.metric,
            task.dataset.y[schema.rows[some]],
            schema.folds[some],
            lambda run_id: self.tracker.predictions(run_id, schema, test=False).oof[some],
        )

    def begin(self) -> None:
        """Check the task against the study's fingerprint, or write that, and clean up after a kill.

        Raises:
            StudyError: the data, the target, the folds or the metric have changed since the study began.
        """
        self.begin_trials()
        self.begin_tracking()

    def begin_trials(self) -> None:
        """Do the part of `begin` that must come before the first trial; it does not use MLflow."""
        from workbench.evaluation import folds

        task, home, name = self.task, self.home, self.config.name
        task.facts.settle(home.fingerprint(name), self.config)
        if not home.folds(name).exists():
            folds.save(task.all_folds, home.folds(name))
        inference_context.store(task, home)
        self.storage.requeue_running()
        unfinished = {home.trial(name, *trial) for trial in self.storage.list_unfinished()}
        for folder in set(home.trials(name).glob("*")) - unfinished:
            shutil.rmtree(folder, ignore_errors=True)

    def begin_tracking_beside(self) -> None:
        """Do the rest of `begin` in another thread, because MLflow takes seconds to load."""

        def begin() -> None:
            self._beginner = threading.get_ident()
            self.begin_tracking()

        self._beginning = ThreadPoolExecutor(1).submit(begin)

    @property
    def is_tracking(self) -> bool:
        """Whether `tracker` is there without waiting."""
        return self._beginning is None or self._beginning.done()

    def finish_tracking(self) -> None:
        """Wait for the thread that `begin_tracking_beside` has started, if there is one, and raise its exception."""
        if self._beginning is not None:
            self._beginning.result()

    def begin_tracking(self) -> None:
        """Do the rest of `begin`: describe the study in MLflow, and close the runs that a kill left open."""
        self.tracker.log_provenance(self.home.folds(self.config.name))
        self.describe()
        self.tracker.close_stale_runs()

    def describe(self) -> None:
        """Describe the study in MLflow: the columns and the order of its runs, and its results so far."""
        from workbench import models

        task = self.task
        also = [metric.name for metric in task.also][:_MOST_COLUMNS]
        scored = {"metric": task.metric.name, "direction": task.metric.direction}
        nets = any(models.get_entry(family, self.config.resolve).keras for family in self.config.families)
        columns = [*also, *(["parameters"] if nets else [])]
        self.tracker.describe(**scored, also=columns, folds=task.folds.folds)
        self.update_description()

    def check_settings(self) -> None:
        """Refuse a study file that certainly describes another study than the one that was begun; fast.

        Raises:
            StudyError: a setting has changed.
        """
        check_settings(self.home.fingerprint(self.config.name), self.config)

    def metric_may_differ(self) -> bool:
        """Return whether the study file may name another metric than the trials are scored by; fast."""
        begun = self.read_fingerprint()
        return bool(begun) and metric_may_differ(begun, self.config)

    def read_fingerprint(self) -> dict[str, Any]:
        """Return the study's fingerprint as it was written; empty before the study begins."""
        file = self.home.fingerprint(self.config.name)
        return cast("dict[str, Any]", json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}

    @property
    def honest_lengths(self) -> bool:
        """Whether the trials' training lengths are chosen by other folds; only studies of earlier versions differ."""
        from workbench.study.fingerprint import HONEST_LENGTHS

        begun = self.read_fingerprint()
        return not begun or bool(begun.get(HONEST_LENGTHS))

    def specs(self, threads: int) -> dict[str, TrialSpec]:
        """Return the specification of each family's trials, the baseline's included."""
        honest = self.honest_lengths
        return {family: replace(spec, honest_lengths=honest) for family, spec in self.task.specs(threads).items()}

    def update_description(self, newest: TrialRecord | None = None) -> None:
        """Update MLflow's description of the study; `newest` is a trial that Optuna does not have yet."""
        task = self.task
        trials = [*self.trials(), *([] if newest is None else [newest])]
        scored = [trial for trial in trials if trial.state == "complete" and trial.score is not None]
        best = min(scored, key=self._loss, default=None)
        self._best = None if best is None else self._loss(best)
        ensemble = self._newest_ensemble()
        if ensemble is not None and ensemble.metric != task.metric.name:
            ensemble = None
        text = description.describe(task, best, ensemble, self.tracker.experiment_id)
        self.tracker.update_summary(text, description.run_title(best))

    def _loss(self, trial: TrialRecord) -> float:
        return self.task.metric.loss_of(trial.score or 0.0)

    def _newest_ensemble(self) -> EnsembleResult | None:
        """Return the newest ensemble, where there is one."""
        try:
            return self.tracker.newest_ensemble()
        except StudyError:
            return None

    def all_trials(self) -> list[TrialRecord]:
        """Return every finished trial; the comparable ones come first in each state, the best first.

        This makes no journal where there is none.
        """
        records = self.storage.records() if self.home.journal.exists() else []
        states = ("complete", "pruned", "failed")
        return sorted(records, key=lambda each: (states.index(each.state), each.fidelity != self.task.fidelity))

    def trials(self) -> list[TrialRecord]:
        """Return the finished trials of the present fidelity, best first; only these are comparable."""
        return [each for each in self.all_trials() if each.fidelity == self.task.fidelity]

    def use_fidelity(self, fidelity: Fidelity) -> None:
        """Set the fidelity of the trials that are made, compared and blended."""
        self.task.fidelity = fidelity
        self.storage.use_fidelity(fidelity)

    def settle_fidelity(self) -> None:
        """Set the fidelity whose trials are compared and blended.

        It is the highest one at which at least half as many families have a complete trial as at any other.
        """
        from workbench.evaluation.fidelity import FIDELITIES
        from workbench.models import BASELINE

        complete = [each for each in self.all_trials() if each.state == "complete"]
        counts = {
            fidelity: len({t.family for t in complete if t.fidelity == fidelity} - {BASELINE})
            for fidelity in FIDELITIES
        }
        begun = [each for each in FIDELITIES if any(trial.fidelity == each for trial in complete)]
        enough = [each for each in begun if 2 * counts[each] >= max(counts.values())]
        if enough:
            self.use_fidelity(enough[0])

    def training_conditions(self) -> list[Any]:
        """Return what training depends on beside family, hyperparameters and seed."""
        from workbench.study.fingerprint import Fingerprint

        task = self.task
        features = Fingerprint.features_of(self.home.fingerprint(self.config.name))
        return [features, task.metric.loss, task.transform, self.config.class_weight, self.config.data.weight]

    def record(self, result: TrialResult, folder: Path) -> str:
        """Write a trial to MLflow, and keep its checkpoints if they are complete and it is among its family's best."""
        from workbench.search import net_artifacts, resource_usage, worker
        from workbench.search.storage import TrialRecord
        from workbench.tracking.checkpoints import best_per_family

        new = folder / worker.CHECKPOINTS
        if result.state == "complete" and all((new / f"{r}-{f}").is_dir() for r, f in self.task.folds.pairs()):
            key, trials = (result.family, result.number), self.trials()
            self.checkpoints.add(key, new)
            scores = {key: result.score} | {trial.key: trial.score for trial in trials if trial.state == "complete"}
            ranked = sorted(scores, key=lambda each: self.task.metric.loss_of(scores[each] or 0.0))
            in_use = self.checkpoints_in_use()
            self.checkpoints.free_except([*in_use, *best_per_family(ranked, TRIALS_WITH_CHECKPOINTS)], in_use)
        usage, log, metric = resource_usage.read(folder), folder / worker.LOG, self.task.metric.name
        schema, nets = self.task.schema, folder / net_artifacts.FOLDER
        run_id = self.tracker.log_trial(result, schema, metric=metric, log=log, usage=usage, nets=nets)
        trial = TrialRecord.of(result, run_id)
        if result.state == "complete" and (self._best is None or self._loss(trial) < self._best):
            self.update_description(trial)
        return run_id

    def checkpoints_in_use(self) -> set[TrialKey]:
        """Return the keys of the trials that are members of the newest ensemble."""
        keys = {trial.run_id: trial.key for trial in self.all_trials()}
        ensemble = self._newest_ensemble()
        runs = [] if ensemble is None else [run_id for member in ensemble.members for run_id in member.run_ids]
        return {keys[run_id] for run_id in runs if run_id in keys}

    def is_full(self) -> bool:
        """Return whether the home has no room for another trial even without the checkpoints that nothing needs."""
        most = self.config.search.disk
        if not self.home.is_full(most):
            return False
        in_use = self.checkpoints_in_use()
        self.checkpoints.free_except([*in_use], in_use)
        return self.home.is_full(most)

    def family_weights(self, trials: Sequence[TrialRecord]) -> Mapping[str, float]:
        """Return the weights, by family, of the families' best trials in a quick blend of them."""
        from workbench.study.nomination import greedy_weights

        schema = self.task.schema
        oof = [self.tracker.predictions(trial.run_id, schema, test=False).oof for trial in trials]
        weights = greedy_weights(oof, self.task.dataset.y[schema.rows], self.task.metric)
        return {trial.family: weight for trial, weight in zip(trials, weights, strict=True)}

    def evaluate(self, trials: Sequence[TrialRecord], finished: Sequence[TrialRecord]) -> Mapping[int, float]:
        """Return, by number, the score of the ensemble of the best finished trials with each of a family's `trials`.

        Args:
            trials: the trials of one family.
            finished: all finished trials, best first.
        """
        from workbench.study.nomination import nominate

        complete = [trial for trial in finished if trial.state == "complete" and trial.score is not None]
        return self.ensemble_objective.evaluate(trials, nominate([complete], _OBJECTIVE_TRIALS))

    def free(self, trials: Sequence[TrialRecord]) -> int:
        """Free the checkpoints that neither the first trial nor the newest ensemble needs; return the bytes freed."""
        in_use = {trials[0].key, *self.checkpoints_in_use()}
        return self.checkpoints.free_except([*in_use], in_use)
