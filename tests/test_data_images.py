"""Images in files: folders of classes, tables that name files, tables of pixels, IDX; every file generated here."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import yaml

from workbench import config, data
from workbench.autoconfig.draft import draft
from workbench.data import image_decoding
from workbench.data.cache import Cache
from workbench.data.memmap import MemmapArray
from workbench.errors import ConfigError, DataError, SourceError, WorkbenchError
from workbench.study.fingerprint import Fingerprint


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (12, 10), mode: str = "RGB", **options: Any) -> Path:
    """Write a picture of some width and height whose brightness follows from `seed`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    levels = np.clip(np.random.default_rng(seed).normal(60 + 40 * (seed % 4), 20, (height, width, 3)), 0, 255)
    PIL.Image.fromarray(levels.astype("uint8")).convert(mode).save(path, **options)
    return path


def classes(folder: Path, count: int = 4, suffix: str = ".png", **options: Any) -> Path:
    """Write `count` pictures of cats, and as many of dogs, which are brighter."""
    for number in range(count):
        picture(folder / "train" / "cat" / f"c{number}{suffix}", 4 * number, **options)
        picture(folder / "train" / "dog" / f"d{number}{suffix}", 4 * number + 2, **options)
    return folder / "train"


def study(folder: Path, **keys: object) -> config.StudyConfig:
    file = folder / "study.yaml"
    keys = {"train": "train", **keys}
    file.write_text(yaml.safe_dump({"name": "s", "families": ["linear"], "data": keys}))
    return config.load(file)


def load(folder: Path, **keys: object) -> data.Dataset:
    made = study(folder, **keys)
    data.peek(made)
    return data.load(made)


def test_a_folder_for_each_class_becomes_images_with_the_files_names_as_ids(tmp_path):
    classes(tmp_path, 2)
    picture(tmp_path / "test" / "b.png")
    picture(tmp_path / "test" / "a.PNG")
    dataset = load(tmp_path, test="test")
    assert (dataset.kind, dataset.task, dataset.classes) == ("image", "binary", ("cat", "dog"))
    assert (dataset.x.shape, dataset.x.dtype) == ((4, 10, 12, 3), np.dtype("uint8"))
    assert dataset.ids.tolist() == ["c0.png", "c1.png", "d0.png", "d1.png"]
    assert dataset.y.tolist() == [0, 0, 1, 1]
    assert dataset.test_ids.tolist() == ["a.PNG", "b.png"]
    assert (dataset.target, dataset.id_name) == ("label", "id")
    original = np.asarray(PIL.Image.open(tmp_path / "train" / "cat" / "c1.png"))
    assert np.array_equal(dataset.x[1], original)


def test_what_lies_in_sub_folders_of_a_class_is_of_the_class_and_debris_is_passed_over(tmp_path):
    train = classes(tmp_path, 1)
    picture(train / "cat" / "more" / "c9.JPG")
    picture(train / "cat" / ".hidden.png")
    (train / "cat" / ".DS_Store").write_text("")
    (train / "dog" / "Thumbs.db").write_text("")
    (train / "dog" / "notes.txt").write_text("")
    (train / "bird").mkdir()
    dataset = load(tmp_path)
    assert dataset.ids.tolist() == ["c0.png", "c9.JPG", "d0.png"]
    assert "left out bird: a folder without images" in dataset.notes
    assert "left out files that are no images: notes.txt" in dataset.notes


def test_a_name_that_two_classes_have_makes_the_paths_the_ids(tmp_path):
    for name in ("cat", "dog"):
        picture(tmp_path / "train" / name / "0.png")
        picture(tmp_path / "train" / name / f"{name}.png")
    assert load(tmp_path).ids.tolist() == ["cat/0.png", "cat/cat.png", "dog/0.png", "dog/dog.png"]


def test_images_of_many_sizes_become_one_size_which_is_told(tmp_path):
    for number, size in enumerate([(400, 200), (400, 200), (300, 260), (20, 10)]):
        picture(tmp_path / "train" / "ab"[number % 2] / f"{number}.jpg", number, size)
    dataset = load(tmp_path)
    assert dataset.x.shape == (4, 73, 128, 3)
    assert "images of 3 sizes are stretched to 73 × 128 pixels" in dataset.notes
    assert load(tmp_path, image_size=[8, 16]).x.shape == (4, 8, 16, 3)
    # An eighth of a JPEG's size is decoded at once, and is the same picture.
    with PIL.Image.open(tmp_path / "train" / "a" / "0.jpg") as image:
        whole = np.asarray(image.resize((16, 8), PIL.Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(load(tmp_path, image_size=[8, 16]).x[0] - whole).mean() < 4


@pytest.mark.parametrize(
    ("modes", "shape", "dtype"),
    [
        (["L", "1"], (10, 12), "uint8"),
        (["L", "LA"], (10, 12), "uint8"),
        (["L", "RGB"], (10, 12, 3), "uint8"),
        (["RGBA", "RGB"], (10, 12, 3), "uint8"),
        (["P", "P"], (10, 12, 3), "uint8"),
        (["I;16", "L"], (10, 12), "float32"),
        (["I;16", "RGB"], (10, 12, 3), "uint8"),
    ],
)
def test_all_images_get_the_same_kind_of_pixels(tmp_path, modes, shape, dtype):
    for number, mode in enumerate(modes * 2):
        path = tmp_path / "train" / "ab"[number // 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        levels = np.full((10, 12), 100 * 257, np.uint16) if mode == "I;16" else np.full((10, 12), 100, np.uint8)
        image = PIL.Image.fromarray(levels)
        (image if mode == "I;16" else image.convert(mode)).save(path)
    dataset = load(tmp_path)
    assert (dataset.x.shape[1:], dataset.x.dtype) == (shape, dtype)
    level = 100 * 257 if dtype == "float32" else 100
    told = dataset.x[[place for place, mode in enumerate(modes * 2) if mode != "1"]]
    assert np.abs(told.astype(float) - level).max() <= 1


def test_what_is_transparent_is_white_and_a_turned_photo_stands_upright(tmp_path):
    clear = PIL.Image.new("RGBA", (6, 4), (255, 0, 0, 0))
    clear.putpixel((0, 0), (0, 0, 255, 255))
    turned = PIL.Image.new("RGB", (4, 6), "white")
    turned.putpixel((0, 5), (0, 0, 0))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    pictures: list[tuple[str, PIL.Image.Image, dict[str, Any]]] = [("a", clear, {}), ("b", turned, {"exif": exif})]
    for name, image, options in pictures:
        (tmp_path / "train" / name).mkdir(parents=True)
        image.save(tmp_path / "train" / name / f"{name}.png", **options)
    dataset = load(tmp_path)
    assert dataset.x.shape == (2, 4, 6, 3)
    assert isinstance(dataset.x, np.ndarray)
    assert dataset.x[0, 0, 0].tolist() == [0, 0, 255]
    assert (dataset.x[0].reshape(-1, 3)[1:] == 255).all()
    assert np.argwhere(dataset.x[1, :, :, 0] == 0).tolist() == [[0, 0]]


def test_a_broken_image_is_refused_by_name_or_left_out_by_choice(tmp_path):
    train = classes(tmp_path, 3)
    (train / "cat" / "c1.png").write_bytes(b"no image")
    whole = (train / "dog" / "d2.png").read_bytes()
    (train / "dog" / "d2.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cat/c1.png \(cannot identify image file\).* set data.corrupt: skip"):
        load(tmp_path)
    (train / "cat" / "c1.png").unlink()
    with pytest.raises(DataError, match=r"dog/d2.png"):
        load(tmp_path)
    dataset = load(tmp_path, corrupt="skip")
    assert dataset.ids.tolist() == ["c0.png", "c2.png", "d0.png", "d1.png"]
    assert len(dataset.x) == len(dataset.y) == 4
    assert "left out images that cannot be decoded: d2.png" in dataset.notes


def test_a_broken_image_to_predict_is_never_left_out(tmp_path):
    classes(tmp_path, 2)
    picture(tmp_path / "test" / "a.png")
    (tmp_path / "test" / "b.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"b.png .* Mend them: each image to predict needs"):
        load(tmp_path, test="test", corrupt="skip")


def test_what_was_decoded_is_kept_and_known_again_until_a_file_changes(tmp_path):
    train = classes(tmp_path, 3)
    told: list[str] = []
    made = study(tmp_path)
    cache = Cache(tmp_path / "cache", told.append)
    first = data.load(made, cache=cache)
    assert isinstance(first.x, MemmapArray)
    assert np.array_equal(np.asarray(first.x), data.load(made).x)
    place = first.x.path.stat().st_ino
    again = data.load(made, cache=cache)
    assert (again.x.path, again.x.path.stat().st_ino) == (first.x.path, place)
    assert Fingerprint.of(again, "log_loss", "f") == Fingerprint.of(first, "log_loss", "f")
    os.utime(train / "cat" / "c0.png", (1, 1))
    touched = data.load(made, cache=cache)
    assert touched.x.path != first.x.path
    assert touched.x.digest == first.x.digest
    picture(train / "cat" / "c0.png", 99)
    assert data.load(made, cache=cache).x.digest != first.x.digest
    assert data.load(study(tmp_path, image_size=[5, 5]), cache=cache).x.digest != first.x.digest


def test_decoding_that_takes_long_tells_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(image_decoding, "_EVERY", 0.0)
    monkeypatch.setattr(image_decoding, "_BLOCK", 1)
    classes(tmp_path, 10)
    told: list[str] = []
    data.load(study(tmp_path), cache=Cache(tmp_path / "cache", told.append))
    assert told == ["Decoding train: 16 of 20 images", "Decoding train: 20 of 20 images"]


def wrong_folders() -> dict[str, tuple[Callable[[Path], object], str]]:
    """Return ways to lay out a folder that is none of classes, with what is said of each."""
    return {
        "nothing at all": (lambda f: f.mkdir(), "which holds none"),
        "images without classes": (lambda f: picture(f / "a.png"), r"no sub-folders: a.png.*data.images"),
        "an image beside classes": (lambda f: (classes(f.parent), picture(f / "x.png")), "beside the sub-folders: x"),
        "one class": (lambda f: picture(f / "cat" / "a.png"), r"with one class, 'cat'\. Add the images"),
        "one folder too high": (lambda f: classes(f), r"with one class, 'train'\. Did you mean '.*train/train'"),
        "case alone": (lambda f: [picture(f / c / "a.png") for c in ("Cat", "cat")], "'Cat', 'cat', which only case"),
    }


@pytest.mark.parametrize("layout", wrong_folders())
def test_a_folder_that_is_none_of_classes_is_refused_before_anything_is_decoded(tmp_path, layout):
    make, sentence = wrong_folders()[layout]
    make(tmp_path / "train")
    with pytest.raises(DataError, match=rf"study.yaml: data.train .*{sentence}"):
        data.peek(study(tmp_path))
    with pytest.raises(DataError, match=rf"TRAIN .*{sentence}"):
        draft(str(tmp_path / "train"), out=tmp_path / "s.yaml")


def test_a_folder_with_the_parts_of_a_data_set_points_to_the_one_to_learn_from(tmp_path):
    classes(tmp_path / "pets")
    picture(tmp_path / "pets" / "test" / "a.png")
    with pytest.raises(DataError, match=r"the parts of a data set: test, train\. Did you mean '.*pets/train'\?"):
        draft(str(tmp_path / "pets"), out=tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda f: f.mkdir(), "data.test must be a folder of images .* which holds none"),
        (lambda f: picture(f / "x" / "a.png"), r"with the sub-folders x\. Set it to '.*test/x'"),
        (lambda f: [picture(f / c / "a.png") for c in "ab"], r"with the sub-folders a, b\. Move their images up"),
        (lambda f: f.write_text(""), "data.test must be a folder, as train is|known form"),
    ],
)
def test_a_test_folder_must_hold_the_images_themselves(tmp_path, make, sentence):
    classes(tmp_path)
    make(tmp_path / "test")
    with pytest.raises(WorkbenchError, match=sentence):
        data.peek(study(tmp_path, test="test"))


def table(folder: Path, names: list[str] | list[int], **columns: Any) -> pd.DataFrame:
    """Write train.csv, which names pictures in `pics`."""
    frame = pd.DataFrame({"name": names, "age": np.arange(len(names)) + 0.5, "label": ["a", "b"] * (len(names) // 2)})
    frame = frame.assign(**columns)
    frame.to_csv(folder / "train.csv", index=False)
    return frame


@pytest.mark.parametrize("written", ["{}.png", "{}", "pics/{}.png", "elsewhere/pics/{}.png", ".\\pics\\{}.png"])
def test_a_table_may_name_the_images_in_many_ways(tmp_path, written):
    for number in range(6):
        picture(tmp_path / "pics" / f"00{number}.png", number)
    names = [written.format(f"00{number}") for number in (5, 4, 3, 2, 1, 0)]
    table(tmp_path, names)
    dataset = load(tmp_path, train="train.csv", images="pics", target="label", drop=["age"])
    assert dataset.ids.tolist() == names
    assert dataset.id_name == "name"
    assert np.array_equal(dataset.x[0], np.asarray(PIL.Image.open(tmp_path / "pics" / "005.png")))


def test_a_table_brings_groups_weights_and_another_target(tmp_path):
    for number in range(6):
        picture(tmp_path / "pics" / "deep" / f"{number}.png", number)
        picture(tmp_path / "later" / f"{number}.png", number)
    table(tmp_path, list(range(6)), who=list("xxyyzz"), w=np.arange(6) + 1)
    keys = {"train": "train.csv", "images": "pics", "target": "age", "group": "who", "weight": "w", "test": "later"}
    dataset = load(tmp_path, **keys)
    assert dataset.task == "regression"
    assert dataset.y.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert dataset.groups.tolist() == list("xxyyzz")
    assert dataset.weight.tolist() == [1, 2, 3, 4, 5, 6]
    assert dataset.ids.tolist() == dataset.test_ids.tolist() == list(range(6))


def test_a_table_may_name_the_images_to_predict(tmp_path):
    for number in range(8):
        picture(tmp_path / "pics" / f"{number}.png", number)
    table(tmp_path, [f"{number}.png" for number in range(6)])
    pd.DataFrame({"name": ["7.png", "6.png"]}).to_csv(tmp_path / "test.csv", index=False)
    dataset = load(tmp_path, train="train.csv", images="pics", target="label", test="test.csv")
    assert dataset.test_ids.tolist() == ["7.png", "6.png"]
    assert "left out 'age': columns beside the images" in dataset.notes
    assert isinstance(dataset.x_test, np.ndarray)
    assert np.array_equal(dataset.x_test[1], np.asarray(PIL.Image.open(tmp_path / "pics" / "6.png")))


@pytest.mark.parametrize(
    ("names", "keys", "error", "sentence"),
    [
        (["0.png", "1.png", "8.png", "1.png"], {}, DataError, r"column 'name' must name one image of .*'8.png'"),
        (["0.png", "1.png", "2.png", "1.png"], {"drop": ["age"]}, DataError, r"must name each row once.*'1.png'"),
        (["x", "y", "z", "u"], {}, DataError, r"train.csv must have a column that names the images of .*'0.png'"),
        (["0", "1", "2", "3"], {"images": "pisc"}, SourceError, r"data.images must be an existing folder.*'pics'"),
        (["0", "1", "2", "3"], {"images": "train.csv"}, ConfigError, "data.images must be a folder"),
        (["0", "1", "2", "3"], {"target": "lable"}, ConfigError, "data.target must be a column .* 'label'"),
        (["0", "1", "2", "3"], {"image_size": [8]}, ConfigError, "data.image_size"),
        (["0", "1", "2", "3"], {"corrupt": "skpi"}, ConfigError, "data.corrupt must be 'refuse' or 'skip'"),
        (["0", "1", "2", "3"], {"train": "pics"}, ConfigError, "data.images must go with a table"),
    ],
)
def test_a_table_and_a_folder_that_do_not_go_together_are_refused(tmp_path, names, keys, error, sentence):
    for number in range(4):
        picture(tmp_path / "pics" / f"{number}.png", number)
    table(tmp_path, names)
    with pytest.raises(error, match=sentence):
        load(tmp_path, **{"train": "train.csv", "images": "pics", "target": "label"} | keys)


def test_the_sample_submission_says_whether_test_ids_have_a_suffix(tmp_path):
    classes(tmp_path, 2)
    picture(tmp_path / "test" / "t0.png")
    picture(tmp_path / "test" / "t1.png")
    pd.DataFrame({"id": ["t1", "t0"], "label": ["cat"] * 2}).to_csv(tmp_path / "sample.csv", index=False)
    dataset = load(tmp_path, test="test", sample_submission="sample.csv")
    assert dataset.test_ids.tolist() == ["t0", "t1"]


def pixels(folder: Path, columns: int = 64, name: str = "pixel{}", high: int = 255) -> pd.DataFrame:
    values = np.random.default_rng(0).integers(0, high + 1, (20, columns))
    frame = pd.DataFrame(values, columns=[name.format(place) for place in range(columns)])
    frame.insert(0, "label", np.arange(20) % 4)
    frame.to_csv(folder / "train.csv", index=False)
    frame.drop(columns="label").head(5).to_csv(folder / "test.csv", index=False)
    return frame


@pytest.mark.parametrize(("columns", "shape"), [(64, (8, 8)), (192, (8, 8, 3)), (81, (9, 9))])
def test_a_table_of_pixels_is_square_images_where_the_study_says_so(tmp_path, columns, shape):
    frame = pixels(tmp_path, columns)
    dataset = load(tmp_path, train="train.csv", test="test.csv", target="label", types={"x": "image"})
    assert isinstance(dataset.x, np.ndarray)
    assert isinstance(dataset.x_test, np.ndarray)
    assert (dataset.kind, dataset.x.dtype, dataset.x.shape) == ("image", np.dtype("uint8"), (20, *shape))
    assert np.array_equal(dataset.x.reshape(20, -1), frame.drop(columns="label"))
    assert np.array_equal(dataset.x_test, dataset.x[:5])
    assert dataset.classes == (0, 1, 2, 3)
    assert load(tmp_path, train="train.csv", target="label").kind == "table"


def test_pixels_that_make_no_square_or_are_no_numbers_are_refused(tmp_path):
    frame = pixels(tmp_path, 65)
    keys = {"train": "train.csv", "target": "label", "types": {"x": "image"}}
    with pytest.raises(DataError, match=r"train.csv must have N·N or 3·N·N columns of pixels. Received: 65"):
        load(tmp_path, **keys)
    assert load(tmp_path, **keys, drop=["pixel64"]).x.shape == (20, 8, 8)
    frame.assign(pixel3="dark").to_csv(tmp_path / "train.csv", index=False)
    with pytest.raises(DataError, match="column 'pixel3' must hold a number"):
        load(tmp_path, **keys, drop=["pixel64"])


def test_levels_that_are_no_bytes_stay_what_they_are(tmp_path):
    pixels(tmp_path, high=900)
    dataset = load(tmp_path, train="train.csv", target="label", types={"x": "image"})
    assert dataset.x.dtype == np.float32
    assert dataset.x.max() > 255


def write_idx(path: Path, values: np.ndarray) -> None:
    content = struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("name", ["train-{}-idx{}-ubyte", "train-{}.idx{}-ubyte", "train-{}-idx{}-ubyte.gz"])
def test_idx_files_find_their_labels_beside_them(tmp_path, name):
    x = np.random.default_rng(0).integers(0, 256, (12, 9, 7)).astype("uint8")
    write_idx(tmp_path / name.format("images", 3), x)
    write_idx(tmp_path / name.format("labels", 1), (np.arange(12) % 3).astype("uint8"))
    write_idx(tmp_path / name.replace("train", "t10k").format("images", 3), x[:4])
    made = draft(str(tmp_path / name.format("images", 3)), out=tmp_path / "s.yaml")
    dataset = data.load(config.load(made.path))
    assert np.array_equal(dataset.x, x)
    assert isinstance(dataset.x_test, np.ndarray)
    assert np.array_equal(dataset.x_test, x[:4])
    assert dataset.y.tolist() == (np.arange(12) % 3).tolist()


def test_an_idx_file_that_is_cut_off_or_has_no_labels_is_refused(tmp_path):
    file = tmp_path / "train-images-idx3-ubyte"
    write_idx(file, np.zeros((4, 8, 8), "uint8"))
    with pytest.raises(ConfigError, match=r"data.target must be a column"):
        load(tmp_path, train=file.name)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match="must be a whole IDX file"):
        load(tmp_path, train=file.name)


def test_a_study_is_drafted_from_a_folder_with_what_lies_beside_it(tmp_path):
    classes(tmp_path / "pets", 4, size=(300, 150))
    picture(tmp_path / "pets" / "test" / "0.png", size=(300, 150))
    sample = pd.DataFrame({"file": ["0.png"], "animal": ["cat"]})
    sample.to_csv(tmp_path / "pets" / "sample_submission.csv", index=False)
    made = draft(str(tmp_path / "pets" / "train"), out=tmp_path / "pets.yaml")
    assert (made.target, made.task, made.metric) == ("animal", "binary", "accuracy")
    assert "images: 8, in colour; each is stretched to 64 × 128 pixels" in made.notes
    said = config.load(made.path)
    assert said.data.image_size == (64, 128)
    assert said.data.test.endswith("pets/test")
    assert "cnn" in said.families
    assert data.load(said).x.shape == (8, 64, 128, 3)


def test_a_study_is_drafted_from_a_table_and_the_folders_beside_it(tmp_path):
    for number in range(20):
        picture(tmp_path / "train_images" / f"{number}.jpg", number)
        picture(tmp_path / "test_images" / f"{number}.jpg", number)
    frame = pd.DataFrame({"image_id": [f"{n}.jpg" for n in range(20)], "label": np.arange(20) % 2})
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame.assign(label=0).to_csv(tmp_path / "sample_submission.csv", index=False)
    made = draft(str(tmp_path / "train.csv"), out=tmp_path / "s.yaml")
    said = config.load(made.path).data
    assert (said.target, said.id, said.images, said.test) == ("label", "image_id", "train_images", "test_images")
    dataset = data.load(config.load(made.path))
    assert dataset.test_ids.tolist() == [f"{n}.jpg" for n in sorted(range(20), key=str)]


def test_a_table_of_pixels_is_recognised_by_the_names_of_its_columns(tmp_path):
    pixels(tmp_path)
    made = draft(str(tmp_path / "train.csv"), out=tmp_path / "s.yaml")
    assert "images: the 64 columns are pixels" in made.notes
    said = config.load(made.path)
    assert said.data.types == {"x": "image"}
    assert "cnn" in said.families
    assert data.load(said).x.shape == (20, 8, 8)
    pixels(tmp_path, name="feature{}")
    assert data.load(config.load(draft(str(tmp_path / "train.csv"), out=tmp_path / "t.yaml").path)).kind == "table"


def workbench(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workbench", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_from_a_folder_to_a_submission_and_to_new_images(tmp_path, home):
    classes(tmp_path, 8)
    for number in range(6):
        picture(tmp_path / "test" / f"t{number}.png", 2 * number)
        picture(tmp_path / "new" / f"n{number}.png", 2 * number, size=(40, 30))
    answers = pd.DataFrame({"id": [f"t{number}.png" for number in (5, 4, 3, 2, 1, 0)], "label": "cat"})
    answers.to_csv(tmp_path / "sample_submission.csv", index=False)
    assert workbench(tmp_path, "init", "train", "-o", "s.yaml").returncode == 0
    said = yaml.safe_load((tmp_path / "s.yaml").read_text()) | {"families": ["linear"]}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(said))
    done = workbench(tmp_path, "run", "s.yaml", "--trials", "2", "--workers", "1", "--json")
    assert done.returncode == 0, done.stderr
    written = pd.read_csv(json.loads(done.stdout)["submission"])
    assert written["id"].tolist() == answers["id"].tolist()
    assert written["label"].tolist() == ["dog", "cat"] * 3
    done = workbench(tmp_path, "predict", "s.yaml", "new", "-o", "new.csv")
    assert done.returncode == 0, done.stderr
    predicted = pd.read_csv(tmp_path / "new.csv")
    assert predicted["id"].tolist() == [f"n{number}.png" for number in range(6)]
    assert predicted["label"].tolist() == ["cat", "dog"] * 3
    assert len(list((home / "cache").iterdir())) == 3
    picture(tmp_path / "train" / "cat" / "c0.png", 50)
    refused = workbench(tmp_path, "run", "s.yaml", "--trials", "3")
    assert refused.returncode == 2
    assert "was begun otherwise: data.train: other rows" in refused.stderr


@pytest.mark.parametrize("rows", ["frame.csv", "empty", "train"])
def test_new_rows_that_are_no_folder_of_images_are_refused(tmp_path, rows):
    classes(tmp_path)
    pd.DataFrame({"a": [1]}).to_csv(tmp_path / "frame.csv", index=False)
    (tmp_path / "empty").mkdir()
    reader = load(tmp_path).reader
    with pytest.raises(DataError, match="must be a folder"):
        reader.read(tmp_path / rows)


def test_new_images_are_read_as_the_training_images_were_also_by_what_json_says(tmp_path):
    classes(tmp_path, 2)
    picture(tmp_path / "new" / "b.jpg", 3, (50, 20))
    picture(tmp_path / "new" / "a.png", 5, mode="L")
    reader = load(tmp_path).reader
    again = data.reader_from_document(json.loads(json.dumps(reader.document())))
    assert again == reader
    new = again.read(tmp_path / "new", cache=Cache(tmp_path / "cache"))
    assert new.ids.tolist() == ["a.png", "b.jpg"]
    assert isinstance(new.x, MemmapArray)
    assert np.array_equal(np.asarray(new.x), reader.read(tmp_path / "new").x)
    assert new.x.shape == (2, 10, 12, 3)
    assert reader.read(np.zeros((3, 10, 12, 3), "uint8")).x.shape == (3, 10, 12, 3)


def test_new_tables_of_pixels_are_images_too(tmp_path):
    frame = pixels(tmp_path)
    keys = {"train": "train.csv", "target": "label", "types": {"x": "image"}}
    reader = load(tmp_path, **keys).reader
    again = data.reader_from_document(json.loads(json.dumps(reader.document())))
    rows = frame[["pixel63", *frame.columns.drop("pixel63")]].head(3)
    x = again.read(rows).x
    assert isinstance(x, np.ndarray)
    assert np.array_equal(x.reshape(3, -1), frame.drop(columns="label").head(3))
    with pytest.raises(DataError, match="lacks 'pixel5'"):
        again.read(rows.drop(columns="pixel5"))
