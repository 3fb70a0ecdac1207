"""The callbacks of the study file: their checks, and the files and epochs that they lead to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench import config, evaluation, models, trial
from workbench.config import TrainingConfig
from workbench.data import Dataset
from workbench.errors import ConfigError, FamilyError
from workbench.evaluation import folds
from workbench.models.nn import callbacks
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space import defaults
from workbench.study.study_validation import check

CUSTOM_CALLBACKS = """
import keras

class Lines(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        with open({file!r}, "a") as file:
            file.write("begun\\n")

def nothing():
    return 7
"""
STUDY = "name: x\ndata: {train: 'sklearn:wine'}\nfamilies: [linear]\ntraining: "


@pytest.fixture
def custom_file(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(CUSTOM_CALLBACKS.format(file=str(tmp_path / "lines.txt")))
    return file


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ("{callbacks: [own.py]}", r"training.callbacks\[0\] must be file.py:Name. Received: 'own.py'."),
        ("{callbacks: ['no.py:Lines']}", r"training.callbacks\[0\] must name a file that is there. Received: 'no.py:L"),
        ("{callbacks: ['own.py:Line']}", r"must name what own.py defines. Received: 'own.py:Line'. Did you mean 'Line"),
        ("{callbacks: ['bad.py:Line']}", r"must name a file of Python. Received: 'bad.py:Line'"),
        ("{early_stopping: 0}", "training.early_stopping must be at least 1"),
        ("{early_stoping: 3}", "training.early_stoping is not a key of a study file. Did you mean 'early_stopping'"),
        ("{schedule: cosin}", "training.schedule must be 'plateau', 'cosine' or 'step'"),
    ],
)
def test_an_invalid_training_section_is_refused_by_its_key(custom_file, tmp_path, training, message):
    (tmp_path / "bad.py").write_text("class")
    study = tmp_path / "study.yaml"
    study.write_text(STUDY + training)
    with pytest.raises(ConfigError, match=message):
        check(config.load(study))


def test_relative_paths_are_relative_to_the_study_file(custom_file, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(STUDY + "{csv_log: logs, callbacks: ['own.py:Lines']}")
    loaded = config.load(study)
    check(loaded)
    absolute = callbacks.resolve_paths(loaded.training, loaded.resolve)
    assert absolute.csv_log == str(tmp_path / "logs")
    assert absolute.callbacks == (f"{custom_file}:Lines",)
    assert absolute.tensorboard is None


def fit_mlp(training: TrainingConfig, log: list[dict[str, float]], **changes):
    from workbench.space.keras import HyperParameters

    x, y = np.random.default_rng(0).normal(size=(80, 6, 2)).astype(np.float32), np.arange(80) % 2

    def record(epoch, losses, progress=None, of=None):
        log.append(dict(losses))

    context = FitContext(3, 1, record, training=training, name="mlp-0/0-1", **changes)
    hp = HyperParameters(defaults)
    problem = Problem("sequence", "binary", 2, {}, "log_loss")
    models.get_family("mlp").fit(hp, problem, Rows(x[:60], y[:60]), Rows(x[60:], y[60:]), context)
    return hp


@pytest.mark.slow
def test_logs_and_best_weights_are_in_a_folder_of_each_training(custom_file, tmp_path):
    pytest.importorskip("tensorboard")
    folders: dict[str, Any] = {key: str(tmp_path / key) for key in ("csv_log", "checkpoint", "tensorboard")}
    log: list[dict[str, float]] = []
    fit_mlp(TrainingConfig(**folders, callbacks=(f"{custom_file}:Lines",)), log, epochs=3)
    lines = (tmp_path / "csv_log/mlp-0/0-1/log.csv").read_text().splitlines()
    assert lines[0].split(",")[0] == "epoch"
    assert len(lines) == 1 + 3
    assert float(lines[3].split(",")[lines[0].split(",").index("val_loss")]) == pytest.approx(log[2]["val_loss"])
    assert (tmp_path / "checkpoint/mlp-0/0-1/best.weights.h5").stat().st_size > 1000
    assert {path.name for path in (tmp_path / "tensorboard/mlp-0/0-1").iterdir()} == {"train", "validation"}
    assert (tmp_path / "lines.txt").read_text() == "begun\n"


@pytest.mark.slow
def test_the_study_file_sets_early_stopping_and_the_learning_rate_schedule():
    # The target is noise: the validation loss soon stops improving.
    patient: list[dict[str, float]] = []
    fit_mlp(TrainingConfig(early_stopping=None, reduce_on_plateau=False), patient, epochs=25)
    assert len(patient) == 25
    assert len({losses["learning_rate"] for losses in patient if "learning_rate" in losses}) <= 1
    hasty: list[dict[str, float]] = []
    fit_mlp(TrainingConfig(early_stopping=1), hasty, epochs=25)
    assert len(hasty) < 25
    falling: list[dict[str, float]] = []
    hp = fit_mlp(TrainingConfig(schedule="cosine"), falling, epochs=4)
    rates = [losses["learning_rate"] for losses in falling]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[3]
    assert hp.values["schedule"] == "cosine"


@pytest.mark.slow
def test_an_object_that_is_not_a_callback_is_refused_by_its_name(custom_file):
    with pytest.raises(FamilyError, match=r"nothing\(\) must be a keras.callbacks.Callback. Received: int."):
        fit_mlp(TrainingConfig(callbacks=(f"{custom_file}:nothing",)), [])


@pytest.mark.slow
def test_every_fold_of_a_trial_has_its_own_log(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(40, 6, 2)).astype(np.float32), np.arange(40) % 2
    data = Dataset("sequence", "binary", x, y, ids=np.arange(40), target="y", classes=("a", "b"))
    splits = folds.make(config.FoldsConfig(folds=2), task="binary", y=y, ids=data.ids)
    training = TrainingConfig(epochs=2, csv_log=str(tmp_path / "logs"))
    spec = trial.TrialSpec("mlp", data, splits, evaluation.metric("log_loss", task="binary"), training=training)
    results = list(trial.fit_folds(spec, 4, trial.build_space("mlp", defaults), folder=tmp_path / "trial"))
    assert [len(each.curve["epoch"]) for each in results] == [2, 2]
    logs = sorted(path.relative_to(tmp_path / "logs") for path in (tmp_path / "logs").rglob("*.csv"))
    assert logs == [Path("mlp-4/0-0/log.csv"), Path("mlp-4/0-1/log.csv")]
