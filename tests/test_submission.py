from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench import evaluation, submission
from workbench.config import TaskType
from workbench.data import Dataset, sample_submission
from workbench.data.sample_submission import RawSample
from workbench.errors import SubmissionError

ROWS = 6


def dataset(
    *,
    classes: tuple[Any, ...] | None = ("no", "yes"),
    ids: Any = None,
    sample: Any = None,
    test: Any = None,
    **more: Any,
) -> Dataset:
    """Return a data set with six test rows; `sample` holds the columns of the sample submission.

    `test` holds the columns of the test rows beside their ids.
    """
    task: TaskType = "regression" if classes is None else "binary" if len(classes) == 2 else "multiclass"
    x = pd.DataFrame({"a": np.arange(float(ROWS))})
    known = {"target": "y", "id_name": "id"} | more
    made = Dataset(
        kind="table",
        task=task,
        x=x,
        y=np.arange(ROWS) % len(classes) if classes else np.arange(float(ROWS)),
        ids=np.arange(ROWS),
        x_test=x,
        test_ids=np.arange(10, 10 + ROWS) if ids is None else np.asarray(ids),
        classes=classes,
        **known,
    )
    if sample is None:
        return made
    raw = RawSample("sample.csv", pd.DataFrame(sample))
    return sample_submission.align(made, raw, lambda: None if test is None else pd.DataFrame(test))


IDS = [15, 13, 11, 10, 12, 14]  # the sample's rows in an order of their own
BY_ID = {10: 0, 11: 1, 12: 2, 13: 3, 14: 4, 15: 5}
VALUES = np.array([0.1, 0.9, 0.4, 0.6, 0.2, 0.5])
SHARES = np.random.default_rng(0).dirichlet([1, 1, 1], ROWS)
LOG_LOSS, ACCURACY, RMSE = (evaluation.metric(name) for name in ("log_loss", "accuracy", "rmse"))


def in_order(values: Any) -> list[Any]:
    """Return values of the test rows in the order of `IDS`."""
    return [values[BY_ID[each]] for each in IDS]


def test_a_regression_gets_its_values_in_the_order_of_the_sample():
    data = dataset(classes=None, sample={"id": IDS, "y": 0})
    made = submission.make(data, VALUES, RMSE)
    assert list(made.columns) == ["id", "y"]
    assert made["id"].tolist() == IDS
    assert made["y"].tolist() == in_order(VALUES)


def test_the_sample_itself_stays_as_it_was():
    data = dataset(classes=None, sample={"id": IDS, "y": 0})
    submission.make(data, VALUES, RMSE)
    assert data.sample is not None
    assert data.sample["y"].tolist() == [0] * ROWS


def test_a_single_column_of_probabilities_gets_the_positive_class():
    made = submission.make(dataset(sample={"id": IDS, "y": 0.5}), VALUES, LOG_LOSS)
    assert made["y"].tolist() == in_order(VALUES)


def test_a_single_column_of_labels_gets_labels_whatever_the_metric_wants():
    for metric in (LOG_LOSS, ACCURACY):
        made = submission.make(dataset(sample={"id": IDS, "y": "no"}), VALUES, metric)
        assert made["y"].tolist() == in_order(["no", "yes", "no", "yes", "no", "yes"])


def test_probabilities_in_the_sample_are_probabilities_even_for_a_metric_of_labels():
    made = submission.make(dataset(sample={"id": IDS, "y": 0.5}), VALUES, ACCURACY)
    assert made["y"].tolist() == in_order(VALUES)


@pytest.mark.parametrize("shown", [0, 1, [0, 1, 0, 1, 0, 1], 0.0])
def test_the_metric_decides_whether_zeros_and_ones_are_labels_or_probabilities(shown):
    data = dataset(classes=(0, 1), sample={"id": IDS, "y": shown})
    assert submission.make(data, VALUES, LOG_LOSS)["y"].tolist() == in_order(VALUES)
    labels = submission.make(data, VALUES, ACCURACY)["y"]
    assert labels.tolist() == in_order([0, 1, 0, 1, 0, 1])
    assert labels.to_csv(index=False).splitlines()[1:] == [str(each) for each in labels]


