"""The sample submission's rows are matched to the test rows: by values, in whatever order, place, name or notation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import config, data, evaluation, submission
from workbench.data import Dataset, sample_submission, table_files, tables
from workbench.data.sample_submission import RawSample
from workbench.errors import SubmissionError

RMSE = evaluation.metric("rmse")
# Ids in the notations that files have; of each, as many as a test needs.
STYLES = {
    "numbers": lambda i: str(11_000 + i),
    "row numbers": lambda i: str(i),
    "row numbers from 1": lambda i: str(i + 1),
    "zeros": lambda i: f"{900 + i:05}",
    "fractions": lambda i: f"{1 + i // 10}.{i % 10}",
    "fractions with zeros": lambda i: ["1.1", "1.10", "1.100", "01.1"][i % 4] + "0" * (i // 4) * 3,
    "zeros alone tell": lambda i: "0" * i + "7",
    "exponents": lambda i: f"{i}e5",
    "long": lambda i: str(2**62 + i),
    "words": lambda i: f"{'abc'[i % 3]} {i}, é",
    "dates": lambda i: f"2026-01-{i + 1:02}",
    "half": lambda i: f"{i}.0",
}
NAMES = ["id", "Id", "ID", "RecordID", "key", "weird ☃"]


class Files(NamedTuple):
    """A test file and a sample submission, and what their ids have to do with each other."""

    test: pd.DataFrame
    sample: pd.DataFrame
    test_name: str
    sample_name: str
    own: list[str]
    """The id in the test file of each row of the sample."""
    named: bool
    """Whether the study file names the id column."""
    exact: bool
    """Whether the sample writes the ids as the test file does."""
    decoy: bool
    """Whether another column of the test rows has the ids' values in another order."""
    suffix: str


@st.composite
def files(draw: st.DrawFn) -> Files:
    rows = draw(st.integers(3, 12))
    style = STYLES[draw(st.sampled_from(sorted(STYLES)))]
    ids = draw(st.permutations([style(i) for i in range(rows)]))
    test_name, sample_name = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
    named, decoy = draw(st.booleans()), draw(st.integers(0, 4)) == 0
    columns: dict[str, Any] = {test_name: ids, "a": [f"{i % 3}.5" for i in range(rows)], "b": ["x", "y", "z"] * 4}
    columns["b"] = columns["b"][:rows]
    columns |= {"rank": draw(st.permutations(ids))} if decoy else {}
    test = pd.DataFrame({name: columns[name] for name in draw(st.permutations(sorted(columns)))})
    own = draw(st.permutations(ids))
    exact = draw(st.booleans())
    shown = own if exact else [draw(st.sampled_from(["{}", " {}", "{} "])).format(each) for each in own]
    if not exact and all(each.isdigit() for each in own) and len(set(map(int, own))) == rows:
        shown = [str(int(each)) + draw(st.sampled_from(["", ".0"])) for each in own]
    placed = {"y": ["0.5"] * rows, sample_name: shown}
    sample = pd.DataFrame({name: placed[name] for name in draw(st.permutations(sorted(placed)))})
    suffix = draw(st.sampled_from(["csv", "tsv", "parquet"]))
    return Files(test, sample, test_name, sample_name, own, named, exact, decoy, suffix)


def put(folder: Path, made: Files) -> Path:
    """Write the test rows and the sample; return the file of the test rows."""
    test = folder / f"test.{made.suffix}"
    if made.suffix == "parquet":
        made.test.to_parquet(test)
    else:
        made.test.to_csv(test, sep="\t" if made.suffix == "tsv" else ",", index=False)
    made.sample.to_csv(folder / "sample.csv", index=False)
    return test


