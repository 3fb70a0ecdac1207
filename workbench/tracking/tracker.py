"""The experiment of a study in MLflow: a copy of the results that Optuna has, with predictions and files.

A study is one experiment, a trial one flat run. Writing is idempotent: a run is found again by its trial and
overwritten, so a trial appears once whatever was killed or resumed.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.array import Array
from workbench.ensemble import EnsembleResult
from workbench.errors import StudyError
from workbench.home import Home
from workbench.tracking import datasets, mlflow_store, provenance, run_metrics, run_text, run_view
from workbench.tracking.prediction_schema import ImportedPredictions, Predictions, PredictionSchema
from workbench.tracking.provenance import Provenance
from workbench.tracking.run_artifacts import RunArtifacts, write_curves, write_predictions
from workbench.tracking.run_metrics import RunMetric
from workbench.trial import TrialResult

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

RunKind = Literal["trial", "ensemble", "imported"]
NETS = "nets"
"""The folder among a run's artifacts that holds the artifacts of its nets."""
_ENSEMBLE = "ensemble.json"
# MLflow shows this tag as the description of a run or of an experiment.
_NOTE = "mlflow.note.content"
_MAX_NOTE = 19_000
# The tag with the run ids of the ensembles that a run is a member of, the newest last, and their greatest number.
_MEMBER = "workbench.member_of"
_MAX_ENSEMBLES = 100
# MLflow's limits: the length of a parameter's value, and the metrics of one call.
_MAX_PARAM = 6000
_MAX_METRICS = 1000


