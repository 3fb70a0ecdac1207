from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
import yaml

from workbench import config, data
from workbench.data import new_data, remote
from workbench.errors import ConfigError, DataError, SourceError


def study(folder: Path, **keys: object) -> config.StudyConfig:
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump({"name": "s", "families": ["linear"], "data": keys}))
    return config.load(file)


@pytest.mark.parametrize(
    ("name", "kind", "task", "shape", "apart"),
    [
        ("digits", "image", "multiclass", (1437, 8, 8), 360),
        ("breast_cancer", "table", "binary", (455, 30), 114),
        ("wine", "table", "multiclass", (142, 13), 36),
        ("diabetes", "table", "regression", (353, 10), 89),
        ("iris", "table", "multiclass", (120, 4), 30),
    ],
)
def test_sklearn_sources_set_a_fifth_apart_and_keep_its_targets_to_the_scorer(tmp_path, name, kind, task, shape, apart):
    study_config = study(tmp_path, train=f"sklearn:{name}")
    data.peek(study_config)
    dataset = data.load(study_config)
    assert (dataset.kind, dataset.task, dataset.x.shape) == (kind, task, shape)
    assert dataset.x_test is not None
    assert dataset.test_ids is not None
    assert len(dataset.x_test) == len(dataset.test_ids) == apart
    assert sorted([*dataset.ids, *dataset.test_ids]) == list(range(shape[0] + apart))
    assert dataset.sample is None
    answers = data.load_answers(study_config)
    assert answers is not None
    ids, true = answers
    assert ids.tolist() == dataset.test_ids.tolist()
    assert true.dtype == dataset.y.dtype
    if dataset.classes:
        shares = np.bincount(dataset.y) / len(dataset.y)
        assert abs(np.bincount(true) / apart - shares).max() < 0.03


def reader(folder, **more):
    """Return how rows to predict are read for the table t.csv, whose target is y."""
    asked = study(folder, train="t.csv", target="y", **more)
    return data.load(asked).reader


def test_new_rows_take_the_place_of_those_to_predict(tmp_path):
    iris = study(tmp_path, train="sklearn:iris")
    own = data.load(iris)
    assert isinstance(own.x_test, pd.DataFrame)
    rows = own.x_test[[*own.x_test.columns[::-1]]].assign(target="setosa", more=1)[4:7]
    rows.to_csv(tmp_path / "new.csv", index=False)
    reader = own.reader
    for new in (reader.read(rows), reader.read(tmp_path / "new.csv")):
        assert isinstance(new.x, pd.DataFrame)
        pd.testing.assert_frame_equal(new.x, own.x_test[4:7].reset_index(drop=True))
        assert new.ids.tolist() == [0, 1, 2]
    assert reader.read(rows.assign(id=["c", "a", "b"])).ids.tolist() == ["c", "a", "b"]


def test_new_images_come_as_arrays(tmp_path):
    digits = study(tmp_path, train="sklearn:digits")
    own = data.load(digits)
    assert isinstance(own.x_test, np.ndarray)
    np.savez(tmp_path / "new.npz", x=own.x_test[4:7])
    reader = own.reader
    for new in (reader.read(tmp_path / "new.npz"), reader.read(own.x_test[4:7])):
        assert np.array_equal(new.x, own.x_test[4:7])
        assert new.ids.tolist() == [0, 1, 2]
    with pytest.raises(DataError, match=r"The frame must be an .npz file, as sklearn:digits is"):
        reader.read(pd.DataFrame({"x": [1.0]}))
    with pytest.raises(DataError, match=r"The array: x must have rows of the shape \(8, 8\) .* Received: \(8,\)"):
        reader.read(own.x_test[0])


def test_words_among_the_numbers_of_new_rows_are_refused_unless_the_study_file_asks_for_numbers(tmp_path):
    pd.DataFrame({"a": [1, 2, 3, 4], "b": ["x", "y", "x", "y"], "y": [0, 1, 0, 1]}).to_csv(tmp_path / "t.csv")
    rows = pd.DataFrame({"a": ["1.5", "n/a", "many", " 2"], "b": ["z", None, "x", "y"]})
    with pytest.raises(DataError, match=r"The frame: column 'a' must hold numbers, as in training. Received: 'many'."):
        reader(tmp_path).read(rows)
    asked = reader(tmp_path, types={"a": "number"}).read(rows)
    assert asked.x.a.fillna(0).tolist() == [1.5, 0, 0, 2]
    assert asked.x.b.fillna("").tolist() == ["z", "", "x", "y"]