def test_an_empty_column_of_the_sample_follows_the_metric():
    data = dataset(sample={"id": IDS, "y": np.nan})
    assert submission.make(data, VALUES, LOG_LOSS)["y"].tolist() == in_order(VALUES)
    assert set(submission.make(data, VALUES, ACCURACY)["y"]) == {"no", "yes"}
    data = dataset(classes=("a", "b", "c"), sample={"id": IDS, "y": np.nan})
    assert set(submission.make(data, SHARES, LOG_LOSS)["y"]) <= {"a", "b", "c"}


@pytest.mark.parametrize(
    ("classes", "shown"),
    [((False, True), False), ((1, 2), 1), (("1", "2"), 1), ((0.5, 1.5), 0.5), (("a b", "c,d"), "c,d")],
)
def test_labels_of_every_type_are_written_as_they_are(classes, shown):
    data = dataset(classes=classes, sample={"id": IDS, "y": shown})
    made = submission.make(data, VALUES, ACCURACY)["y"]
    assert made.tolist() == in_order([classes[int(value >= 0.5)] for value in VALUES])


def test_a_multiclass_column_gets_the_likeliest_label():
    classes = (3, 5, 7)
    data = dataset(classes=classes, sample={"id": IDS, "y": 5})
    made = submission.make(data, SHARES, LOG_LOSS)
    assert made["y"].tolist() == in_order([classes[i] for i in SHARES.argmax(axis=1)])


def test_a_multiclass_column_that_shows_no_labels_is_refused():
    data = dataset(classes=("a", "b", "c"), sample={"id": IDS, "y": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]})
    with pytest.raises(SubmissionError, match=r"column 'y' must hold labels. Received: 0.1, .* Classes: a, b, c\."):
        submission.make(data, SHARES, LOG_LOSS)


@pytest.mark.parametrize("name", ["{}", "y_{}", "P_y_{}"])
@pytest.mark.parametrize("classes", [("a", "b", "c"), (0, 1, 2), (-1, 0, 10)])
def test_columns_per_class_are_filled_by_name_in_whatever_order(classes, name):
    mixed = [classes[2], classes[0], classes[1]]
    data = dataset(classes=classes, sample={"id": IDS} | {name.format(each): 0.3 for each in mixed})
    made = submission.make(data, SHARES, LOG_LOSS)
    assert list(made.columns) == ["id", *(name.format(each) for each in mixed)]
    for number, each in enumerate(classes):
        assert made[name.format(each)].tolist() == in_order(SHARES[:, number])


def test_a_label_that_ends_in_another_is_not_taken_for_it():
    classes = ("low", "very_low", "not_very_low")
    data = dataset(classes=classes, sample={"id": IDS} | {f"y_{each}": 0 for each in reversed(classes)})
    made = submission.make(data, SHARES, LOG_LOSS)
    for number, each in enumerate(classes):
        assert made[f"y_{each}"].tolist() == in_order(SHARES[:, number])


def test_both_columns_of_a_binary_target_add_up_to_one():
    made = submission.make(dataset(sample={"id": IDS, "yes": 0, "no": 0}), VALUES, LOG_LOSS)
    assert made["yes"].tolist() == in_order(VALUES)
    assert np.allclose(made["yes"] + made["no"], 1)


def test_a_single_column_named_after_a_class_gets_its_probability():
    made = submission.make(dataset(sample={"id": IDS, "y_no": 0.5}), VALUES, LOG_LOSS)
    assert np.allclose(made["y_no"], 1 - np.array(in_order(VALUES)))


@pytest.mark.parametrize("target", ["is_no", "no"])
def test_the_targets_own_column_is_the_positive_classs_though_its_name_ends_in_the_others_label(target):
    made = submission.make(dataset(target=target, sample={"id": IDS, target: 0.5}), VALUES, LOG_LOSS)
    assert made[target].tolist() == in_order(VALUES)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["a", "b", "d"], r"must name a class. Received: d\. Classes: a, b, c\."),
        (["a", "b", "c", "Usage"], r"must name a class. Received: Usage\."),
        (["a", "b"], r"must have one column for each class. Received: a, b\. Classes: a, b, c\."),
        (["a", "b", "c", "y_c"], r"must have one column for each class. Received: a, b, c, y_c\."),
    ],
)
def test_columns_that_do_not_match_the_classes_are_refused(columns, message):
    data = dataset(classes=("a", "b", "c"), sample={"id": IDS} | dict.fromkeys(columns, 0))
    with pytest.raises(SubmissionError, match=message):
        submission.make(data, SHARES, LOG_LOSS)


