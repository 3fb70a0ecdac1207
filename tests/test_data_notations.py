"""One table in many notations is the same Dataset; each notation is read as a person reads it."""

from __future__ import annotations

import datetime
import io
import itertools
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workbench import data
from workbench.config import StudyConfig
from workbench.data import column_types, notation, table_files, tables, text_files
from workbench.data.csv_header import read_header
from workbench.data.notation import Notation
from workbench.errors import ConfigError

SEPARATORS = (",", ";", "\t", "|")
QUOTES = ("needed", "all", "none")
ENCODINGS = ("utf-8", "utf-8-sig", "cp1252", "utf-16")
LINE_ENDS = ("\n", "\r\n", "\r")
DECIMALS = (".", ",")
THOUSANDS = ("", "group", " ", "'")
MARKERS = ("", "NA", "n/a", "?")
DATES = ("%Y-%m-%d", "%Y-%m-%d UTC", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%a, %d %b %Y", "%d-%b-%Y")
ORDERS = ("id first", "id last", "shuffled")
FORMATS = ("csv", "csv.gz", "csv.zst", "tsv", "parquet", "feather", "jsonl", "xlsx")
DIMENSIONS = (SEPARATORS, QUOTES, ENCODINGS, LINE_ENDS, DECIMALS, THOUSANDS, MARKERS, DATES, ORDERS, FORMATS)
ROWS = 24


@dataclass(frozen=True)
class Writing:
    """One way to write the table."""

    separator: str
    quotes: str
    encoding: str
    line_end: str
    decimal: str
    thousands: str
    marker: str
    dates: str
    order: str
    format: str

    def number(self, value: float, places: int) -> str:
        if np.isnan(value):
            return self.marker
        group = {"group": "." if self.decimal == "," else ","}.get(self.thousands, self.thousands)
        text = f"{value:,.{places}f}".replace(",", "\0").replace(".", self.decimal)
        return text.replace("\0", group)

    def day(self, value: datetime.date) -> str:
        return value.strftime(self.dates)


def table() -> dict[str, list[Any]]:
    """Return the columns of the table as Python values."""
    rng = np.random.default_rng(4)
    big = (rng.integers(10_000, 9_000_000, ROWS) / 100).round(2).tolist()
    big[3] = float("nan")
    return {
        "Größe (m², netto)": big,
        "count": rng.integers(1000, 99_999, ROWS).astype(float).tolist(),
        "code": [f"{number:04d}" for number in rng.integers(0, 300, ROWS)],
        "colour": rng.choice(["rot", "grün", "blau"], ROWS).tolist(),
        "day": [datetime.date(2020, 1, 1) + datetime.timedelta(int(each)) for each in rng.integers(0, 800, ROWS)],
        "y": rng.normal(1500, 300, ROWS).round(3).tolist(),
    }


TABLE = table()
IDS = [f"{number:05d}" for number in range(7, 7 + ROWS)]


def write(writing: Writing, folder: Path) -> Path:
    """Write the table into a folder as text, or with types."""
    columns: dict[str, list[Any]] = {"id": IDS, **TABLE}
    names = list(columns)
    if writing.order == "id last":
        names = [*names[1:], "id"]
    elif writing.order == "shuffled":
        random.Random(3).shuffle(names)
    path = folder / f"train.{writing.format}"
    if writing.format in ("parquet", "feather", "jsonl", "xlsx"):
        frame = pd.DataFrame({name: columns[name] for name in names})
        if writing.format == "jsonl":
            frame["day"] = frame["day"].map(writing.day)
            frame.to_json(path, orient="records", lines=True)
        elif writing.format == "xlsx":
            frame.to_excel(path, index=False)
        else:
            getattr(frame, f"to_{writing.format}")(path)
        return path
    places = {"Größe (m², netto)": 2, "count": 0, "y": 3}
    texts = {
        name: [
            writing.number(value, places[name]) if name in places else writing.day(value) if name == "day" else value
            for value in columns[name]
        ]
        for name in names
    }
    separator = "\t" if writing.format == "tsv" else writing.separator
    buffer = io.StringIO()
    for row in [names, *zip(*texts.values(), strict=True)]:
        fields = [field if not must_quote(field, separator, writing.quotes) else f'"{field}"' for field in row]
        buffer.write(separator.join(fields) + writing.line_end)
    content = buffer.getvalue().encode(writing.encoding)
    if writing.format == "csv.zst":
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(content)
    elif writing.format == "csv.gz":
        with pa.CompressedOutputStream(str(path), "gzip") as stream:
            stream.write(content)
    else:
        path.write_bytes(content)
    return path


def must_quote(field: str, separator: str, quotes: str) -> bool:
    return quotes == "all" or separator in field


def check(writing: Writing, folder: Path) -> None:
    """Check that the table is read as it was before it was written."""
    path = write(writing, folder)
    config = StudyConfig.model_validate(
        {"name": "s", "data": {"train": str(path), "target": "y", "id": "id"}, "families": ["linear"]}
    )
    dataset = data.load(config)
    assert isinstance(dataset.x, pd.DataFrame)
    assert dataset.ids.tolist() == IDS
    assert dataset.task == "regression"
    assert dataset.columns == {
        name: {"code": "category", "colour": "category", "day": "date"}.get(name, "number") for name in dataset.columns
    }
    np.testing.assert_allclose(dataset.y, TABLE["y"])
    for name in ("Größe (m², netto)", "count"):
        np.testing.assert_allclose(dataset.x[name], TABLE[name])
    for name in ("code", "colour"):
        assert dataset.x[name].tolist() == TABLE[name]
    assert dataset.x["day"].dt.date.tolist() == TABLE["day"]


def writings(count: int) -> list[Writing]:
    """Return different ways to write the table, drawn from all of them."""
    rng = random.Random(11)
    every = list(itertools.product(*DIMENSIONS))
    found: dict[Writing, None] = {}
    for place in rng.sample(range(len(every)), 4 * count):
        writing = Writing(*every[place])
        if writing.format in ("xlsx", "parquet", "feather", "jsonl") and rng.random() < 0.8:
            continue
        found[writing] = None
        if len(found) == count:
            break
    return list(found)


def check_all(some: list[Writing], folder: Path) -> None:
    for writing in some:
        try:
            check(writing, folder)
        except Exception as error:
            error.add_note(str(writing))
            raise


def test_a_table_is_the_same_in_two_hundred_notations(tmp_path):
    check_all(writings(200), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_a_table_is_the_same_in_two_thousand_notations(tmp_path, part):
    check_all(writings(2200)[200 + part :: 4], tmp_path)


def read(separator: str = ",", **columns: list[str | None]) -> dict[str, pd.Series[Any]]:
    arrays = {name: pa.chunked_array([pa.array(values, pa.string())]) for name, values in columns.items()}
    return {name: each.values for name, each in notation.learn(arrays, separator).items()}


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["$1,011,982", "$397", "$5.50"], [1011982, 397, 5.5]),
        (["12.5%", "13 %", "-1%"], [12.5, 13, -1]),
        (["1,450", "2,000", "13,000"], [1450, 2000, 13000]),
        (["(5)", "3", "4.5"], [-5, 3, 4.5]),
        (["5 kg", "6.5kg", "?"], [5, 6.5, np.nan]),
        (["\u22125", "3", "+2"], [-5, 3, 2]),
        (["5-", "3", "4"], [-5, 3, 4]),
        (["1 234", "12 345", "5,5"], [1234, 12345, 5.5]),
        (["1\u00a0234", "5", "6"], [1234, 5, 6]),
        (["1'000", "20'000.5", "3"], [1000, 20000.5, 3]),
        (["1,00,000", "12,34,567", "5"], [100000, 1234567, 5]),
        (["1e5", "2E-3", "n.a."], [1e5, 2e-3, np.nan]),
        (["∞", "1.5", "-"], [np.nan, 1.5, np.nan]),
        (["R$ 5", "R$ 6,0", "R$ 1.000,00"], [5, 6, 1000]),
        (["€ 5,20", "7,10 €", "3"], [5.2, 7.1, 3]),
        ([" 5", "6 ", "7"], [5, 6, 7]),
    ],
)
def test_numbers_are_read_as_people_write_them(values, numbers):
    np.testing.assert_allclose(read(a=values)["a"], numbers)


