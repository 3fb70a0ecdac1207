"""Documents of readers that version 0.1 wrote into exported models: each is restored, and written the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workbench import data
from workbench.data.arrays import ArrayReader, ArrayTableReader
from workbench.data.image_dataset import ImageReader
from workbench.data.long_reader import LongReader
from workbench.data.multimodal import MultimodalReader
from workbench.data.pixel_table import PixelReader
from workbench.data.tables import TableReader

EMPTY: dict[str, Any] = {
    "id_column": None,
    "columns": {},
    "numbers": [],
    "optional": [],
    "shape": [],
    "pixels": [],
    "windows": None,
    "look": None,
    "images": None,
    "long": None,
    "notations": {},
}
COLUMNS = {"a": ["number", None], "day": ["date", "%d.%m.%Y"]}
NOTATIONS = {"a": ["number", ",", ".", "€", None], "day": ["text", ".", "", "", ["", "never"]]}
TABLE = {"id_column": "id", "columns": COLUMNS, "numbers": ["a"], "optional": ["day"], "notations": NOTATIONS}
LONG = {
    "id": "run",
    "steps": "step",
    "order": ["number", None],
    "columns": {"v": ["number", None], "g": ["category", None]},
    "levels": {"g": ["x", "y", "z"]},
    "length": 6,
    "uneven": False,
    "gaps": ["v"],
}
WINDOWS = {
    "clock": {"names": ["date", "hour"], "first": ["date", "ISO8601"]},
    "steps": {"unit": "time", "origin": 1.7e18, "size": 3.6e12},
    "series": [],
    "lags": [1],
    "windows": [3],
    "horizon": 20,
    "target": "price",
    "numbers": ["a"],
    "levels": {"c": ["b", "g"]},
    "kept": ["a lag 1", "date-hour"],
    "last": 39.0,
    "past": {"steps": [38.0, 39.0], "series": ["", ""], "values": {"a": [0.5, 1.5], "c": ["b", "g"]}},
}
DOCUMENTS: dict[str, tuple[dict[str, Any], type[data.Reader]]] = {
    "table": ({"kind": "table", "source": "t.csv", "npz": False, **TABLE}, TableReader),
    "text": ({"kind": "text", "source": "t.csv", "npz": False, "columns": {"note": ["text", None]}}, TableReader),
    "lags": ({"kind": "table", "source": "t.csv", "npz": False, **TABLE, "windows": WINDOWS}, TableReader),
    "table of arrays": ({"kind": "table", "source": "t.npz", "npz": True, **TABLE}, ArrayTableReader),
    "images": ({"kind": "image", "source": "t.npz", "npz": True, "id_column": "id", "shape": [8, 8]}, ArrayReader),
    "sequences": (
        {"kind": "sequence", "source": "t.npz", "npz": True, "id_column": "id", "shape": [6, 2]},
        ArrayReader,
    ),
    "pixels": (
        {"kind": "image", "source": "t.csv", "npz": False, "shape": [2, 2], "pixels": ["p0", "p1", "p2", "p3"]},
        PixelReader,
    ),
    "folder": (
        {"kind": "image", "source": "train", "npz": True, "shape": [10, 12, 3], "look": [10, 12, "colour"]},
        ImageReader,
    ),
    "named images": (
        {"kind": "image", "source": "t.csv", "npz": True, "shape": [8, 6], "look": [8, 6, "grey"], "images": "/pics"},
        ImageReader,
    ),
    "mixed": (
        {
            "kind": "mixed",
            "source": "t.csv",
            "npz": False,
            **TABLE,
            "columns": COLUMNS | {"photo": ["image", None]},
            "look": [8, 6, "deep"],
            "images": "/pics",
        },
        MultimodalReader,
    ),
    "long": (
        {
            "kind": "sequence",
            "source": "t.csv",
            "npz": False,
            "id_column": "run",
            "columns": LONG["columns"],
            "numbers": ["v"],
            "optional": ["v"],
            "shape": [6, 4],
            "long": LONG,
        },
        LongReader,
    ),
}


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_a_reader_is_restored_from_its_document(name):
    fields, cls = DOCUMENTS[name]
    document = EMPTY | fields
    reader = data.reader_from_document(document)
    assert type(reader) is cls
    assert json.loads(json.dumps(reader.document())) == document
    assert reader.id_column == document["id_column"]
    assert list(reader.optional) == document["optional"]
    assert (reader.image_format is None) == (document["look"] is None)
    made = {"a lag 1": "number", "date-hour": "date"} if document["windows"] else {}
    kinds = {column: kind for column, (kind, _) in document["columns"].items()}
    assert reader.kinds == kinds | made
