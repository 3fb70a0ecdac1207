"""The tracker: runs, predictions and files in MLflow's store."""

from __future__ import annotations

import base64
import json
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from workbench.ensemble import EnsembleMember, EnsembleResult
from workbench.errors import StudyError
from workbench.home import Home
from workbench.tracking import DataOrigin, PredictionSchema, Provenance, Tracker, mlflow_store
from workbench.trial import TrialResult

SECRET = "s3cret-of-kaggle"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One home for all tests of this file, because creating MLflow's store takes a second or two."""
    made = Home(tmp_path_factory.mktemp("my home é") / "mlruns")
    made.create()
    return made


@pytest.fixture
def study(request):
    """A study name of the test's own."""
    return f"{request.node.originalname}-{abs(hash(request.node.name))}"[-60:].lstrip("_.-")


@pytest.fixture
def tracker(home, study):
    return Tracker(home, study)


def a_schema(outputs: int = 1, n_repeats: int = 2, **more) -> PredictionSchema:
    """Return the schema of six training rows in two folds, repeated twice."""
    rows = np.tile(np.arange(6), n_repeats)
    known = {
        "id_name": "passenger",
        "ids": np.array([f"p{i}" for i in range(6)], dtype=object),
        "test_ids": np.array([100, 101, 102]),
        "repeats": np.repeat(np.arange(n_repeats), 6),
        "rows": rows,
        "folds": (rows + np.repeat(np.arange(n_repeats), 6)) % 2,
        "hash": "0123456789abcdef",
        "outputs": ("prediction",) if outputs == 1 else tuple(f"prediction_{c}" for c in "abc"[:outputs]),
    }
    return PredictionSchema(**(known | more))


def a_result(number: int = 0, outputs: int = 1, **more) -> TrialResult:
    rng = np.random.default_rng(number)
    shape = (lambda n: (n,)) if outputs == 1 else (lambda n: (n, outputs))
    known: dict[str, Any] = {
        "family": "mlp",
        "number": number,
        "state": "complete",
        "seconds": 2.5,
        "hyperparameters": {"rate": 0.001, "layers": 2, "batch_norm": True, "activation": "relu"},
        "fold_scores": [0.5, 0.4, 0.3, 0.2],
        "score": 0.35,
        "also": {"accuracy": 0.9},
        "oof": rng.random(shape(12)),
        "test": rng.random(shape(3)),
        "curves": {
            (0, 0): {"epoch": [0, 1, 2], "loss": [3.0, 2.0, 1.0], "val_loss": [3.5, 2.5, 2.6]},
            (1, 1): {"epoch": [0, 1], "loss": [3.0, 2.0], "val_loss": [3.5, 2.5]},
        },
    }
    return TrialResult(**(known | more))


def oof_of(result: TrialResult) -> np.ndarray:
    """Return the out-of-fold predictions of a result that has them."""
    assert result.oof is not None
    return result.oof


def held_out_of(result: TrialResult) -> np.ndarray:
    """Return the predictions for the test rows of a result that has them."""
    assert result.test is not None
    return result.test


def client(home):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=mlflow_store.url(home.database))


def runs(home, tracker):
    return client(home).search_runs([tracker.experiment_id])


def artifacts(run) -> Path:
    return Path(unquote(run.info.artifact_uri.removeprefix("file://")))


def history(home, run_id, name):
    return [(point.step, point.value) for point in client(home).get_metric_history(run_id, name)]


def an_ensemble(members=(), **more):
    known = {
        "method": "nelder_mead",
        "metric": "log_loss",
        "score": 0.3,
        "honest_score": 0.31,
        "honest_se": 0.01,
        "gap": 1e-6,
        "also": {"accuracy": 0.95},
        "members": [EnsembleMember(r, "mlp", f"mlp #{i}", 0.3, 0.5) for i, r in enumerate(members)],
        "seconds": 1.5,
    }
    return EnsembleResult(**{"direction": "minimize", **known, **more})


