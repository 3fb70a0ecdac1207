"""Arrays on disk: read as arrays are, shared between processes, made once and swept away when nobody uses them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from workbench import config, data
from workbench.data import npz
from workbench.data.cache import Cache
from workbench.data.memmap import MemmapArray, NpyWriter
from workbench.errors import DataError, SourceError
from workbench.features import Thumbnails
from workbench.study.fingerprint import Fingerprint

X = np.random.default_rng(0).integers(0, 256, (50, 4, 3)).astype("uint8")


@pytest.fixture
def stored(tmp_path: Path) -> MemmapArray:
    with NpyWriter(tmp_path / "x.npy") as writer:
        for start in range(0, len(X), 7):
            writer.append(X[start : start + 7])
    return MemmapArray(tmp_path / "x.npy", digest="abc")


def test_what_was_written_block_by_block_is_a_plain_npy_file(stored):
    assert np.array_equal(np.load(stored.path), X)


def test_it_has_the_shape_and_the_values_of_an_array(stored):
    assert (stored.shape, stored.dtype, stored.ndim, stored.size) == (X.shape, X.dtype, X.ndim, X.size)
    assert (stored.nbytes, len(stored)) == (X.nbytes, len(X))
    assert np.array_equal(np.asarray(stored), X)
    assert np.array_equal(stored[3], X[3])
    assert np.array_equal(stored[-4:], X[-4:])
    assert np.array_equal(np.stack(list(stored)), X)
    assert np.asarray(stored, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(stored, copy=False)


@pytest.mark.parametrize("rows", [np.array([9, 2, 2, 41]), np.arange(50) % 3 == 0, [5, 1], np.array([], dtype=int)])
def test_rows_are_a_view_that_reads_nothing_until_it_is_asked(stored, rows):
    view = stored[rows]
    assert isinstance(view, MemmapArray)
    assert view.shape == X[rows].shape
    assert np.array_equal(np.asarray(view), X[rows])
    assert np.array_equal(view[1:], X[rows][1:])


def test_a_view_of_a_view_counts_from_the_view(stored):
    view = stored[np.array([30, 20, 10])][np.array([2, 0])]
    assert np.array_equal(np.asarray(view), X[[10, 30]])


def test_a_file_that_is_cut_off_is_said_so(stored):
    with stored.path.open("r+b") as file:
        file.truncate(stored.path.stat().st_size - 1)
    assert np.array_equal(stored[:-1], X[:-1])
    with pytest.raises(SourceError, match=r"Received: it is cut off"):
        stored[-1]


def test_what_is_in_use_is_seen_to_be(stored):
    os.utime(stored.path, (1, 1))
    assert MemmapArray(stored.path).shape == X.shape
    assert time.time() - stored.path.stat().st_mtime < 60


def test_what_is_read_can_be_changed_and_the_file_stays(stored):
    stored[0:2][:] = 0
    np.asarray(stored)[:] = 0
    assert np.array_equal(np.asarray(stored), X)


def test_blocks_go_through_all_rows_in_order(stored, monkeypatch):
    monkeypatch.setattr("workbench.data.memmap._BLOCK", 12 * 8)
    parts = list(stored[np.arange(50)[::-1]].blocks())
    assert [part.stop - part.start for part, _ in parts] == [8] * 6 + [2]
    assert np.array_equal(np.concatenate([block for _, block in parts]), X[::-1])


def test_a_pickle_is_a_path_and_row_numbers(stored):
    assert len(pickle.dumps(stored)) < 500
    again = pickle.loads(pickle.dumps(stored[np.array([4, 3])]))
    assert np.array_equal(np.asarray(again), X[[4, 3]])
    assert pickle.loads(pickle.dumps(stored)).digest == "abc"


def test_a_file_that_went_away_is_said_so(tmp_path):
    with pytest.raises(SourceError, match=r"x.npy: must stay there .* made anew"):
        np.asarray(MemmapArray(tmp_path / "x.npy"))


READER = """
import pickle, sys
import psutil
stored = pickle.loads(bytes.fromhex(sys.argv[1]))
stored.shape
before, most, total = psutil.Process().memory_info().rss, 0, 0
for start in range(0, len(stored), 4):
    total += int(stored[start : start + 4].sum(dtype="int64"))
    most = max(most, psutil.Process().memory_info().rss)
