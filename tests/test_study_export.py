"""What predicts leaves the house: as a folder, as models that MLflow logs, registers, loads and serves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import workbench
from workbench.cli.commands import app
from workbench.data.column_types import FittedColumn
from workbench.data.tables import TableReader
from workbench.ensemble.aggregation import Aggregation, LinearStack, PerOutput, RankAverage, WeightedMean
from workbench.errors import ConfigError, StudyError
from workbench.home import Home
from workbench.inference import predictor
from workbench.inference.predictor import Member, Predictor, StoredModel
from workbench.models import FAMILIES
from workbench.models.tabular.constant import ConstantModel
from workbench.study import Study
from workbench.study.export import requirements
from workbench.submission import SubmissionLayout
from workbench.tracking import mlflow_store
from workbench.tracking.model_registry import ModelRegistry

AGGREGATIONS: dict[str, Aggregation] = {
    "mean": WeightedMean(),
    "ranks": RankAverage((np.array([0.1, 0.2, 0.4]), np.array([0.3, 0.5, 0.9]))),
    "stack": LinearStack(1.5, np.array([-0.2]), classified=True),
}


def two_constants(folder: Path, aggregation: Aggregation) -> Predictor:
    """Return a predictor of two members, one of two models, that say 0.2 and 0.4 + 0.6 for every row."""
    members = []
    for number, (weight, values) in enumerate([(0.25, [0.2]), (0.75, [0.4, 0.6])]):
        places = [folder / f"{number}-{value}" for value in values]
        for place, value in zip(places, values, strict=True):
            place.mkdir(parents=True)
            ConstantModel([value]).save(place)
        stored = [StoredModel("constant", place) for place in places]
        members.append(Member(f"constant #{number}", "constant", weight, [stored]))
    columns = {"a": FittedColumn("number"), "day": FittedColumn("date", "%d.%m.%Y")}
    reader = TableReader("table", "t.csv", id_column="id", columns=columns, numbers=("a",), optional=("day",))
    layout = SubmissionLayout({"p_no": 0, "id": "id", "p_yes": 1, "y": "label"}, ("no", "yes"))
    return Predictor(reader, members, aggregation, layout, threshold=0.45)


ROWS = pd.DataFrame({"day": ["1.5.2026", None], "a": [1, 2], "id": ["x", "y"]})


@pytest.mark.parametrize("aggregation", AGGREGATIONS.values(), ids=AGGREGATIONS.keys())
def test_a_written_predictor_predicts_the_same_without_the_original_models(
    tmp_path: Path, aggregation: Aggregation
) -> None:
    made = two_constants(tmp_path / "home", aggregation)
    expected = made.predict(ROWS)
    made.write(tmp_path / "leaves" / "bundle")
    shutil.rmtree(tmp_path / "home")
    shutil.move(tmp_path / "leaves", tmp_path / "elsewhere")
    again = predictor.read(tmp_path / "elsewhere" / "bundle")
    pd.testing.assert_frame_equal(again.predict(ROWS), expected)
    loaded = again.load_models()
    shutil.rmtree(tmp_path / "elsewhere")
    pd.testing.assert_frame_equal(loaded.predict(ROWS), expected)
    assert list(expected) == ["p_no", "id", "p_yes", "y"]
    assert list(expected.id) == ["x", "y"]


def test_a_predictor_keeps_to_the_range_of_the_metric_also_after_it_was_written(tmp_path: Path) -> None:
    made = two_constants(tmp_path / "home", LinearStack(1.0, np.array([-0.4]), classified=False))
    layout = SubmissionLayout({"id": "id", "y": "value"}, None)
    free = replace(made, layout=layout, threshold=None)
    assert free.predict(ROWS).y.tolist() == pytest.approx([0.25 * 0.2 + 0.75 * 0.5 - 0.4] * 2)
    bound = replace(free, bounds=0.3)
    bound.write(tmp_path / "bundle")
    # The first member says 0.2, which is raised to 0.3 before the mean; so is the result.
    for each in (bound, predictor.read(tmp_path / "bundle")):
        assert each.predict(ROWS).y.tolist() == pytest.approx([0.3] * 2)
    raised = replace(bound, aggregation=WeightedMean())
    assert raised.predict(ROWS).y.tolist() == pytest.approx([0.25 * 0.3 + 0.75 * 0.5] * 2)


def test_the_mean_of_members_is_labelled_at_the_ensembles_threshold_and_a_member_alone_at_a_half(
    tmp_path: Path,
) -> None:
    made = two_constants(tmp_path, WeightedMean())
    assert made.predict(ROWS).p_yes.tolist() == pytest.approx([0.25 * 0.2 + 0.75 * 0.5] * 2)
    assert made.predict(ROWS).y.tolist() == ["no", "no"]
    alone = made.select_member(1).predict(ROWS)
    assert (alone.p_yes.tolist(), alone.y.tolist()) == ([0.5, 0.5], ["yes", "yes"])


def test_a_server_may_be_sent_rows_without_what_training_rows_lacked_sometimes(tmp_path: Path) -> None:
    made = two_constants(tmp_path, WeightedMean())
    assert made.serve(ROWS[["a"]]).id.tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"must have the feature columns of t.csv. It lacks 'a'"):
        made.serve(ROWS[["day"]])
    with pytest.raises(ValueError, match=r"It lacks 'day'"):
        made.predict(ROWS[["a"]])


def test_a_predictor_of_several_targets_weighs_each_separately_also_after_it_was_written(tmp_path: Path) -> None:
    made = two_constants(tmp_path / "home", WeightedMean())
    weights = [{"sold": 0.25, "price": 1.0}, {"sold": 0.75, "price": 0.0}]
    members = []
    for number, (member, own) in enumerate(zip(made.members, weights, strict=True)):
        place = tmp_path / f"several-{number}"
        place.mkdir()
        ConstantModel([0.2 + 0.3 * number, 10.0 + number]).save(place)
        members.append(replace(member, trials=[[StoredModel("constant", place)]], weights=own))
    shown: dict[str, Any] = {"id": "id", "sold": "label", "price": "value"}
    owners = {"sold": "sold", "price": "price"}
    layout = SubmissionLayout(shown, None, {"sold": ("no", "yes"), "price": None}, owners)
    aggregation = PerOutput(((0, 1), (1, 2)), (WeightedMean(), WeightedMean()))
    several = replace(
        made, members=members, aggregation=aggregation, layout=layout, threshold={"sold": 0.4, "price": None}
    )
    expected = several.predict(ROWS)
    assert expected.sold.tolist() == ["yes", "yes"]
    assert expected.price.tolist() == pytest.approx([10.0, 10.0])
    several.write(tmp_path / "bundle")
    pd.testing.assert_frame_equal(predictor.read(tmp_path / "bundle").predict(ROWS), expected)
    assert several.select_member(1).predict(ROWS).price.tolist() == pytest.approx([11.0, 11.0])


def test_what_must_be_installed_is_pinned_and_no_more_than_the_members_need(tmp_path: Path) -> None:
    made = two_constants(tmp_path, WeightedMean())
    pinned = requirements(made)
    names = [line.partition("==")[0] for line in pinned]
    assert all(line.partition("==")[2] for line in pinned)
    assert {"mlflow", "scikit-learn", "pyyaml", "skrub"} <= set(names)
    assert not {"keras", "tensorflow-cpu", "tensorflow", "xgboost-cpu", "optuna", "workbench"} & set(names)
    # A family may stand on two libraries.
    both = replace(made, members=[replace(made.members[0], family="dae_xgboost")])
    names = [line.partition("==")[0].removesuffix("-cpu") for line in requirements(both)]
    assert {"keras", "tensorflow", "xgboost"} <= set(names)


STUDIES = {
    # Words, holes and dates; labels, with a threshold; the positive class and the sample's columns in an order.
    "labels": """
