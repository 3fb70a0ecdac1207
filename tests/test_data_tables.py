from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from workbench import config, data
from workbench.errors import ConfigError, DataError, SourceError

ROWS = 60
# The types of NumPy know no None among the values of `numpy.where`.
NONE: Any = None


def study(folder: Path, folds: dict[str, Any] | None = None, **keys: Any) -> config.StudyConfig:
    file = folder / "study.yaml"
    keys = {"train": "train.csv", "target": "y", **keys}
    document = {"name": "s", "families": ["linear"], "data": keys} | ({"folds": folds} if folds else {})
    file.write_text(yaml.safe_dump(document))
    return config.load(file)


def people(rows: int = ROWS) -> pd.DataFrame:
    n = np.arange(rows)
    return pd.DataFrame(
        {
            "id": n + 100,
            "age": np.where(n % 7 == 0, np.nan, n % 50),
            "town": np.array(["Rome", "Oslo", "Bern"])[n % 3],
            "member": np.array(["yes", "no"])[n % 2],
            "joined": pd.date_range("2020-01-01", periods=rows).strftime("%Y-%m-%d"),
            "house": n // 4,
            "pay": 1.0 + n % 2,
            "y": np.array(["no", "yes"])[n % 5 // 4],
        }
    )


@pytest.fixture
def folder(tmp_path):
    frame = people()
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame.drop(columns="y")[:20].assign(id=np.arange(20) + 900).to_csv(tmp_path / "test.csv", index=False)
    return tmp_path


def test_a_table_becomes_features_target_and_ids(folder):
    dataset = data.load(study(folder, test="test.csv", id="id"))
    assert (dataset.kind, dataset.task, dataset.target, dataset.id_name) == ("table", "binary", "y", "id")
    assert dataset.classes == ("no", "yes")
    assert dataset.columns == {
        "age": "number", "town": "category", "member": "boolean",
        "joined": "date", "house": "number", "pay": "number",
    }  # fmt: skip
    assert list(dataset.x.columns) == list(dataset.columns)
    assert dataset.x.dtypes.astype(str).tolist() == [
        "float64", "object", "float64", "datetime64[ns]", "float64", "float64"
    ]  # fmt: skip
    assert dataset.x_test.dtypes.equals(dataset.x.dtypes)
    assert dataset.ids.tolist() == list(range(100, 160))
    assert dataset.test_ids.tolist() == list(range(900, 920))
    assert dataset.y.sum() == ROWS // 5


def test_every_form_of_table_gives_the_same_dataset(folder):
    frame = people()
    frame.to_csv(folder / "t.tsv", sep="\t", index=False)
    frame.to_csv(folder / "t.csv.gz", index=False)
    frame.to_csv(folder / "t.csv.zip", index=False)
    frame.to_csv(folder / "semicolon.csv", sep=";", decimal=",", index=False)
    frame.to_parquet(folder / "t.parquet")
    first = data.load(study(folder, id="id"))
    assert isinstance(first.x, pd.DataFrame)
    for name in ("t.tsv", "t.csv.gz", "t.csv.zip", "semicolon.csv", "t.parquet"):
        other = data.load(study(folder, train=name, id="id"))
        assert isinstance(other.x, pd.DataFrame)
        pd.testing.assert_frame_equal(other.x, first.x)
        assert other.y.tolist() == first.y.tolist()
        assert other.ids.tolist() == first.ids.tolist()


def test_without_an_id_rows_are_numbered(folder):
    dataset = data.load(study(folder, test="test.csv", drop=["id"]))
    assert dataset.ids.tolist() == list(range(ROWS))
    assert dataset.test_ids.tolist() == list(range(20))
    assert "id" not in dataset.columns


def test_ids_and_a_sample_submission_keep_their_leading_zeros(folder):
    (folder / "train.csv").write_text("id,a,y\n007,1,0\n008,2,1\n010,3,1\n")
    (folder / "sample.csv").write_text("id,y\n007,0.5\n")
    dataset = data.load(study(folder, id="id", sample_submission="sample.csv"))
    assert dataset.ids.tolist() == ["007", "008", "010"]
    assert dataset.sample is not None
    assert dataset.sample["id"].tolist() == ["007"]
    assert dataset.sample["y"].tolist() == [0.5]


def test_groups_time_weights_and_folds_stand_beside_the_features(folder):
    frame = people()
    frame.assign(fold=np.where(np.arange(ROWS) < 10, NONE, np.arange(ROWS) % 3)).to_csv(
        folder / "train.csv", index=False
    )
    dataset = data.load(
        study(
            folder,
            folds={"kind": "column", "column": "fold"},
            id="id",
            group="house",
            time="joined",
            weight="pay",
            drop=["town"],
        )
    )
    assert list(dataset.columns) == ["age", "member", "joined"]
    assert dataset.groups.tolist() == (np.arange(ROWS) // 4).tolist()
    assert dataset.time.dtype == "datetime64[ns]"
    assert dataset.time is not None
    assert (np.diff(dataset.time) > np.timedelta64(0)).all()
    assert dataset.weight.dtype == np.float64
    assert dataset.fold_column is not None
    assert np.isnan(dataset.fold_column[:10]).all()
    assert dataset.fold_column[10:].tolist() == (np.arange(10, ROWS) % 3).tolist()


def test_a_test_table_needs_neither_group_nor_weight_nor_folds(folder):
    test = pd.read_csv(folder / "test.csv").drop(columns=["house", "pay"])
    test.to_csv(folder / "test.csv", index=False)
    dataset = data.load(study(folder, test="test.csv", id="id", group="house", weight="pay"))
    assert list(dataset.x_test.columns) == ["age", "town", "member", "joined"]


def test_kinds_are_decided_on_training_rows_and_imposed_on_test_rows(folder):
    test = pd.read_csv(folder / "test.csv").astype(object)
    test.loc[0, ["age", "member", "joined", "town"]] = ["?", "maybe", "some day", "Lima"]
    test.to_csv(folder / "test.csv", index=False)
    row = data.load(study(folder, test="test.csv", id="id")).x_test.iloc[0]
    assert row[["age", "member", "joined"]].isna().all()
    assert row["town"] == "Lima"
    test.loc[0, "age"] = "old"
    test.to_csv(folder / "test.csv", index=False)
    with pytest.raises(DataError, match=r"test\.csv: column 'age' must hold numbers, as in training. Received: 'old'"):
        data.load(study(folder, test="test.csv", id="id"))


def test_empty_constant_and_nameless_columns_are_left_out_and_noted(folder):
    people().assign(nothing=None, same="x").to_csv(folder / "train.csv")
    dataset = data.load(study(folder, id="id"))
    assert not {"nothing", "same", "Unnamed: 0"} & set(dataset.columns)
    assert dataset.notes == (
        "dropped 'Unnamed: 0': a column without a name",
        "dropped 'nothing': empty",
        "dropped 'same': constant",
    )


def test_a_column_that_is_partly_missing_is_not_constant(folder):
    people().assign(seen=np.where(np.arange(ROWS) % 2, "x", "")).to_csv(folder / "train.csv", index=False)
    assert data.load(study(folder, id="id")).columns["seen"] == "category"


def test_none_is_a_level_of_a_category_and_a_class(folder):
    (folder / "train.csv").write_text("a,b,y\nNone,1,None\nx,2,z\nNA,None,z\n")
    dataset = data.load(study(folder))
    assert dataset.classes == ("None", "z")
    assert isinstance(dataset.x, pd.DataFrame)
    assert dataset.x["a"].tolist()[:2] == ["None", "x"]
    assert dataset.x["b"].tolist()[:2] == [1.0, 2.0]
    assert dataset.x.iloc[2].isna().all()


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("a,y\nZürich,1\nGenève,0\n".encode("cp1252"), "read as Windows-1252: it is not UTF-8"),
        ("a,y\nZürich,1\nGenève,0\n\x81,1\n".encode("latin-1"), "read as Latin-1: it is not UTF-8"),
        ("a,y\nZürich,1\nGenève,0\n".encode("utf-16"), "read as UTF-16"),
        ("a,y\nZürich,1\n".encode() + b"Gen\xe8ve,0\n", "read as UTF-8, 1 byte that is not UTF-8 as 'è'"),
    ],
)
def test_other_encodings_are_read_and_noted(folder, content, note):
    (folder / "train.csv").write_bytes(content)
    dataset = data.load(study(folder))
    assert isinstance(dataset.x, pd.DataFrame)
    assert dataset.x["a"].tolist()[:2] == ["Zürich", "Genève"]
    assert dataset.notes == (f"train.csv: {note}",)


