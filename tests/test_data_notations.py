"""One table in many notations is the same Dataset; each notation is read as a person reads it."""

from __future__ import annotations

import datetime
import io
import itertools
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
    found = {}
    for place in rng.sample(range(len(every)), 4 * count):
        writing = Writing(*every[place])
        if writing.format in ("xlsx", "parquet", "feather", "jsonl") and rng.random() < 0.8:
            continue
        found[writing] = None
        if len(found) == count:
            break
    return list(found)


def test_a_table_is_the_same_in_two_hundred_notations(tmp_path):
    for writing in writings(200):
        with pytest.MonkeyPatch.context():
            try:
                check(writing, tmp_path)
            except Exception as error:
                error.add_note(str(writing))
                raise


@pytest.mark.slow
def test_a_table_is_the_same_in_three_thousand_notations(tmp_path):
    for writing in writings(3200)[200:]:
        try:
            check(writing, tmp_path)
        except Exception as error:
            error.add_note(str(writing))
            raise
