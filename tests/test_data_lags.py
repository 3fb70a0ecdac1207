from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workbench import data
from workbench.config import StudyConfig, load
from workbench.data import tables
from workbench.errors import ConfigError, DataError

NAMES = ("train.csv", "test.csv")


def study(**keys) -> StudyConfig:
    """Return a study of `y`, in order of `time` unless `data` says otherwise."""
    folds = keys.pop("folds", {"kind": "time"})
    known = {"train": "train.csv", "target": "y", "time": "time", **keys}
    return StudyConfig.model_validate({"name": "s", "data": known, "folds": folds, "families": ["linear"]})


def hours(*places: int) -> list[str]:
    return [str(pd.Timestamp("2024-01-01") + pd.Timedelta(hours=place)) for place in places]


def table(places: list[int], **columns) -> pd.DataFrame:
    """Return rows at some hours, with a target that is never the same."""
    frame = pd.DataFrame({"time": hours(*places), "heat": np.arange(len(places), dtype=float) ** 2})
    return frame.assign(y=np.arange(len(places)) * 1.5 + 0.25, **columns)


def built(train: pd.DataFrame, test: pd.DataFrame | None = None, **keys) -> data.Dataset:
    return tables.build(study(**keys), train, test, names=NAMES)


def column(dataset: data.Dataset, name: str) -> list[float]:
    assert isinstance(dataset.x, pd.DataFrame)
    return dataset.x[name].tolist()


def known(*values: float) -> object:
    return pytest.approx(list(values), nan_ok=True)


def test_lags_and_window_means_are_those_of_a_rows_own_past():
    dataset = built(table([0, 1, 2, 3, 4]), lags=[1, 2], windows=[3])
    assert column(dataset, "heat lag 1") == known(np.nan, 0, 1, 4, 9)
    assert column(dataset, "heat lag 2") == known(np.nan, np.nan, 0, 1, 4)
    assert column(dataset, "heat mean 3") == known(0, 1 / 2, 5 / 3, 14 / 3, 29 / 3)


def test_what_is_not_there_leaves_a_gap_and_does_not_pull_older_rows_near():
    dataset = built(table([0, 1, 2, 7, 8, 9, 10]), lags=[1], windows=[3])
    assert column(dataset, "heat lag 1") == known(np.nan, 0, 1, np.nan, 9, 16, 25)
    assert column(dataset, "heat mean 3") == known(0, 1 / 2, 5 / 3, 9, 25 / 2, 50 / 3, 77 / 3)


def test_a_missing_value_is_passed_over_in_a_mean_and_stays_missing_as_a_lag():
    frame = table([0, 1, 2, 3])
    frame.loc[1, "heat"] = np.nan
    dataset = built(frame, lags=[1], windows=[2])
    assert column(dataset, "heat lag 1") == known(np.nan, 0, np.nan, 4)
    assert column(dataset, "heat mean 2") == known(0, 0, 4, 13 / 2)


def test_months_are_steps_though_they_differ_in_days():
    for days in (pd.date_range("2023-01-01", periods=6, freq="MS"), pd.date_range("2023-01-31", periods=6, freq="ME")):
        dataset = built(table([0, 1, 2, 3, 4, 5], time=days), lags=[1, 3])
        assert column(dataset, "heat lag 1") == known(np.nan, 0, 1, 4, 9, 16)
        assert column(dataset, "heat lag 3") == known(np.nan, np.nan, np.nan, 0, 1, 4)


def test_numbers_can_tell_the_time():
    dataset = built(table([0, 1, 2], time=[10, 20, 30]), lags=[1])
    assert column(dataset, "heat lag 1") == known(np.nan, 0, 1)


def test_series_have_pasts_of_their_own():
    frame = table([0, 0, 1, 1, 2, 2], shop=list("abbaab"), town=[1, 1, 1, 1, 1, 1])
    dataset = built(frame, lags=[1], windows=[2], series=["shop", "town"])
    assert column(dataset, "heat lag 1") == known(np.nan, np.nan, 1, 0, 9, 4)
    assert column(dataset, "heat mean 2") == known(0, 1, 5 / 2, 9 / 2, 25 / 2, 29 / 2)


