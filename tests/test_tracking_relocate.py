"""A home that was moved or copied: its contents are found at its present place only."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench import servers
from workbench.cli.commands import app
from workbench.errors import StudyError
from workbench.home import Home
from workbench.tracking import PredictionSchema, Tracker, mlflow_store, mlflow_ui, relocate
from workbench.trial import TrialResult

SCHEMA = PredictionSchema(
    id_name="id",
    ids=np.arange(6),
    test_ids=None,
    repeats=np.zeros(6, dtype=int),
    rows=np.arange(6),
    folds=np.arange(6) % 2,
    hash="0123456789abcdef",
    outputs=("prediction",),
)
PLACES = ["elsewhere", "mein höchster Ort #1/100% of it/100%"]


def an_oof(number: int = 0) -> np.ndarray:
    """Return the out-of-fold predictions of a trial."""
    return np.random.default_rng(number).random(6)


def a_result(number: int = 0) -> TrialResult:
    return TrialResult("linear", number, "complete", 1.0, {"c": 1}, [0.5, 0.3], 0.4, oof=an_oof(number))


def log_trial(home: Home, study: str = "small", number: int = 0) -> str:
    return Tracker(home, study).log_trial(a_result(number), SCHEMA, metric="rmse")


def load_oof(home: Home, run_id: str, study: str = "small") -> np.ndarray:
    return Tracker(home, study).predictions(run_id, SCHEMA).oof


def rows(home: Home, question: str, *values: Any) -> list[Any]:
    with contextlib.closing(sqlite3.connect(home.database)) as connection, connection:
        return connection.execute(question, values).fetchall()


def dump(home: Home) -> str:
    """Return the contents of all tables of the database."""
    with contextlib.closing(sqlite3.connect(home.database)) as connection:
        return "\n".join(connection.iterdump())


@pytest.fixture
def old(home: Path) -> Home:
    """A home with a trial, in a folder `mlruns`."""
    old = Home(home)
    log_trial(old)
    return old


@pytest.fixture
def run_id(old: Home) -> str:
    return str(rows(old, "SELECT run_uuid FROM runs")[0][0])


def move(old: Home, place: str = "elsewhere") -> Home:
    new = Home(old.path.parent / place)
    new.path.parent.mkdir(parents=True, exist_ok=True)
    old.path.rename(new.path)
    return new


def copy(old: Home, place: str = "elsewhere") -> Home:
    return Home(Path(shutil.copytree(old.path, old.path.parent / place)))


@pytest.mark.parametrize("place", PLACES)
def test_a_moved_home_finds_its_artifacts(old: Home, run_id: str, place: str) -> None:
    new = move(old, place)
    for now in (new, old):
        client = mlflow_store.client(now)
        assert [file.path for file in client.list_artifacts(run_id)] == ["oof.parquet"]
        read = pd.read_parquet(client.download_artifacts(run_id, "oof.parquet"))
        assert np.array_equal(read["prediction"], an_oof())
        assert np.array_equal(load_oof(now, run_id), an_oof())
        if now is new:
            # Move it back.
            new.path.rename(old.path)


def test_a_study_continues_in_a_moved_home(old: Home, run_id: str) -> None:
    new = move(old)
    later = log_trial(new, number=1)
    other = log_trial(new, "other")
    assert rows(new, "SELECT count(*) FROM experiments WHERE name = 'small'") == [(1,)]
    assert np.array_equal(load_oof(new, later), an_oof(1))
    assert {path.parent.parent.name for path in new.artifacts.rglob("oof.parquet")} == {run_id, later, other}
    assert not old.path.exists()


@pytest.mark.parametrize("place", PLACES)
def test_no_table_of_mlflow_keeps_the_old_path(old: Home, run_id: str, place: str) -> None:
    from mlflow.entities import TraceInfo, TraceLocation, TraceState
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    client = mlflow_store.client(old)
    experiment = Tracker(old, "small").experiment_id
    model = client.create_logged_model(experiment, "net")
    client.create_registered_model("net")
    client.create_model_version("net", model.artifact_location)
    client.create_model_version("net", str(old.artifacts / "small" / run_id / "artifacts"), run_id)
    trace = TraceInfo("tr-1", TraceLocation.from_experiment_id(experiment), 0, TraceState.OK)
    SqlAlchemyStore(f"sqlite:///{old.database}", old.artifacts.as_uri()).start_trace(trace)
    client.delete_run(log_trial(old, number=1))
    before = dump(old)
    assert before.count(str(old.path)) >= 10

    new = move(old, place)
    relocate.update_paths(new)
    after = dump(new)
    assert str(old.path) not in after
    # Every spelling of the old path became that of the new one; nothing else changed.
    back = after.replace(new.artifacts.as_uri(), old.artifacts.as_uri()).replace(str(new.path), str(old.path))
    assert back == before
    folder = new.artifacts / "small" / run_id / "artifacts"
    assert mlflow_store.client(new).get_model_version_download_uri("net", "2") == str(folder)
    assert folder.is_dir()


def test_a_copy_points_to_itself_and_leaves_the_original_unchanged(old: Home, run_id: str) -> None:
    new = copy(old)
    kept = {path: path.read_bytes() for path in old.path.rglob("*") if path.is_file()}
    later = log_trial(new, number=1)
    assert {path: path.read_bytes() for path in old.path.rglob("*") if path.is_file()} == kept
    assert str(old.path) not in dump(new)
    shutil.rmtree(old.artifacts)
    assert np.array_equal(load_oof(new, run_id), an_oof())
    assert np.array_equal(load_oof(new, later), an_oof(1))
    with pytest.raises(StudyError, match=r"must have the artifact oof\.parquet"):
        load_oof(old, run_id)


def test_a_copy_of_a_study_without_artifacts_stores_new_ones_in_itself(home: Path) -> None:
    old = Home(home)
    Tracker(old, "small").describe(metric="rmse", also=[], direction="minimize")
    new = copy(old)
    log_trial(new)
    assert not old.artifacts.exists()
    assert len(list(new.artifacts.rglob("oof.parquet"))) == 1
    assert str(old.path) not in dump(new)


def test_old_paths_among_new_ones_are_updated(old: Home, run_id: str) -> None:
    new = copy(old)
    was = rows(old, "SELECT artifact_uri FROM runs")[0][0]
    later = log_trial(new, number=1)
    rows(new, "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", was, run_id)
    assert np.array_equal(load_oof(new, run_id), an_oof())
    assert np.array_equal(load_oof(new, later), an_oof(1))
    assert str(old.path) not in dump(new)


def test_paths_of_several_former_homes_are_updated(old: Home, run_id: str) -> None:
    copied = copy(old, "second")
    other = log_trial(copied, "other")
    # Restore the state of a version without relocation: the copy's first study points to the original.
    for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
        where = "name <> 'other'" if table == "experiments" else f"run_uuid = '{run_id}'"
        replaced = f"replace({column}, '/second/', '/{old.path.name}/')"
        rows(copied, f"UPDATE {table} SET {column} = {replaced} WHERE {where}")
    assert str(old.path) in dump(copied)
    new = move(copied, "third")
    shutil.rmtree(old.path)
    assert np.array_equal(load_oof(new, run_id), an_oof())
    assert np.array_equal(load_oof(new, other, "other"), an_oof())
    assert str(old.path) not in dump(new)
    assert str(copied.path) not in dump(new)


@pytest.mark.parametrize("place", ["mine", "nas/artifacts/shared", "mlruns/artifacts-of-mine/shared", "nas/artifacts/"])
def test_artifacts_outside_of_a_home_keep_their_paths(old: Home, run_id: str, tmp_path: Path, place: str) -> None:
    client = mlflow_store.client(old)
    location = f"{tmp_path.as_uri()}/{place}"
    own = client.create_run(client.create_experiment("shared", artifact_location=location)).info.run_id
    far = client.create_run(client.create_experiment("far", artifact_location="s3://mine/artifacts/small")).info.run_id
    (tmp_path / "note.txt").write_text("kept")
    client.log_artifact(own, str(tmp_path / "note.txt"))
    before = [client.get_run(each).info.artifact_uri for each in (own, far)]
    shared = client.get_experiment_by_name("shared").artifact_location
    new = copy(old)
    client = mlflow_store.client(new)
    assert [client.get_run(each).info.artifact_uri for each in (own, far)] == before
    assert client.get_experiment_by_name("shared").artifact_location == shared
    assert Path(client.download_artifacts(own, "note.txt")).read_text() == "kept"
    assert np.array_equal(load_oof(new, run_id), an_oof())


def test_a_home_that_has_not_moved_is_not_written_to(old: Home) -> None:
    before = old.database.read_bytes(), old.database.stat().st_mtime_ns
    # A write would wait for this other writer.
    with contextlib.closing(sqlite3.connect(old.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        relocate.update_paths(old)
    assert (old.database.read_bytes(), old.database.stat().st_mtime_ns) == before


def test_several_threads_may_open_a_moved_home_at_once(old: Home, run_id: str) -> None:
    new = move(old)
    together = threading.Barrier(8)

    def update(_: int) -> None:
        together.wait()
        relocate.update_paths(new)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(update, range(8)))
    assert str(old.path) not in dump(new)
    assert np.array_equal(load_oof(new, run_id), an_oof())


DIES = """
import functools, os, signal, sqlite3, sys
from pathlib import Path