def read(made: Files) -> Dataset:
    """Read the files, and match them as `data.load` does."""
    with TemporaryDirectory() as folder:
        test = put(Path(folder), made)
        frame = table_files.read_table(test, [made.test_name] if made.named else [])
        dataset = Dataset(
            kind="table",
            task="regression",
            x=frame,
            y=np.arange(len(frame), dtype=np.float64),
            ids=np.arange(len(frame)),
            target="y",
            id_name=made.test_name if made.named else "id",
            x_test=frame,
            test_ids=tables.ids(frame, made.test_name if made.named else None, test.name),
        )
        sample = sample_submission.read(Path(folder) / "sample.csv")
        return sample_submission.align(dataset, sample, lambda: table_files.read_as_written(test))


def load(made: Files) -> Dataset:
    """Write the files, and training rows with the ids of the test rows, and load all as a study does."""
    with TemporaryDirectory() as folder:
        test = put(Path(folder), made)
        made.test.assign(y=np.arange(len(made.test)) / 2).to_csv(Path(folder) / "train.csv", index=False)
        keys: dict[str, Any] = {"train": "train.csv", "test": test.name, "target": "y"}
        keys |= {"sample_submission": "sample.csv"} | ({"id": made.test_name} if made.named else {})
        document = {"name": "s", "task": "regression", "data": keys, "families": ["linear"]}
        (Path(folder) / "s.yaml").write_text(yaml.safe_dump(document))
        return data.load(config.load(Path(folder) / "s.yaml"))


def check_every_id(made: Files, open_files: Callable[[Files], Dataset]) -> None:
    """Check that every id of the sample gets the prediction of its test row, or the files are refused."""
    try:
        dataset = open_files(made)
    except SubmissionError:
        # Two columns with the same values are told apart by the study file or by their names alone.
        alike = made.test_name.lower() == made.sample_name.lower()
        assert made.decoy or not made.exact
        assert not (made.exact and (made.named or alike))
        return
    predictions = np.arange(len(made.test), dtype=np.float64)
    written = submission.make(dataset, predictions, RMSE)
    expected = dict(zip(made.test[made.test_name], predictions.tolist(), strict=True))
    assert list(written.columns) == list(made.sample.columns)
    assert written["y"].tolist() == [expected[each] for each in made.own]
    lines = written.drop(columns="y").to_csv(index=False)
    assert lines == made.sample.drop(columns="y").to_csv(index=False)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(files())
def test_every_id_gets_its_own_prediction_or_the_files_are_refused(made: Files) -> None:
    check_every_id(made, read)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(files())
def test_a_study_gives_every_id_its_own_prediction_or_is_refused(made: Files) -> None:
    check_every_id(made, load)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(files(), st.sampled_from(["other", "twice", "less", "more"]), st.data())
def test_a_sample_without_the_ids_of_the_test_rows_is_refused(made: Files, change: str, draws: st.DataObject) -> None:
    sample, column = made.sample.copy(), made.sample_name
    row = draws.draw(st.integers(1, len(sample) - 1))
    if change == "less":
        sample = sample.drop(index=row)
    elif change == "more":
        sample = pd.concat([sample, sample.tail(1).assign(**{column: "new"})])
    else:
        values = sample[column].tolist()
        values[row] = "new" if change == "other" else values[row - 1]
        sample[column] = values
    with pytest.raises(SubmissionError):
        read(made._replace(sample=sample))


def align(test: dict[str, Any], sample: dict[str, Any], *, ids: Any = None, id_name: str = "id") -> Dataset:
    """Return a data set of these test rows with the sample."""
    frame = pd.DataFrame(test)
    made = Dataset(
        kind="table",
        task="regression",
        x=frame,
        y=np.arange(len(frame), dtype=np.float64),
        ids=np.arange(len(frame)),
        target="y",
        id_name=id_name,
        x_test=frame,
        test_ids=np.arange(len(frame)) if ids is None else np.asarray(ids),
    )
    return sample_submission.align(made, RawSample("sample.csv", pd.DataFrame(sample)), lambda: frame)


def rows(dataset: Dataset) -> list[int]:
    """Return the test row of each row of the sample."""
    assert dataset.alignment is not None
    assert dataset.alignment.rows is not None
    return list(map(int, dataset.alignment.rows))


