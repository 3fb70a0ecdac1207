"""How rows to predict are read: in the form that the training rows had, without a look at these."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import ColumnKind, StudyConfig
from workbench.data import (
    arrays,
    column_types,
    image_decoding,
    image_folder,
    image_paths,
    long_format,
    multimodal,
    pixel_table,
    tables,
)
from workbench.data.cache import Cache
from workbench.data.column_types import FittedColumn
from workbench.data.csv_header import is_arrays
from workbench.data.dataset import Dataset, Kind, Rows
from workbench.data.image_column import ImageArray
from workbench.data.image_decoding import ImageFormat
from workbench.data.lags import LagFeatures
from workbench.data.long_format import LongLayout
from workbench.errors import DataError, did_you_mean, format_list

NewRows = str | os.PathLike[str] | pd.DataFrame | np.ndarray[Any, np.dtype[Any]]
"""Rows to predict: a file of the form that the training data have, a frame, or an array of images or sequences."""


class NewData(NamedTuple):
    """Rows to predict, as models take them."""

    x: Rows
    ids: Array
    """(rows,): their names; row numbers where they have none."""


@dataclass(frozen=True)
class Reader:
    """What there is to know of the training rows to read others as they were read."""

    kind: Kind
    source: str
    """What the training data are called, for messages."""
    npz: bool
    """Whether the training data are arrays."""
    id_column: str | None
    """The column, or array, that names rows; new rows may come without it."""
    columns: Mapping[str, FittedColumn]
    """A table's columns in the order in which models take them."""
    numbers: tuple[str, ...]
    """The columns in which a word is a mistake."""
    optional: tuple[str, ...]
    """The columns of which training rows lacked a value."""
    shape: tuple[int, ...]
    """Of an image or a sequence."""
    pixels: tuple[str, ...] = ()
    """Of images that come as a table, the columns of their pixels."""
    windows: LagFeatures | None = None
    """What rows are shown of their past, where they are in order of time."""
    look: ImageFormat | None = None
    """How images in files are decoded, where the training data are such."""
    images: str | None = None
    """The folder of the images that a table names, where it is one that does; files beside new rows come first."""
    long: LongLayout | None = None
    """How a table with a row for each step becomes sequences, where the training data are such."""

    @classmethod
    def of(cls, config: StudyConfig, dataset: Dataset) -> Reader:
        """Return how rows to predict are read for a study and its training rows."""
        x, example, layout, windows = dataset.x, dataset.example, dataset.long, dataset.windows
        made = windows.kinds if windows else {}
        kinds = {name: kind for name, kind in dataset.columns.items() if name not in made}
        is_table = isinstance(x, pd.DataFrame)
        known = {name: FittedColumn(kind, dataset.date_formats.get(name)) for name, kind in kinds.items()}
        known = known if layout is None else dict(layout.columns)
        shown = x if example is None or dataset.kind == "sequence" else example
        in_files = config.data.images is not None or config.resolve(config.data.train).is_dir()
        has_ids = not is_table or example is None or dataset.id_name in example
        gaps = [name for name in kinds if x[name].isna().any()] if isinstance(x, pd.DataFrame) else []
        gaps = gaps if layout is None else list(layout.gaps)
        return cls(
            kind=dataset.kind,
            source=Path(config.data.train).name,
            npz=is_arrays(Path(config.data.train)) or not (is_table or dataset.pixels or layout),
            id_column=dataset.id_name if has_ids else None,
            columns=known,
            numbers=tuple(n for n, each in known.items() if each.kind == "number" and n not in config.data.types),
            optional=tuple(map(str, gaps)),
            shape=() if is_table else tuple(shown.shape[1:]),
            pixels=dataset.pixels,
            windows=windows,
            look=_look(dataset) if in_files else None,
            images=str(config.resolve(config.data.images)) if config.data.images else None,
            long=layout,
        )

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """A table's columns as models see them, and what each is."""
        made = self.windows.kinds if self.windows else {}
        return {name: column.kind for name, column in self.columns.items()} | made

    def read(self, rows: NewRows, *, cache: Cache | None = None) -> NewData:
        """Read rows to predict.

        Args:
            rows: what to read.
            cache: where images that are decoded, and large sequences of a long table, are kept; without it they are
                held in memory.

        Raises:
            SourceError: the file cannot be opened.
            DataError: the rows do not have what the training rows had, or it does not hold what it must.
        """
        if isinstance(rows, np.ndarray):
            self._check_form("The array", npz=True)
            return self._arrays({"x": rows}, "The array")
        if isinstance(rows, pd.DataFrame):
            self._check_form("The frame", npz=False)
            return self._table(rows.rename(columns=str).reset_index(drop=True), "The frame", cache)
        path = Path(rows).absolute()
        if path.is_dir() and self.look is not None and self.kind == "image":
            return self._images(path, self.look, cache)
        npz = is_arrays(path)
        self._check_form(path.name, npz=npz)
        if npz:
            return self._arrays(arrays.read(path), path.name)
        exact = [*([self.id_column] if self.id_column else []), *self._pictured]
        return self._table(tables.read_table(path, exact), path.name, cache, path.parent)

    def completed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a frame with the columns that training rows lacked a value of, empty where it is without them."""
        return frame.assign(**{name: np.nan for name in self.optional if name not in frame})

    def document(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Reader:
        """Return what `document` wrote."""
        known = {key: tuple(value) if isinstance(value, list) else value for key, value in document.items()}
        look = known.get("look") and ImageFormat(*known["look"])
        layout = LongLayout.from_document(document["long"]) if document.get("long") else None
        windows = LagFeatures.from_document(document["windows"]) if document.get("windows") else None
        return cls(
            **known
            | {"look": look, "long": layout, "windows": windows}
            | {"columns": {name: FittedColumn(*column) for name, column in document["columns"].items()}}
        )

    def _check_form(self, name: str, *, npz: bool) -> None:
        """Refuse a table where there must be arrays, and the other way round."""
        if npz != self.npz and (npz or not (self.kind == "table" or self.images)):
            wanted = "a folder of images" if self.look and self.npz else "an .npz file" if self.npz else "a table"
            raise DataError(f"{name} must be {wanted}, as {self.source} is. Received: another form. Convert it.")

    def _images(self, folder: Path, look: ImageFormat, cache: Cache | None) -> NewData:
        images = image_folder.list_flat(folder, folder.name)
        decoded = image_decoding.decode(images, cache, look=look)
        return NewData(decoded.x, np.array(image_folder.names(images), dtype=object))

    @property
    def _pictured(self) -> tuple[str, ...]:
        return tuple(name for name, column in self.columns.items() if column.kind == "image")

    def _table(self, frame: pd.DataFrame, name: str, cache: Cache | None = None, near: Path | None = None) -> NewData:
        if frame.empty:
            raise DataError(f"{name} must have rows to predict. Received: none.")
        beside = (self.long.id, self.long.steps) if self.long else self.windows.needs if self.windows else ()
        needed = dict.fromkeys([*beside, *self.columns])
        lacks = [column for column in needed if column not in frame]
        if lacks:
            hint = did_you_mean(lacks[0], [str(column) for column in frame if column not in needed])
            what = "feature columns" if self.long is None else "columns of id, steps and values"
            raise DataError(
                f"{name} must have the {what} of {self.source}. It lacks {format_list(map(repr, lacks))}.{hint} Add them."
            )
        if self.kind == "image" and self.images is not None:
            return self._named_images(frame, name, cache, near)
        if self.pixels:
            return self._arrays(pixel_table.arrays(frame, name, self.pixels), name)
        column_types.check_numbers(frame, self.numbers, name)
        if self.long is not None:
            found = long_format.read(frame, self.long, name, cache)
            return NewData(found.x, found.ids)
        own = self.id_column if self.id_column in frame else None
        x, ids = column_types.impose(frame, self.columns), tables.ids(frame, own, name)
        if self._pictured:
            table = multimodal.ImageTable(
                frame, self._pictured, (), name, image_paths.NearbyImages(near, Path(str(self.images)))
            )
            x = x.assign(**multimodal.decode_columns(table, cache, look=self.look).columns)
        return NewData(x if self.windows is None else self.windows.beside(frame, x, name), ids)

    def _named_images(self, frame: pd.DataFrame, name: str, cache: Cache | None, near: Path | None) -> NewData:
        """Return the images that a table names in a column, the one with the ids or another."""
        places = image_paths.NearbyImages(near, Path(str(self.images)))
        words = {column: column_types.texts(frame[column]).fillna("") for column in map(str, frame.columns)}
        own = [column for column in (self.id_column, *words) if column in words]
        found = next((c for c in own if all(word and places.find(word) for word in words[c].unique())), None)
        if found is None:
            raise DataError(
                f"{name} must have a column that names an image of {places.folder} in every row. Received: columns "
                f"{format_list(frame.columns)}. Correct its values, or name a folder of images."
            )
        ids = tables.ids(frame, self.id_column if self.id_column in frame else None, name)
        files = tuple(file for file in image_paths.files(frame[found], places, name) if file is not None)
        return NewData(
            image_decoding.decode(image_folder.ImageFiles(places.folder, files), cache, look=self.look).x, ids
        )

    def _arrays(self, found: arrays.Arrays, name: str) -> NewData:
        x, own = arrays.values(found, name), self.id_column
        names = {own: arrays.beside(found, own, len(x), name)} if own is not None and own in found else {}
        if self.kind == "table":
            further = {key: arrays.beside(found, key, len(x), name) for key in self.columns if key in found}
            return self._table(arrays.features(x).assign(**further | names), name)
        steps = self.shape[0] if self.kind == "sequence" else None
        made = x.shape[1:] if steps is None else (steps, *([1] if x.ndim == 2 else x.shape[2:]))
        if made != self.shape:
            # Sequences are brought to one length.
            wanted = str(self.shape) if steps is None else f"(steps, {self.shape[1]})"
            raise DataError(
                f"{name}: x must have rows of the shape {wanted} that {self.source} has. "
                f"Received: {x.shape[1:]}. Shape both alike."
            )
        ids = tables.ids(pd.DataFrame(names, index=range(len(x))), own if names else None, name)
        return NewData(arrays.to_model_shape(found, self.kind, name, ragged=True, steps=steps), ids)


def _look(dataset: Dataset) -> ImageFormat | None:
    """Return how images in files are decoded; None where there are none."""
    if isinstance(dataset.x, pd.DataFrame):
        columns = [dataset.x[name].array for name, kind in dataset.columns.items() if kind == "image"]
        return next((ImageFormat.of(column.seen) for column in columns if isinstance(column, ImageArray)), None)
    return ImageFormat.of(dataset.x)
