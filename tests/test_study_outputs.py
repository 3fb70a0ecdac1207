"""The outputs of a study: values as they are scored, under their own ids, in places that were checked before."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import workbench
from workbench.cli.commands import app
from workbench.errors import ConfigError, SubmissionError
from workbench.evaluation import metric
from workbench.study import Study
from workbench.study.external_predictions import read
from workbench.study.output_paths import check_log_folders

ROWS = 60


def put(folder: Path, *, sample: pd.DataFrame | None = None, test: pd.DataFrame | None = None, **keys: Any) -> Path:
    """Write a study of 60 rows and 20 to predict; the sample and the test rows may be others."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS + 20, 2))
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(id=[f"{900 + i:05}" for i in range(ROWS + 20)])
    frame["y"] = np.where(x[:, 0] > 0.5, np.exp(x[:, 0]).round(2), 0.0)
    frame[:ROWS].to_csv(folder / "train.csv", index=False)
    rows = frame[ROWS:].drop(columns="y")
    (rows if test is None else test).to_csv(folder / "test.csv", index=False)
    shown = pd.DataFrame({"y": 0.5, "Id": rows.id[::-1]}) if sample is None else sample
    shown.to_csv(folder / "sample.csv", index=False)
    data = {"train": "train.csv", "test": "test.csv", "sample_submission": "sample.csv", "target": "y", "id": "id"}
    document: dict[str, Any] = {"name": "s", "task": "regression", "metric": "rmsle", "families": ["linear"]}
    document |= {"data": data, "folds": {"folds": 3}, "search": {"workers": 1}, **keys}
    (folder / "s.yaml").write_text(yaml.safe_dump(document))
    return folder / "s.yaml"


def open_study(file: Path) -> Study:
    return workbench.open(str(file), str(file.parent / "mlruns"))


@pytest.mark.parametrize("name", ["folder", "file/s.csv", "train.csv", "s.yaml", "taken.csv"])
def test_a_place_for_the_submission_is_checked_before_anything_is_read(tmp_path: Path, name: str) -> None:
    study = open_study(put(tmp_path))
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "taken.csv.json").mkdir()
    before = sorted(tmp_path.iterdir())
    ways: list[Callable[[Path], object]] = [
        lambda out: study.run(trials=1, out=out),
        study.submit,
        lambda out: study.predict("test.csv", out=out),
    ]
    for write in ways:
        with pytest.raises(
            (SubmissionError, ConfigError), match=r"cannot be written|must not be a file that the study"
        ):
            write(tmp_path / name)
    assert "dataset" not in study.task.__dict__
    assert sorted(tmp_path.iterdir()) == before


def test_a_place_that_can_be_written_to_stays_as_it_was(tmp_path: Path) -> None:
    from workbench import submission

    (tmp_path / "old.csv").write_text("old")
    for name in ("old.csv", "new.csv", "deep/er/new.csv"):
        submission.check_path(tmp_path / name)
    assert (tmp_path / "old.csv").read_text() == "old"
    assert os.listdir(tmp_path) == ["old.csv"]


@pytest.mark.parametrize("key", ["csv_log", "checkpoint", "tensorboard"])
def test_a_log_folder_that_cannot_be_made_is_refused_before_anything_is_read(tmp_path: Path, key: str) -> None:
    if key == "tensorboard":
        pytest.importorskip("tensorboard")
    (tmp_path / "log").write_text("")
    study = open_study(put(tmp_path, training={key: "log/inner"}))
    with pytest.raises(ConfigError, match=rf"training.{key} must be a folder that can be written to.*'log/inner'"):
        study.run(trials=1)
    assert "dataset" not in study.task.__dict__
    assert not study.home.path.exists()
    check_log_folders(open_study(put(tmp_path, training={key: "other/inner"})).config)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ({"id": ["00960", "1"], "y": 0}, "those of the 20 test rows"),
        ({"id": [f"{960 + i:05}" for i in range(20)]}, "must have a column beside 'id'"),
        ({"id": [f"{960 + i:05}" for i in range(20)], "y": 0, "z": 0}, "must have one column of values"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused_before_the_first_trial(
    tmp_path: Path, sample: dict[str, Any], message: str
) -> None:
    study = open_study(put(tmp_path, sample=pd.DataFrame(sample)))
    with pytest.raises(SubmissionError, match=message):
        study.task.check()


def test_predictions_from_elsewhere_are_scored_in_the_range_of_the_metric(tmp_path: Path) -> None:
    task = open_study(put(tmp_path)).task
    rng = np.random.default_rng(1)
    oof = task.schema.oof_keys().assign(prediction=rng.normal(size=ROWS))
    oof.to_csv(tmp_path / "oof.csv", index=False)
    test = pd.DataFrame({"id": task.dataset.test_ids, "prediction": -1.0})
    test.to_csv(tmp_path / "predicted.csv", index=False)
    result = read(task, "mine", tmp_path / "oof.csv", tmp_path / "predicted.csv")
    assert result.oof is not None
    assert result.test is not None
    assert result.oof.min() == 0
    assert result.test.tolist() == [0.0] * 20
    assert result.score == metric("rmsle").score(task.dataset.y[task.schema.rows], result.oof)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["nelder_mead", "stack"])