def test_a_key_of_another_name_is_told():
    made = align({"a": [1, 1, 2], "code": ["x", "y", "z"]}, {"Id": ["z", "x", "y"], "y": 0})
    assert rows(made) == [2, 0, 1]
    assert made.notes == ("sample.csv: 'Id' has the values of 'code' of the test rows",)


@pytest.mark.parametrize("start", [0, 1])
def test_row_numbers_in_any_order_name_rows_of_a_table_without_ids(start):
    made = align({"a": [5, 5, 5, 6]}, {"row": [start + 2, start, start + 1, start + 3], "y": 0})
    assert rows(made) == [2, 0, 1, 3]
    assert made.notes == (f"sample.csv: 'row' numbers the test rows from {start}, which have no such column",)


def test_values_of_a_column_in_another_order_refuse_the_position():
    shops = ["a", "b", "c", "a", "b", "c"]
    with pytest.raises(SubmissionError, match=r"column 'store' must have the values of .* 'shop' in their order"):
        align({"shop": shops}, {"store": sorted(shops), "y": 0})
    assert rows(align({"shop": shops}, {"store": shops, "y": 0})) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(SubmissionError, match="'shop' in their order"):
        align({"shop": ["a", "a", "b"]}, {"shop": ["a", "b", "a"], "y": 0})


def test_two_columns_that_could_be_the_ids_are_refused_unless_one_is_named():
    test = {"first": [*"abc"], "second": [*"cab"]}
    with pytest.raises(SubmissionError, match=r"Received several .*: key = first, key = second. Set data.id"):
        align(test, {"key": [*"bca"], "y": 0})
    assert rows(align(test, {"second": [*"bca"], "y": 0})) == [2, 0, 1]
    assert rows(align(test, {"key": [*"bca"], "y": 0}, ids=test["second"], id_name="second")) == [2, 0, 1]
    twin = {"first": [*"abc"], "second": [*"abc"]}
    assert rows(align(twin, {"key": [*"bca"], "y": 0})) == [1, 2, 0]


def test_a_column_of_the_same_name_with_other_values_refuses_a_key_of_another_name():
    with pytest.raises(SubmissionError, match=r"those of the 3 test rows in column 'Id'\. Received: 3 others"):
        align({"Id": [7, 8, 9], "rank": [2, 1, 3]}, {"Id": [1, 2, 3], "y": 0})


def test_a_few_common_values_are_chance_but_not_those_of_the_id():
    sample = {"key": ["a", "b", "c", "d", "e"], "y": 0}
    made = align({"code": ["a", "u", "v", "w", "x"]}, sample)
    assert rows(made) == [0, 1, 2, 3, 4]
    assert "taken to be the test rows in their order" in made.notes[0]
    with pytest.raises(SubmissionError, match="Received: 4 others"):
        align({"code": ["a", "u", "v", "w", "x"]}, sample, ids=["a", "u", "v", "w", "x"], id_name="code")
    with pytest.raises(SubmissionError, match=r"Received: 1 others \(e\) and none of 1 \(x\)"):
        align({"code": ["a", "b", "c", "d", "x"]}, sample)


def test_a_prediction_is_no_key():
    made = align({"a": [3, 1, 2], "key": [*"xyz"]}, {"y": [1, 2, 3], "key": [*"zyx"]})
    assert rows(made) == [2, 1, 0]
    assert made.sample is not None
    assert made.sample["y"].tolist() == [1, 2, 3]


def test_without_test_rows_the_sample_only_names_columns(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "y": [0.0, 1.0]})
    made = Dataset("table", "regression", frame, np.array([0.0, 1.0]), np.arange(2), "y")
    aligned = sample_submission.align(made, RawSample("s.csv", pd.DataFrame({"y": [0], "row": [3]})), lambda: None)
    assert aligned.alignment is not None
    assert aligned.alignment == ("row", None)
