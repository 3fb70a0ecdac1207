"""Studies of several targets, from their files to a submission: labels of two classes, and targets of every kind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import workbench
from workbench.cli.commands import app
from workbench.data import Dataset
from workbench.errors import ConfigError, DataError, StudyError

LABELS = ["sport", "politics", "music"]
MIXED = ["price", "sold", "colour"]
ROWS, LATER = 240, 60


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows with targets of both studies, and as many more to predict, with theirs."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(ROWS + LATER, 4))
    frame = pd.DataFrame(x, columns=list("abcd"))
    frame.insert(0, "row", np.arange(len(frame)) + 500)
    frame["town"] = rng.choice(["Rome", "Oslo"], len(frame))
    noise = rng.normal(size=(len(frame), 3))
    for place, label in enumerate(LABELS):
        frame[label] = (x[:, place] + 0.5 * noise[:, place] > 0.3 + 0.6 * place).astype(int)
    frame["price"] = 100 * np.exp(x[:, 0] + 0.2 * noise[:, 0])
    frame["sold"] = np.where(x[:, 1] + noise[:, 1] > 0, "yes", "no")
    frame["colour"] = np.array(["blue", "green", "red"])[np.digitize(x[:, 2] + 0.5 * noise[:, 2], [-0.5, 0.5])]
    return frame[:ROWS], frame[ROWS:].reset_index(drop=True)


def put(folder: Path, name: str, predicted: list[str], **keys: Any) -> Path:
    """Write a study of some of the targets, the others left out, with a sample submission."""
    rows, later = tables()
    others = [each for each in (*LABELS, *MIXED) if each not in predicted]
    rows.drop(columns=others).to_csv(folder / f"{name}-train.csv", index=False)
    later.drop(columns=[*LABELS, *MIXED]).to_csv(folder / f"{name}-test.csv", index=False)
    data = {"train": f"{name}-train.csv", "test": f"{name}-test.csv", "id": "row", "target": predicted}
    known: dict[str, Any] = {"name": name, "data": data, "families": ["linear", "xgboost"], "folds": {"folds": 3}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(known | {"search": {"workers": 1}} | keys))
    return folder / f"{name}.yaml"


def run(file: Path, trials: int = 4) -> Any:
    study = workbench.open(str(file), str(file.parent / "mlruns"))
    study.run(trials=trials, out=file.parent / f"{study.name}-submission.csv")
    return study


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """Return a folder with a study of labels and one of every kind of targets, both run."""
    folder = tmp_path_factory.mktemp("targets")
    (folder / "mlruns").mkdir()
    shutil.copy(database, folder / "mlruns" / database.name)
    run(put(folder, "labels", LABELS, metric="roc_auc", also=["f1_macro"]))
    run(put(folder, "kinds", MIXED, targets={"price": {"metric": "rmsle", "weight": 2}}), trials=3)
    return folder


def opened(folder: Path, name: str) -> Any:
    return workbench.open(str(folder / f"{name}.yaml"), str(folder / "mlruns"))


@pytest.mark.slow
def test_a_study_of_labels_goes_from_its_files_to_a_submission(ended):
    from sklearn.metrics import roc_auc_score

    truth, made = tables()[1], pd.read_csv(ended / "labels-submission.csv")
    assert list(made.columns) == ["row", *LABELS]
    assert made["row"].tolist() == truth["row"].tolist()
    study = opened(ended, "labels")
    assert study.task.dataset.task == "multilabel"
    best = study.leaderboard().iloc[0]
    assert best["score"] == pytest.approx(np.mean([best["also"][f"{label}.roc_auc"] for label in LABELS]))
    for label in LABELS:
        assert roc_auc_score(truth[label], made[label]) > 0.8
    ensemble = study.store.tracker.newest_ensemble()
    assert ensemble.score >= best["score"]
    assert {"shared", "target"} <= ensemble.alternatives.keys()


@pytest.mark.slow
def test_predictions_of_new_rows_are_the_submission_s(ended):
    for name in ("labels", "kinds"):
        again = opened(ended, name).predict(str(ended / f"{name}-test.csv"))
        pd.testing.assert_frame_equal(again, pd.read_csv(ended / f"{name}-submission.csv"), rtol=1e-6)


@pytest.mark.slow
def test_targets_of_every_kind_are_learnt_and_submitted_each_in_its_own_form(ended):
    truth, made = tables()[1], pd.read_csv(ended / "kinds-submission.csv")
    assert list(made.columns) == ["row", "price", "sold", "colour_blue", "colour_green", "colour_red"]
    study = opened(ended, "kinds")
    assert study.task.dataset.task == "multitarget"
    # Prices have a long tail, and the metric is of their logarithms.
    assert study.task.transform == ("log1p", "none", "none")
    assert np.corrcoef(np.log(made["price"]), np.log(truth["price"]))[0, 1] > 0.8
    assert ((made["sold"] > 0.5) == (truth["sold"] == "yes")).mean() > 0.65
    shares = made[["colour_blue", "colour_green", "colour_red"]].to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert (shares.argmax(axis=1) == truth["colour"].map({"blue": 0, "green": 1, "red": 2})).mean() > 0.6
    weights = {part.target: part.weight for part in study.task.metric.parts}
    assert weights == {"price": 2, "sold": 1, "colour": 1}


@pytest.mark.slow
def test_stored_predictions_have_a_column_for_every_output(ended):
    study = opened(ended, "kinds")
    row = study.leaderboard().iloc[0]
    (path,) = (ended / "mlruns" / "artifacts").glob(f"*/{row['run_id']}/artifacts/oof.parquet")
    frame = pd.read_parquet(path)
    assert list(frame.columns) == [
        "row",
        "repeat",
        "fold",
        "price",
        "sold",
        *(f"colour_{c}" for c in ("blue", "green", "red")),
    ]


@pytest.mark.slow
def test_the_report_has_a_table_of_the_targets_and_the_figures_of_each(ended):
    file = opened(ended, "kinds").report(str(ended / "kinds.html"))
    page = Path(file).read_text(encoding="utf-8")
    assert "The score of each target, out of fold" in page
    for figure in ("predicted_0", "roc_1", "confusion_2"):
        assert f'id="figure-{figure}"' in page


@pytest.mark.slow
def test_predictions_made_elsewhere_join(ended, tmp_path, capsys):
    for name in ("labels.yaml", "labels-train.csv", "labels-test.csv"):
        shutil.copy(ended / name, tmp_path / name)
    shutil.copytree(ended / "mlruns", tmp_path / "mlruns")
    study = opened(tmp_path, "labels")
    own, y = study.task, study.task.dataset.y
    oof = own.schema.oof_keys().drop(columns="repeat")
    for place, label in enumerate(LABELS):
        oof[label] = np.where(y[own.schema.rows, place] == 1, 0.8, 0.1)
    test = pd.DataFrame({"row": own.dataset.test_ids, **dict.fromkeys(LABELS, 0.5)})
    oof.to_csv(tmp_path / "oof.csv", index=False)
    test.to_csv(tmp_path / "theirs.csv", index=False)
    options = ["--oof", str(tmp_path / "oof.csv"), "--test", str(tmp_path / "theirs.csv"), "--name", "anna"]
    line = ["import", str(tmp_path / "labels.yaml"), *options, "--home", str(tmp_path / "mlruns"), "--json"]
    app(line, standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["score"] == pytest.approx(1.0)
    assert study.ensemble().members[0]["family"] == "anna"
    oof["music"] = 1.5
    oof.to_csv(tmp_path / "oof.csv", index=False)
    with pytest.raises(DataError, match="must be probabilities"):
        app(line, standalone_mode=False)


@pytest.mark.slow
def test_a_threshold_for_each_target_reaches_the_submission(tmp_path, home):
    file = put(tmp_path, "decided", LABELS, metric="f1_macro", families=["linear"])
    study = run(file, trials=2)
    ensemble = study.store.tracker.newest_ensemble()
    assert set(ensemble.threshold) == set(LABELS)
    made = pd.read_csv(tmp_path / "decided-submission.csv")
    assert set(np.unique(made[LABELS])) <= {0, 1}
    again = study.predict(str(tmp_path / "decided-test.csv"))
    pd.testing.assert_frame_equal(again, made, check_dtype=False)


@pytest.mark.slow
def test_a_study_goes_on_with_the_same_targets_only(ended, tmp_path):
    for name in ("labels.yaml", "labels-train.csv", "labels-test.csv"):
        shutil.copy(ended / name, tmp_path / name)
    shutil.copytree(ended / "mlruns", tmp_path / "mlruns")
    file = tmp_path / "labels.yaml"
    said = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(said | {"targets": {"music": {"weight": 5}}}))
    before = {trial.key: trial.score for trial in opened(ended, "labels").trials()}
    study = opened(tmp_path, "labels")
    schema, y = study.task.schema, study.task.dataset.y
    assert study.task.metric.parts[2].weight == 5
    for trial in study.trials():
        oof = study.store.tracker.predictions(trial.run_id, schema, test=False).oof
        assert trial.score == pytest.approx(study.task.metric.score(y[schema.rows], oof))
    assert {trial.key: trial.score for trial in study.trials()} != before
    said["data"]["target"] = LABELS[:2]
    said["data"]["drop"] = LABELS[2:]
    file.write_text(yaml.safe_dump(said))
    with pytest.raises(StudyError, match=r"data\.target: \[sport, politics, music\] -> \[sport, politics\]"):
        opened(tmp_path, "labels").run(trials=5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"targets": {"musik": {"weight": 2}}}, r"targets must name columns of data.target.*Did you mean 'music'\?"),
        ({"metric": "rmse"}, r"metric, for target 'sport': metric must suit the task 'binary'.*targets.sport.metric"),
        ({"targets": {"music": {"metric": "acuracy"}}}, r"Did you mean 'accuracy'"),
        ({"targets": {"music": {"metric": "roc_auc"}}}, r"must all be minimised or all be maximised"),
        ({"class_weight": "balanced"}, r"class_weight must go with one target"),
        ({"task": "regression", "metric": "log_loss"}, r"must suit the task 'regression'"),
        ({"families": ["cnn"]}, r"families\[0\] must suit multilabel on data of kind table"),
        ({"ensemble": {"weights": "class"}}, r"ensemble.*class"),
    ],
)
def test_what_does_not_go_with_several_targets_is_refused_before_work_starts(tmp_path, keys, message):
    file = put(tmp_path, "wrong", LABELS, **keys)
    with pytest.raises(ConfigError, match=message):
        workbench.open(str(file), str(tmp_path / "home")).run(trials=1)


def test_one_target_has_no_settings_of_several(tmp_path):
    file = put(tmp_path, "single", ["sport"], targets={"sport": {"weight": 2}})
    with pytest.raises(ConfigError, match=r"targets must go with a list of columns as data.target"):
        workbench.open(str(file), str(tmp_path / "home"))
    file = put(tmp_path, "alone", ["sport"], task="multilabel")
    with pytest.raises(ConfigError, match=r"task must go with a list of columns as data.target"):
        workbench.open(str(file), str(tmp_path / "home")).run(trials=1)


def loaded(file: Path) -> Dataset:
    return workbench.open(str(file), str(file.parent / "home")).task.dataset


def test_several_targets_are_the_columns_of_y_and_no_features(tmp_path):
    data = loaded(put(tmp_path, "kinds", MIXED, targets={"sold": {"positive": "no"}}))
    rows = tables()[0]
    assert [target.name for target in data.targets] == MIXED
    assert [target.task for target in data.targets] == ["regression", "binary", "multiclass"]
    assert data.targets[1].classes == ("yes", "no")
    np.testing.assert_allclose(data.y[:, 0], rows["price"])
    np.testing.assert_array_equal(data.y[:, 1], rows["sold"] == "no")
    np.testing.assert_array_equal(data.y[:, 2], rows["colour"].map({"blue": 0, "green": 1, "red": 2}))
    assert list(data.x.columns) == ["a", "b", "c", "d", "town"]


def test_arrays_may_have_a_column_for_each_target(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (30, 3))
    np.savez(tmp_path / "train.npz", x=rng.normal(size=(30, 4)), y=y)
    (tmp_path / "s.yaml").write_text("name: s\ndata: {train: train.npz}\nfamilies: [linear]\n")
    data = loaded(tmp_path / "s.yaml")
    assert [target.name for target in data.targets] == ["y0", "y1", "y2"]
    np.testing.assert_array_equal(data.y, y)
    (tmp_path / "s.yaml").write_text("name: s\ndata: {train: train.npz, target: [a, b, c]}\nfamilies: [linear]\n")
    assert [target.name for target in loaded(tmp_path / "s.yaml").targets] == ["a", "b", "c"]