name: labels
data: {train: train.csv, test: test.csv, sample_submission: sample.csv, target: sold, id: key}
metric: f1_macro
folds: {folds: 2}
families: [linear, xgboost, extra_trees]
search: {trials: 4, workers: 2, pruner: none}
ensemble: {method: uniform}
""",
    "ranks": """
name: ranks
data: {train: train.csv, test: test.csv, target: sold, id: key}
metric: roc_auc
folds: {folds: 2}
families: [linear]
search: {trials: 3, workers: 2, pruner: none}
ensemble: {method: rank}
""",
    "amounts": """
name: amounts
data: {train: train.csv, test: test.csv, target: price, drop: [sold, key]}
metric: rmsle
folds: {folds: 2, repeats: 2}
families: [linear, xgboost]
search: {trials: 3, workers: 2, pruner: none}
ensemble: {method: uniform, final: refit}
""",
    "digits": """
name: digits
data: {train: "sklearn:digits"}
metric: log_loss
folds: {folds: 2}
families: [linear, xgboost]
search: {trials: 3, workers: 2, pruner: none}
ensemble: {method: uniform}
""",
}
STRANGE = {"town": "Atlantis", "size": None, "when": None}


class Ran(NamedTuple):
    """A study that was run, and what to ask it."""

    folder: Path
    name: str

    @property
    def file(self) -> str:
        return str(self.folder / f"{self.name}.yaml")

    @property
    def home(self) -> Home:
        return Home(self.folder / "mlruns")

    @property
    def study(self) -> Study:
        return workbench.open(self.file, str(self.home.path))

    @property
    def rows(self) -> Any:
        """Rows to predict, with holes and an unseen category; images for the study of digits."""
        if self.name == "digits":
            return self.study.task.dataset.x_test
        test = pd.read_csv(self.folder / "test.csv")
        return pd.concat([test, test[:1].assign(**STRANGE, key="new")], ignore_index=True)

    def command(self, *words: str) -> None:
        verb, *options = words
        app([verb, self.file, *options, "--home", str(self.home.path)], standalone_mode=False)

    def models(self, kind: str) -> list[Any]:
        client = mlflow_store.client(self.home)
        experiment = client.get_experiment_by_name(self.name).experiment_id
        return list(client.search_logged_models([experiment], f"tags.`workbench.model` = '{kind}'"))


def write(folder: Path) -> None:
    """Write a table of houses, of which some were sold, and for how much."""
    rng = np.random.default_rng(5)
    rows = 140
    size = rng.normal(size=rows)
    frame = pd.DataFrame(
        {"key": [f"h{i}" for i in range(rows)], "size": np.where(rng.random(rows) < 0.1, np.nan, size)}
    )
    frame["rooms"] = rng.integers(1, 6, rows)
    frame["town"] = np.where(rng.random(rows) < 0.1, np.array(None), np.array(["Rome", "Oslo"])[(size > 0).astype(int)])
    frame["when"] = [f"{1 + i % 28:02}.{1 + i % 12:02}.2026" if i % 9 else None for i in range(rows)]
    frame["sold"] = np.where(size + rng.normal(size=rows) / 2 > 0.8, "yes", "no")
    frame["price"] = np.exp(size + frame.rooms / 3)
    frame[:100].drop(columns="price").to_csv(folder / "train.csv", index=False)
    test = frame[100:].drop(columns=["price", "sold"])
    test.to_csv(folder / "test.csv", index=False)
    pd.DataFrame({"sold": "no", "key": test.key}).to_csv(folder / "sample.csv", index=False)


def amounts(folder: Path) -> None:
    """Write the same table for a study of prices."""
    write(folder)
    for name in ("train.csv", "test.csv"):
        frame = pd.read_csv(folder / name)
        frame.assign(sold="", price=np.exp(frame.rooms / 3)).to_csv(folder / name, index=False)


WRITE: dict[str, Callable[[Path], None]] = {"labels": write, "ranks": write, "amounts": amounts, "digits": write}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Callable[[str], Ran]:
    """Return a function that gives a study by name, run when it is first asked for."""
    known: dict[str, Ran] = {}

    def make(name: str) -> Ran:
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            WRITE[name](folder)
            (folder / f"{name}.yaml").write_text(STUDIES[name])
            (folder / "mlruns").mkdir()
            shutil.copy(database, folder / "mlruns" / database.name)
            known[name] = Ran(folder, name)
            known[name].study.run(out=folder / "s.csv")
        return known[name]

    return make


@pytest.fixture
def ran(made: Callable[[str], Ran], tmp_path: Path, request: pytest.FixtureRequest) -> Ran:
    """A copy of a study, to do with as a test likes."""
    name = getattr(request, "param", "labels")
    shutil.copytree(made(name).folder, tmp_path / "copy")
    return Ran(tmp_path / "copy", name)


# Loads a model where nothing of this project can be imported but what the model brought; predicts; says what it used.
ELSEWHERE = """
import sys, pickle
import numpy as np, pandas as pd, mlflow.pyfunc
place, rows, out = sys.argv[1:]
model = mlflow.pyfunc.load_model(place)
given = np.load(rows) if rows.endswith(".npy") else pd.read_parquet(rows)
model.predict(given).to_parquet(out)
import workbench
heavy = sorted({"tensorflow", "optuna", "keras"} & set(sys.modules))
print(workbench.__file__, *heavy)
"""


def elsewhere(model: Path, rows: Any, folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """Predict in a process that has no way to this project; return the predictions, and what was imported."""
    folder.mkdir()
    given, out = folder / ("rows.npy" if isinstance(rows, np.ndarray) else "rows.parquet"), folder / "out.parquet"
    if isinstance(rows, np.ndarray):
        np.save(given, rows)
    else:
        # MLflow refuses whole numbers where a fraction may come.
        whole = [name for name in rows.select_dtypes("integer") if name != "key"]
        rows.astype(dict.fromkeys(whole, float)).to_parquet(given)
    words = [sys.executable, "-I", "-c", ELSEWHERE, str(model), str(given), str(out)]
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return pd.read_parquet(out), ended.stdout.splitlines()[-1].split()


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    assert list(one) == list(other)
    for name in one:
        if one[name].dtype.kind == "f":
            np.testing.assert_allclose(one[name], other[name], atol=1e-6, rtol=0)
        else:
            assert one[name].tolist() == other[name].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ran", "method"), [("labels", "uniform"), ("labels", "stack"), ("ranks", "rank")], indirect=["ran"]
)
def test_a_models_folder_predicts_where_neither_study_nor_project_are(
    ran: Ran, method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensemble = ran.study.ensemble(method=method)
    expected = ensemble.predict(ran.rows)
    same(ran.study.predict(ran.rows), expected)
    capsys.readouterr()
    ran.command("export", "-o", str(tmp_path / "model"), "--json")
    messages = json.loads(capsys.readouterr().out)
    assert (messages["path"], messages["registered"]) == (str(tmp_path / "model"), None)
    assert messages["run_id"] == ensemble.result.run_id
    rows = ran.rows
    shutil.rmtree(ran.folder)
    got, (used, *heavy) = elsewhere(tmp_path / "model", rows, tmp_path / "away")
    same(got, expected)
    assert (Path(used), heavy) == (tmp_path / "model" / "code" / "workbench" / "__init__.py", [])
    assert ran.name == "ranks" or set(got.sold) == {"yes", "no"}
    assert got.key.tolist()[-1] == "new"
    suffixes = {file.suffix for file in (tmp_path / "model" / "bundle").rglob("*") if file.is_file()}
    assert suffixes <= {".json", ".skops", ".ubj", ".npz"}


@pytest.mark.slow
@pytest.mark.parametrize("ran", ["amounts", "digits"], indirect=True)
def test_values_trained_on_as_logarithms_and_images_leave_as_well(ran: Ran, tmp_path: Path) -> None:
    expected = ran.study.predict(ran.rows)
    assert ran.study.export(tmp_path / "model")["path"] == str(tmp_path / "model")
    rows = ran.rows
    shutil.rmtree(ran.folder)
    got, _ = elsewhere(tmp_path / "model", rows, tmp_path / "away")
    same(got, expected)
    assert list(got) == (["id", "price"] if ran.name == "amounts" else ["id", *(f"target_{i}" for i in range(10))])


@pytest.mark.slow
def test_a_run_logs_the_ensemble_and_its_members_and_the_next_frees_them(ran: Ran) -> None:
    study = ran.study
    newest = study.store.tracker.newest_ensemble()
    (ensemble,), members = ran.models("ensemble"), ran.models("member")
    assert ensemble.source_run_id == newest.run_id
    assert {each.source_run_id for each in members} == {member.run_id for member in newest.members}
    assert {each.status.name for each in [ensemble, *members]} == {"READY"}
    assert [(metric.key, metric.value) for metric in ensemble.metrics] == [("f1_macro", newest.score)]
    outputs = mlflow_store.client(ran.home).get_run(newest.run_id).outputs.model_outputs
    assert [each.model_id for each in outputs] == [ensemble.model_id]
    client = mlflow_store.client(ran.home)
    killed = client.create_logged_model(ensemble.experiment_id, "ensemble", tags={"workbench.model": "ensemble"})
    Path(killed.artifact_location.removeprefix("file://")).mkdir(parents=True)
    again = study.export()
    assert [f"models:/{each.model_id}" for each in ran.models("ensemble")] == [again["model_uri"]]
    place = ran.home.artifacts / "labels" / "models"
    left = {each.model_id for each in [*ran.models("ensemble"), *ran.models("member")]}
    assert {folder.name for folder in place.iterdir()} == left
    assert Path(again["path"]).is_relative_to(place)


@pytest.mark.slow
def test_a_run_trains_nothing_for_its_models_and_leaves_them_out_without_time_or_room(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = ran.study.run(trials=5, out=ran.folder / "s.csv")
    assert summary.model_uri == f"models:/{ran.models('ensemble')[0].model_id}"
    short = ran.study.run(minutes=0.001, out=ran.folder / "s.csv")
    assert short.model_uri is None
    monkeypatch.setattr("workbench.study.export.MOST", 1000)
    assert ran.study.run(trials=5, out=ran.folder / "s.csv").model_uri is None
    monkeypatch.undo()
    shutil.rmtree(ran.home.checkpoints("labels"))
    assert ran.study.run(trials=5, out=ran.folder / "s.csv").model_uri is None
    assert not ran.home.checkpoints("labels").exists()
    messages: list[str] = []
    ran.study.export(listen=messages.append)
    assert messages[0].startswith("Training ")


@pytest.mark.slow
def test_registered_versions_stay_and_the_newest_is_found_by_its_alias_in_a_home_that_moved(
    ran: Ran, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, expected = ran.rows, ran.study.predict(ran.rows)
    for version in (1, 2):
        capsys.readouterr()
        ran.command("export", "--register", "--json")
        messages = json.loads(capsys.readouterr().out)
        assert messages["registered"] == {"name": "labels", "version": version, "alias": "newest"}
    assert len(ran.models("ensemble")) == 2
    shutil.move(ran.folder, tmp_path / "moved")
    moved = Ran(tmp_path / "moved", "labels")
    client = mlflow_store.client(moved.home)
    version = client.get_model_version_by_alias("labels", "newest")
    assert int(version.version) == 2
    for number in ("1", "2"):
        place = Path(client.get_model_version_download_uri("labels", number).removeprefix("file://"))
        assert place.is_relative_to(moved.home.artifacts)
        same(elsewhere(place, rows, tmp_path / f"away{number}")[0], expected)
    assert ModelRegistry(moved.home, "labels").folder(messages["model_uri"].removeprefix("models:/")) == place


@pytest.mark.slow
def test_what_cannot_be_exported_is_refused_in_one_line(ran: Ran, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"copy: must be a new or an empty folder. Received: one with files"):
        ran.command("export", "-o", str(ran.folder))
    tracker, schema = ran.study.store.tracker, ran.study.task.schema
    ensemble = tracker.newest_ensemble()
    known = tracker.predictions(ensemble.run_id, schema)
    stranger = replace(ensemble.members[0], run_ids=("elsewhere",), name="their net")
    tracker.log_ensemble(replace(ensemble, members=(stranger,)), known.oof, known.test, schema, metric="f1_macro")
    with pytest.raises(StudyError, match=r"cannot be trained here: their net \(not a trial of this study\)"):
        ran.command("export")
    shutil.rmtree(ran.home.path)
    with pytest.raises(StudyError, match="has no ensemble yet"):
        ran.command("export")


@contextmanager
def served(model: Path, folder: Path) -> Iterator[str]:
    """Serve a model with MLflow on this machine only, where nothing of this project can be imported but its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", str(model), "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    # The server starts Python by name, so that must be the one that the tests run with.
    own["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
    command = [sys.executable, "-m", "mlflow", "models", "serve", *words]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=own, stdout=log, stderr=log, start_new_session=True)
    try:
        link, began = f"http://127.0.0.1:{port}", time.monotonic()
        while not _answers(f"{link}/ping"):
            assert server.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() - began < 240, (folder / "log.txt").read_text()
            time.sleep(0.3)
        yield f"{link}/invocations"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _answers(link: str) -> bool:
    try:
        return bool(urllib.request.urlopen(link).status == 200)
    except OSError:
        return False


