"""Pages over a home: MLflow's, and the curves that TensorBoard is given."""

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


def tell(home: Home, study: str, number: int = 0, *, family: str = "mlp", curves: Any = CURVES) -> str:
    """Write a trial of a study as a search does."""
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
def shelf(home):
    """A home with three studies, written to one after another."""
    own = Home(home)
    for study in ("first", "second", "third"):
        tell(own, study)
        time.sleep(0.01)
    return own


def test_the_studies_are_found_the_newest_first(shelf):
    assert list(home_index.studies(shelf)) == ["third", "second", "first"]
    tell(shelf, "first", 1)
    assert list(home_index.studies(shelf)) == ["first", "third", "second"]


def test_a_study_without_trials_is_found_and_one_that_was_deleted_is_not(shelf):
    tracker_of(shelf, "begun")
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{shelf.database}")
    client.delete_experiment(client.get_experiment_by_name("second").experiment_id)
    client.create_experiment("somebody else's")
    assert sorted(home_index.studies(shelf)) == ["begun", "first", "third"]
    assert {trial.study for trial in home_index.trials(shelf)} == {"first", "third"}


def test_the_trials_are_found_with_their_names_and_folders(shelf):
    run_id = tell(shelf, "second", 7, family="studies/own.py:Net")
    newest, *older = home_index.trials(shelf)
    assert (newest.run_id, newest.study, newest.name) == (run_id, "second", "studies/own.py:Net #7 · 7.25")
    assert newest.folder == shelf.artifacts / "second" / run_id / "artifacts"
    assert abs(newest.began - time.time()) < 60
    assert [trial.study for trial in older] == ["third", "second", "first"]


def test_an_empty_home_has_nothing_to_show(tmp_path):
    for serve in (mlflow_ui.serve, tensorboard.serve):
        with (
            pytest.raises(StudyError, match=r"there is no study here yet\. Run one, or name its home with --home"),
            serve(Home(tmp_path), 5000),
        ):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_of_mlflow_is_refused(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
    with (
        pytest.raises(StudyError, match=r"must be MLflow's store. It cannot be read"),
        mlflow_ui.serve(Home(tmp_path), 5000),
    ):
        pass


def events(folder: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Return what TensorBoard would read below a folder: by run and tag, steps and values."""
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


# Whoever imports TensorBoard's reader in a process that can have TensorFlow gets TensorFlow.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_curves_of_every_fold_become_a_run_of_tensorboard(shelf, tmp_path):
    run_id = tell(shelf, "first", 1, family="studies/own.py:Net")
    done: set[str] = set()
    assert next(iter(tensorboard.write(shelf, tmp_path / "curves", done))) == run_id
    assert len(list(tensorboard.write(shelf, tmp_path / "curves", done))) == 3
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


def test_only_the_curves_of_new_trials_are_written(shelf, tmp_path):
    pytest.importorskip("tensorboard")
    script = f"""
import sys, types
from pathlib import Path
from workbench.home import Home
from workbench.tracking import tensorboard
sys.modules["tensorboard.compat.notf"] = types.ModuleType("tensorboard.compat.notf")
done = set()
print(len(list(tensorboard.write(Home(Path({str(shelf.path)!r})), Path({str(tmp_path / "curves")!r}), done))))
print(len(list(tensorboard.write(Home(Path({str(shelf.path)!r})), Path({str(tmp_path / "curves")!r}), done))))
print("tensorflow" in sys.modules, "mlflow" in sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["3", "0", "False", "False"]


def test_a_trial_without_curves_or_whose_folder_is_gone_is_passed_over(home, tmp_path):
    own = Home(home)
    tell(own, "forest", curves={})
    shutil.rmtree(own.artifacts / "forest" / tell(own, "forest", 1))
    assert len(list(tensorboard.write(own, tmp_path / "curves", set()))) == 2
    assert not (tmp_path / "curves").exists()


def ask(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=20) as response:
        return json.load(response)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at Linux's /proc")
def test_mlflow_shows_every_study_on_this_machine_only(shelf):
    run_id = tell(shelf, "second", 3)
    with servers.reserve_port(5000) as port, mlflow_ui.serve(shelf, port) as server:
        server.wait()
        assert listening(server.port) == {"0100007F"}
        experiments = home_index.studies(shelf)
        assert mlflow_ui.pages(shelf, server) == {
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
def test_tensorboard_shows_the_curves_of_trials_that_end_while_it_runs(shelf):
    pytest.importorskip("tensorboard")
    with servers.reserve_port(tensorboard.PORT) as port, tensorboard.serve(shelf, port) as server:
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
        tell(shelf, "third", 5)
        assert soon("third/mlp #5 · 5.25")
        folder = Path(server.process.args[-2])
        assert folder.is_dir()
    assert not folder.exists()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.address, timeout=2)


def test_curves_that_cannot_be_read_are_no_reason_to_end(shelf, tmp_path):
    for trial in home_index.trials(shelf):
        (trial.folder / "curves.parquet").write_bytes(b"torn")
    assert len(list(tensorboard.write(shelf, tmp_path / "curves", set()))) == 3
    assert pd.DataFrame(home_index.trials(shelf)).shape == (3, 5)