def test_a_trial_is_one_finished_run_with_tags_params_and_metrics(home, tracker, study):
    run_id = tracker.log_trial(a_result(3), a_schema(), metric="log_loss")
    (run,) = runs(home, tracker)
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    assert run.info.run_name == "mlp #3 · 0.35"
    own = {key: value for key, value in run.data.tags.items() if key.startswith("workbench.")}
    assert own == {
        "workbench.kind": "trial",
        "workbench.fidelity": "full",
        "workbench.study": study,
        "workbench.family": "mlp",
        "workbench.trial": "mlp/3",
        "workbench.state": "complete",
        "workbench.folds": "0123456789abcdef",
    }
    assert run.data.params == {"rate": "0.001", "layers": "2", "batch_norm": "True", "activation": "relu"}
    single = {key: value for key, value in run.data.metrics.items() if "/" not in key and key != "fold_score"}
    assert single == {
        "log_loss": 0.35,
        "std": pytest.approx(np.std([0.5, 0.4, 0.3, 0.2])),
        "seconds": 2.5,
        "accuracy": 0.9,
    }


def test_fold_scores_are_steps_of_one_metric_and_epochs_steps_of_a_curve(home, tracker):
    run_id = tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    assert history(home, run_id, "fold_score") == [(0, 0.5), (1, 0.4), (2, 0.3), (3, 0.2)]
    assert history(home, run_id, "val_loss/fold_0") == [(0, 3.5), (1, 2.5), (2, 2.6)]
    assert history(home, run_id, "loss/mean") == [(0, 3.0), (1, 2.0)]


def test_a_long_curve_is_thinned_in_the_metrics_and_whole_in_its_file(home, tracker):
    curve = {"epoch": list(range(1000)), "loss": [float(i) for i in range(1000)]}
    run_id = tracker.log_trial(a_result(curves={(0, fold): curve for fold in range(12)}), a_schema(), metric="log_loss")
    points = history(home, run_id, "loss/fold_11")
    assert points == [(i, float(i)) for i in range(0, 1000, 10)]
    (run,) = runs(home, tracker)
    assert len(pd.read_parquet(artifacts(run) / "curves.parquet")) == 12_000


def test_metrics_that_are_not_finite_are_left_out(home, tracker):
    bad = a_result(fold_scores=[0.5, np.nan], curves={(0, 0): {"epoch": [0, 1], "loss": [np.inf, 1.0]}})
    run_id = tracker.log_trial(bad, a_schema(), metric="log_loss")
    assert history(home, run_id, "fold_score") == [(0, 0.5)]
    assert history(home, run_id, "loss/fold_0") == [(1, 1.0)]


def test_predictions_and_curves_are_tables_among_the_artifacts(home, tracker):
    result = a_result(outputs=3)
    tracker.log_trial(result, a_schema(3), metric="log_loss")
    (run,) = runs(home, tracker)
    folder = artifacts(run)
    assert folder.is_relative_to(home.artifacts)
    assert sorted(os.listdir(folder)) == ["curves.parquet", "oof.parquet", "test.parquet"]
    oof = pd.read_parquet(folder / "oof.parquet")
    assert list(oof.columns) == ["passenger", "repeat", "fold", "prediction_a", "prediction_b", "prediction_c"]
    assert oof["passenger"].tolist() == [f"p{i}" for i in range(6)] * 2
    assert oof["repeat"].tolist() == [0] * 6 + [1] * 6
    assert oof["fold"].tolist() == [0, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0]
    assert np.array_equal(oof.iloc[:, 3:].to_numpy(), oof_of(result))
    test = pd.read_parquet(folder / "test.parquet")
    assert list(test.columns) == ["passenger", "prediction_a", "prediction_b", "prediction_c"]
    assert test["passenger"].tolist() == [100, 101, 102]
    assert np.array_equal(test.iloc[:, 1:].to_numpy(), held_out_of(result))
    curves = pd.read_parquet(folder / "curves.parquet")
    assert list(curves.columns) == ["epoch", "loss", "val_loss", "repeat", "fold"]
    assert list(zip(curves["repeat"], curves["fold"], curves["epoch"], strict=True)) == [
        *((0, 0, epoch) for epoch in range(3)),
        *((1, 1, epoch) for epoch in range(2)),
    ]


def test_a_trial_logged_twice_is_one_run_with_the_same_numbers(home, tracker, study):
    first = tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    before = client(home).get_run(first).data
    again = Tracker(home, study).log_trial(a_result(), a_schema(), metric="log_loss")
    assert again == first
    (run,) = runs(home, tracker)
    assert (run.data.metrics, run.data.params, run.data.tags) == (before.metrics, before.params, before.tags)
    assert history(home, first, "fold_score") == [(0, 0.5), (1, 0.4), (2, 0.3), (3, 0.2)]
    assert len(pd.read_parquet(artifacts(run) / "oof.parquet")) == 12