def test_categories_are_followed_by_the_shares_of_their_levels():
    dataset = built(table([0, 1, 2, 3], wind=["N", "S", None, "S"]), windows=[2])
    assert column(dataset, "wind=N mean 2") == known(1, 1 / 2, 0, 0)
    assert column(dataset, "wind=S mean 2") == known(0, 1 / 2, 1, 1)


def test_rows_to_predict_look_back_at_training_rows_and_at_one_another():
    rows = table([0, 1, 2, 3, 4])
    dataset = built(rows[:3], rows[3:].drop(columns="y"), lags=[1], windows=[3])
    assert isinstance(dataset.x_test, pd.DataFrame)
    assert dataset.x_test["heat lag 1"].tolist() == known(4, 9)
    assert dataset.x_test["heat mean 3"].tolist() == known(14 / 3, 29 / 3)


def test_the_targets_past_ends_a_horizon_back():
    rows = table([0, 1, 2, 3, 4, 5])
    dataset = built(rows[:4], rows[4:].drop(columns="y"), horizon=2, lags=[1, 3], windows=[2])
    assert column(dataset, "y lag 2") == known(np.nan, np.nan, 0.25, 1.75)
    assert column(dataset, "y mean 2 lag 2") == known(np.nan, np.nan, 0.25, 1)
    assert "y lag 1" not in dataset.x
    assert isinstance(dataset.x_test, pd.DataFrame)
    assert dataset.x_test["y lag 2"].tolist() == known(3.25, 4.75)
    assert dataset.x_test["y lag 3"].tolist() == known(1.75, 3.25)


@st.composite
def panels(draw) -> tuple[pd.DataFrame, int]:
    """Return rows of two series with gaps, in any order, and one of them."""
    moments = draw(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30)), min_size=6, max_size=25, unique=True))
    values = draw(st.lists(st.integers(-9, 9), min_size=len(moments), max_size=len(moments)))
    frame = pd.DataFrame({"shop": [m[0] for m in moments], "time": hours(*[m[1] for m in moments])})
    frame = frame.assign(heat=values, wind=[f"w{value % 3}" for value in values], fixed=range(len(frame)))
    return frame.assign(y=np.arange(len(frame)) / 7), draw(st.integers(0, len(frame) - 1))


@settings(max_examples=60, deadline=None)
@given(panels(), st.integers(1, 5))
def test_changing_a_row_changes_nothing_that_earlier_rows_are_shown(panel, horizon):
    frame, place = panel
    asked = {"lags": [1, 3], "windows": [2, 6], "series": "shop", "horizon": horizon}
    other = frame.copy()
    other.loc[place, ["heat", "wind", "y"]] = [77, "w1", 99.0]
    steps = pd.to_datetime(frame.time)
    assume(steps.nunique() > 1 and frame.heat.nunique() > 1)
    first, second = built(frame, **asked), built(other, **asked)
    shared = [name for name in first.x if name in second.x]
    mine = frame.shop == frame.shop[place]
    earlier = ~mine | (steps < steps[place])
    pd.testing.assert_frame_equal(first.x.loc[earlier, shared], second.x.loc[earlier, shared])
    # The target is shown to no row less than the horizon later, its own included.
    size = pd.Series(steps.sort_values().unique()).diff().dropna().sort_values().iloc[(steps.nunique() - 1) // 2]
    near = ~mine | (steps < steps[place] + horizon * size)
    told = [name for name in shared if name.startswith("y ")]
    pd.testing.assert_frame_equal(first.x.loc[near, told], second.x.loc[near, told])


def test_a_row_does_change_what_later_rows_are_shown():
    frame = table([0, 1, 2, 3])
    other = frame.assign(heat=[0, 50, 4, 9])
    first, second = (built(each, lags=[1], windows=[2]).x for each in (frame, other))
    assert isinstance(first, pd.DataFrame)
    assert isinstance(second, pd.DataFrame)
    assert (first["heat lag 1"] != second["heat lag 1"]).tolist()[2:] == [True, False]
    assert (first["heat mean 2"] != second["heat mean 2"]).tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["year", "month", "day", "hour"], {"year": 2024, "month": 2, "day": [28, 29, 29], "hour": [23, 0, 1]}),
        (["day", "hour"], {"day": ["2024-02-28", "2024-02-29", "2024-02-29"], "hour": [23, 0, 1]}),
    ],
)
def test_the_parts_of_a_date_are_one_time_and_a_feature(names, columns):
    frame = pd.DataFrame({**columns, "heat": [3.0, 4.0, 5.0], "y": [0.5, 1.5, 2.5]})
    dataset = built(frame, time=names, lags=[1])
    moments = pd.to_datetime(["2024-02-28 23:00", "2024-02-29 00:00", "2024-02-29 01:00"])
    assert dataset.time.tolist() == moments.as_unit("ns").to_numpy().tolist()
    assert dataset.columns["-".join(names)] == "date"
    assert column(dataset, "heat lag 1") == known(np.nan, 3, 4)
    assert not [name for name in dataset.x if name.startswith("hour lag")]