@pytest.mark.parametrize(
    "values",
    [
        ["0101", "202", "303"],
        ["007", "8", "9"],
        ["-05", "3", "4"],
        ["0x10", "1", "2"],
        ["0,5", "00,7", "1"],
        ["5 kg", "6 g", "1 kg"],
        ["A1", "B2", "C3"],
        ["12A", "7B", "3A"],
        ["1st", "2nd", "3rd"],
        ["1.2.3", "5.6.7", "1.1.1"],
        ["12:30", "13:00", "1:10"],
        ["1,5", "2,75", "x"],
        ["True", "False", "maybe"],
        ["-", "--", "?"],
    ],
)
def test_codes_and_words_stay_as_they_are_written(values):
    assert read(a=values)["a"].tolist() == values


def test_doubtful_commas_and_points_are_decided_by_the_other_columns():
    assert read(a=["1,450", "2,111"], b=["1,5", "2,75"])["a"].tolist() == [1.45, 2.111]
    assert read(";", a=["1,450", "2,111"])["a"].tolist() == [1.45, 2.111]
    assert read(";", a=["1,450", "2,111"], b=["0.5", "1.5"])["a"].tolist() == [1450, 2111]
    assert read(";", a=["1,450", "2,111"], b=["1,000.5", "1.5"])["a"].tolist() == [1450, 2111]
    assert read(";", a=["1.450", "2.111"], b=["1,5", "2,75"])["a"].tolist() == [1450, 2111]
    assert read(";", a=["2.1", "2.10"], b=["1,5", "2,75"])["a"].tolist() == [2.1, 2.1]
    assert read(a=["1.450", "2.111"])["a"].tolist() == [1.45, 2.111]


