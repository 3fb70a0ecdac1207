"""The experiment of a study: MLflow's mirror of what Optuna was told, and the vault of predictions.

One experiment a study, one flat run a trial. Writing is idempotent: a run is found again by its trial, and what was
written before is written over, so a trial appears once whatever was killed or resumed.
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
import pandas as pd

from workbench.ensemble import EnsembleResult
from workbench.errors import StudyError
from workbench.home import Home
from workbench.tracking import datasets, mlflow_store, provenance, run_metrics, run_view
from workbench.tracking.prediction_schema import Imported, Predictions, PredictionSchema
from workbench.tracking.provenance import Provenance
from workbench.tracking.run_metrics import RunMetric
from workbench.trial import TrialResult

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

Kind = Literal["trial", "ensemble", "imported"]
NETS = "nets"
"""The folder among a run's artifacts for what there is to see of its nets."""
# What MLflow shows as the description of a run, or of an experiment.
_NOTE = "mlflow.note.content"
_LONGEST_NOTE = 19_000
# Which ensembles a run is a member of: the ids of their runs, the newest last, and no more than so many.
_MEMBER = "workbench.member_of"
_MOST_ENSEMBLES = 100
# MLflow takes no longer parameter values, and no more metrics in one call.
_LONGEST_PARAM = 6000
_MOST_METRICS = 1000
# How much of a reason stands in a run's name; the run's note has it whole.
_LONGEST_REASON = 60


