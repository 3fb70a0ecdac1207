from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.data.target import codes, encode, infer_task
from workbench.errors import DataError


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["yes", "no", "no"], "binary"),
        ([True, False], "binary"),
        ([0, 1, 1], "binary"),
        ([1.0, 2.0, 2.0], "binary"),
        (["a", "b", "c"], "multiclass"),
        ([1, 2, 3], "multiclass"),
        ([0.5, 1.0, 2.0], "regression"),
        (list(range(0, 300, 7)), "regression"),
        (np.repeat(np.arange(22), 9), "multiclass"),
        ([*np.repeat(np.arange(22), 90), 22], "regression"),
        (pd.Categorical(["x", "y", "x"]), "binary"),
        (pd.array([1, 0, 1], dtype="Int64"), "binary"),
    ],
)
def test_the_task_follows_from_the_values(values, task):
    assert infer_task(values) == task


def test_classes_are_sorted_python_scalars_and_codes_point_at_them():
    target = encode(np.array([3.0, 1.0, 2.0, 3.0]), name="y")
    assert target.classes == (1, 2, 3)
    assert all(type(each) is int for each in target.classes)
    assert target.y.dtype == np.int64
    assert target.y.tolist() == [2, 0, 1, 2]


def test_booleans_keep_being_booleans():
    target = encode(pd.Series([True, False, True]), name="y")
    assert target.classes == (False, True)
    assert type(target.classes[0]) is bool
    assert target.y.tolist() == [1, 0, 1]


def test_regression_gives_floats_and_no_classes():
    target = encode([1, 2, 4], name="y", task="regression")
    assert target.classes is None
    assert target.y.dtype == np.float64
    assert target.y.tolist() == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("values", "positive", "classes"),
    [
        (["yes", "no", "no"], None, ("no", "yes")),
        (["yes", "no", "no"], "no", ("yes", "no")),
        (["yes", "no", "no"], False, ("yes", "no")),
        (["Yes", "No"], True, ("No", "Yes")),
        ([0, 1, 1], 0, (1, 0)),
        ([0, 1, 1], "0", (1, 0)),
        ([0, 1, 1], False, (1, 0)),
        ([True, False], 0, (True, False)),
        (["1", "0"], 0, ("1", "0")),
    ],
)
def test_the_positive_class_comes_last_however_it_is_written(values, positive, classes):
    target = encode(values, name="y", positive=positive)
    assert target.classes == classes
    assert target.classes is not None
    assert [target.classes[code] for code in target.y] == values


def test_codes_of_other_rows_use_the_classes_of_the_training_rows():
    assert codes(["b", "a", "?"], ("b", "a")).tolist() == [0, 1, -1]
    assert codes([1, 2], None).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("values", "options", "sentence"),
    [
        (["a", None, "b"], {}, "Received: 1 of 3 rows without it, the first is row 1. Remove those rows"),
        (["a", "a"], {}, "must have two classes or more. Received: 'a' only"),
        (["a", "b", "c"], {"task": "binary"}, "must have two classes for task binary. Received: 'a', 'b', 'c'"),
        (["a", "1", "2"], {"task": "regression"}, "must be finite numbers for task regression. Received: 'a'"),
        ([0.1, np.inf], {}, "must be finite"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), {}, "Received: dates"),
        ([f"row {n}" for n in range(30)], {}, "must have classes that repeat"),
        (["ham", "spam"], {"positive": "spamm"}, "Did you mean 'spam'.*Classes: 'ham', 'spam'"),
        ([1, 2, 3], {"positive": 1}, "must go with a binary target"),
        ([1.5, 2, 3], {"positive": 1}, "must go with a binary target"),
    ],
)
def test_a_target_that_cannot_be_learnt_is_refused(values, options, sentence):
    with pytest.raises(DataError, match=sentence):
        encode(values, name="y", **options)