def test_a_regression_takes_one_column_only():
    data = dataset(classes=None, sample={"id": IDS, "y": 0, "z": 0})
    with pytest.raises(SubmissionError, match=r"must have one column of values. Received: y, z\."):
        submission.make(data, VALUES, RMSE)


def test_a_sample_of_ids_alone_is_refused():
    with pytest.raises(SubmissionError, match="must have a column beside 'id'"):
        submission.make(dataset(sample={"id": IDS}), VALUES, LOG_LOSS)


@pytest.mark.parametrize(
    ("test_ids", "shown"),
    [
        (np.array([10, 11, 12, 13, 14, 15]), [str(each) for each in IDS]),
        (np.array([10, 11, 12, 13, 14, 15]), [float(each) for each in IDS]),
        (np.array(["10", "11", "12", "13", "14", "15"], dtype=object), IDS),
        (np.array(["007", "07", "7", "a", "b c", "é"], dtype=object), ["é", "a", "07", "007", "7", "b c"]),
    ],
)
def test_ids_are_found_as_integers_fractions_and_strings(test_ids, shown):
    data = dataset(classes=None, ids=test_ids, sample={"id": shown, "y": 0})
    made = submission.make(data, VALUES, RMSE)
    assert made["id"].tolist() == shown
    assert made["y"].tolist() == in_order(VALUES)


@pytest.mark.parametrize("name", ["PassengerId", "ID", "weird id ☃", "Unnamed: 0"])
def test_the_samples_id_column_may_have_a_name_of_its_own(name):
    made = submission.make(dataset(classes=None, sample={name: IDS, "y": 0}), VALUES, RMSE)
    assert list(made.columns) == [name, "y"]
    assert made["y"].tolist() == in_order(VALUES)


@pytest.mark.parametrize("name", ["id", "Id", "row"])
def test_the_id_column_need_not_be_the_first(name):
    made = submission.make(dataset(classes=None, sample={"y": 0, name: IDS}), VALUES, RMSE)
    assert list(made.columns) == ["y", name]
    assert made["y"].tolist() == in_order(VALUES)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([15, 13, 11, 10, 12, 99], r"Received: 1 others \(99\) and none of 1 \(14\)"),
        ([15, 13, 11, 10, 12], r"those of the 6 test rows in column 'id'\. Received: none of 1 \(14\)"),
        ([*IDS, 98, 99], r"Received: 2 others \(98, 99\)\."),
        ([15, 13, 11, 10, 12, 12], r"names ids twice: 12"),
        ([15, 13, 11, 10, 12, np.nan], r"Received: 1 others \(nan\) and none of 1 \(14\)"),
        ([*"abcdef"], r"Received: 6 others \(a, b, c, d, e, … \(6 in all\)\) and none of 6"),
    ],
)
def test_ids_that_are_not_those_of_the_test_rows_are_refused(ids, message):
    with pytest.raises(SubmissionError, match=message):
        dataset(classes=None, sample={"id": ids, "y": 0})


def test_rows_without_ids_of_their_own_are_taken_by_position():
    data = dataset(classes=None, ids=range(ROWS), sample={"Id": [f"r{i}" for i in range(ROWS)], "y": 0})
    made = submission.make(data, VALUES, RMSE)
    assert made["Id"].tolist() == [f"r{i}" for i in range(ROWS)]
    assert made["y"].tolist() == VALUES.tolist()
    assert data.notes == (
        "sample.csv: no column has the values of a column of the test rows, so its rows are taken to be the test rows "
        "in their order",
    )


def test_by_position_the_numbers_of_rows_must_agree():
    with pytest.raises(SubmissionError, match=r"a row for each of the 6 test rows\. Received: 5 rows"):
        dataset(classes=None, ids=range(ROWS), sample={"key": [*"abcde"], "y": 0})


