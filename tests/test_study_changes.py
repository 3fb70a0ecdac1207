"""A study that was begun otherwise: what has changed is named in words, and another metric scores the trials anew."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

import workbench
from workbench import config as configs
from workbench.config import StudyConfig
from workbench.errors import StudyError
from workbench.evaluation import metric
from workbench.home import Home
from workbench.search.pruners import END, encode_step
from workbench.search.storage import TrialRecord, TrialStorage
from workbench.search.trial_copy import copy_trials
from workbench.study.recorded_settings import check_settings, list_settings, metric_may_differ
from workbench.study.task import Task

STUDY = """
name: small
data: {train: train.csv, test: test.csv, target: kind, id: row, drop: [spare]}
metric: log_loss
also: [accuracy]
folds: {folds: 5}
families: [linear, extra_trees]
search: {workers: 1, trials: 5}
"""


def frame(rows: int = 90, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, rows)
    return pd.DataFrame(
        {
            "row": np.arange(rows),
            "a": (kind + rng.normal(size=rows)).round(3),
            "b": rng.normal(size=rows).round(3),
            "c": rng.integers(0, 3, rows),
            "spare": rng.normal(size=rows).round(3),
            "kind": np.array(["oak", "elm"])[kind],
        }
    )


def write(folder: Path, text: str = STUDY) -> StudyConfig:
    (folder / "s.yaml").write_text(text)
    return configs.load(folder / "s.yaml")


def replace(*changes: tuple[str, str]) -> str:
    text = STUDY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A folder with a study that has begun: its fingerprint is written."""
    frame().to_csv(tmp_path / "train.csv", index=False)
    frame(20, 1).drop(columns="kind").to_csv(tmp_path / "test.csv", index=False)
    config = write(tmp_path)
    Task(config).facts.settle(fingerprint(tmp_path), config)
    return tmp_path


def fingerprint(folder: Path) -> Path:
    return folder / "mlruns" / "studies" / "small" / "study.json"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("folds: 5", "folds: 3"), "folds.folds: 5 -> 3"),
        (("{folds: 5}", "{folds: 5, seed: 9}"), "folds.seed: 7 -> 9"),
        (("{folds: 5}", "{folds: 5, repeats: 2}"), "folds.repeats: 1 -> 2"),
        (("target: kind", "target: c"), "data.target: kind -> c"),
        (("id: row", "id: b"), "data.id: row -> b"),
        (("[spare]", "[spare, a]"), "data.drop: [spare] -> [spare, a]"),
        (("drop: [spare]", "drop: [spare], weight: b"), "data.weight: none -> b"),
        (("drop: [spare]", "drop: [spare], types: {c: category}"), "data.types.c: none -> category"),
    ],
)
def test_a_changed_setting_is_refused_from_the_study_file_alone(
    begun: Path, change: tuple[str, str], words: str
) -> None:
    config = write(begun, replace(change))
    for data in ("train.csv", "test.csv"):
        (begun / data).unlink()
    with pytest.raises(StudyError) as error:
        check_settings(fingerprint(begun), config)
    assert str(error.value) == (
        f"{begun / 's.yaml'}: study 'small' was begun otherwise: {words}. "
        "Give the study another name, or restore what it was begun with."
    )