def test_a_trial_whose_logging_was_killed_becomes_one_finished_run(home, tracker, study):
    class KilledSchema(PredictionSchema):
        """Raises as a kill would: after the run and its metrics were written, before its predictions were."""

        def oof_frame(self, predictions):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tracker.log_trial(a_result(), KilledSchema(**vars(a_schema())), metric="log_loss")
    (cut,) = runs(home, tracker)
    assert cut.info.status == "RUNNING"
    run_id = Tracker(home, study).log_trial(a_result(), a_schema(), metric="log_loss")
    (run,) = runs(home, tracker)
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED") == (cut.info.run_id, "FINISHED")
    assert (artifacts(run) / "oof.parquet").exists()
    assert history(home, run_id, "fold_score") == [(0, 0.5), (1, 0.4), (2, 0.3), (3, 0.2)]


def test_trials_of_the_same_number_in_other_families_and_studies_are_runs_of_their_own(home, tracker, study):
    schema, other = a_schema(), Tracker(home, f"{study}.2")
    ids = [
        tracker.log_trial(a_result(1), schema, metric="log_loss"),
        tracker.log_trial(a_result(1, family="cnn"), schema, metric="log_loss"),
        tracker.log_trial(a_result(11), schema, metric="log_loss"),
        other.log_trial(a_result(1), schema, metric="log_loss"),
    ]
    assert len(set(ids)) == 4
    assert len(runs(home, tracker)) == 3


def test_a_failed_trial_keeps_its_reason_and_its_libraries_output(home, tracker, tmp_path):
    log = tmp_path / "fold.log"
    log.write_text("CUDA went away\n")
    none: dict[str, Any] = {"score": None, "also": {}, "oof": None, "test": None, "curves": {}, "fold_scores": []}
    failed = a_result(state="failed", reason="ValueError: no good", **none)
    tracker.log_trial(failed, a_schema(), metric="log_loss", log=log)
    (run,) = runs(home, tracker)
    assert (run.info.status, run.data.tags["workbench.state"]) == ("FAILED", "failed")
    assert run.info.run_name == "mlp #0 · failed: ValueError: no good"
    assert run.data.tags["mlflow.note.content"] == "ValueError: no good"
    assert run.data.metrics == {"seconds": 2.5}
    assert os.listdir(artifacts(run)) == ["log.txt"]
    assert (artifacts(run) / "log.txt").read_text() == "CUDA went away\n"


def test_a_failed_trial_without_a_log_is_logged(home, tracker, tmp_path):
    failed = a_result(state="failed", score=None, oof=None, test=None, curves={}, reason="x" * 20_000)
    tracker.log_trial(failed, a_schema(), metric="log_loss", log=tmp_path / "none.log")
    (run,) = runs(home, tracker)
    assert run.info.status == "FAILED"


def test_a_pruned_trial_has_its_curves_and_no_predictions(home, tracker):
    pruned = a_result(state="pruned", score=None, oof=None, test=None, fold_scores=[0.5], reason="after fold 1 of 4")
    tracker.log_trial(pruned, a_schema(), metric="log_loss")
    (run,) = runs(home, tracker)
    assert (run.info.status, run.data.tags["workbench.state"]) == ("FINISHED", "pruned")
    assert "log_loss" not in run.data.metrics
    assert "std" not in run.data.metrics
    assert os.listdir(artifacts(run)) == ["curves.parquet"]


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("ids", ["strings", "integers"])
def test_predictions_come_back_as_they_were_written(tracker, outputs, ids):
    schema = a_schema(outputs) if ids == "strings" else a_schema(outputs, ids=np.arange(6) * 7, n_repeats=1)
    oof = oof_of(a_result(outputs=outputs))[: len(schema.rows)]
    result = replace(a_result(outputs=outputs), oof=oof)
    back = tracker.predictions(tracker.log_trial(result, schema, metric="log_loss"), schema)
    assert np.array_equal(back.oof, oof)
    assert back.test is not None
    assert np.array_equal(back.test, held_out_of(result))


def test_without_test_rows_there_are_no_test_predictions(tracker):
    schema = a_schema(test_ids=None)
    run_id = tracker.log_trial(a_result(test=None), schema, metric="rmse")
    assert tracker.predictions(run_id, schema).test is None