class Tracker:
    """The experiment of one study."""

    def __init__(self, home: Home, study: str, read_provenance: Callable[[], Provenance] = Provenance) -> None:
        """Name the experiment; it is created when it is first written to.

        Args:
            home: the home that holds it.
            study: its name.
            read_provenance: returns the provenance of its runs; called once, before the first is written.
        """
        self._home = home
        self._study = study
        self._read_provenance = read_provenance

    @cached_property
    def _client(self) -> MlflowClient:
        return mlflow_store.client(self._home)

    @cached_property
    def _provenance(self) -> Provenance:
        return self._read_provenance()

    @cached_property
    def _inputs(self) -> list[DatasetInput]:
        return datasets.inputs(self._provenance.data)

    @cached_property
    def _artifacts(self) -> RunArtifacts:
        return RunArtifacts(self._client, self._study, self._home.artifacts)

    @cached_property
    def experiment_id(self) -> str:
        """The experiment's id in MLflow."""
        found = self._client.get_experiment_by_name(self._study)
        if found is not None and found.experiment_id == "0":
            # MLflow creates this experiment with every store; its artifacts would lie outside of the home.
            self._client.rename_experiment("0", f"{self._study} of MLflow")
            found = None
        if found is not None and found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        if found is not None:
            return str(found.experiment_id)
        location = (self._home.artifacts / self._study).as_uri()
        return str(self._client.create_experiment(self._study, artifact_location=location))

    def describe(self, *, metric: str, also: Sequence[str], direction: str, folds: int = 5) -> None:
        """Set the columns, the order and the charts in which MLflow's page shows the study's runs.

        Args:
            metric: the name under which scores are logged.
            also: the names of the further metrics.
            direction: `minimize` or `maximize`.
            folds: the number of folds.
        """
        name, columns = run_metrics.metric_name(metric), [run_metrics.metric_name(each) for each in also]
        view = run_view.view_tag(name, columns, ascending=direction == "minimize", folds=folds)
        tags = {run_view.TAG: view, "workbench.metric": name, "workbench.direction": direction}
        for key, value in tags.items():
            self._client.set_experiment_tag(self.experiment_id, key, value)

    def update_summary(self, markdown: str, run_name: str) -> None:
        """Set the text above the study's runs, and the name of the study's own run."""
        from mlflow.entities import RunTag

        self._client.set_experiment_tag(self.experiment_id, _NOTE, markdown[:_MAX_NOTE])
        self._client.log_batch(self.study_run(), tags=[RunTag("mlflow.runName", run_name)])

    def log_provenance(self, folds: Path) -> None:
        """Log the study's provenance with its own run: its file, commit, data, folds and the installed versions."""
        from mlflow.entities import RunTag

        run_id = self.study_run()
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "study.yaml").write_text(self._provenance.text, encoding="utf-8")
            Path(folder, "versions.json").write_text(json.dumps(provenance.versions(), indent=1))
            shutil.copy(folds, folder)
            self._client.log_artifacts(run_id, folder)
        self._client.log_batch(run_id, tags=[RunTag(*tag) for tag in self._provenance.tags.items()])
        if self._inputs:
            self._client.log_inputs(run_id, datasets=self._inputs)

    def log_trial(
        self,
        result: TrialResult,
        schema: PredictionSchema,
        *,
        metric: str,
        log: Path | None = None,
        usage: Sequence[Mapping[str, float]] = (),
        nets: Path | None = None,
    ) -> str:
        """Write a trial's run and return its id; writing it again changes nothing.

        Args:
            result: the trial's result.
            schema: the layout of predictions.
            metric: the name under which the score is logged.
            log: the output of the trial's libraries, kept for failed trials.
            usage: samples of the trial's resource usage: `time` in seconds of the epoch, values by name.
            nets: the folder with the artifacts of the trial's nets, which may be missing.
        """
        tags = {"state": result.state, "family": result.family, "folds": schema.hash, "fidelity": result.fidelity}
        note = {_NOTE: result.reason} if result.reason else {}
        key, name = f"{result.family}/{result.number}", run_text.trial_run_name(result)
        with self._run("trial", key, name, tags, note, seconds=result.seconds) as (run, folder):
            metrics = [*run_metrics.trial_metrics(result, metric), *run_metrics.usage_metrics(usage)]
            self._log_values(run, metrics, result.hyperparameters)
            write_predictions(result.oof, result.test, schema, folder)
            write_curves(result, folder)
            if result.state == "failed" and log is not None and log.exists():
                (folder / "log.txt").write_bytes(log.read_bytes())
            if nets is not None and nets.is_dir():
                shutil.copytree(nets, folder / NETS)
        return str(run.info.run_id)

    def log_ensemble(
        self,
        ensemble: EnsembleResult,
        oof: Array,
        test: Array | None,
        schema: PredictionSchema,
        *,
        metric: str,
    ) -> str:
        """Write a new run for an ensemble, with links to and from its members, and return its id.

        Args:
            ensemble: the ensemble, without a run_id.
            oof: its out-of-fold predictions, in the schema's order.
            test: its test predictions.
            schema: the layout of predictions.
            metric: the name under which the score is logged.
        """
        tags = {"folds": schema.hash, "method": ensemble.method, "state": "complete"}
        members = self._member_runs(ensemble)
        note = {_NOTE: run_text.ensemble_note(ensemble, members)}
        values: dict[str, float] = {metric: ensemble.score, "seconds": ensemble.seconds, **ensemble.also}
        optional = {"honest_score": ensemble.honest_score, "honest_se": ensemble.honest_se, "gap": ensemble.gap}
        values |= {name: value for name, value in optional.items() if value is not None}
        name = run_text.ensemble_run_name(ensemble)
        with self._run("ensemble", f"{time.time_ns()}", name, tags, note) as (run, folder):
            self._log_values(run, [RunMetric(*value) for value in values.items()], {"method": ensemble.method})
            document = replace(ensemble, run_id=run.info.run_id).to_document()
            (folder / _ENSEMBLE).write_text(json.dumps(document, indent=1))
            write_predictions(oof, test, schema, folder)
            for member in members:
                self._tag_member(member, run.info.run_id)
        return str(run.info.run_id)

    def log_import(self, result: TrialResult, schema: PredictionSchema, *, metric: str) -> tuple[str, bool]:
        """Write a run for predictions made elsewhere; it replaces earlier ones of the same name.

        Args:
            result: the predictions and their scores; their name is the family.
            schema: the layout of predictions.
            metric: the name under which the score is logged.

        Returns:
            The run's id, and whether others had the name.
        """
        before = self._search(f"tags.`workbench.kind` = 'imported' AND tags.`workbench.family` = '{result.family}'")
        tags = {"state": result.state, "family": result.family, "folds": schema.hash}
        name = run_text.import_run_name(result)
        with self._run("imported", f"{time.time_ns()}", name, tags, {}) as (run, folder):
            self._log_values(run, run_metrics.trial_metrics(result, metric), {})
            write_predictions(result.oof, result.test, schema, folder)
            write_curves(result, folder)
        # Existing ensembles refer to the earlier runs, so these are deleted in MLflow's sense and not overwritten.
        for old in before:
            self._client.delete_run(old.info.run_id)
        return str(run.info.run_id), bool(before)

    def log_scores(self, run_id: str, scores: Mapping[str, float]) -> None:
        """Add scores, by metric, to a run that has ended; the present value of a metric is replaced."""
        run = self._client.get_run(run_id)
        self._log_values(run, [RunMetric(*each, timestamp=int(1000 * time.time())) for each in scores.items()], {})

    def imports(self, metric: str) -> list[ImportedPredictions]:
        """Return the imported predictions, the newest of each name.

        Args:
            metric: the name under which scores are logged.
        """
        metric = run_metrics.metric_name(metric)
        runs = self._search("tags.`workbench.kind` = 'imported' AND status = 'FINISHED'")
        newest = {run.data.tags["workbench.family"]: run for run in reversed(runs)}
        return [
            ImportedPredictions(run.info.run_id, name, run.data.metrics[metric])
            for name, run in newest.items()
            if metric in run.data.metrics
        ]

    def close_stale_runs(self) -> None:
        """Close the runs that a dead process left open; those of trials stay open and are written again."""
        where = "tags.`workbench.kind` != 'trial' AND tags.`workbench.kind` != 'study' AND status = 'RUNNING'"
        for run in self._client.search_runs([self.experiment_id], where):
            self._client.set_terminated(run.info.run_id, "KILLED")

    def newest_ensemble(self) -> EnsembleResult:
        """Return the study's newest ensemble.

        Raises:
            StudyError: there is none yet.
        """
        where = "tags.`workbench.kind` = 'ensemble' AND status = 'FINISHED'"
        runs = self._search(where, limit=1)
        if not runs:
            raise StudyError(f"Study {self._study!r} has no ensemble yet. Make one with 'workbench run' or 'ensemble'.")
        run_id = str(runs[0].info.run_id)
        document = json.loads(self._artifacts.path(run_id, _ENSEMBLE).read_text())
        return replace(EnsembleResult.from_document(document), run_id=run_id)

    def test_predictions(self, run_id: str, schema: PredictionSchema) -> Array | None:
        """Return the test predictions of a run; None where the schema has no test rows.

        Raises:
            StudyError: they are missing, or have other rows than the schema.
        """
        return self._artifacts.test_predictions(run_id, schema)

    def predictions(self, run_id: str, schema: PredictionSchema, *, test: bool = True) -> Predictions:
        """Return the predictions of a run for the rows of a schema; without `test`, the out-of-fold ones alone.

        Raises:
            StudyError: they are missing, or lack rows of the schema, or have other folds.
        """
        return self._artifacts.predictions(run_id, schema, test=test)

    def curves(self, run_id: str) -> dict[tuple[int, int], dict[str, list[float]]]:
        """Return the curve of each (repeat, fold) of a trial; empty for a family without losses.

        Raises:
            StudyError: they cannot be read.
        """
        return self._artifacts.curves(run_id)

    def net_artifacts(self, run_id: str) -> Path | None:
        """Return the folder with the artifacts of a trial's nets; None if there is none.

        Raises:
            StudyError: it cannot be read.
        """
        return self._artifacts.path(run_id, NETS) if self._artifacts.has(run_id, NETS) else None

    def study_run(self) -> str:
        """Return the id of the run that carries the study's own figures and files; a missing one is created."""
        tags = {"workbench.kind": "study", "workbench.study": self._study}
        experiment = self.experiment_id
        # A report may be written while the study runs: two processes must not create one run each.
        with mlflow_store.lock(self._home):
            found = self._search("tags.`workbench.kind` = 'study'", limit=1)
            run = found[0] if found else self._client.create_run(experiment, tags=tags, run_name="study")
        if run.info.status != "FINISHED":
            self._client.set_terminated(run.info.run_id, "FINISHED")
        return str(run.info.run_id)

    def log_artifact(self, run_id: str, file: Path, folder: str | None = None) -> None:
        """Copy a file to a run's artifacts, into the named folder if there is one."""
        self._client.log_artifact(run_id, str(file), folder)

    @contextmanager
    def _run(
        self,
        kind: RunKind,
        key: str,
        name: str,
        tags: Mapping[str, str],
        note: Mapping[str, str],
        *,
        seconds: float = 0,
    ) -> Iterator[tuple[Run, Path]]:
        """Find or create the run of `key`, begun `seconds` ago; it is finished once its artifacts are logged."""
        from mlflow.entities import RunTag

        quote = '"' if "'" in key else "'"
        where = f"tags.`workbench.{kind}` = {quote}{key}{quote}"
        found = self._client.search_runs([self.experiment_id], where, max_results=1)
        own = {"kind": kind, "study": self._study, kind: key, **tags}
        every = {f"workbench.{k}": v for k, v in own.items()}
        every |= {"mlflow.runName": name, **self._provenance.tags, **note}
        began = int(1000 * (time.time() - seconds))
        run = found[0] if found else self._client.create_run(self.experiment_id, began, every, name)
        if found:
            # The command that wrote this run died before it could tell Optuna; the trial may end differently now.
            stale = run.data.tags.keys() & {_NOTE} - every.keys()
            updated = [RunTag(k, v) for k, v in {**every, **dict.fromkeys(stale, "")}.items()]
            self._client.log_batch(run.info.run_id, tags=updated)
        if self._inputs:
            self._client.log_inputs(run.info.run_id, datasets=self._inputs)
        with tempfile.TemporaryDirectory() as folder:
            yield run, Path(folder)
            if any(Path(folder).iterdir()):
                self._client.log_artifacts(run.info.run_id, folder)
        self._client.set_terminated(run.info.run_id, "FAILED" if tags["state"] == "failed" else "FINISHED")

    def _search(self, where: str, limit: int = 1000) -> list[Run]:
        """Return the matching runs of ensembles, imports or the study, the newest first."""
        # A search must not create the database that it searches.
        if not self._home.database.exists():
            return []
        newest = ["start_time DESC", "tags.`workbench.ensemble` DESC", "tags.`workbench.imported` DESC"]
        return list(self._client.search_runs([self.experiment_id], where, max_results=limit, order_by=newest))

    def _log_values(self, run: Run, values: Sequence[RunMetric], params: Mapping[str, Any]) -> None:
        """Log metrics, those that are finite, and parameters."""
        from mlflow.entities import Metric, Param

        # With the run's start as their time, metrics that are written twice are the same points.
        start_time = run.info.start_time
        metrics = [
            Metric(run_metrics.metric_name(each.name), each.value, each.timestamp or start_time, each.step)
            for each in values
            if np.isfinite(each.value)
        ]
        given = [Param(run_metrics.metric_name(k), str(v)[:_MAX_PARAM]) for k, v in params.items()]
        for start in range(0, max(len(metrics), 1), _MAX_METRICS):
            self._client.log_batch(run.info.run_id, metrics[start : start + _MAX_METRICS], given if not start else ())

    def _member_runs(self, ensemble: EnsembleResult) -> list[Run]:
        """Return the runs of an ensemble's members, in one query; a member that is a mean of trials has several."""
        wanted = dict.fromkeys(run_id for member in ensemble.members for run_id in member.run_ids)
        if not wanted:
            return []
        # A member of another study is in that study's experiment.
        others = {member.study or self._study for member in ensemble.members} - {self._study}
        experiments = [self.experiment_id, *(Tracker(self._home, other).experiment_id for other in sorted(others))]
        listed = ", ".join(f"'{run_id}'" for run_id in wanted)
        where = f"attributes.run_id IN ({listed})"
        return list(self._client.search_runs(experiments, where, max_results=len(wanted)))

    def _tag_member(self, member: Run, ensemble: str) -> None:
        """Tag a run with an ensemble that it is a member of, the newest last."""
        before = member.data.tags.get(_MEMBER, "").split()
        self._client.set_tag(member.info.run_id, _MEMBER, " ".join([*before, ensemble][-_MAX_ENSEMBLES:]))
