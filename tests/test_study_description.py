"""The description of a study in MLflow: its source, its data, and the best result so far."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import workbench
from workbench.ensemble import EnsembleMember, EnsembleResult
from workbench.search.events import TrialEnded
from workbench.search.storage import TrialRecord
from workbench.study import description
from workbench.study.task import Task

STUDY = """
name: small
data: {train: train.csv, test: test.csv, target: species, id: row}
metric: log_loss
folds: {folds: 3}
families: [linear, extra_trees]
search: {trials: 4, workers: 1, system_metrics: true}
"""
MEMBERS = (EnsembleMember("r1", "linear", "linear #1", 0.4, 0.5), EnsembleMember("r2", "mlp", "mlp #2", 0.4, 0.5))
ENSEMBLE = EnsembleResult(
    "greedy", "log_loss", "minimize", 0.3, MEMBERS, run_id="e1", honest_score=0.32, honest_se=0.01
)  # fmt: skip


def frame(rows: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 3, rows)
    names = np.array(["ash", "elm", "oak"])[kind]
    return pd.DataFrame({"row": np.arange(rows), "length": kind + rng.normal(size=rows) / 2, "species": names})


def a_task(folder: Path, train: pd.DataFrame | None = None, study_text: str = STUDY) -> Task:
    folder.mkdir(exist_ok=True)
    (frame() if train is None else train).to_csv(folder / "train.csv", index=False)
    frame(30).drop(columns="species").to_csv(folder / "test.csv", index=False)
    (folder / "small.yaml").write_text(study_text)
    return workbench.open(str(folder / "small.yaml"), str(folder / "mlruns")).task


def a_row(number: int, score: float | None) -> TrialRecord:
    return TrialRecord(f"r{number}", "linear", number, score, None, [], "complete", 1.0, {})


def test_the_description_of_a_study_without_trials_has_the_task(tmp_path: Path) -> None:
    text = description.describe(a_task(tmp_path), None, None, "7")
    assert text.splitlines()[0] == "**small**: predict `species` (multiclass) from train.csv"
    assert "90 rows, 30 to predict" in text
    assert "3 folds × 1; hash `" in text
    assert "best" not in text
    assert description.run_title(None) == "study"


def test_the_description_has_the_best_trial_and_the_scores_of_the_newest_ensemble(tmp_path: Path) -> None:
    text = description.describe(a_task(tmp_path), a_row(4, 0.35), ENSEMBLE, "7")
    assert "best so far: [linear #4](#/experiments/7/runs/r4?workflowType=machine_learning), log_loss **0.35**" in text
    ensemble = "[of 2](#/experiments/7/runs/e1?workflowType=machine_learning)"
    assert f"{ensemble}, honest log_loss **0.32 ± 0.01** (log_loss 0.3 on the folds" in text
    assert description.run_title(a_row(4, 0.35)) == "study · best linear #4 0.35"
    without = replace(ENSEMBLE, honest_score=None, honest_se=None)
    assert "log_loss 0.3, without an honest score" in description.describe(a_task(tmp_path), None, without, "7")


def test_data_are_text_with_their_columns_and_the_target(tmp_path: Path) -> None:
    train, test = description.provenance(a_task(tmp_path)).data
    assert (train.source, train.context, train.rows) == ("train.csv", "training", 90)
    assert train.columns == {"length": "number", "species": "category"}
    assert (test.source, test.context, test.rows) == ("test.csv", "testing", 30)
    assert test.columns == {"length": "number"}


@pytest.mark.parametrize("column", ["length", "species"])
def test_the_digest_of_the_data_changes_with_a_single_value(tmp_path: Path, column: str) -> None:
    other = frame()
    other.loc[5, column] = other.loc[other[column] != other.loc[5, column], column].iloc[0]
    digests = [
        [each.digest for each in description.provenance(a_task(tmp_path / str(place), train)).data]
        for place, train in enumerate((None, None, other))
    ]
    assert digests[0] == digests[1]
    assert digests[0][0] != digests[2][0]
    assert digests[0][1] == digests[2][1]


def test_a_set_of_a_library_is_text_by_its_name(tmp_path: Path) -> None:
    text = "name: small\ndata: {train: 'sklearn:digits'}\nfamilies: [linear]\n"
    train, test = description.provenance(a_task(tmp_path, study_text=text)).data
    assert (train.source, test.source) == ("sklearn:digits", "sklearn:digits")
    assert (train.shape, train.columns) == ((8, 8), {})
    assert train.digest != test.digest


@pytest.mark.slow
def test_mlflow_is_text_all_of_it_while_a_study_runs_and_when_it_is_blended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.tracking import mlflow_store

    a_task(tmp_path)
    monkeypatch.chdir(tmp_path)
    study = workbench.open("small.yaml")
    said = []

    def listen(event: object) -> None:
        # MLflow is opened while the first trial runs.
        if isinstance(event, TrialEnded):
            found = mlflow_store.client(study.home).get_experiment_by_name("small")
            said.append(found.tags["mlflow.note.content"])

    summary = study.run(listen=listen)
    client = mlflow_store.client(study.home)
    experiment = client.get_experiment_by_name("small")
    runs = {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}
    note = experiment.tags["mlflow.note.content"]
    assert summary.best is not None
    assert summary.ensemble is not None
    assert f"/runs/{summary.best['run_id']}?" in note
    assert f"/runs/{summary.ensemble['run_id']}?" in note
    assert "best so far: [constant #0]" in "\n".join(said)
    assert not any("ensemble:" in text for text in said)
    (own,) = [run for run in runs.values() if run.data.tags["workbench.kind"] == "study"]
    assert own.info.run_name == f"study · best {summary.best['family']} #{summary.best['number']} " + (
        f"{summary.best['score']:.5g}"
    )
    files = {file.path for file in client.list_artifacts(own.info.run_id)}
    assert {"study.yaml", "folds.parquet", "versions.json"} <= files
    assert all(len(run.inputs.dataset_inputs) == 2 for run in runs.values())
    for member in summary.ensemble["members"]:
        assert runs[member["run_id"]].data.tags["workbench.member_of"] == summary.ensemble["run_id"]