@pytest.mark.parametrize(
    "change",
    [
        ("metric: log_loss", "metric: accuracy"),
        ("train: train.csv", "train: copy.csv"),
        ("drop: [spare]", "drop: [spare], types: {c: number}"),
        ("{folds: 5}", "{folds: 5, kind: stratified}"),
        ("{folds: 5}", "{kind: stratified}"),
        ("name: small", "name: small\ntask: binary"),
        ("families: [linear, extra_trees]", "families: [linear]"),
    ],
)
def test_a_setting_that_may_change_nothing_passes_and_the_data_decide(begun: Path, change: tuple[str, str]) -> None:
    (begun / "copy.csv").write_bytes((begun / "train.csv").read_bytes())
    config = write(begun, replace(change))
    check_settings(fingerprint(begun), config)
    Task(config).facts.check(fingerprint(begun), config, but=["metric"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda train: train[:80], "data.train: 90 rows -> 80"),
        (lambda train: train.assign(a=train["a"] + 1), "data.train: other rows"),
        (lambda train: train.assign(row=train["row"] + 1), "data.train: other ids, targets or groups"),
        (lambda train: train.assign(d=train["a"] ** 2), "features new: d"),
        (lambda train: train.assign(c=train["c"].map("x{}".format)), "features of another kind: c number -> category"),
        (
            lambda train: train.assign(kind=train["kind"].where(train.index > 5, "fir")),
            "task: binary -> multiclass; classes: elm, oak -> elm, fir, oak",
        ),
    ],
)
def test_changed_data_are_described_in_words(begun: Path, change: Any, words: str) -> None:
    change(frame()).to_csv(begun / "train.csv", index=False)
    if "new" in words:
        test = frame(20, 1).drop(columns="kind")
        test.assign(d=test["a"] ** 2).to_csv(begun / "test.csv", index=False)
    if "another kind" in words:
        test = frame(20, 1).drop(columns="kind")
        test.assign(c=test["c"].map("x{}".format)).to_csv(begun / "test.csv", index=False)
    config = write(begun)
    with pytest.raises(StudyError) as error:
        Task(config).facts.check(fingerprint(begun), config)
    assert f"was begun otherwise: {words}. Give the study another name" in str(error.value)


def test_other_rows_to_predict_are_described_in_words(begun: Path) -> None:
    frame(20, 2).drop(columns="kind").to_csv(begun / "test.csv", index=False)
    config = write(begun)
    with pytest.raises(StudyError, match=r"was begun otherwise: data\.test: other rows\. Give"):
        Task(config).facts.check(fingerprint(begun), config)


def test_a_setting_and_its_effect_on_the_data_are_both_described(begun: Path) -> None:
    frame()[:70].to_csv(begun / "new.csv", index=False)
    config = write(begun, replace(("train: train.csv", "train: new.csv")))
    words = "data.train: train.csv -> new.csv; data.train: 90 rows -> 70"
    with pytest.raises(StudyError, match=f"was begun otherwise: {words}. Give"):
        Task(config).facts.settle(fingerprint(begun), config)


def test_a_fingerprint_without_settings_is_compared_as_before_and_gets_them_when_nothing_changed(begun: Path) -> None:
    file = fingerprint(begun)
    document = json.loads(file.read_text())
    old = {key: value for key, value in document.items() if key not in ("settings", "columns")}
    file.write_text(json.dumps(old))
    changed = write(begun, replace(("folds: 5", "folds: 3")))
    check_settings(file, changed)
    with pytest.raises(StudyError, match=r"was begun otherwise: folds was '[0-9a-f]{16}' and is '[0-9a-f]{16}'"):
        Task(changed).facts.check(file, changed)
    config = write(begun)
    Task(config).facts.settle(file, config)
    assert json.loads(file.read_text()) == document


def test_a_setting_that_did_not_exist_yet_had_its_default(begun: Path) -> None:
    file = fingerprint(begun)
    document = json.loads(file.read_text())
    del document["settings"]["folds.repeats"]
    file.write_text(json.dumps(document))
    check_settings(file, write(begun))
    with pytest.raises(StudyError, match=r"folds\.repeats: 1 -> 2"):
        check_settings(file, write(begun, replace(("{folds: 5}", "{folds: 5, repeats: 2}"))))


def test_secrets_are_not_recorded(begun: Path) -> None:
    text = replace(("train: train.csv", "train: 'https://x.org/train.csv?token=abcdef123456'"))
    assert "abcdef123456" not in json.dumps(list_settings(write(begun, text)))


def test_a_changed_study_is_refused_within_a_second_before_anything_heavy_loads(begun: Path) -> None:
    write(begun, replace(("folds: 5", "folds: 3")))
    code = (
        "import sys, time\nfrom workbench.cli import main\nbegan = time.monotonic()\n"
        "try:\n    main()\nexcept SystemExit as end:\n"
        "    heavy = {'pandas', 'optuna', 'mlflow', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "    print(end.code, sorted(heavy), time.monotonic() - began)\n"
    )
    for verb in (["run"], ["ensemble"], ["submit"], ["report"], ["predict", "test.csv"]):
        words = [verb[0], "s.yaml", *verb[1:]]
        ended = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=begun, capture_output=True, text=True, check=True
        )
        assert "study 'small' was begun otherwise: folds.folds: 5 -> 3." in ended.stderr, verb
        status, heavy, seconds = ended.stdout.split(" ", 1)[0], *ended.stdout.split(" ", 1)[1].rsplit(" ", 1)
        assert (status, heavy) == ("2", "[]"), verb
        # Generous, so that a busy machine does not fail the suite.
        assert float(seconds) < 3, verb