@pytest.mark.parametrize("name", ["repeat", "fold", "prediction"])
def test_an_id_with_the_name_of_another_column_keeps_its_values(tracker, name):
    schema = a_schema(id_name=name)
    assert list(schema.oof_frame(np.zeros(12)).columns) == ["id", "repeat", "fold", "prediction"]
    back = tracker.predictions(tracker.log_trial(a_result(), schema, metric="rmse"), schema)
    assert np.array_equal(back.test, held_out_of(a_result()))


@pytest.mark.parametrize(
    "other",
    [
        {"ids": np.array(["q"] * 6, dtype=object)},
        {"rows": np.tile(np.arange(6)[::-1], 2)},
        {"folds": np.zeros(12, dtype=int)},
        {"repeats": np.zeros(12, dtype=int)},
        {"test_ids": np.array([100, 101, 103])},
        {"test_ids": np.array([100, 101])},
        {"id_name": "row"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_predictions_of_other_rows_or_folds_are_refused(tracker, other):
    run_id = tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    with pytest.raises(StudyError, match=rf"of run {run_id} must hold this study's rows and folds. It holds others\."):
        tracker.predictions(run_id, a_schema(**other))


def test_missing_predictions_raise_a_study_error(home, tracker):
    run_id = tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    (run,) = runs(home, tracker)
    (artifacts(run) / "oof.parquet").unlink()
    with pytest.raises(
        StudyError, match=rf"run {run_id} must have the artifact oof\.parquet\. It cannot be read: "
    ) as caught:
        tracker.predictions(run_id, a_schema())
    assert "\n" not in str(caught.value)
    with pytest.raises(StudyError, match="run nothing must have the artifact"):
        tracker.predictions("nothing", a_schema())


def test_an_ensemble_is_a_run_with_its_document_and_links_to_its_members(home, tracker, study):
    schema = a_schema()
    members = [tracker.log_trial(a_result(number), schema, metric="log_loss") for number in range(2)]
    ensemble = an_ensemble(members)
    run_id = tracker.log_ensemble(ensemble, a_result().oof, a_result().test, schema, metric="log_loss")
    run = client(home).get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "ensemble of 2 · 0.3 · honest 0.31")
    tags = {"kind": "ensemble", "study": study, "method": "nelder_mead", "state": "complete", "folds": schema.hash}
    assert {f"workbench.{key}": value for key, value in tags.items()}.items() <= run.data.tags.items()
    assert run.data.metrics == {
        "log_loss": 0.3, "honest_score": 0.31, "honest_se": 0.01, "gap": 1e-6, "accuracy": 0.95, "seconds": 1.5,
    }  # fmt: skip
    assert run.data.params == {"method": "nelder_mead"}
    for member in members:
        assert (
            f"](#/experiments/{tracker.experiment_id}/runs/{member}?workflowType=machine_learning) | 0.5000 |"
            in run.data.tags["mlflow.note.content"]
        )
    assert sorted(os.listdir(artifacts(run))) == ["ensemble.json", "oof.parquet", "test.parquet"]
    assert json.loads((artifacts(run) / "ensemble.json").read_text()) == {"run_id": run_id, **ensemble.to_document()}
    assert tracker.newest_ensemble().to_document() == {"run_id": run_id, **ensemble.to_document()}
    assert np.array_equal(tracker.predictions(run_id, schema).oof, oof_of(a_result()))


def test_the_newest_of_several_ensembles_is_found(tracker):
    schema, oof = a_schema(test_ids=None), a_result().oof
    made = [tracker.log_ensemble(an_ensemble(score=i / 10), oof, None, schema, metric="log_loss") for i in range(4)]
    assert len(set(made)) == 4
    assert tracker.newest_ensemble().run_id == made[-1]


def test_an_ensembles_missing_values_are_left_out(home, tracker):
    ensemble = an_ensemble(honest_score=None, honest_se=None, gap=None)
    run_id = tracker.log_ensemble(ensemble, a_result().oof, None, a_schema(test_ids=None), metric="log_loss")
    run = client(home).get_run(run_id)
    assert set(run.data.metrics) == {"log_loss", "accuracy", "seconds"}
    assert not (artifacts(run) / "test.parquet").exists()


def test_a_study_without_an_ensemble_says_how_to_make_one(tracker, study):
    tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    with pytest.raises(StudyError, match=rf"Study '{study}' has no ensemble yet. Make one with 'workbench run'"):
        tracker.newest_ensemble()


def test_a_home_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"file: the home cannot be made \(File exists\)\. Choose --home"):
        Tracker(Home(tmp_path / "file"), "s").log_trial(a_result(), a_schema(), metric="log_loss")


def test_a_search_for_an_ensemble_creates_no_home(tmp_path):
    with pytest.raises(StudyError, match="has no ensemble yet"):
        Tracker(Home(tmp_path / "mlruns"), "s").newest_ensemble()
    assert not (tmp_path / "mlruns").exists()


def test_a_file_can_be_logged_with_a_run(home, tracker, tmp_path):
    run_id = tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    (tmp_path / "s.csv").write_text("id,y\n")
    tracker.log_artifact(run_id, tmp_path / "s.csv")
    assert (artifacts(client(home).get_run(run_id)) / "s.csv").read_text() == "id,y\n"


def test_a_file_can_be_logged_in_a_folder_of_a_run(home, tracker, tmp_path):
    run_id = tracker.study_run()
    (tmp_path / "weights.png").write_bytes(b"PNG")
    tracker.log_artifact(run_id, tmp_path / "weights.png", "figures")
    assert (artifacts(client(home).get_run(run_id)) / "figures" / "weights.png").read_bytes() == b"PNG"


def test_a_study_has_one_run_of_its_own_with_several_threads(home, tracker, study):
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(lambda _: Tracker(home, study).study_run(), range(8)))
    (run,) = runs(home, tracker)
    assert found == {run.info.run_id} == {tracker.study_run()}
    assert (run.info.status, run.data.tags["workbench.kind"], run.data.tags["workbench.study"]) == (
        "FINISHED", "study", study,
    )  # fmt: skip


