from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from workbench.config import StudyConfig
from workbench.data import kinds
from workbench.data.column_types import impose, learn
from workbench.errors import ConfigError

ROWS = 40
WORDS = [f"the {n}th message has some words to say" for n in range(ROWS)]


def study(**types: str) -> StudyConfig:
    return StudyConfig.model_validate({"name": "s", "families": ["linear"], "data": {"train": "t.csv", "types": types}})


def repeated(*values: object) -> pd.Series:
    return pd.Series([values[n % len(values)] for n in range(ROWS)])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (repeated(1, 2, 3), "number"),
        (repeated(0, 1), "number"),
        (repeated(0.5, np.nan), "number"),
        (repeated("1", "2.5", "?"), "number"),
        (repeated("1", "2", None, "N/A"), "number"),
        (repeated("01", "02", "10"), "category"),
        (repeated("?", "x"), "category"),
        (repeated(True, False), "boolean"),
        (repeated(True, False, None), "boolean"),
        (repeated("yes", "no"), "boolean"),
        (repeated("TRUE", "false", None), "boolean"),
        (repeated("yes", "no", "unknown"), "category"),
        (repeated("red", "green"), "category"),
        (repeated("A/5 21171", "PC 17599", "1-2"), "category"),
        (repeated("[0-10)", "[10-20)"), "category"),
        (pd.Series([f"N{n}{n}AA" for n in range(ROWS)]), "category"),
        (repeated("2020-01-31", "2021-12-01"), "date"),
        (repeated("2020-01-31T10:00:00Z", "2021-12-01T11:30:00+02:00"), "date"),
        (repeated("31.01.2020", "01.12.2021"), "date"),
        (repeated("1/31/2020 10:05", "12/1/2021 23:59"), "date"),
        (repeated("Jan 31, 2020", "Dec 1, 2021"), "date"),
        (repeated(datetime.date(2020, 1, 31), datetime.date(2021, 1, 1)), "date"),
        (pd.Series(pd.date_range("2020", periods=ROWS, tz="Europe/Rome")), "date"),
        (repeated(decimal.Decimal("1.5"), decimal.Decimal("2")), "number"),
        (pd.Series(pd.array([1, None] * 20, dtype="Int64")), "number"),
        (pd.Series(WORDS), "text"),
        (repeated(*WORDS[:5]), "category"),
        (pd.Series([None] * ROWS, dtype=object), "category"),
        (pd.Series([f"Braund, Mr. Owen Harris {n}" for n in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"]), "category"),
        (
            pd.Series([f"{n} Main Street, Apartment {n}B, Springfield, IL 62{n:03}, USA" for n in range(ROWS)]),
            "category",
        ),
        (pd.Series([f"anna.maria.{n}@mail.example.com" for n in range(ROWS)]), "category"),
        (pd.Series([f"{n * 7919:064x}" for n in range(ROWS)]), "category"),
        (pd.Series([f"{n} {n + 1} {n * 3} {n * n}" for n in range(ROWS)]), "category"),
        (pd.Series([f"Saint-Denis sur Loire {n % 8}" for n in range(ROWS)]), "category"),
        (pd.Series([f"ok lar, joking wif u {n}" for n in range(ROWS)]), "text"),
        (pd.Series([f"今日はとても良い天気ですね{n}" for n in range(ROWS)]), "text"),
        (pd.Series([f"Очень хороший фильм, советую {n}" for n in range(ROWS)]), "text"),
        (pd.Series([f"<p>so <b>good</b> &amp; cheap</p> 😀 {n}" for n in range(ROWS)]), "text"),
        (
            pd.Series(
                [f"FREE ENTRY IN {n} A WEEKLY COMP TO WIN FA CUP FINAL TICKETS TEXT NOW TO US" for n in range(ROWS)]
            ),
            "text",
        ),
        (pd.Series([f"a long story {n} " * 70_000 if n == 1 else f"a short story {n}" for n in range(ROWS)]), "text"),
    ],
)
def test_kinds_are_recognised(values, kind):
    assert kinds(pd.DataFrame({"c": values})) == {"c": kind}


@pytest.mark.parametrize(("broken", "kind"), [(1, "date"), (10, "category")])
def test_dates_may_have_a_few_values_that_are_none(broken, kind):
    values = [f"2020-03-{n % 28 + 1:02}" for n in range(ROWS - broken)] + ["soon"] * broken
    assert kinds(pd.DataFrame({"c": values})) == {"c": kind}


def imposed(train: pd.Series, test: pd.Series, **types: str) -> tuple[pd.Series, pd.Series]:
    learnt = learn(train.to_frame("c"), study(**types))
    return impose(train.to_frame("c"), learnt)["c"], impose(test.to_frame("c"), learnt)["c"]


def test_numbers_are_float64_and_what_is_none_or_infinite_is_missing():
    train, test = imposed(repeated("1", " 2.5 ", "?"), pd.Series(["3", "oops", "inf", None]))
    assert train.dtype == test.dtype == "float64"
    assert train[:3].tolist()[:2] == [1.0, 2.5]
    assert np.isnan(train[2])
    assert test[0] == 3.0
    assert test[1:].isna().all()


def test_booleans_are_zero_and_one_whatever_dtype_the_test_rows_have():
    train, test = imposed(repeated("yes", "no"), pd.Series([True, False, None], dtype=object))
    assert train[:2].tolist() == [1.0, 0.0]
    assert test[:2].tolist() == [1.0, 0.0]
    assert np.isnan(test[2])


def test_categories_are_written_alike_as_integers_and_as_floats():
    train, test = imposed(repeated(90210.0, 10001.0, np.nan), pd.Series([10001, 90210]), c="category")
    assert train.dtype == object
    assert train[:2].tolist() == ["90210", "10001"]
    assert isinstance(train[2], float)
    assert test.tolist() == ["10001", "90210"]


def test_missing_categories_are_what_scikit_learn_takes_for_missing():
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    train, _ = imposed(repeated("red", None, " "), pd.Series(["red"]))
    assert train.isna().sum() == ROWS - (ROWS + 2) // 3
    coded = OrdinalEncoder(encoded_missing_value=-1).fit_transform(train.to_frame())
    assert set(coded.ravel()) == {0.0, -1.0}
    assert OneHotEncoder().fit_transform(train.to_frame()).shape == (ROWS, 2)


def test_the_date_format_of_the_training_rows_holds_for_the_test_rows():
    train, test = imposed(repeated("31/01/2020", "01/02/2020"), pd.Series(["03/04/2020", "2020-04-03", "later"]))
    assert train.dtype == test.dtype == "datetime64[ns]"
    assert train[1] == pd.Timestamp(2020, 2, 1)
    assert test[0] == pd.Timestamp(2020, 4, 3)
    assert test[1:].isna().all()


def test_dates_beyond_nanoseconds_are_missing_and_zones_become_utc():
    train, _ = imposed(repeated("2020-01-31T12:00:00+02:00", "9999-12-31T00:00:00Z"), pd.Series(["2020-01-01"]))
    assert train[0] == pd.Timestamp(2020, 1, 31, 10)
    assert pd.isna(train[1])


def test_whole_numbers_become_dates_when_the_study_says_so():
    train, test = imposed(repeated(20200131, 20211201), pd.Series([20200229]), c="date")
    assert train[0] == pd.Timestamp(2020, 1, 31)
    assert test[0] == pd.Timestamp(2020, 2, 29)


@pytest.mark.parametrize("kind", ["number", "boolean", "date"])
def test_a_kind_that_no_value_has_is_refused(kind):
    with pytest.raises(ConfigError, match=rf"data.types.c must be what .* '{kind}'.*like 'red', 'blue'"):
        learn(repeated("red", "blue").to_frame("c"), study(c=kind))