def test_the_notation_of_the_training_rows_holds_for_other_rows():
    other = pa.chunked_array([pa.array(["1.450", "x", "7,5", None], pa.string())])
    assert notation.read_column(other, Notation("number", ",", ".")).tolist()[:3] == [1450, "x", 7.5]
    flags = pa.chunked_array([pa.array(["TRUE", "x", None], pa.string())])
    assert notation.read_column(flags, Notation("boolean")).tolist()[:2] == [True, "x"]
    digits = pa.chunked_array([pa.array(["0101", "1.10", None], pa.string())])
    assert notation.read_column(digits, Notation()).tolist()[:2] == ["0101", "1.10"]
    assert notation.read_series(pd.Series(["1.450", "2,5"]), Notation("number", ",", ".")).tolist() == [1450, 2.5]
    assert notation.read_series(pd.Series([1.45, 2.5]), Notation("number", ",", ".")).tolist() == [1.45, 2.5]


def config(folder: Path, **section: Any) -> StudyConfig:
    return StudyConfig.model_validate(
        {"name": "s", "data": {"train": str(folder / "train.csv"), **section}, "families": ["linear"]}
    )


def test_codes_are_the_same_levels_in_every_file(tmp_path):
    rows = [("0101", "TRUE", 1), ("X9", "maybe", 2), ("1.10", "FALSE", 3), ("0330", "TRUE", 4)]
    pd.DataFrame(rows * 3, columns=["code", "flag", "y"]).assign(x=range(12)).to_csv(
        tmp_path / "train.csv", index=False
    )
    (tmp_path / "test.csv").write_text("code,flag,x\n0101,TRUE,1\n1.10,FALSE,2\n0330,TRUE,3\n")
    dataset = data.load(config(tmp_path, target="y", test=str(tmp_path / "test.csv")))
    assert isinstance(dataset.x_test, pd.DataFrame)
    assert dataset.reader is not None
    assert dataset.x_test["code"].tolist() == ["0101", "1.10", "0330"]
    assert dataset.x_test["flag"].tolist() == ["TRUE", "FALSE", "TRUE"]
    (tmp_path / "one.csv").write_text("code,flag,x\n0330,TRUE,1\n")
    restored = data.reader_from_document(json.loads(json.dumps(dataset.reader.document())))
    x = restored.read(tmp_path / "one.csv").x
    assert isinstance(x, pd.DataFrame)
    assert x[["code", "flag"]].iloc[0].tolist() == ["0330", "TRUE"]


def test_a_class_na_is_kept_if_the_study_says_so(tmp_path):
    (tmp_path / "train.csv").write_text("a,continent\n1,NA\n2,EU\n3,NA\n4,AS\nNA,EU\n2,AS\n")
    dataset = data.load(config(tmp_path, target="continent", missing={"continent": []}))
    assert dataset.classes == ("AS", "EU", "NA")
    assert isinstance(dataset.x, pd.DataFrame)
    assert dataset.x["a"].isna().sum() == 1
    frame = table_files.read_table(tmp_path / "train.csv")
    remedy = "if it is a class, set data.missing: {continent: []}"
    expected = f"train.csv: read 2 times 'NA' in the target 'continent' as missing; {remedy}"
    assert tables.note_markers(config(tmp_path, target="continent"), tmp_path / "train.csv", frame) == (expected,)
    with pytest.raises(ConfigError, match=r"data\.missing\.contnent must be a column of train\.csv"):
        data.load(config(tmp_path, target="continent", missing={"contnent": []}))


def test_numbers_beyond_single_precision_are_missing_and_large_integers_do_not_wrap(tmp_path):
    (tmp_path / "train.csv").write_text("a,y\n1.797e308,9223372036854775808\n2,1\ninf,5\n4,7\n5,8\n")
    study = config(tmp_path, target="y").model_copy(update={"task": "regression"})
    dataset = data.load(study)
    assert isinstance(dataset.x, pd.DataFrame)
    assert dataset.x["a"].isna().tolist() == [True, False, True, False, False]
    assert dataset.y.max() == 2.0**63
    frame = pd.DataFrame({"a": range(5), "y": np.array([2**63, 1, 5, 7, 8], dtype=np.uint64)})
    frame.to_parquet(tmp_path / "train.parquet")
    typed = study.data.model_copy(update={"train": str(tmp_path / "train.parquet")})
    assert data.load(study.model_copy(update={"data": typed})).y.max() == 2.0**63
    assert dataset.notes == ("read 2 values of 'a' as missing: infinite, or beyond 3.4e38",)


