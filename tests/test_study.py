"""The verbs of a study, and the whole way from a study file to a submission, through the real command."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench
from workbench import models
from workbench.cli.commands import app
from workbench.errors import ConfigError, StudyError, SubmissionError
from workbench.study import Study

# A whole study takes its processes, MLflow and a blend some seconds.
pytestmark = pytest.mark.slow

STUDY = """
name: small
data: {train: train.csv, test: test.csv, sample_submission: sample.csv, target: species, id: row}
metric: log_loss
also: [accuracy]
folds: {folds: 3}
families: [linear, xgboost]
search: {trials: 5, workers: 2}
"""


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", *words], cwd=folder, capture_output=True, text=True, timeout=120
    )


def said(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> Any:
    """Run a verb in this process, where the libraries are loaded already, and return the JSON that it prints."""
    capsys.readouterr()
    app(
        [words[0], str(folder / "small.yaml"), *words[1:], "--home", str(folder / "mlruns"), "--json"],
        standalone_mode=False,
    )
    return json.loads(capsys.readouterr().out)


def made(folder: Path) -> Path:
    """Write a task of three classes into `folder`, and a study file for it."""
    rng = np.random.default_rng(3)
    rows = 150
    kind = rng.integers(0, 3, rows)
    frame = pd.DataFrame({"row": np.arange(rows), "length": kind + rng.normal(size=rows) / 2})
    frame["colour"] = np.array(["red", "green", "blue"])[(kind + (rng.random(rows) < 0.2)) % 3]
    frame["species"] = np.array(["oak", "elm", "fir"])[kind]
    frame[:100].to_csv(folder / "train.csv", index=False)
    test = frame[100:].drop(columns="species")
    test.to_csv(folder / "test.csv", index=False)
    sample = pd.DataFrame({"row": test.row, "species_elm": 0.3, "species_oak": 0.3, "species_fir": 0.3})
    sample[::-1].to_csv(folder / "sample.csv", index=False)
    (folder / "small.yaml").write_text(STUDY)
    return folder / "small.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, database: Path) -> tuple[Path, dict[str, Any]]:
    """A study that was run once; its folder, and the summary as the command prints it."""
    folder = tmp_path_factory.mktemp("finished")
    made(folder)
    (folder / "mlruns").mkdir()
    shutil.copy(database, folder / "mlruns" / database.name)
    study = workbench.open(str(folder / "small.yaml"), str(folder / "mlruns"))
    summary = study.run(out=folder / "small-submission.csv")
    return folder, json.loads(json.dumps(asdict(summary)))


def opened(finished: tuple[Path, dict[str, Any]]) -> Study:
    return workbench.open(str(finished[0] / "small.yaml"), str(finished[0] / "mlruns"))


def test_a_run_gives_a_summary_a_submission_and_its_stamp(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = finished
    assert sum(summary["trials"][state] for state in ("complete", "pruned")) == 5
    assert summary["best"]["family"] in ("linear", "xgboost")
    assert summary["ensemble"]["score"] <= summary["ensemble"]["best_single"] == summary["best"]["score"]
    assert summary["ensemble"]["score"] <= min(summary["ensemble"]["uniform"], summary["ensemble"]["greedy"])
    assert sum(member["weight"] for member in summary["ensemble"]["members"]) == pytest.approx(1)
    submission = pd.read_csv(summary["submission"])
    sample = pd.read_csv(folder / "sample.csv")
    assert list(submission.columns) == list(sample.columns)
    assert list(submission.row) == list(sample.row)
    assert np.allclose(submission.drop(columns="row").sum(axis=1), 1)
    stamp = json.loads(Path(summary["submission"] + ".json").read_text())
    assert stamp["run_id"] == summary["ensemble"]["run_id"]


def test_the_submission_puts_each_probability_under_its_own_class(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = finished
    submission = pd.read_csv(summary["submission"]).set_index("row").sort_index()
    length = pd.read_csv(folder / "test.csv").set_index("row").length
    # Oaks are short and firs are long, by the making of the data.
    assert submission.species_oak[length < 0].mean() > 0.5
    assert submission.species_fir[length > 2.2].mean() > 0.5


def test_the_home_holds_everything_and_nothing_else_is_left_behind(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = finished
    assert {path.name for path in (folder / "mlruns").iterdir()} >= {"mlflow.db", "artifacts", "optuna.journal"}
    left = {path.name for path in folder.iterdir()}
    inputs = {"train.csv", "test.csv", "sample.csv", "small.yaml"}
    assert left == inputs | {"mlruns", "small-submission.csv", "small-submission.csv.json"}
    assert not list((folder / "mlruns" / "studies" / "small").glob("trials/*"))


def test_the_leaderboard_has_every_trial_best_first_with_its_run(
    finished: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, summary = finished
    rows = said(capsys, folder, "leaderboard")
    keys = {"run_id", "family", "score", "std", "fold_scores", "state", "seconds", "hyperparameters", "also"}
    assert all(keys <= row.keys() and row["run_id"] for row in rows)
    scores = [row["score"] for row in rows if row["state"] == "complete"]
    assert scores == sorted(scores)
    assert rows[0] == summary["best"]
    table = opened(finished).leaderboard()
    assert list(table.run_id) == [row["run_id"] for row in rows]


def test_checkpoints_of_the_best_are_kept_and_predict_the_stored_predictions(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    study, summary = opened(finished), finished[1]
    home = finished[0] / "mlruns" / "studies" / "small" / "weights"
    best = summary["best"]
    place = home / f"{best['family']}-{best['number']}"
    model = models.get_family(best["family"]).load(place / "0-1")
    schema = study.task.schema
    oof, rows = study.store.tracker.predictions(best["run_id"], schema).oof, schema.folds == 1
    assert np.allclose(model.predict(study.task.dataset.x.iloc[schema.rows[rows]]), oof[rows], atol=1e-6)
    assert len(list(home.iterdir())) > 1


def test_gc_frees_what_no_ensemble_needs_and_keeps_predictions(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished[0], tmp_path / "copy")
    weights = tmp_path / "copy" / "mlruns" / "studies" / "small" / "weights"
    before = sum(file.stat().st_size for file in weights.rglob("*"))
    needed = {f"{m['family']}-{m['name'].split('#')[1]}" for m in finished[1]["ensemble"]["members"]}
    needed.add(f"{finished[1]['best']['family']}-{finished[1]['best']['number']}")
    (weights / "linear-99").mkdir()
    (weights / "linear-99" / "model").write_bytes(b"x" * 1000)
    assert said(capsys, tmp_path / "copy", "gc")["freed"] >= 1000
    left = {path.name for path in weights.iterdir()}
    assert left <= needed
    assert f"{finished[1]['best']['family']}-{finished[1]['best']['number']}" in left
    assert said(capsys, tmp_path / "copy", "gc") == {"freed": 0}
    assert before > 0


def test_run_again_nothing_is_left_to_do_but_the_end(finished: tuple[Path, dict[str, Any]]) -> None:
    study = opened(finished)
    before = len(study.trials())
    heard: list[object] = []
    summary = study.run(trials=5, listen=heard.append, out=finished[0] / "again.csv")
    assert len(study.trials()) == before
    assert [type(event).__name__ for event in heard] == ["SearchStarted", "Stopped"]
    assert summary.ensemble is not None
    assert summary.ensemble["score"] == pytest.approx(finished[1]["ensemble"]["score"])
    (finished[0] / "again.csv").unlink()
    (finished[0] / "again.csv.json").unlink()


def test_ensembles_by_every_method_are_runs_with_members(
    finished: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    study = opened(finished)
    best = study.ensemble(method="best")
    assert [member["weight"] for member in best.members] == [1.0]
    uniform = study.ensemble(method="uniform")
    assert uniform.score >= study.ensemble(method="nelder_mead").score
    assert np.isclose(uniform.weights.sum(), 1)
    document = said(capsys, finished[0], "ensemble", "--method", "greedy")
    assert document["method"] == "greedy"
    assert document["run_id"]
    study.ensemble()


def test_submit_and_folds_write_their_files(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = finished
    out = tmp_path / "mine.csv"
    written = said(capsys, folder, "submit", "-o", str(out))
    assert written["path"] == str(out)
    assert written["rows"] == 50 == len(pd.read_csv(out))
    dealt = said(capsys, folder, "folds", "-o", str(tmp_path / "folds.csv"))
    frame = pd.read_csv(tmp_path / "folds.csv")
    assert list(frame.columns) == ["row", "repeat", "fold"]
    assert len(frame) == 100
    assert dealt["hash"] == opened(finished).task.folds.hash


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("folds: 3", "folds: 4"), r"folds\.folds: 3 -> 4"),
        (("target: species", "target: colour, drop: [species]"), r"data\.target: species -> colour"),
        (("id: row}", "id: row, drop: [colour]}"), r"data\.drop: \[\] -> \[colour\]"),
    ],
)
def test_a_study_is_not_gone_on_with_as_another(
    finished: tuple[Path, dict[str, Any]], change: tuple[str, str], named: str
) -> None:
    other = finished[0] / "other.yaml"
    other.write_text(
        STUDY.replace("also: [accuracy]", "").replace(*change).replace("sample_submission: sample.csv,", "")
    )
    study = workbench.open(str(other), str(finished[0] / "mlruns"))
    other.unlink()
    with pytest.raises(StudyError, match=named):
        study.run(trials=6)


def test_a_study_that_runs_elsewhere_is_refused(finished: tuple[Path, dict[str, Any]]) -> None:
    study = opened(finished)
    with study.home.lock("small"), pytest.raises(StudyError, match="being run by another process"):
        opened(finished).run(trials=6)


def test_a_study_without_trials_names_the_command_that_makes_some(tmp_path: Path) -> None:
    study = workbench.open(str(made(tmp_path)), str(tmp_path / "home"))
    for verb in (study.trials, study.leaderboard, study.ensemble):
        with pytest.raises(StudyError, match="has no trials yet"):
            verb()
    with pytest.raises((StudyError, SubmissionError), match="no ensemble yet"):
        study.submit()


def test_a_family_that_does_not_suit_the_data_is_refused_with_those_that_do(tmp_path: Path) -> None:
    file = made(tmp_path)
    file.write_text(STUDY.replace("xgboost", "cnn"))
    study = workbench.open(str(file), str(tmp_path / "home"))
    with pytest.raises(ConfigError, match=r"families\[1\] must suit multiclass on data of kind table. Received: 'cnn'"):
        study.run(trials=2)


def test_a_metric_of_the_users_own_is_optimised(tmp_path: Path, home: Path) -> None:
    file = made(tmp_path)
    (tmp_path / "mine.py").write_text(
        "def hits(y, p):\n    return float((p.argmax(axis=1) == y).mean())\n\nhits.direction = 'maximize'\n"
    )
    file.write_text(STUDY.replace("metric: log_loss", "metric: mine.py:hits"))
    summary = workbench.open(str(file), str(home)).run(trials=3, out=tmp_path / "s.csv")
    assert summary.ensemble is not None
    assert summary.best is not None
    assert summary.best["score"] == pytest.approx(summary.best["also"]["accuracy"])
    assert summary.ensemble["gap"] is None


def test_a_source_that_sets_rows_apart_shows_its_true_score_once(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "iris.yaml"
    file.write_text(
        "name: iris\ndata: {train: 'sklearn:iris'}\nfolds: {folds: 3}\nfamilies: [linear]\nalso: [accuracy]\n"
    )
    first = workbench.open(str(file), str(home)).run(trials=2, out=tmp_path / "s.csv")
    second = workbench.open(str(file), str(home)).run(trials=5, out=tmp_path / "s.csv")
    assert first.test_scores == second.test_scores
    assert first.test_scores is not None
    assert first.test_scores["accuracy"] > 0.8
    assert len(pd.read_csv(tmp_path / "s.csv")) == 30


def test_the_command_runs_a_study_from_nothing(tmp_path: Path) -> None:
    made(tmp_path)
    done = command(tmp_path, "run", "small.yaml", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert Path(summary["submission"]).exists()
    assert len([line for line in done.stderr.splitlines() if " s  " in line]) == 5
    shown = command(tmp_path, "leaderboard", "small.yaml").stdout
    assert "xgboost #0" in shown


def test_the_same_seed_gives_the_same_hyperparameters_and_bits(tmp_path: Path, database: Path) -> None:
    def ran(name: str) -> dict[tuple[str, int], tuple[Any, np.ndarray]]:
        folder = tmp_path / name
        (folder / "mlruns").mkdir(parents=True)
        shutil.copy(database, folder / "mlruns" / database.name)
        file = made(folder)
        text = STUDY.replace(
            "families: [linear, xgboost]",
            "families: [linear, xgboost, mlp]\ndeterministic: true\ntraining: {epochs: 5}",
        )
        file.write_text(text.replace("{folds: 3}", "{folds: 2}"))
        study = workbench.open(str(file), str(folder / "mlruns"))
        study.run(trials=7, workers=1, out=folder / "s.csv")
        whole = [row for row in study.trials() if row.state == "complete"]
        return {
            (row.family, row.number): (
                row.hyperparameters,
                study.store.tracker.predictions(row.run_id, study.task.schema).oof,
            )
            for row in whole
        }

    one, two = ran("one"), ran("two")
    assert one.keys() == two.keys()
    assert {family for family, _ in one} == {"constant", "linear", "xgboost", "mlp"}
    for key, (hyperparameters, oof) in one.items():
        assert two[key][0] == hyperparameters
        assert np.array_equal(two[key][1], oof), key


def test_a_full_disk_is_one_clear_line_and_with_room_the_same_command_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "mlruns"
    home.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=130m", "tmpfs", str(home)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk can be made by root only")
    try:
        made(tmp_path)
        running = subprocess.Popen(
            [sys.executable, "-m", "workbench", "run", "small.yaml", "--trials", "60"],
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while not list((home / "artifacts").glob("small/*/artifacts/oof.parquet")):
            assert running.poll() is None
            time.sleep(0.02)
        with contextlib.suppress(OSError), (home / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(1_000_000)):
                pass
        _, errors = running.communicate(timeout=60)
        if running.returncode == 0:
            # It looked before it wrote, and had what it needed to end in order.
            assert "Search over: the disk is nearly full" in errors
        else:
            assert running.returncode == 2, errors
            usual = r" *[\d.]+ s  |Forecast|Goes on|Search over"
            lines = [line for line in errors.splitlines() if not re.match(usual, line)]
            assert len(lines) == 1
            assert "the disk is full. Make room" in lines[0]
        (home / "filler").unlink()
        done = command(tmp_path, "run", "small.yaml", "--trials", "12", "--json")
        assert done.returncode == 0, done.stderr
        assert sum(json.loads(done.stdout)["trials"][state] for state in ("complete", "pruned")) >= 12
    finally:
        subprocess.run(["umount", str(home)], check=True)