from workbench.home import Home
from workbench.tracking import relocate

left = [int(sys.argv[2])]

def count(statement):
    left[0] -= statement.startswith("UPDATE")
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)

class Dying(sqlite3.Connection):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        # Without a cache, changes reach the file before the commit.
        self.execute("PRAGMA cache_size = 1")
        self.set_trace_callback(count)

sqlite3.connect = functools.partial(sqlite3.connect, factory=Dying)
relocate.update_paths(Home(Path(sys.argv[1])))
"""


@pytest.mark.slow
def test_an_update_after_a_killed_one_begins_anew(old: Home, run_id: str) -> None:
    # More rows than fit into the process's cache.
    rows(
        old,
        """
        INSERT INTO runs (run_uuid, experiment_id, artifact_uri, status, lifecycle_stage)
        WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 3000)
        SELECT 'copy' || n, experiment_id, replace(artifact_uri, run_uuid, 'copy' || n), 'FINISHED', 'active'
        FROM count, runs
        """,
    )
    new = move(old)
    for updates in (1, 3, 8):
        command = [sys.executable, "-c", DIES, str(new.path), str(updates)]
        died = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert died.returncode == -signal.SIGKILL, died.stderr
        assert Path(f"{new.database}-journal").exists()
        # A reader rolls back; the next update must do so itself.
        seen = dump(copy(new, f"seen-{updates}"))
        assert seen.count(old.artifacts.as_uri()) > 3000
        assert new.artifacts.as_uri() not in seen
    assert np.array_equal(load_oof(new, run_id), an_oof())
    assert str(old.path) not in dump(new)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only, also for root."""
    parts = [folder, *folder.rglob("*")]
    for part in parts:
        part.chmod(0o555 if part.is_dir() else 0o444)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for part in parts:
            part.chmod(0o755 if part.is_dir() else 0o644)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights are those of POSIX")
