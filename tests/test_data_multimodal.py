"""A table that names images and has other columns beside them; every file generated here."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import yaml

from workbench import config, data
from workbench.autoconfig.draft import draft
from workbench.data import image_paths
from workbench.data.cache import Cache
from workbench.data.image_column import ImageArray
from workbench.data.memmap import MemmapArray
from workbench.errors import ConfigError, DataError
from workbench.study.fingerprint import Fingerprint
from workbench.study.task import Task

KEYS = {"train": "train.csv", "images": "pics", "target": "price"}


def table(folder: Path, rows: int = 12, **columns: Any) -> pd.DataFrame:
    """Write train.csv, and pictures in `pics` of which each has a level of its own."""
    (folder / "pics").mkdir(exist_ok=True)
    for number in range(rows):
        PIL.Image.fromarray(np.full((6, 8, 3), 10 * number % 256, "uint8")).save(folder / "pics" / f"{number}.png")
    n = np.arange(rows)
    frame = pd.DataFrame(
        {"size": n * 1.5, "colour": np.array(["red", "blue"])[n % 2], "front": [f"{i}.png" for i in n]}
    )
    frame["back"] = [f"pics/{(5 * i) % rows}.png" for i in n]
    frame["price"] = n % 3 + 0.5
    frame = frame.assign(**columns)
    frame.to_csv(folder / "train.csv", index=False)
    return frame


def study(folder: Path, training: object = None, **keys: object) -> config.StudyConfig:
    said = {"name": "s", "families": ["linear"], "data": {**KEYS, **keys}, "training": training or {}}
    (folder / "s.yaml").write_text(yaml.safe_dump(said))
    return config.load(folder / "s.yaml")


def load(folder: Path, **keys: object) -> data.Dataset:
    made = study(folder, **keys)
    data.peek(made)
    return data.load(made, cache=Cache(folder / "cache"))


def levels(column: object) -> list[int]:
    assert isinstance(column, ImageArray)
    found: list[int] = (column.read()[:, 0, 0, 0] // 10).tolist()
    return found


def test_every_column_of_images_is_one_and_the_others_are_what_they_are_in_any_table(tmp_path):
    table(tmp_path, price=[i % 3 + 0.5 for i in range(12)])
    dataset = load(tmp_path)
    assert dataset.kind == "mixed"
    assert dict(dataset.columns) == {"size": "number", "colour": "category", "front": "image", "back": "image"}
    assert list(dataset.x) == list(dataset.columns)
    assert levels(dataset.x.front.array) == list(range(12))
    assert levels(dataset.x.back.array) == [(5 * i) % 12 for i in range(12)]
    assert (dataset.id_name, dataset.ids[:2].tolist()) == ("front", ["0.png", "1.png"])
    assert dataset.example.front.tolist() == [f"{i}.png" for i in range(5)]
    # Every image is decoded once, into the cache; workers are sent where it lies.
    assert isinstance(dataset.x.front.array._sources[0], MemmapArray)
    assert len(dataset.x.front.array._sources[0]) == 12
    assert len(pickle.dumps(dataset.x)) < 10_000


def test_images_that_repeat_name_no_row_and_an_id_of_ones_own_comes_first(tmp_path):
    table(tmp_path, front=["1.png"] * 2 + ["2.png"] * 10, back=["3.png", "4.png"] * 6, key=np.arange(12) + 100)
    dataset = load(tmp_path, drop=["key"])
    assert (dataset.id_name, dataset.ids.tolist()) == ("id", list(range(12)))
    assert levels(dataset.x.front.array) == [1] * 2 + [2] * 10
    assert load(tmp_path, id="key").ids[0] == 100


def test_a_row_may_lack_an_image_and_that_is_told(tmp_path):
    table(tmp_path, back=[None, "1.png"] * 6)
    dataset = load(tmp_path)
    assert "6 rows name no image in 'back': theirs is blank" in dataset.notes
    assert levels(dataset.x.back.array) == [0, 1] * 6
    assert dataset.reader.optional == ("back",)


def test_a_file_that_is_not_there_is_named_with_its_column(tmp_path):
    table(tmp_path, back=["1.png"] * 11 + ["gone.png"])
    with pytest.raises(DataError, match=r"train.csv: column 'back' must name one image of .*pics.* 'gone.png'"):
        load(tmp_path)


def test_the_row_of_a_broken_image_is_left_out_if_asked(tmp_path):
    table(tmp_path)
    (tmp_path / "pics" / "3.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"images must be whole.*3.png"):
        load(tmp_path)
    dataset = load(tmp_path, corrupt="skip")
    # The front of row 3, and the back of row 3: 15 % 12 = 3.
    assert dataset.ids.tolist() == [f"{i}.png" for i in range(12) if i != 3]
    assert len(dataset.y) == len(dataset.x) == 11
    assert levels(dataset.x.back.array) == [(5 * i) % 12 for i in range(12) if i != 3]
    assert any("left out images that cannot be decoded: 3.png" in note for note in dataset.notes)


def test_the_study_file_has_the_last_word_on_what_is_an_image(tmp_path):
    table(tmp_path, bare=[str(11 - i) for i in range(12)])
    assert load(tmp_path).columns["bare"] == "number"
    assert load(tmp_path, types={"bare": "image"}).columns["bare"] == "image"
    assert load(tmp_path, types={"back": "category"}).columns["back"] == "category"
    assert list(load(tmp_path, drop=["back"]).columns) == ["size", "colour", "bare", "front"]


def test_without_another_column_that_varies_it_is_a_study_of_images(tmp_path):
    table(tmp_path, rows=6, size=[1] * 6)
    dataset = load(tmp_path, drop=["colour", "back"])
    assert (dataset.kind, dataset.x.shape) == ("image", (6, 6, 8, 3))
    # New rows are a table as well, or a folder.
    reader = dataset.reader
    new = reader.read(pd.DataFrame({"front": ["4.png", "1.png"]}))
    assert isinstance(new.x, np.ndarray)
    assert (new.x[:, 0, 0, 0].tolist(), new.ids.tolist()) == ([40, 10], ["4.png", "1.png"])
    assert len(reader.read(tmp_path / "pics").x) == 6
    with pytest.raises(DataError, match="must have a column that names an image"):
        reader.read(pd.DataFrame({"front": ["9.png"]}))


def test_a_column_that_names_the_same_images_otherwise_is_no_feature(tmp_path):
    table(tmp_path, number=np.arange(12))
    assert "number" not in load(tmp_path).columns
    assert load(tmp_path, id="number").id_name == "number"
    assert load(tmp_path, drop=["size", "colour", "back"]).kind == "image"


def test_rows_to_predict_need_the_columns_too_unless_they_have_none_of_them(tmp_path):
    frame = table(tmp_path).drop(columns="price")
    frame[::-1].to_csv(tmp_path / "test.csv", index=False)
    dataset = load(tmp_path, test="test.csv")
    assert dataset.test_ids.tolist() == [f"{i}.png" for i in range(12)][::-1]
    assert levels(dataset.x_test.front.array) == list(range(12))[::-1]
    assert isinstance(dataset.x, pd.DataFrame)
    assert isinstance(dataset.x_test, pd.DataFrame)
    joined = pd.concat([dataset.x, dataset.x_test], ignore_index=True)
    assert levels(joined.front.array) == [*range(12), *range(12)[::-1]]
    frame.drop(columns="size").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(DataError, match=r"test.csv must have the feature columns .* It lacks 'size'"):
        load(tmp_path, test="test.csv")
    frame.drop(columns="back").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(DataError, match=r"test.csv must have the columns of images of train.csv. It lacks 'back'"):
        load(tmp_path, test="test.csv")
    frame[["front"]].to_csv(tmp_path / "test.csv", index=False)
    assert load(tmp_path, test="test.csv").kind == "image"


def test_new_rows_find_their_images_beside_them_below_the_folder_and_by_their_path(tmp_path):
    frame = table(tmp_path).drop(columns="price")
    dataset = load(tmp_path)
    reader = dataset.reader
    again = data.reader_from_document(json.loads(json.dumps(reader.document())))
    assert again == reader
    away = tmp_path / "away"
    (away / "deep").mkdir(parents=True)
    PIL.Image.fromarray(np.full((12, 16), 90, "uint8")).save(away / "deep" / "new.png")
    rows = frame.head(3).assign(front=["deep/new.png", "1.png", str(away / "deep" / "new.png")])
    rows.to_csv(away / "rows.csv", index=False)
    new = again.read(away / "rows.csv", cache=Cache(tmp_path / "cache"))
    assert levels(new.x.front.array) == [9, 1, 9]
    assert list(new.x) == list(dataset.columns)
    assert new.x.front.array.seen.shape == (3, 6, 8, 3)
    # What a server is sent has no file that anything could lie beside.
    assert levels(again.read(frame.tail(2)).x.back.array) == levels(dataset.x.back.array)[-2:]
    with pytest.raises(DataError, match=r"The frame: column 'front' must name one image of .* 'none.png'"):
        again.read(frame.head(1).assign(front="none.png"))
    with pytest.raises(DataError, match="lacks 'front'"):
        again.read(frame.drop(columns="front"))
    blank = again.read(frame.head(2).assign(back=None))
    assert blank.x.back.array.isna().all()


def test_the_facts_tell_other_images_under_the_same_names(tmp_path):
    table(tmp_path)
    before = Fingerprint.of(load(tmp_path), "rmse", "")
    assert before == Fingerprint.of(load(tmp_path), "rmse", "")
    PIL.Image.fromarray(np.full((6, 8, 3), 200, "uint8")).save(tmp_path / "pics" / "4.png")
    assert before.features != Fingerprint.of(load(tmp_path), "rmse", "").features


@pytest.mark.parametrize(
    ("shared", "sentence"),
    [
        ([["front"]], "training.shared must have two columns or more in every list"),
        ([["front", "back"], ["back", "size"]], "training.shared must have no column twice"),
        (
            [["front", "bcak"]],
            r"training.shared\[0\]\[1\] must be a column of train.csv. Received: 'bcak'. Did you mean",
        ),
        ([["front", "colour"]], r"training.shared\[0\] must be columns of one kind.* 'front \(image\), colour \(cat"),
        ([["size", "more"]], r"training.shared\[0\] must be columns of one kind: images, texts or categories"),
        ([["front", "same"]], r"training.shared\[0\] must name features. Received: 'same'"),
    ],
)
def test_columns_that_cannot_share_layers_are_refused_before_work_starts(tmp_path, shared, sentence):
    table(tmp_path, more=np.arange(12) % 5, same=1)

    def check() -> None:
        made = study(tmp_path, training={"shared": shared})
        data.peek(made)
        Task(made).check()

    with pytest.raises(ConfigError, match=sentence):
        check()


def test_a_study_is_drafted_with_families_of_each_sort(tmp_path):
    notes = ["a fine red house by the lake", "the mill is old and it leaks"]
    frame = table(tmp_path, 30, key=np.arange(30), note=[f"{notes[i % 2]}, number {i} of all" for i in range(30)])
    rows = frame.rename(columns={"key": "row_id"})
    rows.to_csv(tmp_path / "train.csv", index=False)
    rows.drop(columns="price").to_csv(tmp_path / "test.csv", index=False)
    made = draft(str(tmp_path / "train.csv"), out=tmp_path / "t.yaml")
    said = config.load(made.path)
    assert (said.data.target, said.data.id, said.data.images) == ("price", "row_id", "pics")
    assert {"multi_input", "xgboost", "cnn", "tfidf_linear"} <= set(said.families)
    assert any("names in 'front', 'back'" in note for note in made.notes)
    dataset = data.load(said)
    assert (dataset.kind, dataset.columns["note"]) == ("mixed", "text")
    assert isinstance(dataset.x_test, pd.DataFrame)
    assert len(dataset.x_test) == 30
    Task(said).check()


def test_rows_without_a_file_do_not_reach_images_beyond_the_folders_that_are_open_to_them(tmp_path, monkeypatch):
    for folder in ("photos", "here", "elsewhere"):
        (tmp_path / folder).mkdir()
        PIL.Image.new("L", (4, 4)).save(tmp_path / folder / f"{folder}.png")
    monkeypatch.chdir(tmp_path / "here")
    served = image_paths.NearbyImages(None, tmp_path / "photos")
    assert served.find("photos.png") == tmp_path / "photos" / "photos.png"
    assert served.find("here.png") == tmp_path / "here" / "here.png"
    assert served.find("../elsewhere/elsewhere.png") is None
    assert served.find(str(tmp_path / "elsewhere" / "elsewhere.png")) is None
    own = image_paths.NearbyImages(tmp_path / "here", tmp_path / "photos")
    assert own.find("../elsewhere/elsewhere.png") is not None
