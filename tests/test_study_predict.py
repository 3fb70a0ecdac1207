"""The ensemble predicts rows that it has not seen: from the command line, from kept models and from trained ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import workbench
from workbench.cli.commands import app
from workbench.data import sources
from workbench.errors import DataError, SourceError, StudyError
from workbench.study import Study
from workbench.study.candidate_pool import gather
from workbench.trial import State, TrialResult

pytestmark = pytest.mark.slow

STUDIES = {
    "classes": """
name: classes
data: {train: train.csv, test: test.csv, sample_submission: sample.csv, target: species, id: row}
metric: log_loss
folds: {folds: 3}
families: [linear, xgboost]
search: {trials: 5, workers: 2, pruner: none}
ensemble: {method: uniform}
""",
    # The target is trained on as a logarithm; there are no ids, and no sample.
    "amounts": """
name: amounts
data: {train: train.csv, test: test.csv, target: price, drop: [species, row]}
metric: rmsle
folds: {folds: 3, repeats: 2}
families: [extra_trees, xgboost]
search: {trials: 3, workers: 2, pruner: none}
ensemble: {method: uniform}
""",
    # Each class has weights of its own.
    "by_class": """
name: by_class
data: {train: train.csv, test: test.csv, target: species, id: row}
folds: {folds: 3}
families: [linear, xgboost]
search: {trials: 4, workers: 2, pruner: none}
ensemble: {weights: class}
""",
    # A class of three, a number, and labels of two classes with a threshold; each has weights of its own.
    "several": """
name: several
data: {train: train.csv, test: test.csv, target: [species, price, tall], id: row}
targets: {price: {metric: r2}, species: {metric: roc_auc}, tall: {metric: accuracy}}
folds: {folds: 3}
families: [linear, xgboost]
search: {trials: 4, workers: 2, pruner: none}
ensemble: {weights: target}
""",
    # Later rows, which are shown earlier ones; the last fold's model alone predicts.
    "hours": """
name: hours
data:
  {train: train.csv, test: test.csv, target: price, time: [date, hour], lags: [1], windows: [3], horizon: 50}
