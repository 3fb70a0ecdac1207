"""Sequences: of unequal lengths and with holes, from arrays and from long tables."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from workbench import config, data
from workbench.autoconfig.draft import draft
from workbench.data import long_reader, npz
from workbench.data.cache import Cache
from workbench.data.long_reader import LongReader
from workbench.data.memmap import MemmapArray
from workbench.errors import ConfigError, DataError
from workbench.study.fingerprint import Fingerprint

NAN = np.nan


def study(folder: Path, folds: dict[str, Any] | None = None, **keys: Any) -> config.StudyConfig:
    file = folder / "study.yaml"
    document = {"name": "s", "families": ["linear"], "data": keys} | ({"folds": folds} if folds else {})
    file.write_text(yaml.safe_dump(document))
    return config.load(file)


def save(folder: Path, name: str = "train", *, rows: int = 12, steps: int = 6, **more: Any) -> np.ndarray:
    """Write arrays of two channels."""
    x = np.random.default_rng(0).normal(size=(rows, steps, 2)).astype("float32")
    np.savez(folder / f"{name}.npz", **{"x": x, "y": np.arange(rows) % 3, **more})
    return x


def assert_same(found: object, wanted: object) -> None:
    np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


# Arrays.


def test_a_sequence_may_lack_values_and_end_before_others(tmp_path):
    x = save(tmp_path)
    x[0, 4:], x[1, 2, 0] = NAN, NAN
    save(tmp_path, x=x)
    dataset = data.load(study(tmp_path, train="train.npz"))
    assert dataset.kind == "sequence"
    assert_same(dataset.x, x)


def test_an_array_of_lengths_is_padding_whatever_stands_there(tmp_path):
    x = save(tmp_path)
    x[:, 5] = np.inf
    lengths = np.array([1, 5] * 6)
    save(tmp_path, x=x, lengths=lengths)
    dataset = data.load(study(tmp_path, train="train.npz"))
    assert_same(np.isnan(dataset.x).all(axis=2), np.arange(6) >= lengths[:, None])
    assert isinstance(dataset.x, np.ndarray)
    assert_same(dataset.x[1, :5], x[1, :5])
    assert_same(dataset.example, dataset.x[:5])


@pytest.mark.parametrize(("shape", "made"), [((6,), (6, 1)), ((9, 9), (9, 9))])
def test_lengths_make_sequences_of_what_would_be_a_table_or_an_image(tmp_path, shape, made):
    save(tmp_path, x=np.ones((12, *shape), "uint8"), lengths=np.full((12, 1), 3))
    dataset = data.load(study(tmp_path, train="train.npz"))
    assert (dataset.kind, dataset.x.shape, dataset.x.dtype) == ("sequence", (12, *made), np.dtype("float32"))


def test_lengths_that_are_the_target_are_no_padding(tmp_path):
    save(tmp_path, lengths=np.arange(1, 13) % 6 + 1.0)
    dataset = data.load(study(tmp_path, train="train.npz", target="lengths", types={"x": "sequence"}))
    assert not np.isnan(dataset.x).any()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"lengths": np.arange(12)}, r"lengths must have .* from 1 to 6. Received: 0 in row 0"),
        ({"lengths": np.full(12, 7)}, r"Received: 7 in row 0"),
        ({"lengths": np.full(12, 2.5)}, r"Received: 2.5 in row 0"),
        ({"lengths": np.ones(3, int)}, r"lengths must have one whole number for each of the 12 rows"),
        ({"lengths": np.array(["a"] * 12)}, r"Received: <U1 of the shape"),
        ({"x": np.full((12, 6, 2), np.inf)}, r"x must be finite, or NaN .* Received: 144 values that are infinite"),
        ({"x": np.full((12, 9, 9), NAN)}, r"x must be finite. Received: 972 .* set data.types to \{x: sequence\}"),
    ],
)
@pytest.mark.parametrize("large", [False, True])
def test_what_no_sequence_can_hold_is_refused_also_in_large_arrays(tmp_path, monkeypatch, more, sentence, large):
    monkeypatch.setattr(npz, "_LARGE", 100 if large else 10**9)
    save(tmp_path, **more)
    with pytest.raises(DataError, match=sentence):
        data.load(study(tmp_path, train="train.npz"), cache=Cache(tmp_path / "cache"))


@pytest.mark.parametrize(("steps", "note"), [(4, "padded test.npz from 4"), (9, "cut test.npz from 9"), (6, None)])
@pytest.mark.parametrize("large", [False, True])
def test_rows_to_predict_get_as_many_steps_as_training_rows(tmp_path, monkeypatch, steps, note, large):
    monkeypatch.setattr(npz, "_LARGE", 100 if large else 10**9)
    save(tmp_path)
    x = save(tmp_path, "test", rows=5, steps=steps)
    keys = study(tmp_path, train="train.npz", test="test.npz")
    dataset = data.load(keys, cache=Cache(tmp_path / "cache"))
    assert isinstance(dataset.x_test, MemmapArray) == large
    wanted = np.full((5, 6, 2), NAN, "float32")
    wanted[:, : min(steps, 6)] = x[:, :6]
    assert_same(dataset.x_test, wanted)
    assert [word.startswith(note) for word in dataset.notes] == ([True] if note else [])
    assert_same(dataset.reader.read(tmp_path / "test.npz").x, wanted)


def test_large_arrays_are_padded_on_disk_and_known_by_the_same_digest(tmp_path, monkeypatch):
    x = save(tmp_path, rows=40, lengths=np.arange(40) % 6 + 1)
    keys = study(tmp_path, train="train.npz")
    small = data.load(keys, cache=Cache(tmp_path / "cache"))
    monkeypatch.setattr(npz, "_LARGE", 100)
    monkeypatch.setattr(npz, "_BLOCK", 7 * x[0].nbytes)
    large = data.load(keys, cache=Cache(tmp_path / "cache"))
    assert isinstance(large.x, MemmapArray)
    assert_same(large.x, small.x)
    assert Fingerprint.of(large, "log_loss", "f") == Fingerprint.of(small, "log_loss", "f")


def test_new_sequences_of_other_channels_are_refused(tmp_path):
    save(tmp_path)
    keys = study(tmp_path, train="train.npz")
    reader = data.load(keys).reader
    with pytest.raises(DataError, match=r"must have rows of the shape \(steps, 2\) that train.npz has"):
        reader.read(np.ones((3, 6, 5)))
    save(tmp_path, "test", x=np.ones((12, 6, 3)))
    with pytest.raises(DataError, match=r"test.npz: x must have rows of the shape"):
        data.load(study(tmp_path, train="train.npz", test="test.npz"))


# Long tables.


def table(rows: int = 8, seed: int = 0) -> pd.DataFrame:
    """Return sequences of 2 to 5 steps: numbers with holes, a category, booleans; the target follows from the id."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(rows):
        steps = 2 + number % 4
        parts.append(
            pd.DataFrame(
                {
                    "run": f"r{number}",
                    "step": np.arange(steps),
                    "speed": rng.normal(size=steps).round(2),
                    "gear": rng.choice(["low", "high", "back"], steps),
                    "on": rng.choice(["yes", "no"], steps),
                    "subject": f"p{number % 6}",
                    "kind": ["walk", "run"][number % 2],
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    frame.loc[3, "speed"] = NAN
    return frame


LONG = {"train": "train.csv", "id": "run", "steps": "step", "target": "kind"}


def put(folder: Path, frame: pd.DataFrame, name: str = "train") -> None:
    frame.to_csv(folder / f"{name}.csv", index=False)


def load(folder: Path, frame: pd.DataFrame, **keys: Any) -> data.Dataset:
    put(folder, frame)
    made = study(folder, **{**LONG, **keys})
    data.peek(made)
    return data.load(made, cache=Cache(folder / "cache"))


def test_a_long_table_becomes_a_sequence_for_each_id_padded_at_the_end(tmp_path):
    frame = table()
    dataset = load(tmp_path, frame, group="subject")
    assert (dataset.kind, dataset.x.shape, dataset.x.dtype) == ("sequence", (8, 5, 5), np.dtype("float32"))
    assert dataset.ids.tolist() == [f"r{n}" for n in range(8)]
    assert (dataset.classes, dataset.y.tolist()) == (("run", "walk"), [1, 0] * 4)
    assert dataset.groups.tolist() == [f"p{n % 6}" for n in range(8)]
    assert list(dataset.reader.layout.columns) == ["speed", "gear", "on"]
    own = frame[frame.run == "r2"]
    assert isinstance(dataset.x, np.ndarray)
    assert_same(dataset.x[2, :4, 0], own.speed.to_numpy("float32"))
    assert_same(dataset.x[2, :4, 4], own.on == "yes")
    levels = dataset.reader.layout.levels["gear"]
    assert sorted(levels) == ["back", "high", "low"]
    assert_same(dataset.x[2, :4, 1:4], own.gear.to_numpy()[:, None] == np.array(levels))
    assert np.isnan(dataset.x[2, 4:]).all()
    assert np.isnan(dataset.x[1, 1, 0])
    assert not np.isnan(dataset.x[1, 1, 1:]).any()


def test_steps_may_come_in_any_order_and_ids_apart(tmp_path):
    frame = table()
    wanted = load(tmp_path, frame)
    found = load(tmp_path, frame.sample(frac=1, random_state=0))
    order = [found.ids.tolist().index(each) for each in wanted.ids]
    assert_same(found.x[order], wanted.x)
    assert_same(found.y[order], wanted.y)


def test_dates_order_steps_and_uneven_ones_say_how_far_apart_they_are(tmp_path):
    frame = table()
    even = load(tmp_path, frame.assign(step=pd.Timestamp("2024-01-31") + pd.to_timedelta(frame.step, "D")))
    assert_same(even.x, load(tmp_path, frame).x)
    seconds = [0, 10, 40, 100, 1000]
    uneven = load(
        tmp_path,
        frame.assign(step=pd.Timestamp("2024-01-31") + pd.to_timedelta(frame.step.map(dict(enumerate(seconds))), "s")),
    )
    assert isinstance(uneven.x, np.ndarray)
    assert_same(uneven.x[..., :-1], even.x)
    assert_same(uneven.x[3, :, -1], [0, 10, 30, 60, 900])
    assert_same(uneven.x[0, :, -1], [0, 10, NAN, NAN, NAN])


def test_targets_and_groups_may_stand_in_a_table_of_labels_in_any_order(tmp_path):
    frame = table()
    labels = frame.drop_duplicates("run")[["run", "kind", "subject"]]
    wanted = load(tmp_path, frame, group="subject")
    put(tmp_path, pd.concat([labels, pd.DataFrame({"run": ["r99"], "kind": "walk", "subject": "x"})])[::-1], "labels")
    found = load(tmp_path, frame.drop(columns=["kind", "subject"]), labels="labels.csv", group="subject")
    assert_same(found.x, wanted.x)
    assert_same(found.y, wanted.y)
    assert_same(found.groups, wanted.groups)
    assert found.notes == ("left out 1 rows of labels.csv, whose run is not in train.csv",)


def test_ids_are_the_same_in_both_tables_however_they_are_read(tmp_path):
    frame = table().assign(run=lambda f: f.run.str[1:].str.zfill(2))
    put(tmp_path, frame.drop_duplicates("run")[["run", "kind"]], "labels")
    assert load(tmp_path, frame.drop(columns="kind"), labels="labels.csv").ids.tolist()[:2] == ["00", "01"]


def test_rows_to_predict_are_read_as_training_rows_longer_and_shorter_and_with_unseen_values(tmp_path):
    frame = table()
    new = pd.concat([frame[frame.run == "r0"], frame[frame.run == "r3"]], ignore_index=True).drop(columns="kind")
    more = new[new.run == "r3"].assign(step=lambda f: f.step + 5, gear="sideways", on="perhaps")
    put(tmp_path, pd.concat([more, new]), "test")
    dataset = load(tmp_path, frame, test="test.csv")
    assert dataset.test_ids.tolist() == ["r3", "r0"]
    assert_same(dataset.x_test, dataset.x[[3, 0]])
    assert dataset.notes == ("cut 1 of 2 sequences of test.csv at step 5, where training ends",)
    reader = dataset.reader
    again = data.reader_from_document(json.loads(json.dumps(reader.document())))
    assert isinstance(reader, LongReader)
    assert isinstance(again, LongReader)
    assert isinstance(dataset.x_test, np.ndarray)
    assert again == dataclasses.replace(reader, layout=again.layout)
    for each in (reader, again):
        read = each.read(tmp_path / "test.csv")
        assert_same(read.x, dataset.x_test)
        assert_same(read.ids, dataset.test_ids)
        alone = each.read(pd.concat([more, new])[lambda f: f.run == "r0"])
        assert_same(alone.x, dataset.x_test[1:])


def test_unseen_and_missing_values_of_a_category_differ(tmp_path):
    reader = load(tmp_path, table(), drop=["subject"]).reader
    values: dict[str, Any] = {"gear": ["sideways", None], "on": ["no", None], "speed": [1, 2]}
    x = reader.read(table()[:2].assign(**values)).x
    assert isinstance(x, np.ndarray)
    assert_same(x[0, :2], [[1, 0, 0, 0, 0], [2, NAN, NAN, NAN, NAN]])


def test_of_two_values_of_a_category_one_channel_tells_the_other(tmp_path):
    frame = table().assign(gear=lambda f: np.where(f.speed > 1, "high", "low"))
    dataset = load(tmp_path, frame, drop=["subject"])
    assert dataset.reader.layout.levels == {"gear": ("low",)}
    assert isinstance(dataset.x, np.ndarray)
    assert_same(dataset.x[3, :5, 1], frame[frame.run == "r3"].gear == "low")


def test_large_long_tables_lie_on_disk_and_are_the_same(tmp_path, monkeypatch):
    frame = table(40)
    small = load(tmp_path, frame)
    monkeypatch.setattr(long_reader, "_LARGE", 100)
    monkeypatch.setattr(long_reader, "_BLOCK", 7 * small.x[0].nbytes)
    large = load(tmp_path, frame)
    assert isinstance(large.x, MemmapArray)
    assert_same(large.x, small.x)
    assert Fingerprint.of(large, "log_loss", "f") == Fingerprint.of(small, "log_loss", "f")


def test_one_sequence_far_longer_than_all_others_is_cut(tmp_path):
    frame = table(120)
    more = frame[frame.run == "r3"]
    tail = [more.assign(step=more.step + 5 * place) for place in range(1, 10)]
    dataset = load(tmp_path, pd.concat([frame, *tail], ignore_index=True))
    assert dataset.x.shape[1] == 5
    assert "cut 1 of 120 sequences at step 5: the longest has 50" in dataset.notes
    assert isinstance(dataset.x, np.ndarray)
    assert_same(dataset.x[3, :, 0], frame[frame.run == "r3"].speed.to_numpy("float32"))


def test_columns_that_are_no_channels_are_left_out_and_that_is_said(tmp_path):
    frame = table()
    frame["same"], frame["day"] = 1, "2024-01-31"
    frame["code"] = [f"c{n % 25}" for n in range(len(frame))]
    dataset = load(tmp_path, frame, drop=["subject"])
    assert dataset.notes == (
        "left out 'day': a date in a sequence",
        "kept the 20 most frequent of the 25 values of 'code'",
        "dropped 'same': constant",
    )
    assert dataset.x.shape[2] == 5 + 20


@pytest.mark.parametrize(
    ("change", "keys", "error", "sentence"),
    [
        (lambda f: f.assign(kind=["walk", *f.kind[1:][::-1]]), {}, DataError,
         r"train.csv: column 'kind' \(data.target\) must have one value .* Received: 'walk', 'run' for run r0"),
        (lambda f: f, {"group": "gear"}, DataError, r"column 'gear' \(data.group\) must have one value"),
        (lambda f: pd.concat([f, f[5:6]]), {}, DataError,
         r"column 'step' \(data.steps\) must tell the rows of an id apart. Received: 0 twice for run r2"),
        (lambda f: f.assign(step=f.step.where(f.step > 0)), {}, DataError,
         r"'step' \(data.steps\) must hold a number in every row. Received: 8 rows that do not, the first is row 0"),
        (lambda f: f.assign(run=f.run.where(f.index > 2)), {}, DataError, r"column 'run' .* must have a value"),
        (lambda f: f, {"steps": "gear"}, DataError, r"column 'gear' \(data.steps\) must hold numbers or dates"),
        (lambda f: f[["run", "step", "kind"]], {}, DataError, r"must have a feature that varies"),
        (lambda f: f, {"steps": "stop"}, ConfigError, r"data.steps must be a column .*Did you mean 'step'"),
        (lambda f: f, {"steps": "run"}, ConfigError, r"data.steps must be another column than data.id"),
        (lambda f: f, {"id": None}, ConfigError, r"data.steps must go with data.id"),
        (lambda f: f, {"steps": None, "labels": "train.csv"}, ConfigError, r"data.labels must go with data.steps"),
        (lambda f: f, {"test": "short.csv"}, DataError, r"short.csv must have .* It lacks 'gear'"),
        (lambda f: f, {"labels": "short.csv"}, ConfigError, r"data.target must be a column of short.csv"),
        (lambda f: f, {"labels": "twice.csv"}, DataError, r"twice.csv: column 'run' .* must name each row once"),
        (lambda f: f, {"labels": "few.csv", "unlabelled": "refuse"}, DataError,
         r"few.csv must have a row for each run .* It lacks 'r0'"),
        (lambda f: f, {"train": "sklearn:digits"}, ConfigError, r"data.steps must go with a table in a file"),
        (lambda f: f, {"train": "arrays.npz"}, ConfigError, r"data.train must be a table for data.steps"),
    ],
)  # fmt: skip
def test_long_tables_that_do_not_fit_are_refused(tmp_path, change, keys, error, sentence):
    frame = table()
    save(tmp_path, "arrays")
    put(tmp_path, frame.drop(columns=["kind", "gear"]), "short")
    put(tmp_path, frame[["run", "kind"]], "twice")
    put(tmp_path, frame[["run", "kind"]].drop_duplicates()[1:], "few")
    with pytest.raises(error, match=sentence):
        load(tmp_path, change(frame), **keys)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f.drop(columns="run"), r"The frame must have the columns of id, steps and values .* It lacks 'run'"),
        (lambda f: f.assign(speed="fast"), r"column 'speed' must hold numbers, as in training. Received: 'fast'"),
        (lambda f: pd.concat([f, f]), r"must tell the rows of an id apart"),
        (lambda f: f[:0], r"must have rows to predict"),
    ],
)
def test_new_rows_of_a_long_table_that_do_not_fit_are_refused(tmp_path, change, sentence):
    reader = load(tmp_path, table()).reader
    with pytest.raises(DataError, match=sentence):
        reader.read(change(table()))