def test_a_study_run_left_open_is_found_and_finished(home, tracker, study):
    run_id = tracker.study_run()
    client(home).update_run(run_id, status="RUNNING")
    tracker.close_stale_runs()
    assert client(home).get_run(run_id).info.status == "RUNNING"
    assert Tracker(home, study).study_run() == run_id
    assert client(home).get_run(run_id).info.status == "FINISHED"


def test_the_studys_own_run_is_neither_a_trial_nor_an_ensemble_nor_an_import(home, tracker):
    run_id = tracker.study_run()
    trial = tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    made = tracker.log_ensemble(an_ensemble([trial]), a_result().oof, None, a_schema(), metric="log_loss")
    tracker.close_stale_runs()
    assert tracker.newest_ensemble().run_id == made
    assert tracker.imports("log_loss") == []
    shown = client(home).search_runs([tracker.experiment_id], order_by=["metrics.`log_loss` ASC"])
    assert [run.info.run_id for run in shown][-1] == run_id


TRAIN = DataOrigin("data/train.csv", "0123", "training", 6, {"age": "number", "town": "category", "y": "number"})
TEST = DataOrigin("data/test.csv", "4567", "testing", 3, {"age": "number", "town": "category"})


def tracker_with_data(home, study, *data, **tags):
    return Tracker(home, study, lambda: Provenance("name: s\n", tags, data or (TRAIN, TEST)))


def test_runs_of_trials_and_ensembles_have_the_data_as_inputs(home, study):
    import mlflow.data

    tracker = tracker_with_data(home, study)
    trial = tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    made = tracker.log_ensemble(an_ensemble([trial]), a_result().oof, None, a_schema(), metric="log_loss")
    for run_id in (trial, made):
        train, test = client(home).get_run(run_id).inputs.dataset_inputs
        assert [(each.key, each.value) for each in train.tags] == [("mlflow.data.context", "training")]
        assert [each.value for each in test.tags] == ["testing"]
        assert (train.dataset.name, train.dataset.digest) == ("train.csv", "0123")
        assert mlflow.data.get_source(train).uri == "data/train.csv"
        assert json.loads(train.dataset.profile) == {"num_rows": 6, "num_elements": 18}
        columns = json.loads(train.dataset.schema)["mlflow_colspec"]
        assert [(each["name"], each["type"]) for each in columns] == [
            ("age", "double"), ("town", "string"), ("y", "double"),
        ]  # fmt: skip


def test_a_trial_logged_twice_has_its_inputs_once(home, study):
    tracker = tracker_with_data(home, study)
    for _ in range(2):
        run_id = tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    assert len(client(home).get_run(run_id).inputs.dataset_inputs) == 2