class Tracker:
    """The experiment of one study."""

    def __init__(self, home: Home, study: str, comes_from: Callable[[], Provenance] = Provenance) -> None:
        """Name the experiment; it is made when it is first written to.

        Args:
            home: where it is kept.
            study: its name.
            comes_from: gives what its runs say of where they come from; asked once, when the first is written.
        """
        self._home = home
        self._study = study
        self._comes_from = comes_from

    @cached_property
    def _client(self) -> MlflowClient:
        return mlflow_store.client(self._home)

    @cached_property
    def _origin(self) -> Provenance:
        return self._comes_from()

    @cached_property
    def _inputs(self) -> list[DatasetInput]:
        return datasets.inputs(self._origin.data)

    @cached_property
    def experiment_id(self) -> str:
        """The experiment's id in MLflow."""
        found = self._client.get_experiment_by_name(self._study)
        if found is not None and found.experiment_id == "0":
            # MLflow's own, which it makes with every store; its artifacts would lie outside the home.
            self._client.rename_experiment("0", f"{self._study} of MLflow")
            found = None
        if found is not None and found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        if found is not None:
            return str(found.experiment_id)
        location = (self._home.artifacts / self._study).as_uri()
        return str(self._client.create_experiment(self._study, artifact_location=location))

    def describe(self, *, metric: str, also: Sequence[str], direction: str, folds: int = 5) -> None:
        """Set the columns, the order and the charts that the UI shows the study's runs in.

        Args:
            metric: the name under which scores are logged.
            also: the names of the further metrics.
            direction: `minimize` or `maximize`.
            folds: how many there are.
        """
        columns = [run_metrics.metric_name(name) for name in also]
        shown = run_view.state(run_metrics.metric_name(metric), columns, ascending=direction == "minimize", folds=folds)
        facts = {"workbench.metric": run_metrics.metric_name(metric), "workbench.direction": direction}
        for key, value in {run_view.TAG: shown, **facts}.items():
            self._client.set_experiment_tag(self.experiment_id, key, value)

    def tell(self, markdown: str, name: str) -> None:
        """Set what the study has come to so far: the text above its runs, and the name of the study's own run."""
        from mlflow.entities import RunTag

        self._client.set_experiment_tag(self.experiment_id, _NOTE, markdown[:_LONGEST_NOTE])
        self._client.log_batch(self.study_run(), tags=[RunTag("mlflow.runName", name)])

    def carry(self, folds: Path) -> None:
        """Keep with the study's own run where the study comes from: its file, commit, data, folds and versions."""
        from mlflow.entities import RunTag

        run_id = self.study_run()
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "study.yaml").write_text(self._origin.text, encoding="utf-8")
            Path(folder, "versions.json").write_text(json.dumps(provenance.versions(), indent=1))
            shutil.copy(folds, folder)
            self._client.log_artifacts(run_id, folder)
        self._client.log_batch(run_id, tags=[RunTag(*tag) for tag in self._origin.tags.items()])
        if self._inputs:
            self._client.log_inputs(run_id, datasets=self._inputs)

    def record(
        self,
        result: TrialResult,
        vault: PredictionSchema,
        *,
        metric: str,
        log: Path | None = None,
        usage: Sequence[Mapping[str, float]] = (),
        nets: Path | None = None,
    ) -> str:
        """Write a trial's run and return its id; writing it again changes nothing.

        Args:
            result: what the trial gave.
            vault: how predictions are laid out.
            metric: the name under which the score is logged.
            log: what the trial's libraries printed, kept for failed trials.
            usage: what the trial used of the machine, now and then: `time` in seconds of the epoch, values by name.
            nets: a folder with what there is to see of the trial's nets, if it is there.
        """
        shown = f"{result.family} #{result.number} · {_end(result)}"
        tags = {"state": result.state, "family": result.family, "folds": vault.hash}
        note = {_NOTE: result.reason} if result.reason else {}
        key = f"{result.family}/{result.number}"
        with self._run("trial", key, shown, tags, note, seconds=result.seconds) as (run, folder):
            self._write(
                run,
                [*run_metrics.trial_metrics(result, metric), *run_metrics.usage_metrics(usage)],
                result.hyperparameters,
            )
            _write_frames(result, vault, folder)
            if result.state == "failed" and log is not None and log.exists():
                (folder / "log.txt").write_bytes(log.read_bytes())
            if nets is not None and nets.is_dir():
                shutil.copytree(nets, folder / NETS)
        return str(run.info.run_id)

    def record_ensemble(
        self,
        ensemble: EnsembleResult,
        oof: np.ndarray,
        test: np.ndarray | None,
        vault: PredictionSchema,
        *,
        metric: str,
    ) -> str:
        """Write a new run for an ensemble, linked with its members' both ways, and return its id.

        Args:
            ensemble: the ensemble, without a run_id.
            oof: its out-of-fold predictions, in the vault's order.
            test: its test predictions.
            vault: how predictions are laid out.
            metric: the name under which the score is logged.
        """
        shown = f"ensemble of {len(ensemble.members)} · {ensemble.score:.5g}"
        if ensemble.honest_score is not None:
            shown += f" · honest {ensemble.honest_score:.5g}"
        tags = {"folds": vault.hash, "method": ensemble.method, "state": "complete"}
        members = self._members(ensemble)
        note = {_NOTE: _links(ensemble, members)}
        numbers: dict[str, float] = {metric: ensemble.score, "seconds": ensemble.seconds, **ensemble.also}
        optional = {"honest_score": ensemble.honest_score, "honest_se": ensemble.honest_se, "gap": ensemble.gap}
        numbers |= {name: value for name, value in optional.items() if value is not None}
        with self._run("ensemble", f"{time.time_ns()}", shown, tags, note) as (run, folder):
            self._write(run, [RunMetric(*number) for number in numbers.items()], {"method": ensemble.method})
            document = replace(ensemble, run_id=run.info.run_id).to_document()
            (folder / "ensemble.json").write_text(json.dumps(document, indent=1))
            vault.oof_frame(oof).to_parquet(folder / "oof.parquet", index=False)
            if test is not None:
                vault.test_frame(test).to_parquet(folder / "test.parquet", index=False)
            for member in members:
                self._enrol(member, run.info.run_id)
        return str(run.info.run_id)

    def record_import(self, result: TrialResult, vault: PredictionSchema, *, metric: str) -> tuple[str, bool]:
        """Write a run for predictions made elsewhere, in the place of those that had their name.

        Args:
            result: the predictions and their scores; their name is the family.
            vault: how predictions are laid out.
            metric: the name under which the score is logged.

        Returns:
            The run's id, and whether others had the name.
        """
        before = self._search(f"tags.`workbench.kind` = 'imported' AND tags.`workbench.family` = '{result.family}'")
        tags = {"state": result.state, "family": result.family, "folds": vault.hash}
        shown = f"{result.family}, imported · {_end(result)}"
        with self._run("imported", f"{time.time_ns()}", shown, tags, {}) as made:
            run, folder = made
            self._write(run, run_metrics.trial_metrics(result, metric), {})
            _write_frames(result, vault, folder)
        # Ensembles that were made with them name their run, so it is not written over.
        for old in before:
            self._client.delete_run(old.info.run_id)
        return str(run.info.run_id), bool(before)

    def imports(self, metric: str) -> list[Imported]:
        """Return what was imported, the newest of each name.

        Args:
            metric: the name under which scores are logged.
        """
        runs = self._search("tags.`workbench.kind` = 'imported' AND status = 'FINISHED'")
        newest = {run.data.tags["workbench.family"]: run for run in reversed(runs)}
        return [
            Imported(run.info.run_id, name, run.data.metrics[run_metrics.metric_name(metric)])
            for name, run in newest.items()
            if run_metrics.metric_name(metric) in run.data.metrics
        ]

    def close(self) -> None:
        """Close the runs that a dead process left open, but not those of trials: they are written again."""
        where = "tags.`workbench.kind` != 'trial' AND tags.`workbench.kind` != 'study' AND status = 'RUNNING'"
        for run in self._client.search_runs([self.experiment_id], where):
            self._client.set_terminated(run.info.run_id, "KILLED")

    def newest_ensemble(self) -> EnsembleResult:
        """Return the study's newest ensemble.

        Raises:
            StudyError: there is none yet.
        """
        where = "tags.`workbench.kind` = 'ensemble' AND status = 'FINISHED'"
        runs = self._search(where, most=1)
        if not runs:
            raise StudyError(f"Study {self._study!r} has no ensemble yet. Make one with 'workbench run' or 'ensemble'.")
        run_id = str(runs[0].info.run_id)
        document = json.loads(self._artifact(run_id, "ensemble.json").read_text())
        return replace(EnsembleResult.from_document(document), run_id=run_id)

    def predictions(self, run_id: str, vault: PredictionSchema, *, test: bool = True) -> Predictions:
        """Return the predictions of a run; without `test`, the out-of-fold ones alone.

        Raises:
            StudyError: they are missing, or not of this study's rows and folds.
        """
        oof = self._frame(run_id, "oof.parquet", vault.oof_keys())
        wanted = test and vault.test_ids is not None
        rows = self._frame(run_id, "test.parquet", vault.test_keys()) if wanted else None
        return Predictions(vault.predictions(oof), None if rows is None else vault.predictions(rows))

    def curves(self, run_id: str) -> dict[tuple[int, int], dict[str, list[float]]]:
        """Return the curve of each (repeat, fold) of a trial; none of a family that tells of no losses.

        Raises:
            StudyError: they cannot be read.
        """
        if "curves.parquet" not in {file.path for file in self._client.list_artifacts(run_id)}:
            return {}
        frame = pd.read_parquet(self._artifact(run_id, "curves.parquet"))
        losses = [name for name in frame.columns if name not in ("repeat", "fold")]
        found: dict[tuple[int, int], dict[str, list[float]]] = {}
        for repeat, fold in frame[["repeat", "fold"]].drop_duplicates().to_numpy().tolist():
            own = frame[(frame["repeat"] == repeat) & (frame["fold"] == fold)]
            found[repeat, fold] = {name: own[name].tolist() for name in losses}
        return found

    def nets(self, run_id: str) -> Path | None:
        """Return the folder with what there is to see of a trial's nets; None where there is nothing.

        Raises:
            StudyError: it cannot be read.
        """
        known = {file.path for file in self._client.list_artifacts(run_id)}
        return self._artifact(run_id, NETS) if NETS in known else None

    def study_run(self) -> str:
        """Return the id of the run that carries the study's own figures and files; there is one, made when missing."""
        every = {"workbench.kind": "study", "workbench.study": self._study}
        experiment = self.experiment_id
        # A report may be asked for while the study runs: two processes must not make one each.
        with mlflow_store.lock(self._home):
            found = self._search("tags.`workbench.kind` = 'study'", most=1)
            run = found[0] if found else self._client.create_run(experiment, tags=every, run_name="study")
        if run.info.status != "FINISHED":
            self._client.set_terminated(run.info.run_id, "FINISHED")
        return str(run.info.run_id)

    def attach(self, run_id: str, file: Path, folder: str | None = None) -> None:
        """Keep a copy of a file with a run, in a folder of its artifacts where one is named."""
        self._client.log_artifact(run_id, str(file), folder)

    @contextmanager
    def _run(
        self, kind: Kind, key: str, name: str, tags: Mapping[str, str], more: Mapping[str, str], *, seconds: float = 0
    ) -> Iterator[tuple[Run, Path]]:
        """Find or make the run of `key`, begun `seconds` ago; it is finished when its artifacts are there."""
        from mlflow.entities import RunTag

        mark = '"' if "'" in key else "'"
        where = f"tags.`workbench.{kind}` = {mark}{key}{mark}"
        found = self._client.search_runs([self.experiment_id], where, max_results=1)
        own = {"kind": kind, "study": self._study, kind: key, **tags}
        every = {f"workbench.{k}": v for k, v in own.items()} | {"mlflow.runName": name, **self._origin.tags, **more}
        began = int(1000 * (time.time() - seconds))
        run = found[0] if found else self._client.create_run(self.experiment_id, began, every, name)
        if found:
            # Written by a command that died before it could tell Optuna; the trial may end otherwise now.
            stale = run.data.tags.keys() & {_NOTE} - every.keys()
            now = [RunTag(k, v) for k, v in {**every, **dict.fromkeys(stale, "")}.items()]
            self._client.log_batch(run.info.run_id, tags=now)
        if self._inputs:
            self._client.log_inputs(run.info.run_id, datasets=self._inputs)
        with tempfile.TemporaryDirectory() as folder:
            yield run, Path(folder)
            if any(Path(folder).iterdir()):
                self._client.log_artifacts(run.info.run_id, folder)
        self._client.set_terminated(run.info.run_id, "FAILED" if tags["state"] == "failed" else "FINISHED")

    def _search(self, where: str, most: int = 1000) -> list[Run]:
        """Return the runs of ensembles or imports that fit, the newest first."""
        # A question must not make what it asks about.
        if not self._home.database.exists():
            return []
        newest = ["start_time DESC", "tags.`workbench.ensemble` DESC", "tags.`workbench.imported` DESC"]
        return list(self._client.search_runs([self.experiment_id], where, max_results=most, order_by=newest))

    def _write(self, run: Run, values: Sequence[RunMetric], params: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric, Param

        # With the run's own time as their stamp, points written twice are the same points.
        own = run.info.start_time
        made = [
            Metric(run_metrics.metric_name(each.name), each.value, each.stamp or own, each.step)
            for each in values
            if np.isfinite(each.value)
        ]
        given = [Param(run_metrics.metric_name(k), str(v)[:_LONGEST_PARAM]) for k, v in params.items()]
        for start in range(0, max(len(made), 1), _MOST_METRICS):
            self._client.log_batch(run.info.run_id, made[start : start + _MOST_METRICS], given if not start else ())

    def _artifact(self, run_id: str, name: str) -> Path:
        from mlflow.exceptions import MlflowException

        try:
            return Path(self._client.download_artifacts(run_id, name))
        except (MlflowException, OSError) as error:
            reason = " ".join(str(error).rstrip(".").split())
            raise StudyError(
                f"Study {self._study!r}: run {run_id} must have the artifact {name}. It cannot be read: {reason}. "
                f"Restore it below {self._home.artifacts}, or give the study another name and run it anew."
            ) from error

    def _frame(self, run_id: str, name: str, keys: pd.DataFrame) -> pd.DataFrame:
        """Return the predictions in an artifact, whose rows must have `keys`."""
        frame = pd.read_parquet(self._artifact(run_id, name))
        if not all(np.array_equal(frame.get(key, []), keys[key]) for key in keys):
            raise StudyError(
                f"Study {self._study!r}: {name} of run {run_id} must hold this study's rows and folds. It holds others."
            )
        return frame

    def _members(self, ensemble: EnsembleResult) -> list[Run]:
        """Return the runs of an ensemble's members, all those of one that is the mean of several; in one question."""
        wanted = dict.fromkeys(run_id for member in ensemble.members for run_id in member.run_ids)
        if not wanted:
            return []
        # A member of another study is in that one's experiment.
        others = {member.study or self._study for member in ensemble.members} - {self._study}
        experiments = [self.experiment_id, *(Tracker(self._home, other).experiment_id for other in sorted(others))]
        listed = ", ".join(f"'{run_id}'" for run_id in wanted)
        where = f"attributes.run_id IN ({listed})"
        return list(self._client.search_runs(experiments, where, max_results=len(wanted)))

    def _enrol(self, member: Run, ensemble: str) -> None:
        """Tag a run with an ensemble that it is a member of, the newest last."""
        before = member.data.tags.get(_MEMBER, "").split()
        self._client.set_tag(member.info.run_id, _MEMBER, " ".join([*before, ensemble][-_MOST_ENSEMBLES:]))


def _links(ensemble: EnsembleResult, members: Sequence[Run]) -> str:
    """Return a table of an ensemble's members and their weights, as Markdown."""
    experiments = {run.info.run_id: run.info.experiment_id for run in members}
    lines = ["| member | weight |", "| --- | --- |"]
    for member in ensemble.members:
        link = run_view.of_run(experiments.get(member.run_id, 0), member.run_id)
        lines.append(f"| [{member.name}]({link}) | {member.weight:.4f} |")
    return "\n".join(lines)


def _end(result: TrialResult) -> str:
    """Return what a trial came to, as its run's name has it: its score, or why there is none."""
    if result.score is not None:
        return f"{result.score:.5g}"
    reason = " ".join((result.reason or result.state).split())
    told = reason if reason.startswith(result.state) else f"{result.state}: {reason}"
    return told if len(told) <= _LONGEST_REASON else f"{told[: _LONGEST_REASON - 1]}…"


def _write_frames(result: TrialResult, vault: PredictionSchema, folder: Path) -> None:
    """Write the predictions of a complete trial, and the curves of any."""
    if result.oof is not None:
        vault.oof_frame(result.oof).to_parquet(folder / "oof.parquet", index=False)
    if result.test is not None:
        vault.test_frame(result.test).to_parquet(folder / "test.parquet", index=False)
    curves = [
        pd.DataFrame(dict(curve)).assign(repeat=repeat, fold=fold)
        for (repeat, fold), curve in result.curves.items()
        if curve
    ]
    if curves:
        pd.concat(curves).to_parquet(folder / "curves.parquet", index=False)