def test_what_is_scored_is_what_is_written_under_its_own_id(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    file = put(tmp_path, ensemble={"method": method})
    monkeypatch.chdir(tmp_path)
    words = [str(file), "--home", str(tmp_path / "mlruns")]
    app(["run", *words, "--trials", "2", "-o", "out.csv"], standalone_mode=False)
    app(["predict", *words, "test.csv", "-o", "again.csv"], standalone_mode=False)
    written, again = (pd.read_csv(tmp_path / name, dtype={"Id": str}) for name in ("out.csv", "again.csv"))
    assert list(written.columns) == ["y", "Id"]
    assert written.Id.tolist() == [f"{979 - i:05}" for i in range(20)]
    assert again.Id.tolist() == [f"{960 + i:05}" for i in range(20)]
    assert np.allclose(written.y[::-1], again.y)
    assert written.y.min() == 0
    study = open_study(file)
    result = study.store.tracker.newest_ensemble()
    kept = study.store.tracker.predictions(result.run_id, study.task.schema)
    assert kept.oof.min() == 0
    y = study.task.dataset.y[study.task.schema.rows]
    assert result.score == pytest.approx(np.sqrt(np.mean((np.log1p(y) - np.log1p(kept.oof)) ** 2)))


@pytest.mark.slow
@pytest.mark.parametrize("place", ["first", "last"])
def test_init_and_run_find_the_ids_by_their_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """The target comes first in the sample; or ids with zeros have another name there, and come in another order."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=100), "b": rng.normal(size=100)})
    frame["y"] = (frame.a + frame.b > 0).astype(int)
    name = "id" if place == "first" else "RecordID"
    frame[name] = [f"{i:05}" for i in range(100)]
    columns = ["y", name] if place == "first" else ["Id", "y"]
    frame[:60].to_csv(tmp_path / "train.csv", index=False)
    frame[60:].drop(columns="y").to_csv(tmp_path / "test.csv", index=False)
    sample = pd.DataFrame({"y": 0.5, columns[columns.index("y") - 1]: frame[name][60:][::-1]})[columns]
    sample.to_csv(tmp_path / "sample_submission.csv", index=False)
    monkeypatch.chdir(tmp_path)
    app(["init", "train.csv", "-o", "s.yaml"], standalone_mode=False)
    document = yaml.safe_load((tmp_path / "s.yaml").read_text())
    assert document["data"]["id"] == name
    document |= {"families": ["linear"]}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(document))
    words = ["s.yaml", "--home", "mlruns", "--trials", "2", "--workers", "1", "-o", "out.csv"]
    app(["run", *words], standalone_mode=False)
    written = pd.read_csv(tmp_path / "out.csv", dtype=str)
    assert list(written.columns) == columns
    ids = next(column for column in columns if column != "y")
    assert written[ids].tolist() == sample[ids].tolist()
    # The target follows from the features, so that a row in another's place would be seen.
    right = frame.set_index(name).y[written[ids]].to_numpy()
    assert metric("roc_auc", task="binary").score(right, written.y.astype(float).to_numpy()) > 0.95