def test_a_read_only_home_is_opened_if_it_has_not_moved_and_refused_otherwise(old: Home) -> None:
    # Other users cannot read pytest's own folders.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        new = Home(Path(shutil.copytree(old.path, Path(folder) / "mlruns")))
        with read_only(new.path), pytest.raises(StudyError) as refused:
            mlflow_store.client(new)
        message = str(refused.value)
        assert message.startswith(
            f"{new.path}: the home was {old.path} before, and the paths in mlflow.db must be mended"
        )
        assert message.endswith("Make it writable, or copy the home to where it is.")
        assert "\n" not in message
        relocate.update_paths(new)
        with read_only(new.path):
            relocate.update_paths(new)


def test_a_database_that_is_not_mlflows_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for text in (b"no database" * 100, b""):
        home.database.write_bytes(text)
        with pytest.raises(StudyError, match=r"mlflow\.db: must be MLflow's store. It cannot be read"):
            mlflow_store.client(home)


@pytest.mark.slow
def test_the_ui_opens_the_artifacts_of_a_moved_home(old: Home, run_id: str) -> None:
    new = move(old, PLACES[1])
    with servers.reserve_port(5000) as port, mlflow_ui.serve(new, port) as server:
        server.wait()
        url = f"{server.address}/get-artifact?path=oof.parquet&run_uuid={run_id}"
        with urllib.request.urlopen(url, timeout=10) as response:
            assert response.read() == (new.artifacts / "small" / run_id / "artifacts" / "oof.parquet").read_bytes()
        url = f"{server.address}/ajax-api/2.0/mlflow/artifacts/list?run_id={run_id}"
        with urllib.request.urlopen(url, timeout=10) as response:
            assert [file["path"] for file in json.load(response)["files"]] == ["oof.parquet"]


STUDY = """
name: small
data: {train: train.csv, test: test.csv, target: y, id: row}
metric: log_loss
folds: {folds: 3}
families: [linear, extra_trees]
search: {trials: 3, workers: 1}
"""


@pytest.mark.slow
def test_every_verb_works_on_a_moved_home(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 150)
    frame = pd.DataFrame({"row": np.arange(150), "length": y + rng.normal(size=150) / 2, "y": y})
    frame[:100].to_csv(tmp_path / "train.csv", index=False)
    frame[100:].drop(columns="y").to_csv(tmp_path / "test.csv", index=False)
    (tmp_path / "small.yaml").write_text(STUDY)
    old = Home(home)

    def run_verb(verb: str, *words: str, at: Home) -> Any:
        capsys.readouterr()
        app([verb, str(tmp_path / "small.yaml"), *words, "--home", str(at.path), "--json"], standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    # In a process of its own, because MLflow caches the location of a run's artifacts.
    run = [sys.executable, "-m", "workbench", "run", str(tmp_path / "small.yaml"), "--home", str(old.path)]
    subprocess.run([*run, "-o", str(tmp_path / "first.csv")], capture_output=True, check=True, timeout=120)
    board = run_verb("leaderboard", at=old)
    new = move(old, PLACES[1])
    assert run_verb("leaderboard", at=new) == board
    out = tmp_path / "again.csv"
    assert (
        Path(run_verb("submit", "-o", str(out), at=new)["path"]).read_bytes() == (tmp_path / "first.csv").read_bytes()
    )
    made = run_verb("ensemble", at=new)
    assert {member["run_id"] for member in made["members"]} <= {row["run_id"] for row in board}
    assert (new.artifacts / "small" / made["run_id"] / "artifacts" / "ensemble.json").exists()
    assert run_verb("submit", "-o", str(out), at=new)["run_id"] == made["run_id"]
    assert run_verb("predict", str(tmp_path / "test.csv"), "-o", str(out), at=new)["rows"] == 50
    trials = run_verb("run", "--trials", "4", "-o", str(out), at=new)["trials"]
    assert trials["complete"] + trials["pruned"] == 4
    assert not old.path.exists()
    assert str(old.path) not in dump(new)