metric: mae
folds: {kind: time, folds: 3}
families: [linear, xgboost]
search: {trials: 3, workers: 2, pruner: none}
ensemble: {method: uniform}
""",
}


class Ran(NamedTuple):
    """A study that was run, and how to ask it something through the command line."""

    folder: Path
    name: str
    capsys: Any

    @property
    def home(self) -> Path:
        return self.folder / "mlruns"

    @property
    def weights(self) -> Path:
        return self.home / "studies" / self.name / "weights"

    @property
    def study(self) -> Study:
        return workbench.open(str(self.folder / f"{self.name}.yaml"), str(self.home))

    @property
    def stored(self) -> np.ndarray:
        """The test predictions that the newest ensemble was written down with."""
        study = self.study
        run_id = study.store.tracker.newest_ensemble().run_id
        test = study.store.tracker.predictions(run_id, study.task.schema).test
        assert test is not None
        return test

    def predict(self, data: pd.DataFrame | str) -> tuple[pd.DataFrame, str]:
        """Return what the command writes, and what it says on stderr."""
        if isinstance(data, pd.DataFrame):
            data.to_csv(self.folder / "new.csv", index=False)
            data = str(self.folder / "new.csv")
        out, file = self.folder / "out.csv", self.folder / f"{self.name}.yaml"
        self.capsys.readouterr()
        app(["predict", str(file), data, "-o", str(out), "--home", str(self.home), "--json"], standalone_mode=False)
        told = self.capsys.readouterr()
        frame = pd.read_csv(out)
        assert json.loads(told.out) == {"path": str(out), "rows": len(frame)}
        return frame, told.err


def write(folder: Path) -> None:
    """Write a table of three species with numbers, categories and holes, to train on and to predict."""
    rng = np.random.default_rng(3)
    rows = 150
    kind = rng.integers(0, 3, rows)
    frame = pd.DataFrame({"row": np.arange(rows), "length": kind + rng.normal(size=rows) / 2})
    frame["width"] = np.where(np.arange(rows) % 8 == 0, np.nan, rng.normal(size=rows))
    frame["colour"] = np.array(["red", "green", "blue"])[(kind + (rng.random(rows) < 0.2)) % 3]
    frame["species"] = np.array(["oak", "elm", "fir"])[kind]
    frame["price"] = np.exp(kind + rng.random(rows))
    frame[:100].drop(columns="price").to_csv(folder / "train.csv", index=False)
    test = frame[100:].drop(columns=["price", "species"])
    test.to_csv(folder / "test.csv", index=False)
    sample = pd.DataFrame({"species_elm": 0.3, "row": test.row, "species_oak": 0.3, "species_fir": 0.3})
    sample[::-1].to_csv(folder / "sample.csv", index=False)


def amounts(folder: Path) -> None:
    """Write the same table for a study of prices."""
    write(folder)
    for name in ("train.csv", "test.csv"):
        frame = pd.read_csv(folder / name)
        frame.assign(species="", price=np.exp(frame.length)).to_csv(folder / name, index=False)


def several(folder: Path) -> None:
    """Write the same table with two more things to be predicted."""
    write(folder)
    frame = pd.read_csv(folder / "train.csv")
    tall = np.where(frame.length > 1, "yes", "no")
    frame.assign(price=np.exp(frame.length / 2), tall=tall).to_csv(folder / "train.csv", index=False)


def hours(folder: Path) -> None:
    """Write a table of hours: what is to be predicted follows from the warmth of the hours before."""
    chance = np.random.default_rng(5)
    moments = pd.date_range("2024-03-01", periods=200, freq="h")
    warmth = pd.Series(chance.normal(size=200))
    frame = pd.DataFrame({"date": moments.date, "hour": moments.hour, "warmth": warmth})
    frame["price"] = np.exp(warmth.rolling(3, min_periods=1).mean() + chance.normal(size=200) / 10)
    frame[:150].to_csv(folder / "train.csv", index=False)
    frame[150:].drop(columns="price").to_csv(folder / "test.csv", index=False)


WRITE: dict[str, Callable[[Path], None]] = {
    "classes": write,
    "amounts": amounts,
    "hours": hours,
    "by_class": write,
    "several": several,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Callable[[str], Path]:
    """Return a function that gives the folder of a study by name, run when it is first asked for."""
    known: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in known:
            folder = known[name] = tmp_path_factory.mktemp(name)
            WRITE[name](folder)
            (folder / f"{name}.yaml").write_text(STUDIES[name])
            (folder / "mlruns").mkdir()
            shutil.copy(database, folder / "mlruns" / database.name)
            workbench.open(str(folder / f"{name}.yaml"), str(folder / "mlruns")).run(out=folder / "s.csv")
        return known[name]

    return make


@pytest.fixture
def classes(made: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ran:
    """A copy of the study of classes, to do with as a test likes."""
    shutil.copytree(made("classes"), tmp_path / "copy")
    return Ran(tmp_path / "copy", "classes", capsys)


def outputs(frame: pd.DataFrame) -> np.ndarray:
    return frame[["species_elm", "species_fir", "species_oak"]].to_numpy()


@pytest.mark.parametrize("name", ["classes", "amounts", "hours"])
def test_the_studys_own_test_rows_get_the_predictions_that_they_had(
    made: Callable[[str], Path], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made(name), tmp_path / "copy")
    ran = Ran(tmp_path / "copy", name, capsys)
    frame, _ = ran.predict(str(ran.folder / "test.csv"))
    if name == "classes":
        assert list(frame.columns) == ["species_elm", "row", "species_oak", "species_fir"]
        assert list(frame.row) == list(range(100, 150))
    else:
        assert list(frame.columns) == ["id", "price"]
        assert list(frame.id) == list(range(50))
    predicted = outputs(frame) if name == "classes" else frame.price.to_numpy()
    np.testing.assert_allclose(predicted, ran.stored, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", ["by_class", "several"])
def test_members_with_several_weights_predict_the_studys_own_test_rows_as_they_did(
    made: Callable[[str], Path], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made(name), tmp_path / "copy")
    ran = Ran(tmp_path / "copy", name, capsys)
    # On so few rows a simpler ensemble would be taken, unless a method is asked for.
    ran.study.ensemble(method="nelder_mead")
    frame, _ = ran.predict(str(ran.folder / "test.csv"))
    ensemble = ran.study.store.tracker.newest_ensemble()
    names = {"by_class": ["elm", "fir", "oak"], "several": ["species", "price", "tall"]}[name]
    assert ensemble.weighting == {"by_class": "class", "several": "target"}[name]
    assert set(ensemble.alternatives) == {"shared", ensemble.weighting}
    assert all(list(member.output_weights or ()) == names for member in ensemble.members)
    for part in names:
        assert sum((member.output_weights or {})[part] for member in ensemble.members) == pytest.approx(1)
    assert sum(member.weight for member in ensemble.members) == pytest.approx(1)
    np.testing.assert_allclose(outputs(frame), ran.stored[:, :3], atol=1e-6)
    if name == "several":
        np.testing.assert_allclose(frame.price, ran.stored[:, 3], rtol=1e-6)
        assert isinstance(ensemble.threshold, Mapping)
        assert {part for part, least in ensemble.threshold.items() if least is not None} == {"tall"}
        decided = np.where(ran.stored[:, 4] >= ensemble.threshold["tall"], "yes", "no")
        assert list(frame.tall) == list(decided)


def test_a_row_to_predict_is_shown_its_past_though_it_comes_alone(
    made: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made("hours"), tmp_path / "copy")
    ran = Ran(tmp_path / "copy", "hours", capsys)
    alone, _ = ran.predict(pd.read_csv(ran.folder / "test.csv").iloc[[20]])
    np.testing.assert_allclose(alone.price, ran.stored[[20]], atol=1e-6, rtol=1e-6)


def test_rows_keep_their_order_and_what_is_no_feature_is_ignored(classes: Ran) -> None:
    test = pd.read_csv(classes.folder / "test.csv")
    mixed = test.iloc[[7, 3, 3, 40]].drop(columns="row").assign(species="oak", remark="new", price="?")
    frame, _ = classes.predict(mixed)
    assert list(frame.row) == [0, 1, 2, 3]
    np.testing.assert_allclose(outputs(frame), classes.stored[[7, 3, 3, 40]], atol=1e-6)
    from_python = classes.study.predict(mixed[::-1])
    np.testing.assert_allclose(outputs(from_python), outputs(frame)[::-1], atol=1e-6)


def test_unseen_categories_and_missing_values_are_predicted(classes: Ran) -> None:
    test = pd.read_csv(classes.folder / "test.csv", dtype=str)[:3]
    test["colour"], test["width"] = ["ultraviolet", "", "red"], ["?", "", "1e3"]
    frame, _ = classes.predict(test)
    assert len(frame) == 3
    np.testing.assert_allclose(outputs(frame).sum(axis=1), 1, atol=1e-6)


def test_what_the_models_cannot_read_is_refused_by_name(classes: Ran) -> None:
    test = pd.read_csv(classes.folder / "test.csv")
    with pytest.raises(DataError, match=r"new.csv must have the feature columns .* It lacks 'colour'"):
        classes.predict(test.drop(columns="colour"))
    with pytest.raises(DataError, match=r"column 'width' must hold numbers, as in training. Received: 'wide', 'thin'"):
        classes.predict(test.assign(width=["wide", "thin"] * 25))
    with pytest.raises(DataError, match="must have rows"):
        classes.predict(test[:0])
    with pytest.raises(DataError, match="rows to predict"):
        classes.study.predict(test[:0])
    with pytest.raises(DataError, match=r"new.npz must be a table, as train.csv is"):
        classes.predict(str(classes.folder / "new.npz"))
    with pytest.raises(SourceError, match=r"nowhere.csv: cannot be read \(No such file"):
        classes.predict(str(classes.folder / "nowhere.csv"))
    assert not (classes.folder / "out.csv").exists()


def test_freed_weights_are_trained_again_once_and_predict_the_same(classes: Ran) -> None:
    test = str(classes.folder / "test.csv")
    members = classes.study.store.tracker.newest_ensemble().members
    kept = len(list(classes.weights.glob("*/*-*")))
    shutil.rmtree(classes.weights)
    frame, told = classes.predict(test)
    assert told.count("Training ") == 3 * len(members) <= kept
    np.testing.assert_allclose(outputs(frame), classes.stored, atol=1e-6)
    again, told = classes.predict(test)
    assert not told
    np.testing.assert_array_equal(outputs(again), outputs(frame))


def test_refitted_members_are_trained_once_for_each_seed_and_survive_gc(classes: Ran) -> None:
    file = classes.folder / "classes.yaml"
    file.write_text(STUDIES["classes"].replace("{method: uniform}", "{method: uniform, final: refit, seeds: 2}"))
    test = str(classes.folder / "test.csv")
    members = classes.study.store.tracker.newest_ensemble().members
    frame, told = classes.predict(test)
    assert told.count("Training ") == 2 * len(members)
    assert len(list(classes.weights.glob("*/refit-7"))) == len(list(classes.weights.glob("*/refit-8"))) == len(members)
    assert classes.study.gc() >= 0
    again, told = classes.predict(test)
    assert not told
    np.testing.assert_array_equal(outputs(again), outputs(frame))
    # Another fit of the same models to a half more rows: near to what the fold models say, and not the same.
    apart = np.abs(outputs(frame) - classes.stored)
    assert 1e-4 < apart.mean() < 0.1


def test_an_ensemble_predicts_with_its_own_members(classes: Ran) -> None:
    study, test = classes.study, pd.read_csv(classes.folder / "test.csv")
    best = study.ensemble(method="best")
    stacked = study.ensemble(method="stack")
    newest = study.ensemble(method="uniform")
    vault = study.task.schema
    for ensemble in (best, stacked, newest):
        stored = study.store.tracker.predictions(ensemble.document["run_id"], vault).test
        assert stored is not None
        np.testing.assert_allclose(outputs(ensemble.predict(test)), stored, atol=1e-6)
    assert not np.allclose(outputs(best.predict(test)), outputs(newest.predict(test)), atol=1e-4)


def test_members_that_cannot_be_trained_here_are_named_before_any_work(classes: Ran) -> None:
    study = classes.study
    tracker, vault = study.store.tracker, study.task.schema
    ensemble = tracker.newest_ensemble()
    known = tracker.predictions(ensemble.run_id, vault)
    stranger = replace(ensemble.members[0], run_ids=("elsewhere",), name="their net")
    ensemble = replace(ensemble, members=(stranger, *ensemble.members))
    tracker.log_ensemble(ensemble, known.oof, known.test, vault, metric="log_loss")
    shutil.rmtree(classes.weights)
    with pytest.raises(StudyError, match=r"cannot be trained here: their net \(not a trial of this study\)\."):
        classes.predict(str(classes.folder / "test.csv"))
    assert not classes.weights.exists()


def test_a_study_of_other_data_does_not_predict_with_old_models(classes: Ran) -> None:
    train = pd.read_csv(classes.folder / "train.csv")
    train.assign(length=train.length + 1).to_csv(classes.folder / "train.csv", index=False)
    with pytest.raises(StudyError, match=r"was begun otherwise: data\.train: other rows"):
        classes.predict(str(classes.folder / "test.csv"))


@pytest.mark.parametrize("name", list(STUDIES))
def test_kept_models_predict_without_the_training_data(
    made: Callable[[str], Path], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made(name), tmp_path / "copy")
    ran = Ran(tmp_path / "copy", name, capsys)
    test = ran.folder / "test.csv"
    file = ran.home / "studies" / name / "inference.json"
    # A copy has files of another place: the first prediction reads the training data, and stores what it needs of them.
    expected = ran.study.predict(test)
    assert file.exists()
    study = ran.study
    (ran.folder / "train.csv").rename(ran.folder / "elsewhere.csv")
    pd.testing.assert_frame_equal(study.predict(test), expected)
    header = (ran.folder / "elsewhere.csv").read_text().splitlines()[0]
    (ran.folder / "train.csv").write_text(header)
    pd.testing.assert_frame_equal(ran.predict(str(test))[0], expected, rtol=1e-15)
    file.unlink()
    with pytest.raises(DataError, match="must have rows"):
        ran.predict(str(test))


def test_unchanged_training_data_are_not_loaded_to_predict(classes: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    test, file = str(classes.folder / "test.csv"), classes.home / "studies" / "classes" / "inference.json"
    expected, stored = classes.predict(test)[0], file.read_text()
    # A home made by an older version has no such file: it is made from the training data once.
    file.unlink()
    pd.testing.assert_frame_equal(classes.predict(test)[0], expected)
    assert file.read_text() == stored
    monkeypatch.setattr(sources, "load", lambda *_, **__: pytest.fail("the training data are loaded"))
    pd.testing.assert_frame_equal(classes.predict(test)[0], expected)
    shutil.rmtree(classes.weights)
    with pytest.raises(pytest.fail.Exception, match="are loaded"):
        classes.predict(test)


def test_pruned_and_failed_trials_are_never_blended(classes: Ran) -> None:
    archive = classes.study.store
    whole = {each.run_id for each, _ in gather(archive, [], 60)}
    assert not classes.study.task.metric.ranks
    assert whole == {row.run_id for row in archive.trials() if row.state == "complete"}
    states: list[State] = ["pruned", "failed"]
    for state in states:
        live = archive.storage.ask("linear")
        ended = TrialResult("linear", live.number, state, 1.0, {}, [0.01])
        live.finish(ended, archive.record(ended, classes.folder))
    assert {row.state for row in archive.trials()} == {"complete", "pruned", "failed"}
    assert {each.run_id for each, _ in gather(archive, [], 60)} == whole