def test_a_librarys_arrays_are_a_dataset(home, study):
    images = DataOrigin("sklearn:digits", "89ab", "training", 1437, shape=(8, 8))
    run_id = tracker_with_data(home, study, images).log_trial(a_result(), a_schema(), metric="log_loss")
    (found,) = client(home).get_run(run_id).inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.source_type) == ("sklearn:digits", "code")
    assert json.loads(found.dataset.source)["tags"]["mlflow.source.name"] == "sklearn:digits"
    assert json.loads(found.dataset.schema)["mlflow_tensorspec"][0]["tensor-spec"]["shape"] == [-1, 8, 8]
    assert json.loads(found.dataset.profile) == {"num_rows": 1437, "num_elements": 1437 * 64}


def test_a_table_of_very_many_columns_is_logged_without_them(home, study):
    wide = DataOrigin(
        "w.csv", "cdef", "training", 5, {f"a column of a long name, number {i}": "number" for i in range(20_000)}
    )
    run_id = tracker_with_data(home, study, wide).log_trial(a_result(), a_schema(), metric="log_loss")
    (found,) = client(home).get_run(run_id).inputs.dataset_inputs
    assert found.dataset.schema in (None, "")


def test_no_dataset_contains_a_secret(home, study):
    data = DataOrigin(f"https://me:{SECRET}@example.org/train.csv", "0", "training", 5, {"x": "number"})
    tracker = tracker_with_data(home, study, data)
    tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    assert SECRET.encode() not in home.database.read_bytes()


def test_runs_have_the_commit_in_mlflows_tags(home, study):
    tracker = tracker_with_data(home, study, **{"mlflow.user": "me", "mlflow.source.git.commit": "a" * 40})
    run = client(home).get_run(tracker.log_trial(a_result(), a_schema(), metric="log_loss"))
    assert (run.info.user_id, run.data.tags["mlflow.source.git.commit"]) == ("me", "a" * 40)


def test_the_studys_own_run_carries_its_file_folds_versions_and_data(home, study, tmp_path):
    (tmp_path / "folds.parquet").write_bytes(b"PAR1")
    tracker = tracker_with_data(home, study, **{"mlflow.source.git.commit": "a" * 40})
    for _ in range(2):
        tracker.log_provenance(tmp_path / "folds.parquet")
    (run,) = runs(home, tracker)
    assert sorted(os.listdir(artifacts(run))) == ["folds.parquet", "study.yaml", "versions.json"]
    assert (artifacts(run) / "study.yaml").read_text() == "name: s\n"
    assert json.loads((artifacts(run) / "versions.json").read_text())["mlflow"].startswith("3.")
    assert (run.info.status, run.data.tags["mlflow.source.git.commit"]) == ("FINISHED", "a" * 40)
    assert len(run.inputs.dataset_inputs) == 2


def test_the_summary_is_the_experiments_note_and_the_study_runs_name(home, tracker):
    run_id = tracker.study_run()
    for text, name in (("**s**", "study"), ("long " * 10_000, "study · best mlp #1 0.3")):
        tracker.update_summary(text, name)
        note = client(home).get_experiment(tracker.experiment_id).tags["mlflow.note.content"]
        assert text.startswith(note)
        assert len(note) >= min(len(text), 10_000)
        assert client(home).get_run(run_id).info.run_name == name


def test_members_are_tagged_with_every_ensemble_that_they_are_in(home, tracker, study):
    schema, other = a_schema(), Tracker(home, f"{study}.2")
    own = [tracker.log_trial(a_result(number), schema, metric="log_loss") for number in range(3)]
    far = other.log_trial(a_result(9), schema, metric="log_loss")

    def blend(*members):
        return tracker.log_ensemble(an_ensemble(members=members), a_result().oof, None, schema, metric="log_loss")

    def ensembles(run_id):
        return client(home).get_run(run_id).data.tags.get("workbench.member_of", "").split()

    first = blend(own[0], own[1])
    ensemble = an_ensemble([own[0], far])
    near, stranger = ensemble.members
    members = (replace(near, run_ids=(own[0], own[2])), replace(stranger, study=f"{study}.2"))
    second = tracker.log_ensemble(replace(ensemble, members=members), a_result().oof, None, schema, metric="log_loss")
    assert [ensembles(run_id) for run_id in (*own, far)] == [[first, second], [first], [second], [second]]
    note = client(home).get_run(second).data.tags["mlflow.note.content"]
    assert f"(#/experiments/{other.experiment_id}/runs/{far}?workflowType=machine_learning)" in note
    where = f"tags.`workbench.member_of` LIKE '%{second}%'"
    found = client(home).search_runs([tracker.experiment_id, other.experiment_id], where)
    assert {run.info.run_id for run in found} == {own[0], own[2], far}