def test_new_rows_are_shown_what_the_same_rows_were_shown():
    chance = np.random.default_rng(0)
    rows = table(list(range(40)), wind=chance.choice(["N", "S", "W"], 40), spare=chance.normal(size=40))
    train, test = rows[:30], rows[30:].drop(columns="y").reset_index(drop=True)
    asked = {"lags": [1, 3], "windows": [4], "horizon": 10}
    dataset = built(train, test, **asked)
    reader = dataset.reader
    again = data.reader_from_document(json.loads(json.dumps(reader.document())))
    assert again.kinds == dataset.columns
    x = again.read(test).x
    assert isinstance(x, pd.DataFrame)
    assert isinstance(dataset.x_test, pd.DataFrame)
    pd.testing.assert_frame_equal(x, dataset.x_test)
    some = again.read(test.iloc[[7, 2]]).x
    assert isinstance(some, pd.DataFrame)
    pd.testing.assert_frame_equal(some, dataset.x_test.iloc[[7, 2]].reset_index(drop=True))


def test_rows_after_those_to_predict_look_back_at_them():
    rows = table(list(range(10)))
    dataset = built(rows[:5], rows[5:8].drop(columns="y"), lags=[1], windows=[3])
    later = dataset.reader.read(rows[8:].drop(columns="y"))
    assert isinstance(later.x, pd.DataFrame)
    assert later.x["heat lag 1"].tolist() == known(49, 64)
    assert later.x["heat mean 3"].tolist() == known((36 + 49 + 64) / 3, (49 + 64 + 81) / 3)


def test_new_rows_beyond_the_horizon_or_twice_the_same_are_refused():
    rows = table(list(range(10)))
    asked: dict[str, Any] = {"horizon": 2, "lags": [1]}
    reader = built(rows[:6], **asked).reader
    with pytest.raises(DataError, match=r"at most data.horizon steps after .* a horizon of 2, and a row 3 steps after"):
        reader.read(rows[6:9])
    with pytest.raises(DataError, match="every time must come once for lags and windows"):
        reader.read(pd.concat([rows[6:7], rows[6:7]]))
    with pytest.raises(DataError, match="It lacks 'time'"):
        reader.read(rows[6:7].drop(columns="time"))


