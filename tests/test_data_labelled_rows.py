"""Training rows without a target, in every form of data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import yaml

from workbench import config, data
from workbench.errors import DataError
from workbench.study.fingerprint import Fingerprint

ROWS = 40
# The rows without a target.
GAPS = [3, 17, 18, 39]
KEPT = [row for row in range(ROWS) if row not in GAPS]


def load(folder: Path, folds: dict[str, Any] | None = None, **keys: Any) -> data.Dataset:
    document = {"name": "s", "families": ["linear"], "data": {"train": "train.csv", **keys}}
    (folder / "study.yaml").write_text(yaml.safe_dump(document | ({"folds": folds} if folds else {})))
    study = config.load(folder / "study.yaml")
    data.peek(study)
    return data.load(study)


def table(**columns: Any) -> pd.DataFrame:
    n = np.arange(ROWS)
    frame = pd.DataFrame({"size": n * 1.5, "y": np.array(["a", "b"], dtype=object)[n % 2]})
    frame.loc[GAPS, "y"] = None
    return frame.assign(**columns)


def put(folder: Path, frame: pd.DataFrame, name: str = "train.csv") -> None:
    frame.to_csv(folder / name, index=False)


def test_rows_without_a_target_are_left_out_of_every_part_with_a_note(tmp_path):
    n = np.arange(ROWS)
    frame = table(id=n + 100, house=n // 4, pay=1.0 + n, day=n * 2.0, fold=n % 3 + 0.0)
    # Rows that are left out need no role.
    frame.loc[GAPS, ["house", "pay", "day"]] = np.nan
    put(tmp_path, frame)
    keys = {"target": "y", "id": "id", "group": "house", "weight": "pay", "time": "day"}
    dataset = load(tmp_path, folds={"kind": "column", "column": "fold"}, **keys)
    assert dataset.notes == ("left out 4 of 40 rows of train.csv without the target 'y'",)
    assert dataset.classes == ("a", "b")
    assert dataset.y.tolist() == [row % 2 for row in KEPT]
    assert dataset.ids.tolist() == [row + 100 for row in KEPT]
    assert isinstance(dataset.x, pd.DataFrame)
    assert dataset.x.index.tolist() == list(range(len(KEPT)))
    assert dataset.x["size"].tolist() == [row * 1.5 for row in KEPT]
    assert dataset.groups is not None
    assert dataset.groups.tolist() == [str(row // 4) for row in KEPT]
    for found, wanted in ((dataset.weight, [row + 1 for row in KEPT]), (dataset.time, [row * 2 for row in KEPT])):
        assert found is not None
        assert found.tolist() == wanted
    assert dataset.fold_column is not None
    assert dataset.fold_column.tolist() == [row % 3 for row in KEPT]
    assert isinstance(dataset.unlabelled, pd.DataFrame)
    assert dataset.unlabelled["size"].tolist() == [row * 1.5 for row in GAPS]


def test_without_an_id_the_rows_keep_their_numbers_in_the_file(tmp_path):
    put(tmp_path, table())
    assert load(tmp_path, target="y").ids.tolist() == KEPT


def test_a_row_number_in_a_message_is_that_of_the_file(tmp_path):
    pay = np.ones(ROWS)
    pay[20] = np.nan
    put(tmp_path, table(pay=pay))
    with pytest.raises(DataError, match=r"column 'pay' \(data.weight\) .* Received: 1 rows .* the first is row 20"):
        load(tmp_path, target="y", weight="pay")


def test_nothing_is_noted_if_every_row_has_a_target(tmp_path):
    put(tmp_path, table(y=[1.5, 2.5] * 20))
    dataset = load(tmp_path, target="y")
    assert (dataset.notes, dataset.unlabelled) == ((), None)


@pytest.mark.parametrize("gaps", [21, 35])
def test_that_most_rows_lack_the_target_is_a_warning(tmp_path, gaps):
    rows = [None] * gaps + [1.5, 2.5] * 20
    put(tmp_path, table(y=rows[:ROWS]))
    note = load(tmp_path, target="y", unlabelled="drop").notes[0]
    assert note.startswith(f"WARNING: left out {gaps} of 40 rows of train.csv without the target 'y', ")
    assert note.endswith("% of all. Check data.target and the file")


def test_no_row_with_a_target_is_refused(tmp_path):
    put(tmp_path, table(y=None))
    wanted = r"train.csv: rows must have the target 'y'. Received: none of 40 has. Check data.target."
    with pytest.raises(DataError, match=wanted):
        load(tmp_path, target="y")


def test_rows_without_a_target_are_refused_if_the_study_says_so(tmp_path):
    put(tmp_path, table())
    wanted = r"Received: 4 of 40 rows without, the first is row 3. Fill or remove them, or set data.unlabelled to drop."
    with pytest.raises(DataError, match=wanted):
        load(tmp_path, target="y", unlabelled="refuse")


def test_a_row_without_one_of_several_targets_is_left_out(tmp_path):
    other = np.arange(ROWS) + 0.5
    other[[3, 5]] = np.nan
    put(tmp_path, table(z=other))
    dataset = load(tmp_path, target=["y", "z"])
    assert dataset.notes == (
        "left out 5 of 40 rows of train.csv without one of the targets (missing: 'y' in 4, 'z' in 2)",
    )
    kept = [row for row in KEPT if row != 5]
    assert dataset.y.tolist() == [[row % 2, row + 0.5] for row in kept]


def test_a_blank_text_is_no_target(tmp_path):
    table().fillna({"y": "  "}).to_parquet(tmp_path / "train.parquet")
    dataset = load(tmp_path, train="train.parquet", target="y")
    assert dataset.classes == ("a", "b")
    assert len(dataset.y) == len(KEPT)


def test_kinds_of_columns_are_learnt_on_rows_with_a_target(tmp_path):
    code = [str(row) for row in range(ROWS)]
    code[3] = "unknown"
    put(tmp_path, table(code=code))
    dataset = load(tmp_path, target="y")
    assert dataset.columns["code"] == "number"
    assert isinstance(dataset.unlabelled, pd.DataFrame)
    assert dataset.unlabelled["code"].isna().tolist() == [True, False, False, False]


def series(places: list[int], gaps: list[int]) -> pd.DataFrame:
    y = np.array(places) * 1.5 + 0.25
    y[gaps] = np.nan
    return pd.DataFrame({"time": pd.Timestamp("2024-01-01") + pd.to_timedelta(places, unit="h"), "y": y}).assign(
        heat=np.array(places, dtype=float) ** 2
    )


def test_lags_see_the_inputs_of_rows_without_a_target(tmp_path):
    put(tmp_path, series([0, 1, 2, 3, 4, 5], gaps=[1, 5]))
    put(tmp_path, series([6, 7], gaps=[]).drop(columns="y"), "test.csv")
    keys = {"target": "y", "time": "time", "lags": [1], "test": "test.csv"}
    dataset = load(tmp_path, folds={"kind": "time"}, **keys)
    assert isinstance(dataset.x, pd.DataFrame)
    assert dataset.x["heat lag 1"].tolist() == pytest.approx([np.nan, 1, 4, 9], nan_ok=True)
    assert isinstance(dataset.x_test, pd.DataFrame)
    assert dataset.x_test["heat lag 1"].tolist() == [25, 36]
    assert isinstance(dataset.unlabelled, pd.DataFrame)
    assert dataset.unlabelled["heat lag 1"].tolist() == [0, 16]
    assert list(dataset.unlabelled) == list(dataset.x)
    assert dataset.reader is not None
    new = dataset.reader.read(series([6, 7], gaps=[]).drop(columns="y")).x
    assert isinstance(new, pd.DataFrame)
    pd.testing.assert_frame_equal(new, dataset.x_test, check_index_type=False)


def test_the_horizon_counts_from_the_last_row_with_a_target(tmp_path):
    put(tmp_path, series([0, 1, 2, 3, 4, 5], gaps=[5]))
    put(tmp_path, series([6, 7], gaps=[]).drop(columns="y"), "test.csv")
    keys = {"target": "y", "time": "time", "test": "test.csv"}
    with pytest.raises(DataError, match=r"a row 3 steps after. Set data.horizon to 3 or more"):
        load(tmp_path, folds={"kind": "time"}, horizon=2, **keys)
    dataset = load(tmp_path, folds={"kind": "time"}, horizon=3, **keys)
    assert isinstance(dataset.x_test, pd.DataFrame)
    assert dataset.x_test["y lag 3"].tolist() == [3 * 1.5 + 0.25, 4 * 1.5 + 0.25]


def test_rows_with_neither_target_nor_time_are_no_past(tmp_path):
    frame = series([0, 1, 2, 3, 4], gaps=[1])
    frame.loc[[1], ["time", "heat"]] = None
    put(tmp_path, frame)
    dataset = load(tmp_path, folds={"kind": "time"}, target="y", time="time", lags=[1])
    assert isinstance(dataset.x, pd.DataFrame)
    assert dataset.x["heat lag 1"].tolist() == pytest.approx([np.nan, np.nan, 4, 9], nan_ok=True)
    assert dataset.unlabelled is not None
    assert len(dataset.unlabelled) == 0


@pytest.mark.parametrize("shape", [(8, 8), (6, 2), (5,)])
def test_arrays_lose_the_rows_without_a_target(tmp_path, shape):
    x = np.random.default_rng(0).normal(size=(ROWS, *shape)).astype("float32")
    y = np.arange(ROWS) % 2 + 0.0
    y[GAPS] = np.nan
    np.savez(tmp_path / "train.npz", x=x, y=y, pay=np.arange(ROWS) + 1.0)
    dataset = load(tmp_path, train="train.npz", weight="pay")
    assert dataset.notes == ("left out 4 of 40 rows of train.npz without the target 'y'",)
    assert np.array_equal(np.asarray(dataset.x), x[KEPT])
    assert dataset.ids.tolist() == KEPT
    assert dataset.y.tolist() == [row % 2 for row in KEPT]
    assert dataset.weight is not None
    assert dataset.weight.tolist() == [row + 1 for row in KEPT]


def long_table(lacks: int | None = None) -> pd.DataFrame:
    """Return 10 runs of 4 steps; the run `lacks` has no kind."""
    run = np.repeat(np.arange(10), 4)
    frame = pd.DataFrame({"run": run, "step": np.tile(np.arange(4), 10), "speed": np.arange(40) * 0.5})
    return frame.assign(
        kind=pd.Series([f"k{one % 2}" for one in run]).where(run != (-1 if lacks is None else lacks)), place=run // 3
    )


def test_a_sequence_without_a_target_is_left_out(tmp_path):
    put(tmp_path, long_table(lacks=2))
    dataset = load(tmp_path, id="run", steps="step", target="kind", group="place")
    assert dataset.notes == ("left out 1 of 10 sequences of train.csv without the target 'kind'",)
    kept = [run for run in range(10) if run != 2]
    assert dataset.ids.tolist() == kept
    assert dataset.y.tolist() == [run % 2 for run in kept]
    assert dataset.groups is not None
    assert [int(group) for group in dataset.groups] == [run // 3 for run in kept]
    assert np.asarray(dataset.x)[2, :, 0].tolist() == [6, 6.5, 7, 7.5]


def test_a_sequence_without_a_row_of_labels_is_left_out_unless_that_is_refused(tmp_path):
    frame = long_table()
    put(tmp_path, frame.drop(columns="kind"))
    put(tmp_path, frame[["run", "kind"]].drop_duplicates()[1:], "labels.csv")
    keys: dict[str, Any] = {"id": "run", "steps": "step", "target": "kind", "labels": "labels.csv"}
    dataset = load(tmp_path, **keys)
    assert dataset.notes == ("left out 1 of 10 sequences of labels.csv without the target 'kind'",)
    assert (dataset.ids.tolist(), len(dataset.x), len(dataset.y)) == (list(range(1, 10)), 9, 9)
    with pytest.raises(DataError, match=r"labels.csv must have a row for each run of train.csv. It lacks 0."):
        load(tmp_path, unlabelled="refuse", **keys)
    put(tmp_path, frame[["run", "kind"]].drop_duplicates().assign(run=range(50, 60)), "labels.csv")
    with pytest.raises(DataError, match=r"labels.csv must have a row for each run of train.csv. It lacks 0, 1, 2, …"):
        load(tmp_path, **keys)


@pytest.mark.parametrize("more", [{}, {"size": np.arange(8) * 1.5}])
def test_an_image_without_a_target_is_left_out(tmp_path, more):
    (tmp_path / "pics").mkdir()
    for number in range(8):
        PIL.Image.fromarray(np.full((6, 6), 10 * number, "uint8")).save(tmp_path / "pics" / f"{number}.png")
    kinds = ["a", "b", None, "b", "a", "b", "a", "b"]
    put(tmp_path, pd.DataFrame({"file": [f"{n}.png" for n in range(8)], "kind": kinds, **more}))
    dataset = load(tmp_path, images="pics", target="kind")
    assert dataset.kind == ("mixed" if more else "image")
    assert "left out 1 of 8 rows of train.csv without the target 'kind'" in dataset.notes
    assert dataset.ids.tolist() == [f"{n}.png" for n in range(8) if n != 2]
    images = dataset.x["file"].array.read() if isinstance(dataset.x, pd.DataFrame) else np.asarray(dataset.x)
    assert images[:, 0, 0].ravel().tolist() == [10 * n for n in range(8) if n != 2]


def test_the_fingerprint_knows_the_rows_without_a_target(tmp_path):
    def features(**columns: Any) -> str:
        put(tmp_path, table(**columns))
        return Fingerprint.of(load(tmp_path, target="y"), "log_loss", "").features

    size = np.arange(ROWS) * 1.5
    same = features()
    assert features() == same
    size[3] = 99
    assert features(size=size) != same