def post(link: str, body: Any, form: str = "application/json") -> pd.DataFrame:
    """Return what the server predicts."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(link, sent, {"Content-Type": form})
    return pd.DataFrame(json.loads(urllib.request.urlopen(request).read())["predictions"])


@pytest.mark.slow
def test_mlflow_serves_the_predictions_for_every_form_of_rows(ran: Ran, tmp_path: Path) -> None:
    ran.study.export(tmp_path / "model")
    rows = ran.rows.reset_index(drop=True)
    rows.to_csv(ran.folder / "new.csv", index=False)
    ran.command("predict", str(ran.folder / "new.csv"), "-o", str(ran.folder / "out.csv"))
    expected = pd.read_csv(ran.folder / "out.csv")
    plain = rows.astype(object).where(rows.notna(), None)
    (tmp_path / "away").mkdir()
    with served(tmp_path / "model", tmp_path / "away") as link:
        split = {"columns": list(plain), "data": plain.to_numpy().tolist()}
        same(post(link, {"dataframe_split": split}), expected)
        spare = [{key: value for key, value in row.items() if value is not None} for row in plain.to_dict("records")]
        same(post(link, {"dataframe_records": spare}), expected)
        same(post(link, {"inputs": {name: values.tolist() for name, values in plain.items()}}), expected)
        same(post(link, (ran.folder / "new.csv").read_bytes(), "text/csv"), expected)
        example = json.loads((tmp_path / "model" / "serving_input_example.json").read_text())
        assert len(post(link, example)) == 5
        twice = {"dataframe_records": [spare[0], spare[0]]}
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(link, twice)
        assert refused.value.code == 400
        assert b"must name each row once" in refused.value.read()


@pytest.mark.slow
def test_a_net_and_the_trees_of_every_library_leave_without_pickle(tmp_path: Path, home: Path) -> None:
    write(tmp_path)
    families = [name for name in ("lightgbm", "catboost", "mlp", "wide_and_deep") if FAMILIES[name].installed]
    text = STUDIES["labels"].replace("[linear, xgboost, extra_trees]", f"[{', '.join(families)}]")
    text = text.replace("f1_macro", "log_loss").replace("sample_submission: sample.csv, ", "")
    (tmp_path / "labels.yaml").write_text(text)
    ran = Ran(tmp_path, "labels")
    ran.study.run(trials=1 + len(families), out=tmp_path / "s.csv")
    expected = ran.study.predict(ran.rows)
    ran.study.export(tmp_path / "model")
    got, (_, *heavy) = elsewhere(tmp_path / "model", ran.rows, tmp_path / "away")
    same(got, expected)
    assert "optuna" not in heavy
    suffixes = {file.suffix for file in (tmp_path / "model" / "bundle").rglob("*") if file.is_file()}
    assert {".keras", ".skops"} <= suffixes <= {".json", ".skops", ".keras", ".cbm", ".txt"}
    assert "keras==" in (tmp_path / "model" / "requirements.txt").read_text()