def test_a_reader_that_was_written_down_reads_the_same(tmp_path):
    days = [f"{day}.3.2026" for day in (28, 29, 30, 31)]
    pd.DataFrame({"a": [1.0, None, 3, 4], "day": days, "y": [0, 1, 0, 1]}).to_csv(tmp_path / "t.csv", index=False)
    known = reader(tmp_path)
    again = data.reader_from_document(json.loads(json.dumps(known.document())))
    assert again == known
    rows = pd.DataFrame({"a": [5, 6], "day": ["5.4.2026", "never"]})
    x = again.read(rows).x
    assert isinstance(x, pd.DataFrame)
    pd.testing.assert_frame_equal(x, known.read(rows).x)
    assert again.read(rows).x.day.dt.month.tolist()[:1] == [4]
    assert again.optional == ("a",)
    with pytest.raises(DataError, match=r"The frame must have the feature columns of t.csv. It lacks 'a'\. Add them"):
        again.read(rows[["day"]])
    assert again.read(new_data.add_optional(rows[["day"]], again.optional)).x.a.isna().all()


def test_classes_of_sklearn_sources_have_their_names(tmp_path):
    assert data.load(study(tmp_path, train="sklearn:wine")).classes == ("class_0", "class_1", "class_2")
    assert data.load(study(tmp_path, train="sklearn:digits")).classes == tuple(range(10))


def test_the_truth_follows_the_positive_class(tmp_path):
    usual = data.load_answers(study(tmp_path, train="sklearn:breast_cancer"))
    turned = data.load_answers(study(tmp_path, train="sklearn:breast_cancer", positive="benign"))
    assert usual is not None
    assert turned is not None
    assert (usual[1] + turned[1] == 1).all()


def test_a_feature_cannot_be_the_target_of_a_sklearn_source(tmp_path):
    with pytest.raises(ConfigError, match=r"data.target must not be a feature"):
        data.load(study(tmp_path, train="sklearn:wine", target="alcohol"))


def test_other_sources_have_no_truth(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n1,0\n2,1\n")
    assert data.load_answers(study(tmp_path, train="t.csv", target="y")) is None


def test_openml_gives_frame_and_target():
    asked = {}

    def fetch(**options):
        asked.update(options)
        return SimpleNamespace(frame=pd.DataFrame({"a": [1], "class": ["x"]}), target_names=["class"])

    frame, target = remote.openml("31", fetch=fetch)
    assert (list(frame.columns), target) == (["a", "class"], "class")
    assert asked["data_id"] == 31
    remote.openml("credit-g", fetch=fetch)
    assert asked["name"] == "credit-g"


def test_openml_without_a_network_says_what_to_do():
    def fetch(**options):
        raise URLError("Name or service not known")

    with pytest.raises(SourceError, match=r"openml:31 cannot be read \(Name or service not known\).*data.train"):
        remote.openml("31", fetch=fetch)


def test_kaggle_files_are_found_among_those_of_a_competition(tmp_path):
    for name in ("train.csv", "test.csv", "gender_submission.csv", "notes.txt"):
        (tmp_path / name).write_text("a,y\n1,2\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "labels.csv").write_text("a,y\n1,2\n")
    files = remote.kaggle("titanic", download=lambda name: str(tmp_path))
    assert [path.name for path in files] == ["train.csv", "test.csv", "gender_submission.csv"]
    named = remote.kaggle("titanic/more/labels.csv", download=lambda name: str(tmp_path))
    assert named.train.name == "labels.csv"
    with pytest.raises(DataError, match=r"no file 'trian.csv'. Did you mean 'train.csv'"):
        remote.kaggle("titanic/trian.csv", download=lambda name: str(tmp_path))


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (None, "Kaggle cannot be reached. Check the network"),
        (401, "Kaggle does not know the key"),
        (403, "accept its rules at https://www.kaggle.com/competitions/titanic/rules"),
        (404, "no competition of this name"),
        (500, "Kaggle answered 500"),
    ],
)
def test_what_kaggle_refuses_is_said_with_what_to_do(status, sentence):
    def download(name):
        error: Any = OSError("secret-token-in-message")
        error.response = SimpleNamespace(status_code=status)
        raise error

    with pytest.raises(SourceError, match=sentence) as caught:
        remote.kaggle("titanic", download=download)
    assert "secret" not in str(caught.value)


def test_kaggle_needs_the_package_and_a_key_or_an_earlier_download(tmp_path, monkeypatch):
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SourceError, match=r"pip install kagglehub"):
        remote.check_kaggle("titanic", find=lambda name: None)
    with pytest.raises(SourceError, match=r"needs a Kaggle key.*KAGGLE_USERNAME and KAGGLE_KEY"):
        remote.check_kaggle("titanic", find=lambda name: name)
    (tmp_path / "kaggle.json").write_text("{}")
    remote.check_kaggle("titanic", find=lambda name: name)
    (tmp_path / "kaggle.json").unlink()
    (tmp_path / "cache" / "competitions" / "titanic" / "1").mkdir(parents=True)
    remote.check_kaggle("titanic/train.csv", find=lambda name: name)


def test_a_kaggle_source_needs_a_target(tmp_path):
    with pytest.raises(ConfigError, match=r"data.target is missing"):
        data.peek(study(tmp_path, train="kaggle:titanic"))