def test_the_index_of_a_parquet_file_is_a_column_when_it_has_a_name(folder):
    people().set_index("id").to_parquet(folder / "t.parquet")
    assert data.load(study(folder, train="t.parquet", id="id")).ids[0] == 100


@pytest.mark.parametrize(
    ("change", "keys", "sentence"),
    [
        ({"id": 5}, {"id": "id"}, r"\(data.id\) must name each row once. Received twice or more: 5"),
        ({"id": [None, *range(59)]}, {"id": "id"}, r"\(data.id\) must have a value in every row"),
        ({"y": "yes"}, {}, "must have two classes or more"),
        ({"house": [None, *range(59)]}, {"group": "house"}, r"\(data.group\) must have a value"),
        ({"joined": [None, *range(59)]}, {"time": "joined"}, r"\(data.time\) must have a value"),
        ({"pay": "much"}, {"weight": "pay"}, r"\(data.weight\) must be a finite number .* 60 rows"),
        ({"pay": -1}, {"weight": "pay"}, "must hold weights of 0 or more"),
        (
            {"pay": ["one", *range(59)]},
            {"folds": {"kind": "column", "column": "pay"}},
            r"\(folds.column\) must be a finite number .* 1 rows",
        ),
        ({}, {"drop": ["id", "age", "town", "member", "joined", "house", "pay"]}, "must have a feature"),
    ],
)
def test_data_that_cannot_be_learnt_from_are_refused(folder, change, keys, sentence):
    people().assign(**change).to_csv(folder / "train.csv", index=False)
    with pytest.raises(DataError, match=sentence):
        data.load(study(folder, **keys))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,y\n", "must have rows"),
        ("a,y\n1,2\n1,2,3\n", "must be a table with 2 columns in every row. Received: 3 fields in line 3"),
        ("a,y\n1,2,9\n1,2,9\n", "must be a table with 2 columns in every row"),
    ],
)
def test_files_that_are_no_tables_are_refused(folder, text, sentence):
    (folder / "train.csv").write_text(text)
    with pytest.raises(DataError, match=sentence):
        data.load(study(folder))


