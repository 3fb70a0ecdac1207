"""Pages over a home: MLflow's and TensorBoard's."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_servers import listening
from test_tracking_relocate import SCHEMA

from workbench import servers
from workbench.errors import StudyError
from workbench.home import Home
from workbench.tracking import Tracker, home_index, mlflow_ui, tensorboard
from workbench.trial import TrialResult

CURVES = {
    (0, 0): {"epoch": [0, 1, 2], "loss": [3.0, 2.0, 1.0], "val_loss": [3.5, 2.5, 2.6]},
    (1, 1): {"epoch": [0, 1], "loss": [3.0, 2.0], "val_loss": [3.5, math.nan]},
}
SHOWN = "workflowType=machine_learning&viewStateShareKey=workbench"


def log_trial(home: Home, study: str, number: int = 0, *, family: str = "mlp", curves: Any = CURVES) -> str:
    """Log a trial of a study, as a search does."""
    score = 0.25 + number
    result = TrialResult(
        family, number, "complete", 1.0, {"rate": 0.1}, [score], score, oof=np.arange(6.0), curves=curves
    )
    return tracker_of(home, study).log_trial(result, SCHEMA, metric="log_loss")


def tracker_of(home: Home, study: str) -> Tracker:
    tracker = Tracker(home, study)
    tracker.describe(metric="log_loss", also=[], direction="minimize")
    return tracker


@pytest.fixture
def three_studies(home):
    """A home with three studies, written one after another."""
    own = Home(home)
    for study in ("first", "second", "third"):
        log_trial(own, study)
        time.sleep(0.01)
    return own


def test_studies_are_listed_the_newest_first(three_studies):
    assert list(home_index.studies(three_studies)) == ["third", "second", "first"]
    log_trial(three_studies, "first", 1)
    assert list(home_index.studies(three_studies)) == ["first", "third", "second"]


def test_a_study_without_trials_is_listed_and_a_deleted_one_is_not(three_studies):
    tracker_of(three_studies, "begun")
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{three_studies.database}")
    client.delete_experiment(client.get_experiment_by_name("second").experiment_id)
    client.create_experiment("somebody else's")
    assert sorted(home_index.studies(three_studies)) == ["begun", "first", "third"]
    assert {trial.study for trial in home_index.trials(three_studies)} == {"first", "third"}


def test_trials_are_listed_with_their_names_and_folders(three_studies):
    run_id = log_trial(three_studies, "second", 7, family="studies/own.py:Net")
    newest, *older = home_index.trials(three_studies)
    assert (newest.run_id, newest.study, newest.name) == (run_id, "second", "studies/own.py:Net #7 · 7.25")
    assert newest.folder == three_studies.artifacts / "second" / run_id / "artifacts"
    assert abs(newest.began - time.time()) < 60
    assert [trial.study for trial in older] == ["third", "second", "first"]


def test_an_empty_home_is_refused(tmp_path):
    for serve in (mlflow_ui.serve, tensorboard.serve):
        with (
            pytest.raises(StudyError, match=r"there is no study here yet\. Run one, or name its home with --home"),
            serve(Home(tmp_path), 5000),
        ):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_mlflows_store_is_refused(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
    with (
        pytest.raises(StudyError, match=r"must be MLflow's store. It cannot be read"),
        mlflow_ui.serve(Home(tmp_path), 5000),
    ):
        pass


def events(folder: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Return steps and values by run and tag, as TensorBoard reads them below a folder."""
    pytest.importorskip("tensorboard", reason="tensorboard, the extra of its name, is not installed")
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
    from tensorboard.util.tensor_util import make_ndarray

    board = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    found: dict[str, Any] = {}
    for run, kinds in board.Runs().items():
        for tag in kinds["tensors"]:
            points = [(event.step, float(make_ndarray(event.tensor_proto))) for event in board.Tensors(run, tag)]
            found.setdefault(run, {})[tag] = points
    return found