@pytest.mark.parametrize(
    ("classes", "predictions", "metric", "columns"),
    [
        (None, VALUES, RMSE, ["y"]),
        (("no", "yes"), VALUES, LOG_LOSS, ["y"]),
        (("no", "yes"), VALUES, ACCURACY, ["y"]),
        (("a", "b", "c"), SHARES, LOG_LOSS, ["y_a", "y_b", "y_c"]),
        (("a", "b", "c"), SHARES, ACCURACY, ["y"]),
    ],
)
def test_without_a_sample_the_metric_says_what_is_written(classes, predictions, metric, columns):
    made = submission.make(dataset(classes=classes), predictions, metric)
    assert list(made.columns) == ["id", *columns]
    assert made["id"].tolist() == [10, 11, 12, 13, 14, 15]
    if metric is ACCURACY:
        assert set(made["y"]) <= set(classes)
    else:
        assert np.array_equal(made[columns].to_numpy(), predictions.reshape(ROWS, -1))


@pytest.mark.parametrize("target", ["self", "key", "a b", "é"])
def test_without_a_sample_any_target_names_its_column(target):
    assert list(submission.make(dataset(classes=None, target=target), VALUES, RMSE).columns) == ["id", target]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("sample", [None, {"id": IDS, "y": 0}])
def test_a_prediction_that_is_not_finite_is_refused(bad, sample):
    values = VALUES.copy()
    values[[1, 4]] = bad
    with pytest.raises(SubmissionError, match=r"must be finite\. Received: 2 that"):
        submission.make(dataset(classes=None, sample=sample), values, RMSE)


def test_predictions_must_be_for_the_test_rows():
    with pytest.raises(SubmissionError, match=r"for the 6 test rows\. Received: 5 rows"):
        submission.make(dataset(classes=None), VALUES[:5], RMSE)


def test_a_study_without_test_rows_has_nothing_to_submit():
    data = Dataset(kind="table", task="regression", x=pd.DataFrame(), y=VALUES, ids=np.arange(ROWS), target="y")
    with pytest.raises(SubmissionError, match=r"no test rows to predict. Set data\.test"):
        submission.make(data, VALUES, RMSE)


def test_the_file_and_its_stamp_are_written_whole(tmp_path):
    path = tmp_path / "made" / "here" / "submission.csv"
    frame = submission.make(dataset(sample={"id": IDS, "y": "no"}), VALUES, LOG_LOSS)
    submission.write(frame, path, {"study": "s", "run_id": "abc", "honest_score": None})
    assert pd.read_csv(path).equals(pd.DataFrame({"id": IDS, "y": frame["y"].astype("str")}))
    stamp = json.loads(path.with_name("submission.csv.json").read_text())
    assert stamp == {"rows": ROWS, "study": "s", "run_id": "abc", "honest_score": None}
    assert sorted(each.name for each in path.parent.iterdir()) == ["submission.csv", "submission.csv.json"]


def test_what_is_written_keeps_every_digit(tmp_path):
    values = np.array([1 / 3, 1e-300, 1e300, 0.1 + 0.2, 2 / 3, np.nextafter(1, 2)])
    submission.write(submission.make(dataset(classes=None), values, RMSE), tmp_path / "s.csv", {})
    assert pd.read_csv(tmp_path / "s.csv")["y"].tolist() == values.tolist()


def test_a_file_that_was_there_stays_where_the_new_one_cannot_be_written(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        submission.write(pd.DataFrame({"id": ["\ud800"]}), path, {})
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["s.csv"]


@pytest.mark.parametrize("where", ["folder", "file/s.csv", "locked/s.csv"])
def test_a_place_that_cannot_be_written_to_is_named(tmp_path, where):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "locked").mkdir(mode=0o500)
    if where.startswith("locked") and os.access(tmp_path / "locked", os.W_OK):
        pytest.skip("this user may write anywhere")
    with pytest.raises(SubmissionError, match=rf"{where}: cannot be written \(.+\). Name another file with -o"):
        submission.write(pd.DataFrame({"id": [1]}), Path(tmp_path / where), {})
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "locked"]


@pytest.mark.parametrize("sample", [None, {"id": IDS, "y": 0}, {"id": IDS, "y": 0.5}])
def test_values_of_a_metric_of_labels_are_written_rounded_as_they_are_scored(sample):
    qwk = evaluation.metric("qwk", task="regression")
    values = np.array([-0.4, 0.6, 1.4, 2.5, 3.5, 5.2])
    made = submission.make(dataset(classes=None, sample=sample), values, qwk)
    rounded = [0, 1, 1, 2, 4, 5]
    assert made["y"].tolist() == (rounded if sample is None else in_order(rounded))
    y = np.arange(6.0)
    assert qwk.score(y, values) == qwk.score(y, np.array(rounded, dtype=float))
