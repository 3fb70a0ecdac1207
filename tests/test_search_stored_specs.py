"""The specifications in one file: every kind of data comes back equal, shared and writable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import miniatures
import numpy as np
import pandas as pd
import pytest
from test_trial import spec_of

from workbench.data.memmap import MemmapArray
from workbench.search.stored_specs import StoredSpec, store_specs


def rows_of(kind: str, folder: Path) -> Any:
    if kind == "table":
        return miniatures.table()
    if kind == "mixed":
        return miniatures.album()
    values = np.random.default_rng(0).integers(0, 255, (30, 5, 4), dtype=np.uint8)
    if kind == "array":
        return values
    np.save(folder / "x.npy", values)
    return MemmapArray(folder / "x.npy", digest="known")


def as_frame(rows: Any) -> pd.DataFrame:
    return rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(np.asarray(rows).reshape(len(rows), -1))


@pytest.mark.parametrize("kind", ["table", "mixed", "array", "memmap"])
def test_every_kind_of_rows_comes_back_equal(kind: str, tmp_path: Path) -> None:
    spec = spec_of("binary")
    rows = rows_of(kind, tmp_path)
    spec = replace(spec, dataset=replace(spec.dataset, x=rows, x_test=rows[:7]))
    store_specs({"linear": spec, "xgboost": replace(spec, family="xgboost")}, tmp_path / "specs.pickle")
    read = StoredSpec(tmp_path / "specs.pickle", "xgboost").load()
    assert (read.family, read.folds.hash) == ("xgboost", spec.folds.hash)
    for now, then in [(read.dataset.x, rows), (read.dataset.x_test, rows[:7])]:
        assert type(now) is type(then)
        pd.testing.assert_frame_equal(as_frame(now), as_frame(then))
    np.testing.assert_array_equal(read.dataset.y, spec.dataset.y)


def test_arrays_are_views_of_the_file_and_a_write_stays_in_its_process(tmp_path: Path) -> None:
    spec = spec_of("regression")
    stored = StoredSpec(tmp_path / "specs.pickle", "linear")
    store_specs({"linear": spec}, stored.file)
    first, second = stored.load().dataset, stored.load().dataset
    assert isinstance(first.x, pd.DataFrame)
    assert not first.y.flags.owndata
    assert first.y.ctypes.data % 64 == 0
    first.y[:] = 0
    first.x["a"] = 1.0
    np.testing.assert_array_equal(second.y, spec.dataset.y)
    pd.testing.assert_frame_equal(as_frame(stored.load().dataset.x), as_frame(spec.dataset.x))