print(total, most - before)
"""


def test_processes_that_read_everything_at_once_have_no_copy_of_their_own(tmp_path):
    rows = 64
    with NpyWriter(tmp_path / "big.npy") as writer:
        for _ in range(rows):
            writer.append(np.ones((1, 1024, 1024), np.uint8))
    command = [sys.executable, "-c", READER, pickle.dumps(MemmapArray(tmp_path / "big.npy")).hex()]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for reader in readers:
        total, grown = map(int, reader.communicate()[0].split())
        assert total == rows * 2**20
        # Two blocks of four rows, of one being read and one being let go; a copy or a mapping would be 64 MiB.
        assert grown < 16 * 2**20


def test_images_that_are_large_are_averaged_down_for_models_without_neighbourhood(stored):
    big = np.random.default_rng(1).integers(0, 256, (3, 70, 40, 3)).astype("uint8")
    small = Thumbnails().transform(big)
    assert small.shape == (3, 32 * 18 * 3)
    assert small.mean() == pytest.approx(big.mean(), rel=0.01)
    assert np.array_equal(Thumbnails().transform(X), X.reshape(50, -1))
    assert np.array_equal(Thumbnails().transform(stored), X.reshape(50, -1))
    blocks = np.kron(np.arange(4).reshape(1, 2, 2), np.ones((1, 32, 32)))
    assert np.array_equal(Thumbnails().transform(blocks).reshape(32, 32), np.kron([[0, 1], [2, 3]], np.ones((16, 16))))


def test_an_entry_is_made_once_and_told_apart_by_what_it_is_made_from(tmp_path):
    cache, made = Cache(tmp_path / "cache"), []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "a").write_text("a")

    first = cache.entry({"a": 1}, make)
    assert cache.entry({"a": 1}, make) == first
    assert cache.entry({"a": 2}, make) != first
    assert len(made) == 2
    assert (first / "a").read_text() == "a"


def test_nothing_stays_of_an_entry_that_could_not_be_made(tmp_path):
    cache = Cache(tmp_path / "cache")

    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise DataError("no")

    with pytest.raises(DataError, match="no"):
        cache.entry(1, fail)
    assert list(cache.path.iterdir()) == []


def test_of_two_that_make_the_same_the_slower_one_takes_what_is_there(tmp_path):
    cache = Cache(tmp_path / "cache")

    def fast(folder: Path) -> None:
        (folder / "a").write_text("fast")

    def slow(folder: Path) -> None:
        (folder / "a").write_text("slow")
        cache.entry(1, fast)

    folder = cache.entry(1, slow)
    assert (folder / "a").read_text() == "fast"
    assert [path.name for path in cache.path.iterdir()] == [folder.name]


def test_a_place_that_cannot_be_written_to_is_said_so(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(SourceError, match=r"cache: must be writable, .* --home"):
        Cache(tmp_path / "cache").entry(1, lambda folder: None)


def test_only_what_was_not_used_for_long_is_swept_away(tmp_path):
    cache = Cache(tmp_path / "cache")

    def make(folder: Path) -> None:
        (folder / "x").write_bytes(b"12345")

    old, new = cache.entry("a", make), cache.entry("b", make)
    (cache.path / "c-1.part").mkdir()
    long_ago = (time.time() - 8 * 86_400,) * 2
    for path in (old / "x", old, new):
        os.utime(path, long_ago)
    assert cache.sweep() == 5
    assert sorted(path.name for path in cache.path.iterdir()) == sorted([new.name, "c-1.part"])
    assert Cache(tmp_path / "nowhere").sweep() == 0


def arrays_study(folder: Path, **keys: object) -> config.StudyConfig:
    file = folder / "study.yaml"
    keys = {"train": "train.npz", **keys}
    file.write_text(yaml.safe_dump({"name": "s", "families": ["linear"], "data": keys}))
    return config.load(file)


@pytest.mark.parametrize("dtype", ["uint8", "float64", "int16"])
def test_large_arrays_are_read_from_disk_and_known_by_the_same_digest(tmp_path, monkeypatch, dtype):
    x = np.random.default_rng(0).integers(0, 200, (30, 9, 9)).astype(dtype)
    np.savez_compressed(tmp_path / "train.npz", x=x, y=np.arange(30) % 2)
    np.savez(tmp_path / "test.npz", x=x[:4])
    study = arrays_study(tmp_path, test="test.npz")
    small = data.load(study, cache=Cache(tmp_path / "cache"))
    assert isinstance(small.x, np.ndarray)
    assert isinstance(small.x_test, np.ndarray)
    monkeypatch.setattr(npz, "_LARGE", 100)
    large = data.load(study, cache=Cache(tmp_path / "cache"))
    assert isinstance(large.x, MemmapArray)
    assert isinstance(large.x_test, MemmapArray)
    assert large.x.dtype == small.x.dtype
    assert np.array_equal(np.asarray(large.x), small.x)
    assert np.array_equal(np.asarray(large.x_test), small.x_test)
    assert Fingerprint.of(large, "log_loss", "f") == Fingerprint.of(small, "log_loss", "f")


def test_a_large_table_stays_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "_LARGE", 100)
    np.savez(tmp_path / "train.npz", x=np.random.default_rng(0).normal(size=(30, 3, 3)), y=np.arange(30) % 2)
    study = arrays_study(tmp_path, types={"x": "table"})
    assert data.load(study, cache=Cache(tmp_path / "cache")).kind == "table"


def test_values_that_are_not_finite_are_refused_in_large_arrays_too(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "_LARGE", 100)
    x = np.ones((30, 9, 9))
    x[3, 0, :2] = np.nan
    np.savez(tmp_path / "train.npz", x=x, y=np.arange(30) % 2)
    with pytest.raises(DataError, match=r"train.npz: x must be finite. Received: 2 values"):
        data.load(arrays_study(tmp_path), cache=Cache(tmp_path / "cache"))
    assert list((tmp_path / "cache").iterdir()) == []