def test_an_ensemble_of_a_thousand_members_is_logged(home, tracker):
    known = tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    made = tracker.log_ensemble(
        an_ensemble([known, *(f"{i:032x}" for i in range(999))]), a_result().oof, None, a_schema(), metric="log_loss"
    )
    assert client(home).get_run(known).data.tags["workbench.member_of"] == made


def test_a_members_tag_keeps_the_newest_of_very_many_ensembles(home, tracker):
    run_id = tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    client(home).set_tag(run_id, "workbench.member_of", " ".join(f"{i:032x}" for i in range(100)))
    made = tracker.log_ensemble(an_ensemble([run_id]), a_result().oof, None, a_schema(), metric="log_loss")
    found = client(home).get_run(run_id).data.tags["workbench.member_of"].split()
    assert (len(found), found[0], found[-1]) == (100, f"{1:032x}", made)


def test_resource_usage_is_logged_as_mlflows_system_metrics(home, tracker):
    usage = [{"time": 1e9 + i, "cpu_utilization_percentage": 10.0 * i} for i in range(3)]
    for _ in range(2):
        run_id = tracker.log_trial(a_result(), a_schema(), metric="log_loss", usage=usage)
    found = client(home).get_metric_history(run_id, "system/cpu_utilization_percentage")
    assert [(each.step, each.value, each.timestamp) for each in found] == [
        (i, 10.0 * i, 1000 * (10**9 + i)) for i in range(3)
    ]


@pytest.mark.parametrize(
    ("state", "reason", "name"),
    [
        ("pruned", "pruned in fold 0 after epoch 3", "mlp #0 · pruned in fold 0 after epoch 3"),
        ("failed", "out of memory", "mlp #0 · failed: out of memory"),
        ("failed", "ValueError: a\nb" + "c" * 500, "mlp #0 · failed: ValueError: a b" + "c" * 36 + "…"),
        ("failed", None, "mlp #0 · failed"),
    ],
)
def test_the_name_of_a_run_without_a_score_has_the_reason(home, tracker, state, reason, name):
    cut = a_result(state=state, reason=reason, score=None, oof=None, test=None, curves={}, fold_scores=[])
    assert client(home).get_run(tracker.log_trial(cut, a_schema(), metric="rmse")).info.run_name == name


def test_the_name_of_an_imports_run_says_so(home, tracker):
    taken = a_result(family="mine", hyperparameters={}, curves={})
    run_id, _ = tracker.log_import(taken, a_schema(), metric="rmse")
    assert client(home).get_run(run_id).info.run_name == "mine, imported · 0.35"


@pytest.mark.parametrize("name", ["a%20b", "100%", "x%2Fy", "what?x=1#y&z", ":memory:", "it's é"])
def test_a_home_may_have_any_name(tmp_path, name):
    home = Home(tmp_path / name / "mlruns")
    run_id = Tracker(home, "s").log_trial(a_result(), a_schema(), metric="rmse")
    assert np.array_equal(Tracker(home, "s").predictions(run_id, a_schema()).oof, oof_of(a_result()))
    assert sorted(os.listdir(home.path)) == ["artifacts", "mlflow.db", "mlflow.lock"]
    # No folder has the home's name in its escaped form.
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["0", "2024", "a.b-c_d..e", "x" * 100, "Default", "trial"])
def test_every_allowed_name_of_a_study_names_its_experiment(home, name):
    tracker, schema = Tracker(home, name), a_schema()
    first = tracker.log_trial(a_result(), schema, metric="log_loss")
    assert Tracker(home, name).log_trial(a_result(), schema, metric="log_loss") == first
    experiment = client(home).get_experiment_by_name(name)
    assert experiment.experiment_id == tracker.experiment_id
    (run,) = runs(home, tracker)
    assert artifacts(run).is_relative_to(home.artifacts / name)
    assert tracker.predictions(first, schema).test is not None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("studies/own.py:score", "studies/own.py:score"),
        ("../own.py:score", "own.py:score"),
        ("/home/me/own (1).py:score", "home/me/own _1_.py:score"),
    ],
)
def test_a_metric_of_the_users_own_is_logged_under_a_name_that_mlflow_takes(home, tracker, name, shown):
    tracker.describe(metric=name, also=[], direction="maximize")
    run = client(home).get_run(tracker.log_trial(a_result(also={}), a_schema(), metric=name))
    assert run.data.metrics[shown] == 0.35
    assert client(home).get_experiment(tracker.experiment_id).tags["workbench.metric"] == shown