@pytest.mark.parametrize(
    ("content", "rows", "note"),
    [
        ("a,b\n1,2\n3,4\n,\n,\n", [["1", "2"], ["3", "4"]], "left out 2 empty rows at its end"),
        ("a,b\n1,2\n3\n", [["1", "2"], ["3", None]], "1 rows have too few fields: the values at their end are missing"),
        ("a,b\n1,2\n# half\n3,4\n", [["1", "2"], ["3", "4"]], "left out 1 lines of comments"),
        ('a\tb\n"x\t2\ny\t3\n"z\t4\n', [['"x', "2"], ["y", "3"], ['"z', "4"]], "quotation marks are read as text"),
        ('a,b\n"x\ny",2\nz,3\n', [["x\ny", "2"], ["z", "3"]], ""),
        ('a,b\n"x\\"y",2\nz,3\n', [['x"y', "2"], ["z", "3"]], ""),
        ("a,b\n1,2,\n3,4,\n", [["1", "2", None], ["3", "4", None]], ""),
    ],
)
def test_rows_of_other_lengths_and_lone_quotations_are_read_and_noted(tmp_path, content, rows, note):
    path = tmp_path / "a.csv"
    path.write_text(content)
    columns, notes = text_files.read_columns(path, read_header(path))
    assert list(map(list, zip(*(column.to_pylist() for column in columns.values()), strict=True))) == rows
    assert [each.split(": ", 1)[1].startswith(note) for each in notes] == ([True] if note else [])


def test_many_lone_quotations_after_the_first_lines_lose_no_row(tmp_path):
    lines = [f"word {number}\t{number % 2}" for number in range(20_000)]
    lines[15_000], lines[16_000] = '"alone\t1', '"again\t0'
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(["text\ty", *lines]))
    columns, notes = text_files.read_columns(path, read_header(path))
    assert len(columns["text"]) == 20_000
    assert columns["text"][15_000].as_py() == '"alone'
    assert notes == ("a.tsv: quotation marks are read as text: they do not come in pairs around fields",)


def test_an_index_that_repeats_a_column_and_a_folder_of_parts_are_read_once(tmp_path):
    frame = pd.DataFrame({"id": [5, 6], "a": [1.0, 2.0]})
    frame.set_index("id", drop=False).to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(data.read_table(tmp_path / "a.parquet"), frame)
    (tmp_path / "parts.parquet").mkdir()
    for part in range(2):
        frame.iloc[[part]].to_parquet(tmp_path / "parts.parquet" / f"part-0000{part}.parquet", index=False)
    (tmp_path / "parts.parquet" / "_SUCCESS").touch()
    pd.testing.assert_frame_equal(data.read_table(tmp_path / "parts.parquet"), frame)


@pytest.mark.parametrize(
    ("values", "dates", "noted"),
    [
        (["2012-05-01 17:26:21 UTC", "2012-05-02"], ["2012-05-01 17:26:21", "2012-05-02"], True),
        (["03/04/2020"] * 60 + ["25/06/2020"], ["2020-04-03"] * 60 + ["2020-06-25"], True),
        (["Mon, 3 Feb 2020", "Tuesday, 4 Feb 2020"], ["2020-02-03", "2020-02-04"], True),
        (["5/3/2020 1:05 p.m.", "5/13/2020 11:00 a.m."], ["2020-05-03 13:05", "2020-05-13 11:00"], True),
        (["2020-01-01T01:00:00+02:00", "2020-01-02T00:00:00Z"], ["2019-12-31 23:00", "2020-01-02"], False),
        (["2020-01-01 10:00:00 CET", "2020-07-01 10:00:00 CEST"], ["2020-01-01 10:00", "2020-07-01 10:00"], True),
        ([43831, 43832.5], ["2020-01-01", "2020-01-02 12:00"], True),
        (["2020-01-01", "2020-01-02"], ["2020-01-01", "2020-01-02"], False),
    ],
)
def test_dates_are_read_as_people_write_them(values, dates, noted):
    frame = pd.DataFrame({"date": values})
    learnt = column_types.learn(frame, config(Path(), target="y"))
    assert learnt["date"].kind == "date"
    assert column_types.impose(frame, learnt)["date"].tolist() == [pd.Timestamp(each) for each in dates]
    assert bool(column_types.note_dates(frame, learnt)) == noted