# TensorBoard's reader imports TensorFlow if it is installed.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_folds_curves_are_a_run_of_tensorboard(three_studies, tmp_path):
    run_id = log_trial(three_studies, "first", 1, family="studies/own.py:Net")
    done: set[str] = set()
    assert next(iter(tensorboard.write(three_studies, tmp_path / "curves", done))) == run_id
    assert len(list(tensorboard.write(three_studies, tmp_path / "curves", done))) == 3
    found = events(tmp_path / "curves")
    assert sorted(found) == sorted(
        f"{trial}/{fold}"
        for trial in ("first/mlp #0 · 0.25", "first/studies own.py:Net #1 · 1.25", "second/mlp #0 · 0.25",
                      "third/mlp #0 · 0.25")
        for fold in ("fold 0", "repeat 1 fold 1")
    )  # fmt: skip
    assert found["first/mlp #0 · 0.25/fold 0"] == {
        "loss": [(0, 3.0), (1, 2.0), (2, 1.0)],
        "val_loss": [(0, 3.5), (1, 2.5), (2, pytest.approx(2.6))],
    }
    assert found["first/mlp #0 · 0.25/repeat 1 fold 1"] == {"loss": [(0, 3.0), (1, 2.0)], "val_loss": [(0, 3.5)]}


def test_only_the_curves_of_new_trials_are_written(three_studies, tmp_path):
    pytest.importorskip("tensorboard")
    script = f"""
import sys, types
from pathlib import Path
from workbench.home import Home
from workbench.tracking import tensorboard
sys.modules["tensorboard.compat.notf"] = types.ModuleType("tensorboard.compat.notf")
done = set()
print(len(list(tensorboard.write(Home(Path({str(three_studies.path)!r})), Path({str(tmp_path / "curves")!r}), done))))
print(len(list(tensorboard.write(Home(Path({str(three_studies.path)!r})), Path({str(tmp_path / "curves")!r}), done))))
print("tensorflow" in sys.modules, "mlflow" in sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["3", "0", "False", "False"]


def test_a_trial_without_curves_or_folder_is_skipped(home, tmp_path):
    own = Home(home)
    log_trial(own, "forest", curves={})
    shutil.rmtree(own.artifacts / "forest" / log_trial(own, "forest", 1))
    assert len(list(tensorboard.write(own, tmp_path / "curves", set()))) == 2
    assert not (tmp_path / "curves").exists()


def ask(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=20) as response:
        return json.load(response)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at Linux's /proc")
def test_mlflow_shows_every_study_on_this_machine_only(three_studies):
    run_id = log_trial(three_studies, "second", 3)
    with servers.reserve_port(5000) as port, mlflow_ui.serve(three_studies, port) as server:
        server.wait()
        assert listening(server.port) == {"0100007F"}
        experiments = home_index.studies(three_studies)
        assert mlflow_ui.pages(three_studies, server) == {
            study: f"{server.address}/#/experiments/{experiments[study]}/runs?{SHOWN}"
            for study in ("second", "third", "first")
        }
        with urllib.request.urlopen(server.address, timeout=20) as response:
            assert "<title>MLflow</title>" in response.read().decode()
        run = ask(f"{server.address}/ajax-api/2.0/mlflow/runs/get?run_id={run_id}")["run"]
        assert run["info"]["run_name"] == "mlp #3 · 3.25"
        url = f"{server.address}/get-artifact?path=oof.parquet&run_uuid={run_id}"
        with urllib.request.urlopen(url, timeout=20) as response:
            assert response.read(4) == b"PAR1"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.address, timeout=2)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at Linux's /proc")
def test_tensorboard_shows_the_curves_of_trials_that_end_while_it_runs(three_studies):
    pytest.importorskip("tensorboard")
    with servers.reserve_port(tensorboard.PORT) as port, tensorboard.serve(three_studies, port) as server:
        server.wait()
        assert listening(server.port) == {"0100007F"}

        def runs() -> set[str]:
            return {run.split("/")[0] + "/" + run.split("/")[1] for run in ask(f"{server.address}/data/runs")}

        def soon(wanted: str) -> bool:
            end = time.monotonic() + 40
            while wanted not in runs() and time.monotonic() < end:
                time.sleep(0.5)
            return wanted in runs()

        assert soon("third/mlp #0 · 0.25")
        log_trial(three_studies, "third", 5)
        assert soon("third/mlp #5 · 5.25")
        command: Any = server.process.args
        folder = Path(command[-2])
        assert folder.is_dir()
    assert not folder.exists()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.address, timeout=2)


def test_unreadable_curves_are_skipped(three_studies, tmp_path):
    for trial in home_index.trials(three_studies):
        (trial.folder / "curves.parquet").write_bytes(b"torn")
    assert len(list(tensorboard.write(three_studies, tmp_path / "curves", set()))) == 3
    assert pd.DataFrame(home_index.trials(three_studies)).shape == (3, 5)
