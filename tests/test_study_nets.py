"""A study of images from end to end: what its nets look like and look at, in MLflow and in the report."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from test_models_images import make_images

import workbench
from workbench.home import Home
from workbench.models.nn import architecture, inspection
from workbench.study import Study, report_inputs
from workbench.tracking.mlflow_store import client

pytestmark = pytest.mark.slow

STUDY = """
name: bright
data: {train: train.npz}
metric: log_loss
folds: {folds: 2}
families: [cnn]
search: {trials: 3, workers: 1, pruner: none}
training: {epochs: 2}
ensemble: {method: uniform}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """The folder of a study that was run once."""
    folder = tmp_path_factory.mktemp("nets")
    np.savez(folder / "train.npz", x=make_images(60, 9, 9), y=np.array(["dark", "bright"])[np.arange(60) % 2])
    (folder / "bright.yaml").write_text(STUDY)
    (folder / "mlruns").mkdir()
    shutil.copy(database, folder / "mlruns" / database.name)
    opened(folder).run()
    return folder


def opened(folder: Path) -> Study:
    return workbench.open(str(folder / "bright.yaml"), str(folder / "mlruns"))


def test_the_run_of_a_trial_has_the_size_and_the_layers_of_its_nets(finished: Path) -> None:
    study = opened(finished)
    rows = [row for row in study.trials() if row.family == "cnn"]
    assert len(rows) == 2
    for row in rows:
        assert row.parameters is not None
        assert row.parameters > 100
        folder = study.store.tracker.net_artifacts(row.run_id)
        assert folder is not None
        assert f"{row.parameters:,} parameters" in (folder / architecture.TABLE).read_text()
    (baseline,) = [row for row in study.trials() if row.family == "constant"]
    assert baseline.parameters is None
    assert study.store.tracker.net_artifacts(baseline.run_id) is None
    assert set(study.leaderboard()["parameters"].dropna()) == {row.parameters for row in rows}


def test_mlflows_table_has_a_column_for_the_size_of_nets(finished: Path) -> None:
    tracker = opened(finished).store.tracker
    tags = client(Home(finished / "mlruns")).get_experiment(tracker.experiment_id).tags
    shown = zlib.decompress(base64.b64decode(tags["mlflow.sharedViewState.workbench"].removeprefix("deflate;")))
    assert "metrics.`parameters`" in json.loads(shown)["selectedColumns"]


def test_the_best_trial_of_a_family_is_looked_into(finished: Path) -> None:
    study = opened(finished)
    best = next(row for row in study.trials() if row.family == "cnn")
    folder = study.store.tracker.net_artifacts(best.run_id)
    assert folder is not None
    look = inspection.ImageInspection.load(folder / inspection.FILE)
    assert look.images.shape[1:] == (9, 9, 1)
    assert (folder / architecture.DIAGRAM).exists() == (shutil.which("dot") is not None)
    # The shown rows were held out, so the stored predictions are those of the model.
    own = study.task
    oof = study.store.tracker.predictions(best.run_id, own.schema, test=False).oof[own.schema.folds == 1]
    sure = np.where(oof >= 0.5, oof, 1 - oof)
    assert all(np.isclose(sure, probability).any() for probability in look.probability)


def test_what_was_seen_outlasts_the_weights_and_is_in_the_report(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    study = opened(tmp_path / "copy")
    study.gc()
    shutil.rmtree(study.home.checkpoints("bright"))
    data = report_inputs.gather_report(study.task, study.store, study.trials())
    named = [each.name for each in data.architectures]
    assert data.ensemble is not None
    assert [member.name for member in data.ensemble.members if "cnn" in member.name] == named
    assert set(data.image_inspections) <= set(named)
    text = study.report(tmp_path / "r.html").read_text()
    for mark in ('id="architectures"', 'id="figure-grad_cam"', 'id="figure-filters"'):
        assert mark in text
    markdown = study.report(tmp_path / "r.md", markdown=True).read_text()
    assert "## Architectures" in markdown
    assert "(Conv2D)" in markdown
    assert (tmp_path / "r" / "grad_cam.png").exists()


def test_what_cannot_be_read_is_said(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    study = opened(tmp_path / "copy")
    for file in (tmp_path / "copy").rglob(inspection.FILE):
        file.write_bytes(b"PK no more")
    data = report_inputs.gather_report(study.task, study.store, study.trials())
    assert not data.image_inspections
    assert data.architectures
    assert [note for note in data.notes if "What there is to see of the nets of cnn" in note]


def test_a_report_of_nets_needs_no_tensorflow(finished: Path, tmp_path: Path) -> None:
    code = (
        "import sys, workbench\n"
        f"study = workbench.open({str(finished / 'bright.yaml')!r}, {str(finished / 'mlruns')!r})\n"
        f"study.report({str(tmp_path / 'r.html')!r})\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert 'id="figure-grad_cam"' in (tmp_path / "r.html").read_text()
