"""The report of a real study: its files, MLflow, a running study, and missing data."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_study import made

import workbench
from workbench.cli.commands import app
from workbench.errors import ConfigError, StudyError
from workbench.search.events import TrialEnded
from workbench.study import Study, publishing, report_inputs

# A whole study takes some seconds: processes, MLflow and a blend.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """The folder of a study that was run once."""
    folder = tmp_path_factory.mktemp("report")
    begun(folder, database)
    opened(folder).run(out=folder / "small-submission.csv")
    return folder


def begun(folder: Path, database: Path) -> None:
    made(folder)
    (folder / "mlruns").mkdir()
    shutil.copy(database, folder / "mlruns" / database.name)


def opened(folder: Path) -> Study:
    return workbench.open(str(folder / "small.yaml"), str(folder / "mlruns"))


def artifacts(folder: Path, run_id: str) -> set[str]:
    found = folder / "mlruns" / "artifacts" / "small" / run_id / "artifacts"
    return {path.relative_to(found).as_posix() for path in found.rglob("*") if path.is_file()}


def said(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> Any:
    capsys.readouterr()
    home = str(folder / "mlruns")
    app(["report", str(folder / "small.yaml"), *words, "--home", home, "--json"], standalone_mode=False)
    return json.loads(capsys.readouterr().out)


def test_run_puts_figures_and_the_page_into_mlflow(finished: Path) -> None:
    tracker = opened(finished).store.tracker
    own = artifacts(finished, tracker.study_run())
    assert {"report.html", "figures/history.png", "figures/fold_scores.png"} <= own
    ensemble = artifacts(finished, tracker.newest_ensemble().run_id)
    assert {"figures/confusion.png", "figures/calibration.png"} <= ensemble
    assert not {name for name in own if "confusion" in name}
    assert not {name for name in ensemble if "history" in name}


def test_the_command_writes_a_page_of_the_study(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(capsys, finished) == {"path": str(tmp_path / "small-report.html")}
    text = (tmp_path / "small-report.html").read_text()
    for row in opened(finished).trials():
        assert row.name in text
    assert "species" in text
    assert "families: [linear, xgboost]" in text
    assert list(tmp_path.iterdir()) == [tmp_path / "small-report.html"]


def test_the_command_writes_markdown_with_its_figures(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a report.md"
    assert said(capsys, finished, "--markdown", "-o", str(path)) == {"path": str(path)}
    links = re.findall(r"!\[[^\n]*?\]\(([^)\s]+)\)", path.read_text())
    assert len(links) > 8
    for link in links:
        assert (tmp_path / link.replace("%20", " ")).read_bytes().startswith(b"\x89PNG")


def test_an_ensemble_gets_its_figures_when_it_is_made(finished: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = opened(finished).ensemble(method="uniform")
    assert "figures/confusion.png" in artifacts(finished, made.document["run_id"])
    assert caplog.messages == []


def test_the_report_data_are_those_of_the_study(finished: Path) -> None:
    study = opened(finished)
    data = report_inputs.gather_report(study.task, study.store, study.trials())
    assert data.oof is not None
    assert data.ensemble is not None
    assert data.study.families == ("linear", "xgboost")
    assert set(data.end_times) == {row.key for row in data.trials}
    metric = study.task.metric
    assert metric.score(data.y, data.oof) == pytest.approx(data.ensemble.score)
    for member in data.ensemble.members:
        assert metric.score(data.y, data.member_oof[member.name]) == pytest.approx(member.score)
    assert data.recipe is not None
    assert data.recipe.text == (finished / "small.yaml").read_text()
    assert {"workbench", "python", "optuna", "keras", "mlflow", "scikit-learn"} <= set(data.recipe.versions)
    assert all(0 <= place <= 1 for each in data.relative_positions.values() for place in each.values())
    assert data.notes == ()


def test_a_member_whose_predictions_are_gone_is_left_out_with_a_note(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    study = opened(tmp_path / "copy")
    document = study.ensemble(method="uniform").document
    gone = document["members"][0]
    for run in gone["run_ids"]:
        (tmp_path / "copy/mlruns/artifacts/small" / run / "artifacts/oof.parquet").unlink()
    data = report_inputs.gather_report(study.task, study.store, study.trials())
    assert gone["name"] not in data.member_oof
    assert len(data.member_oof) == len(document["members"]) - 1
    assert [note for note in data.notes if gone["name"] in note]
    assert study.report(tmp_path / "r.html").exists()


def test_a_running_study_without_an_ensemble_has_a_report(tmp_path: Path, database: Path) -> None:
    begun(tmp_path, database)
    running = opened(tmp_path)
    search = running.search(trials=6, workers=1)
    try:
        next(event for event in search if isinstance(event, TrialEnded) and event.row.family != "constant")
        watching = opened(tmp_path)
        text = watching.report(tmp_path / "r.html").read_text()
        assert "none is made yet" in text
        assert "no ensemble yet" in text
        assert "Make an ensemble" in text
        assert (tmp_path / "r.html").exists()
        next(event for event in search if isinstance(event, TrialEnded))
    finally:
        search.close()
    ended = [row for row in running.trials() if row.state in ("complete", "pruned")]
    assert len(ended) >= 3
    data = report_inputs.gather_report(running.task, running.store, running.trials())
    assert data.unfinished_trials >= 0
    assert data.ensemble is None
    assert data.oof is None


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_drawn(finished: Path, tmp_path: Path) -> None:
    study = opened(finished)
    with pytest.raises(ConfigError, match="must be a file"):
        study.report(tmp_path)
    with pytest.raises(ConfigError, match="its folder is not there"):
        study.report(tmp_path / "none" / "r.html")
    with pytest.raises(ConfigError, match="as in -o report"):
        study.report(tmp_path / "report", markdown=True)
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ConfigError, match="must not be a file"):
        study.report(tmp_path / "notes.md", markdown=True)
    data = report_inputs.gather_report(study.task, study.store, study.trials())
    with pytest.raises(ConfigError, match="cannot be written"):
        publishing.write(data, [], Path("/proc/r.html"), as_markdown=False)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_study_without_trials_has_no_report(tmp_path: Path, database: Path) -> None:
    begun(tmp_path, database)
    with pytest.raises(StudyError, match="has no trials yet"):
        opened(tmp_path).report(tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_a_figure_that_fails_is_logged(finished: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(f"no {name}\nfor now")

    study = opened(finished)
    rows = study.trials()
    tracker = study.store.tracker
    study.store.__dict__["_tracker"] = Broken()
    publishing.publish(study.store, rows, None)
    publishing.attach_ensemble_figures(study.store, rows)
    assert caplog.messages == [
        "The figures could not be drawn: RuntimeError: no newest_ensemble for now",
        "The ensemble's figures could not be drawn: RuntimeError: no newest_ensemble for now",
    ]
    study.store.__dict__["_tracker"] = tracker
    assert np.isfinite(tracker.newest_ensemble().score)


def test_without_time_no_figure_is_drawn(finished: Path, caplog: pytest.LogCaptureFixture) -> None:
    study = opened(finished)
    publishing.publish(study.store, study.trials(), end=0.0)
    assert len(caplog.messages) == 1
    assert "No time is left for figures" in caplog.text
    assert "workbench report" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING
