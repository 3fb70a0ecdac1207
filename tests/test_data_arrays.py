from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from workbench import config, data
from workbench.errors import ConfigError, DataError

ROWS = 12


def study(folder: Path, **keys: object) -> config.StudyConfig:
    file = folder / "study.yaml"
    keys = {"train": "train.npz", **keys}
    file.write_text(yaml.safe_dump({"name": "s", "families": ["linear"], "data": keys}))
    return config.load(file)


def save(folder: Path, shape: tuple[int, ...], dtype: str = "float32", **more: Any) -> None:
    x = np.random.default_rng(0).integers(0, 200, (ROWS, *shape)).astype(dtype)
    arrays: dict[str, Any] = {"x": x, "y": np.arange(ROWS) % 3, **more}
    np.savez(folder / "train.npz", **{name: value for name, value in arrays.items() if value is not None})


@pytest.mark.parametrize(
    ("shape", "dtype", "kind"),
    [
        ((8, 8, 3), "float32", "image"),
        ((28, 28), "uint8", "image"),
        ((6, 9), "uint8", "image"),
        ((8, 8), "float64", "image"),
        ((4, 4), "float32", "sequence"),
        ((128, 3), "float32", "sequence"),
        ((5,), "float64", "table"),
    ],
)
def test_the_shape_tells_what_a_row_is(tmp_path, shape, dtype, kind):
    save(tmp_path, shape, dtype)
    dataset = data.load(study(tmp_path))
    assert dataset.kind == kind
    assert dataset.x.shape == (ROWS, *shape)
    assert dataset.classes == (0, 1, 2)
    assert (dataset.target, dataset.id_name) == ("y", "id")
    assert dataset.ids.tolist() == list(range(ROWS))


@pytest.mark.parametrize(
    ("shape", "kind", "made"),
    [
        ((8, 8), "sequence", (8, 8)),
        ((6, 4), "image", (6, 4)),
        ((6, 4), "table", (24,)),
        ((6,), "sequence", (6, 1)),
    ],
)
def test_the_study_may_say_what_a_row_is(tmp_path, shape, kind, made):
    save(tmp_path, shape)
    dataset = data.load(study(tmp_path, types={"x": kind}))
    assert dataset.kind == kind
    assert dataset.x.shape == (ROWS, *made)


def test_pixels_stay_bytes_and_other_numbers_become_float32(tmp_path):
    save(tmp_path, (8, 8), "uint8")
    assert data.load(study(tmp_path)).x.dtype == np.uint8
    save(tmp_path, (8, 8), "int64")
    assert data.load(study(tmp_path)).x.dtype == np.float32


def test_two_dimensions_are_the_columns_of_a_table(tmp_path):
    save(tmp_path, (4,), group=np.arange(ROWS) // 2)
    np.savez(tmp_path / "test.npz", x=np.ones((3, 4)), id=[7, 8, 9])
    keys = {"test": "test.npz", "group": "group", "drop": ["x1"], "types": {"x3": "category"}}
    dataset = data.load(study(tmp_path, **keys))
    assert dataset.columns == {"x0": "number", "x2": "number", "x3": "category"}
    assert dataset.test_ids.tolist() == [7, 8, 9]
    assert dataset.groups.tolist() == (np.arange(ROWS) // 2).tolist()


def test_images_have_ids_tests_and_weights_too(tmp_path):
    names = np.array([f"p{n}.png" for n in range(ROWS)])
    save(tmp_path, (8, 8), "uint8", name=names, w=np.ones(ROWS), label=np.array(["b", "a"] * 6)[:, None])
    np.savez(tmp_path / "test.npz", x=np.zeros((2, 8, 8), "uint8"), name=["q0", "q1"])
    dataset = data.load(study(tmp_path, test="test.npz", id="name", weight="w", target="label"))
    assert dataset.ids.tolist() == names.tolist()
    assert dataset.test_ids.tolist() == ["q0", "q1"]
    assert dataset.x_test.shape == (2, 8, 8)
    assert dataset.weight.tolist() == [1.0] * ROWS
    assert dataset.classes == ("a", "b")
    assert (dataset.target, dataset.id_name) == ("label", "name")


@pytest.mark.parametrize(
    ("more", "keys", "error", "sentence"),
    [
        ({"x": None, "X": np.ones((2, 2))}, {}, DataError, "must hold an array 'x'. Received: y, X"),
        ({"y": None}, {}, ConfigError, "data.target must be a column of train.npz. Received: 'y'"),
        ({"y": np.arange(3)}, {}, DataError, "y must have one value for each of the 12 rows"),
        ({"x": np.array(["a"] * ROWS)}, {}, DataError, "x must be numbers of the shape"),
        ({"x": np.full((ROWS, 9, 9), np.nan)}, {}, DataError, "x must be finite. Received: 972"),
        ({"id": np.zeros(ROWS)}, {}, DataError, "must name each row once"),
        ({"y": np.array([{}] * ROWS)}, {}, DataError, "must hold plain arrays"),
        ({}, {"types": {"x": "picture"}}, ConfigError, "data.types"),
        ({}, {"types": {"x": "number"}}, ConfigError, "data.types.x must be one of table, image, sequence"),
        ({"x": np.ones((ROWS, 3))}, {"types": {"x": "image"}}, ConfigError, "data.types.x must go with x"),
        ({}, {"id": "nmae"}, ConfigError, "data.id must be an array of the file"),
        ({}, {"group": "g"}, ConfigError, "data.group must be a column"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, more, keys, error, sentence):
    save(tmp_path, (8, 8), **more)
    with pytest.raises(error, match=sentence):
        data.load(study(tmp_path, **keys))


def test_test_rows_must_have_the_shape_of_training_rows(tmp_path):
    save(tmp_path, (8, 8))
    np.savez(tmp_path / "test.npz", x=np.ones((3, 9, 9)))
    with pytest.raises(DataError, match=r"test.npz: x must have rows of the shape \(8, 8\)"):
        data.load(study(tmp_path, test="test.npz"))


def test_train_and_test_must_be_of_one_form(tmp_path):
    save(tmp_path, (8, 8))
    (tmp_path / "test.csv").write_text("a\n1\n")
    with pytest.raises(ConfigError, match=r"must be of the same form as train.npz"):
        data.peek(study(tmp_path, test="test.csv"))