# Drafts.


def competition(folder: Path, *, labels: str | None = None) -> Path:
    """Write a competition of sequences: train, test, sample submission, and labels in a table of their own if asked."""
    frame = table(24).assign(row_id=lambda f: [f"x{n}" for n in range(len(f))])
    test = table(10, seed=1).assign(run=lambda f: "t" + f.run, row_id=lambda f: [f"y{n}" for n in range(len(f))])
    known = ["run", "kind"] if labels is None else ["run", "kind", "subject"]
    put(folder, frame if labels is None else frame.drop(columns=known[1:]), "train")
    put(folder, test.drop(columns=known[1:]), "test")
    put(folder, pd.DataFrame({"run": test.run.unique(), "kind": "walk"}), "sample_submission")
    if labels:
        put(folder, frame.drop_duplicates("run")[known], labels)
    return folder / "train.csv"


@pytest.mark.parametrize("labels", [None, "train_labels", "y_train", "answers_of_train"])
def test_a_long_table_is_recognised_with_its_steps_and_its_labels(tmp_path, monkeypatch, labels):
    (tmp_path / "runs").mkdir()
    train = competition(tmp_path / "runs", labels=labels)
    monkeypatch.chdir(tmp_path)
    made = draft(str(train))
    assert (made.target, made.task, made.metric) == ("kind", "binary", "accuracy")
    written = yaml.safe_load(made.path.read_text())
    files = {"train": "runs/train.csv", "test": "runs/test.csv", "sample_submission": "runs/sample_submission.csv"}
    more = {} if labels is None else {"labels": f"runs/{labels}.csv"}
    columns = {"target": "kind", "id": "run", "steps": "step", "drop": ["row_id"]}
    assert written["data"] == files | more | columns
    assert {"rocket", "sequence_trees", "xgboost"} <= set(written["families"])
    assert any("ordered by step" in note for note in made.notes)
    assert any("perhaps a group: subject" in note for note in made.notes)
    study = config.load(made.path)
    data.peek(study)
    dataset = data.load(study)
    channels = 5 if labels else 11
    assert (dataset.kind, dataset.x.shape, dataset.x_test.shape) == ("sequence", (24, 5, channels), (10, 5, channels))


def test_a_step_is_recognised_by_how_it_grows_where_its_name_tells_nothing(tmp_path, monkeypatch):
    train = competition(tmp_path, labels="labels")
    for name in ("train", "test"):
        put(tmp_path, pd.read_csv(tmp_path / f"{name}.csv").rename(columns={"step": "k"}), name)
    monkeypatch.chdir(tmp_path)
    assert yaml.safe_load(draft(str(train)).path.read_text())["data"]["steps"] == "k"


@pytest.mark.parametrize("spoilt", ["test", "sample_submission"])
def test_a_table_whose_rows_are_predicted_one_by_one_is_no_long_one(tmp_path, monkeypatch, spoilt):
    train = competition(tmp_path)
    frame = pd.read_csv(tmp_path / "test.csv")
    if spoilt == "test":
        put(tmp_path, frame.drop_duplicates("run"), "test")
    else:
        put(tmp_path, pd.DataFrame({"run": frame.run, "kind": "walk"}), "sample_submission")
    monkeypatch.chdir(tmp_path)
    assert "steps" not in yaml.safe_load(draft(str(train)).path.read_text())["data"]