@pytest.mark.parametrize(
    ("frame", "keys", "error", "sentence"),
    [
        (table([0, 0, 1]), {"lags": [1]}, DataError, "Received: 2024-01-01 00:00:00 twice. Set data.series"),
        (
            table([0, 0, 1], shop=["a", "a", "b"]),
            {"lags": [1], "series": "shop"},
            DataError,
            "once in a series for lags and windows. Received: 2024-01-01 00:00:00 twice. Add to data.series",
        ),
        (
            table([0, 1, 2], shop=["a", None, "b"]),
            {"lags": [1], "series": "shop"},
            DataError,
            "Received: 1 rows without",
        ),
        (table([0, 1, 2], time=list("xyz")), {"lags": [1]}, DataError, "must hold dates or numbers .* Received: 'x'"),
        (table([0, 1, 2], time=[5, 5, 5]), {"windows": [2]}, DataError, "must have different values"),
        (table([0, 1, 2], time=[5, None, 7]), {"lags": [1]}, DataError, "must have a value in every row"),
        (table([0, 1, 2]), {"lags": [1], "horizon": 1, "folds": {}}, ConfigError, "must be 'time' beside data.horizon"),
        (table([0, 1, 2]).assign(y=["a", "b", "a"]), {"horizon": 1}, ConfigError, "must go with a regression"),
        (table([0, 1, 2]), {"time": ["time", "y"]}, ConfigError, "must not be the target"),
        (table([0, 1, 2], a=[1, 2, 3]).rename(columns={"a": "heat lag 1"}), {"lags": [1]}, DataError, "Rename them"),
        (
            table([0, 1, 2], month=[1, 13, 2], year=2024),
            {"time": ["year", "month"]},
            DataError,
            r"column 'month' \(data.time\) must be the month, 1 to 12, in every row. Received: 1 rows",
        ),
        (
            table([0, 1, 2], month=2, year=2023, day=[27, 28, 29]),
            {"time": ["year", "month", "day"]},
            DataError,
            r"column 'day' \(data.time\) must be a day of its month .* the first is row 2",
        ),
        (
            table([0, 1, 2], word=["a", "b", "c"]),
            {"time": ["word", "heat"]},
            DataError,
            "the parts of a date from the largest down: .* Received: 2 columns, the first, 'word', of kind category",
        ),
    ],
)
def test_what_cannot_be_in_order_of_time_is_refused(frame, keys, error, sentence):
    with pytest.raises(error, match=sentence):
        built(frame, **keys)


def test_test_rows_beyond_the_horizon_are_refused():
    rows = table(list(range(6)))
    with pytest.raises(
        DataError, match=r"test.csv: rows must lie .* a row 3 steps after. Set data.horizon to 3 or more"
    ):
        built(rows[:3], rows[3:].drop(columns="y"), horizon=2)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("lags: [1]", "data must have the key time for lags"),
        ("time: t\n  series: shop", "data must have lags, windows or a horizon for series"),
        ("time: t\n  lags: [1, 1]", "data must have different entries in lags"),
        ("time: t\n  lags: [0]", r"data.lags\[0\] must be at least 1"),
        ("time: t\n  windows: 24", r"data.windows must be a list. Received: 24"),
        ("time: 5", r"data.time must be a list. Received: 5"),
    ],
)
def test_a_study_file_that_asks_for_no_possible_past_is_refused(tmp_path: Path, lines, sentence):
    file = tmp_path / "s.yaml"
    file.write_text(f"name: s\nfamilies: [linear]\ndata:\n  train: t.csv\n  target: y\n  {lines}\n")
    with pytest.raises(ConfigError, match=sentence):
        load(file)


def test_images_and_sequences_have_no_past(tmp_path: Path):
    np.savez(
        tmp_path / "train.npz", x=np.zeros((6, 5, 3)) + np.arange(6)[:, None, None], y=np.arange(6) / 4, t=range(6)
    )
    file = tmp_path / "s.yaml"
    file.write_text("name: s\nfamilies: [linear]\ndata: {train: train.npz, target: y, time: t, lags: [1]}\n")
    with pytest.raises(ConfigError, match=r"data.lags must go with a table. Received: 'lags for .* kind sequence'"):
        data.load(load(file))