def test_hyperparameters_of_any_name_and_length_are_logged(home, tracker):
    given = {"units [model=cnn]": 3, "x" * 300: 4, "words": "long " * 2000} | {f"p{i}": i for i in range(150)}
    run_id = tracker.log_trial(a_result(hyperparameters=given), a_schema(), metric="log_loss")
    params = client(home).get_run(run_id).data.params
    assert len(params) == len(given)
    assert params["units _model_cnn_"] == "3"
    assert params["words"] == ("long " * 2000)[:6000]


def test_net_artifacts_are_logged_with_the_run_and_found_again(home, tracker, tmp_path):
    sizes = {"parameters": 1234, "trainable_parameters": 1200}
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "architecture.txt").write_text("layers")
    run_id = tracker.log_trial(a_result(size=sizes), a_schema(), metric="log_loss", nets=tmp_path / "seen")
    assert sizes.items() <= client(home).get_run(run_id).data.metrics.items()
    assert (tracker.net_artifacts(run_id) / "architecture.txt").read_text() == "layers"
    without = tracker.log_trial(a_result(1), a_schema(), metric="log_loss", nets=tmp_path / "nothing")
    assert tracker.net_artifacts(without) is None
    assert "parameters" not in client(home).get_run(without).data.metrics


def test_a_custom_familys_run_is_found_again_whatever_its_file_name(home, tracker):
    ids = {tracker.log_trial(a_result(family="o'my/f x.py:F"), a_schema(), metric="log_loss") for _ in range(2)}
    assert len(ids) == 1


def test_the_experiment_has_its_metric_direction_and_view(home, tracker):
    for metric in ("rmse", "log_loss"):
        tracker.describe(metric=metric, also=["accuracy"], direction="minimize", folds=3)
    tags = client(home).get_experiment(tracker.experiment_id).tags
    assert (tags["workbench.metric"], tags["workbench.direction"]) == ("log_loss", "minimize")
    shown = json.loads(
        zlib.decompress(base64.b64decode(tags["mlflow.sharedViewState.workbench"].removeprefix("deflate;")))
    )
    assert (shown["orderByKey"], shown["orderByAsc"]) == ("metrics.`log_loss`", True)
    assert {chart["metricSectionId"] for chart in shown["compareRunCharts"]} == {shown["compareRunSections"][0]["uuid"]}
    lines = [chart["selectedMetricKeys"] for chart in shown["compareRunCharts"] if chart["type"] == "LINE"]
    assert lines == [["val_loss/mean"], [f"val_loss/fold_{fold}" for fold in range(3)], ["fold_score"]]
    assert shown["selectedColumns"][:3] == ["metrics.`log_loss`", "metrics.`std`", "metrics.`accuracy`"]


def test_a_runs_duration_is_the_time_that_its_trial_took(home, tracker):
    run_id = tracker.log_trial(replace(a_result(), seconds=75.0), a_schema(), metric="log_loss")
    info = client(home).get_run(run_id).info
    assert 75 <= (info.end_time - info.start_time) / 1000 < 90


def test_an_experiment_that_was_deleted_in_the_ui_comes_back_with_its_trials(home, tracker, study):
    first = tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    client(home).delete_experiment(tracker.experiment_id)
    again = Tracker(home, study)
    again.log_trial(a_result(1), a_schema(), metric="log_loss")
    assert first in {run.info.run_id for run in runs(home, again)}
    assert len(runs(home, again)) == 2


def test_written_files_hold_no_secret_and_lie_in_the_home(home, tracker, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAGGLE_KEY", SECRET)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    run_id = tracker.log_trial(a_result(), a_schema(), metric="log_loss")
    tracker.log_ensemble(an_ensemble([run_id]), a_result().oof, None, a_schema(), metric="log_loss")
    assert os.listdir(tmp_path) == []
    files = [file for file in home.path.rglob("*") if file.is_file()]
    assert home.database in files
    assert [file for file in files if SECRET.encode() in file.read_bytes()] == []
