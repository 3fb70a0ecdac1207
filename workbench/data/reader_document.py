"""The document of a reader -> the reader; the one place that knows every reader class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.data.arrays import ArrayReader, ArrayTableReader
from workbench.data.column_types import FittedColumn
from workbench.data.dataset import Reader
from workbench.data.image_dataset import ImageReader
from workbench.data.image_decoding import ImageFormat
from workbench.data.lags import LagFeatures
from workbench.data.long_reader import LongLayout, LongReader
from workbench.data.multimodal import MultimodalReader
from workbench.data.notation import Notation
from workbench.data.pixel_table import PixelReader
from workbench.data.tables import TableReader


def reader_from_document(document: Mapping[str, Any]) -> Reader:
    """Return the reader that `Reader.document` described, also after a round trip through JSON."""
    kind, source, id_column = document["kind"], document["source"], document["id_column"]
    if document.get("long"):
        layout = LongLayout.from_document(document["long"])
        numbers, shape = tuple(document["numbers"]), tuple(document["shape"])
        return LongReader(source, layout, numbers, shape, _notations(document))
    if document.get("look") and kind == "image":
        return ImageReader(source, id_column, ImageFormat(*document["look"]), document["images"])
    if kind in ("image", "sequence"):
        arrays = ArrayReader(kind, source, id_column, tuple(document["shape"]))
        return PixelReader(arrays, tuple(document["pixels"])) if document.get("pixels") else arrays
    table = _table(document)
    if kind == "mixed":
        names = tuple(name for name, (kind, *_) in document["columns"].items() if kind == "image")
        return MultimodalReader(table, names, ImageFormat(*document["look"]), document["images"])
    return ArrayTableReader(table) if document["npz"] else table


def _notations(document: Mapping[str, Any]) -> dict[str, Notation]:
    """Return how columns are written; documents of the first version do not say it."""
    stored = {name: Notation(*each) for name, each in document.get("notations", {}).items()}
    return {
        name: each if each.missing is None else each._replace(missing=tuple(each.missing))
        for name, each in stored.items()
    }


def _table(document: Mapping[str, Any]) -> TableReader:
    """Return the reader of the columns that are not images."""
    columns = {name: FittedColumn(*column) for name, column in document["columns"].items()}
    images = {name for name, column in columns.items() if column.kind == "image"}
    return TableReader(
        kind=document["kind"],
        source=document["source"],
        id_column=document["id_column"],
        columns={name: column for name, column in columns.items() if name not in images},
        numbers=tuple(document["numbers"]),
        optional=tuple(document["optional"]),
        lags=LagFeatures.from_document(document["windows"]) if document.get("windows") else None,
        notations=_notations(document),
    )