def test_a_cut_off_file_and_a_broken_parquet_file_are_refused(folder):
    people(2000).to_csv(folder / "t.csv.gz", index=False)
    whole = (folder / "t.csv.gz").read_bytes()
    (folder / "t.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"t\.csv\.gz"):
        data.load(study(folder, train="t.csv.gz"))
    (folder / "t.parquet").write_text("no")
    with pytest.raises(DataError, match="must be a Parquet file"):
        data.load(study(folder, train="t.parquet"))
    with pytest.raises(SourceError, match="cannot be read"):
        data.read_table(folder / "gone.csv")


def test_the_columns_of_a_parquet_file_are_checked_when_it_is_loaded(folder):
    people().to_parquet(folder / "t.parquet")
    with pytest.raises(ConfigError, match="Did you mean 'town'"):
        data.load(study(folder, train="t.parquet", drop=["twon"]))
    people().drop(columns=["town", "y"]).to_parquet(folder / "u.parquet")
    with pytest.raises(DataError, match="lacks 'town'"):
        data.load(study(folder, train="t.parquet", test="u.parquet"))


def test_nested_columns_of_a_parquet_file_are_refused(folder):
    tags: Any = [["a", "b"]] * ROWS
    people().assign(tags=tags).to_parquet(folder / "t.parquet")
    with pytest.raises(DataError, match="column 'tags' must hold single values"):
        data.load(study(folder, train="t.parquet"))


def test_pandas_own_dtypes_are_understood(folder):
    n = np.arange(ROWS)
    frame = pd.DataFrame(
        {
            "whole": pd.array(np.where(n % 5, n, NONE), dtype="Int64"),
            "flag": pd.array(np.where(n % 5, n % 2 == 0, NONE), dtype="boolean"),
            "level": pd.Categorical(np.array(["low", "high"])[n % 2]),
            "coded": pd.Categorical(n % 3),
            "when": pd.date_range("2020-01-01", periods=ROWS, tz="Asia/Tokyo"),
            "took": pd.to_timedelta(n, unit="min"),
            "y": pd.Categorical(np.array(["b", "a"])[n % 2], categories=["b", "a", "never"]),
        }
    )
    frame.to_parquet(folder / "t.parquet")
    dataset = data.load(study(folder, train="t.parquet"))
    assert dataset.columns == {
        "whole": "number", "flag": "boolean", "level": "category",
        "coded": "number", "when": "date", "took": "number",
    }  # fmt: skip
    assert dataset.classes == ("a", "b")
    assert isinstance(dataset.x, pd.DataFrame)
    assert dataset.x["flag"].isna().sum() == dataset.x["whole"].isna().sum() == ROWS // 5
    assert dataset.x["took"][2] == 120.0
    assert dataset.x["when"][0] == pd.Timestamp(2019, 12, 31, 15)
