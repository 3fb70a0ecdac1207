"""A column of images in a frame: rows are taken, joined and pickled without a look at a pixel."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from workbench.data.image_column import ImageArray
from workbench.data.memmap import MemmapArray


def levels(count: int = 4, first: int = 0) -> np.ndarray:
    """Return images of 2 × 3 pixels, each of one level: its number from `first`."""
    return np.broadcast_to(np.arange(first, first + count, dtype="uint8")[:, None, None], (count, 2, 3)).copy()


@pytest.fixture(params=["memory", "disk"])
def source(request, tmp_path):
    if request.param == "memory":
        return levels()
    np.save(tmp_path / "x.npy", levels())
    return MemmapArray(tmp_path / "x.npy", digest="known")


def shown(column) -> list[int]:
    found: list[int] = column.read()[:, 0, 0].tolist()
    return found


def test_rows_are_taken_sliced_masked_and_copied(source):
    x = pd.DataFrame({"n": range(4), "photo": ImageArray(source)})
    assert x.photo.dtype == "pictures"
    assert shown(x.iloc[[2, 0, 2]].photo.array) == [2, 0, 2]
    assert shown(x.iloc[1:3].photo.array) == [1, 2]
    assert shown(x[x.n > 1].photo.array) == [2, 3]
    assert shown(x.copy().photo.array) == [0, 1, 2, 3]
    assert shown(x.sample(frac=1, random_state=1).sort_values("n").photo.array) == [0, 1, 2, 3]
    assert np.array_equal(x.photo.iloc[3], levels()[3])
    assert len(x.photo) == 4
    assert "2×3" in str(x)


def test_a_row_without_an_image_is_missing_and_read_as_a_blank_one(source):
    column = ImageArray(source, [3, -1, 0])
    assert column.isna().tolist() == [False, True, False]
    assert shown(column) == [3, 0, 0]
    assert column[1] is None
    assert pd.Series(column).isna().sum() == 1
    assert shown(column.take([2, -1], allow_fill=True)) == [0, 0]
    assert column.take([2, -1], allow_fill=True).isna().tolist() == [False, True]
    assert shown(column.take([2, -1])) == [0, 0]


def test_columns_are_joined_whether_their_images_lie_in_one_place_or_in_two(source):
    one, two = pd.DataFrame({"p": ImageArray(source)}), pd.DataFrame({"p": ImageArray(levels(2, 7), [1, -1])})
    joined = pd.concat([one.iloc[1:3], two, one.iloc[:1]], ignore_index=True).p.array
    assert shown(joined) == [1, 2, 8, 0, 0]
    assert joined.isna().tolist() == [False, False, False, True, False]
    again = pd.concat([one, one], ignore_index=True).p.array
    assert shown(again) == [0, 1, 2, 3] * 2
    assert (again[:4] == again[4:]).all()


def test_pickled_it_is_where_the_images_lie(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((50, 64, 64), "uint8"))
    column = ImageArray(MemmapArray(tmp_path / "x.npy", digest="known"))[10:20]
    words = pickle.dumps(column)
    assert len(words) < 2000
    assert (pickle.loads(words) == column).all()
    assert pickle.loads(words).digest == column.digest


def test_what_is_seen_is_an_array_that_is_read_when_rows_are_asked_for(source):
    seen = ImageArray(source, [3, -1, 0, 1]).seen
    assert (seen.shape, seen.dtype, seen.ndim, len(seen)) == ((4, 2, 3), np.dtype("uint8"), 3, 4)
    assert seen[1:3][:, 0, 0].tolist() == [0, 0]
    assert seen[np.array([3, 0])][:, 0, 0].tolist() == [1, 3]
    assert seen[::2][:, 0, 0].tolist() == [3, 0]
    assert seen[-1][0, 0] == 1
    assert np.asarray(seen, dtype=np.float32).dtype == np.float32
    assert [(part.start, len(block)) for part, block in seen.blocks()] == [(0, 4)]


def test_the_digest_tells_other_images_and_other_rows(source):
    column = ImageArray(source)
    assert column.digest == ImageArray(source).digest
    assert len({column.digest, column[:3].digest, column[[1, 0, 2, 3]].digest, ImageArray(levels(4, 1)).digest}) == 4


def test_images_of_two_shapes_and_numbers_of_none_are_refused():
    with pytest.raises(ValueError, match="must have one shape and type"):
        ImageArray([levels(), np.zeros((1, 5, 5), "uint8")])
    with pytest.raises(ValueError, match="must lie between -1 and 3"):
        ImageArray(levels(), [4])