def test_whether_the_metric_may_differ_is_known_without_the_data(begun: Path) -> None:
    document = json.loads(fingerprint(begun).read_text())
    old = {key: value for key, value in document.items() if key != "settings"}
    for change, differs in ((("folds: 5", "folds: 3"), False), (("metric: log_loss", "metric: accuracy"), True)):
        config = write(begun, replace(change))
        assert metric_may_differ(document, config) is differs
        assert metric_may_differ(old, config) is differs


def record(number: int, score: float | None, state: Any = "complete") -> TrialRecord:
    folds = [] if score is None else [score - 0.1, score + 0.1]
    return TrialRecord(f"run-{number}", "linear", number, score, 0.1, folds, state, 1.0, {"rate": number})


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal with a complete, a pruned, a failed, and an interrupted trial of a family."""
    file = tmp_path / "optuna.journal"
    study = TrialStorage(file, "s", direction="minimize")._open("linear")
    for number, state in enumerate(("complete", "pruned", "failed", "running")):
        trial = study.ask()
        trial.suggest_int("rate", 0, 9)
        trial.report(3.5, encode_step((0, 2)))
        trial.report(0.4, encode_step((0, END)))
        if state == "running":
            trial.set_user_attr("restarts", 1)
            continue
        own = record(number, 0.5 if state == "complete" else None, state)
        trial.set_user_attr("row", own.__dict__)
        states = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
        study.tell(trial, own.score, state=optuna.trial.TrialState[states[state]])
    return file


def rescored(trial: TrialRecord) -> TrialRecord:
    return TrialRecord(**{**trial.__dict__, "score": 0.9, "fold_scores": [0.8, 1.0], "also": {"log_loss": trial.score}})


def test_copied_trials_keep_their_numbers_and_have_the_new_scores(journal: Path) -> None:
    copy_trials(journal, "s", "s@2", direction="maximize", rescore=rescored)
    before, after = (TrialStorage(journal, name, direction="maximize") for name in ("s", "s@2"))
    old, new = before.frozen_trials("linear"), after.frozen_trials("linear")
    assert [trial.state.name for trial in new] == ["COMPLETE", "PRUNED", "FAIL", "WAITING"]
    assert [trial.number for trial in new] == [0, 1, 2, 3]
    assert [trial.params for trial in new] == [trial.params for trial in old]
    assert [trial.datetime_complete for trial in new[:3]] == [trial.datetime_complete for trial in old[:3]]
    assert (new[0].value, old[0].value) == (0.9, 0.5)
    # A loss within a fold has the sign of the direction; the end of a fold has its score.
    assert new[0].intermediate_values == {encode_step((0, 2)): -3.5, encode_step((0, END)): 0.8}
    assert new[1].intermediate_values == {encode_step((0, 2)): -3.5}
    assert new[3].intermediate_values == {}
    assert after.records()[0].also == {"log_loss": 0.5}
    assert [each.fold_scores for each in after.records()] == [[0.8, 1.0], [], []]
    assert after.families() == before.families() == ["linear"]


def test_an_interrupted_trial_goes_on_in_the_copy_with_its_hyperparameters(journal: Path) -> None:
    copy_trials(journal, "s", "s@2", direction="maximize", rescore=rescored)
    storage = TrialStorage(journal, "s@2", direction="maximize")
    waiting = storage.frozen_trials("linear")[3].params
    assert storage.has_waiting("linear")
    trial = storage.ask("linear")
    assert (trial.number, dict(trial.hyperparameters)) == (3, waiting)
    assert storage.ask("linear").number == 4


def test_a_copy_that_a_kill_left_is_replaced(journal: Path) -> None:
    def fail(_: TrialRecord) -> TrialRecord:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        copy_trials(journal, "s", "s@2", direction="maximize", rescore=fail)
    for _ in range(2):
        copy_trials(journal, "s", "s@2", direction="maximize", rescore=rescored)
    assert len(TrialStorage(journal, "s@2", direction="maximize").frozen_trials("linear")) == 4


def test_a_trial_that_the_metric_cannot_score_has_failed_in_the_copy(journal: Path) -> None:
    def undefined(trial: TrialRecord) -> TrialRecord:
        return TrialRecord(**{**trial.__dict__, "score": float("nan"), "fold_scores": [float("nan"), 1.0]})

    copy_trials(journal, "s", "s@2", direction="maximize", rescore=undefined)
    found = next(each for each in TrialStorage(journal, "s@2", direction="maximize").records() if each.number == 0)
    assert (found.state, found.score, found.reason) == ("failed", None, "the metric is undefined for its predictions")


@pytest.mark.slow
def test_another_metric_scores_the_trials_anew_and_the_search_goes_on(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame().to_csv(tmp_path / "train.csv", index=False)
    frame(20, 1).drop(columns="kind").to_csv(tmp_path / "test.csv", index=False)
    write(tmp_path)
    first = workbench.open(tmp_path / "s.yaml", home)
    first.run(trials=4, out=tmp_path / "s.csv")
    before = {trial.key: trial for trial in first.trials()}
    write(tmp_path, replace(("metric: log_loss", "metric: roc_auc")))
    said: list[str] = []
    study = workbench.study.open(tmp_path / "s.yaml", home, tell=said.append)
    trials = study.trials()
    assert said == ["metric: log_loss -> roc_auc: the trials are scored anew, by their out-of-fold predictions …"]
    schema, y = study.task.schema, study.task.dataset.y
    for trial in trials:
        old = before[trial.key]
        oof = study.store.tracker.predictions(trial.run_id, schema, test=False).oof
        assert trial.score == pytest.approx(metric("roc_auc").score(y[schema.rows], oof))
        assert trial.also["log_loss"] == old.score
        assert trial.also["accuracy"] == old.also["accuracy"]
        assert (trial.run_id, trial.hyperparameters) == (old.run_id, old.hyperparameters)
        assert len(trial.fold_scores) == 5
        run = study.store.tracker._client.get_run(trial.run_id)
        assert run.data.metrics["roc_auc"] == pytest.approx(trial.score)
        assert run.data.metrics["log_loss"] == pytest.approx(old.score)
    scores = [trial.score or 0.0 for trial in trials]
    assert scores == sorted(scores, reverse=True)
    assert study.ensemble().result.metric == "roc_auc"
    study.run(trials=6, out=tmp_path / "s.csv")
    assert len(study.trials()) >= 6
    assert said[1:] == []
    # Back again: the trials that were added meanwhile are scored too.
    write(tmp_path)
    again = workbench.open(tmp_path / "s.yaml", home)
    assert {trial.key: trial.score for trial in again.trials() if trial.key in before} == {
        key: pytest.approx(trial.score) for key, trial in before.items()
    }
    assert len(again.trials()) >= 6
    assert json.loads(Home(home).fingerprint("small").read_text())["generation"] == 3
    assert again.report(tmp_path / "r.html").exists()
    assert len(again.predict(tmp_path / "test.csv")) == 20


@pytest.mark.slow
def test_a_metric_that_trains_on_another_transform_is_refused(tmp_path: Path, home: Path) -> None:
    rng = np.random.default_rng(0)
    pd.DataFrame({"a": rng.normal(size=60), "y": rng.uniform(1, 2, 60)}).to_csv(tmp_path / "train.csv", index=False)
    text = "name: small\ndata: {train: train.csv, target: y}\nmetric: rmse\nfamilies: [linear]\nsearch: {workers: 1}\n"
    write(tmp_path, text)
    workbench.open(tmp_path / "s.yaml", home).run(trials=2)
    write(tmp_path, text.replace("rmse", "rmsle"))
    began = time.monotonic()
    with pytest.raises(StudyError, match="metric: rmse -> rmsle, with another transform or range of the predictions"):
        workbench.open(tmp_path / "s.yaml", home).trials()
    assert time.monotonic() - began < 60
