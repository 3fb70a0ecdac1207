""".npz and IDX files -> Dataset of images, sequences or table rows, and the readers of new arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import ColumnKind, StudyConfig
from workbench.data import array_files, labelled_rows, new_data, npz, padding, tables, target, validation
from workbench.data.cache import Cache
from workbench.data.csv_header import form
from workbench.data.dataset import Dataset, Kind, NewData, NewRows
from workbench.data.memmap import MemmapArray
from workbench.data.new_data import RawTable
from workbench.data.tables import TableReader
from workbench.errors import DataError, did_you_mean, format_list, suggest_word

Arrays = Mapping[str, Array]

# A smaller square of floats is more likely steps x channels than pixels.
_LEAST_SIDE = 8
# The array with the number of real steps of each sequence.
_LENGTHS = "lengths"
# Rows with more values than this have an example of one row, not of five.
_LARGE = 10_000
_DIMENSIONS: dict[Kind, tuple[int, ...]] = {"table": (2, 3, 4), "image": (3, 4), "sequence": (2, 3)}


@dataclass(frozen=True)
class ArrayReader:
    """Reads new images or sequences that come as arrays."""

    kind: Kind
    source: str
    """The name of the training data, for messages."""
    id_column: str | None
    """The array of ids."""
    shape: tuple[int, ...]
    """The shape of an image or a sequence."""
    optional = ()
    image_format = None

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """Arrays have no columns."""
        return {}

    def read(self, rows: NewRows, *, cache: Cache | None = None) -> NewData:
        """Read an array or a file of arrays; see `Reader.read`."""
        raw = new_data.open_rows(rows, ["arrays"], source=self.source)
        name, arrays = cast(new_data.RawArrays, raw)
        return self.read_arrays(arrays, name)

    def read_arrays(self, arrays: Arrays, name: str) -> NewData:
        """Read arrays from a source called `name` in messages.

        Raises:
            DataError: x has another shape, or values that it must not have.
        """
        x = values(arrays, name)
        steps = self.shape[0] if self.kind == "sequence" else None
        # Sequences are padded to one length, so only their channels must agree.
        shape = x.shape[1:] if steps is None else (steps, *([1] if x.ndim == 2 else x.shape[2:]))
        if shape != self.shape:
            expected = str(self.shape) if steps is None else f"(steps, {self.shape[1]})"
            raise DataError(
                f"{name}: x must have rows of the shape {expected} that {self.source} has. "
                f"Received: {x.shape[1:]}. Shape both alike."
            )
        frame = pd.DataFrame(_ids(arrays, self.id_column, len(x), name), index=range(len(x)))
        ids = tables.ids(frame, self.id_column if len(frame.columns) else None, name)
        return NewData(to_model_shape(arrays, self.kind, name, ragged=True, steps=steps), ids)

    def document(self) -> dict[str, Any]:
        """Return the reader as JSON values."""
        return new_data.make_document(
            kind=self.kind, source=self.source, npz=True, id_column=self.id_column, shape=self.shape
        )


@dataclass(frozen=True)
class ArrayTableReader:
    """Reads new rows of a table whose training rows came as arrays: arrays again, or a table with columns x0, x1, …"""

    table: TableReader
    image_format = None

    @property
    def id_column(self) -> str | None:
        """The array or column of ids."""
        return self.table.id_column

    @property
    def optional(self) -> tuple[str, ...]:
        """The columns with missing values in training."""
        return self.table.optional

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """The kind of each column."""
        return self.table.kinds

    def read(self, rows: NewRows, *, cache: Cache | None = None) -> NewData:
        """Read arrays or a table; see `Reader.read`."""
        exact = [self.id_column] if self.id_column else []
        raw = new_data.open_rows(
            rows, ("arrays", "table"), source=self.table.source, exact=exact, notations=self.table.notations
        )
        if isinstance(raw, RawTable):
            return self.table.read_frame(raw.frame, raw.name)
        name, arrays = cast(new_data.RawArrays, raw)
        x = values(arrays, name)
        more = {key: beside(arrays, key, len(x), name) for key in self.table.columns if key in arrays}
        frame = features(x).assign(**more | _ids(arrays, self.id_column, len(x), name))
        return self.table.read_frame(frame, name)

    def document(self) -> dict[str, Any]:
        """Return the reader as JSON values."""
        return self.table.document() | {"npz": True}


def load_arrays(
    config: StudyConfig,
    train: Path,
    test: Path | None,
    *,
    cache: Cache | None = None,
) -> Dataset:
    """Read `.npz` files with `x`, `y` and optionally `id`, or IDX files, and build a Dataset.

    The array `lengths` holds the number of real steps of each sequence. Sequences to predict are padded to or cut at
    the length of the training sequences.

    Raises:
        ConfigError: a key names an array that is not there.
        SourceError: a file cannot be opened.
        DataError: arrays are missing, of different lengths, or of a shape or dtype that cannot be used.
    """
    arrays, names = read(train, config, cache), (train.name, test.name if test else "")
    x = values(arrays, train.name)
    steps = x.shape[1] if kind_of(config, x, arrays, train.name) == "sequence" else None
    rows = None if test is None else read(test, config, cache, steps=steps)
    dataset = build(config, arrays, rows, names=names)
    if test is None or rows is None or steps is None:
        return dataset
    raw = npz.head(test) or rows["x"]
    return replace(dataset, notes=(*dataset.notes, *_note_length(raw.shape[1], steps, test.name)))


def build(
    config: StudyConfig,
    train: Arrays,
    test: Arrays | None,
    *,
    names: tuple[str, str],
    target_name: str = "y",
) -> Dataset:
    """Build a Dataset from arrays by name; `names` are the files' names, for messages.

    Four dimensions are images, two a table; three are images if they are uint8, or square and at least 8 x 8, and
    otherwise sequences. With an array `lengths`, two and three dimensions are sequences. `data.types: {x: …}` overrides
    this. The keys that name columns of a table (group, time, weight, folds.column) name further arrays here.
    """
    kind = kind_of(config, values(train, names[0]), train, names[0])
    ragged = _has_lengths(config, train)
    config = _with_defaults(config, train, test, target_name)
    frame = _columns_beside(config, train, names[0])
    rows = None if test is None else _columns_beside(config, test, names[1])
    if test is not None:
        _check_shapes(train["x"].shape, values(test, names[1]).shape, kind, names)
    if kind == "table":
        frame, rows = _prepend_features(train, frame), None if test is None else _prepend_features(test, rows)
        dataset = tables.build(config, frame, rows, names=names)
        return replace(dataset, reader=ArrayTableReader(cast(TableReader, dataset.reader)))
    validation.check_no_past(config, kind)
    validation.check_columns(config, list(frame.columns), names[0])
    id_name = str(config.data.id)
    labelled = labelled_rows.find_labelled(config, frame, names[0])
    x, frame = labelled.select(to_model_shape(train, kind, names[0], ragged=ragged)), labelled.select(frame)
    steps = x.shape[1] if kind == "sequence" else None
    return Dataset(
        kind=kind,
        x=x,
        ids=tables.ids(frame, id_name, names[0]),
        x_test=None if test is None else to_model_shape(test, kind, names[1], ragged=ragged, steps=steps),
        test_ids=None if rows is None else tables.ids(rows, id_name, names[1]),
        id_name=id_name,
        reader=ArrayReader(kind, Path(config.data.train).name, id_name, tuple(x.shape[1:])),
        example=(x if ragged else train["x"])[: 5 if train["x"][0].size <= _LARGE else 1],
        notes=labelled.notes,
        **target.encode_targets(config, frame)._asdict(),
        **tables.roles(config, frame, names[0]),
    )


def _prepend_features(arrays: Arrays, beside: pd.DataFrame | None) -> pd.DataFrame:
    """Return the columns of x, followed by the arrays beside it."""
    return pd.concat([features(arrays["x"]), beside], axis=1)


def read(path: Path, config: StudyConfig, cache: Cache | None = None, *, steps: int | None = None) -> Arrays:
    """Read the arrays of a study's file; with a cache, large images and sequences stay on disk.

    On disk, sequences are padded as the array `lengths` says, and padded to or cut at `steps` if it is given.

    Raises:
        ConfigError: `data.types.x` does not go with x.
        SourceError: the file cannot be opened.
        DataError: the file holds something other than plain arrays.
    """
    head = None if cache is None or form(path) == "idx" else npz.head(path)
    if cache is None or head is None or not head.extractable:
        return array_files.read(path)
    kind = kind_of(config, head, head.names, path.name)
    if kind == "table":
        return array_files.read(path)
    ragged = kind == "sequence" and _has_lengths(config, head.names)
    return npz.extract_to_disk(path, cache, sequence=kind == "sequence", ragged=ragged, steps=steps)


def values(arrays: Arrays, name: str) -> Array:
    """Return x, checked to be numbers in two to four dimensions.

    Raises:
        DataError: there is no x, or it has another type or shape.
    """
    if "x" not in arrays:
        hint = did_you_mean("x", (key.lower() for key in arrays))
        raise DataError(f"{name}: must hold an array 'x'. Received: {format_list(arrays)}.{hint} Name it so.")
    x = arrays["x"]
    if x.dtype.kind not in "biuf" or x.ndim not in (2, 3, 4) or not x.size:
        raise DataError(
            f"{name}: x must be numbers of the shape (rows, …) with two to four dimensions. Received: {x.dtype} of "
            f"the shape {x.shape}. Convert it."
        )
    return x


def kind_of(config: StudyConfig, x: Array | npz.ArrayHeader, names: Collection[str], name: str) -> Kind:
    """Return the kind of a row of x; `names` are those of all arrays of the file called `name`.

    Raises:
        ConfigError: `data.types.x` does not go with x.
    """
    requested: Any = config.data.types.get("x")
    if requested is None:
        if x.ndim in _DIMENSIONS["sequence"] and _has_lengths(config, names):
            return "sequence"
        if x.ndim != 3:
            return "table" if x.ndim == 2 else "image"
        height, width = x.shape[1:]
        square = height == width and height >= _LEAST_SIDE
        return "image" if x.dtype == np.uint8 or square else "sequence"
    if requested not in _DIMENSIONS:
        raise config.error("data.types.x", f"must be one of {', '.join(_DIMENSIONS)}", requested)
    kind: Kind = requested
    if x.ndim not in _DIMENSIONS[kind]:
        hint = f" x in {name} has the shape {x.shape}."
        raise config.error(
            "data.types.x", f"must go with x; {kind} needs {_DIMENSIONS[kind]} dimensions", requested, hint
        )
    return kind


def _check_shapes(train: tuple[int, ...], test: tuple[int, ...], kind: Kind, names: tuple[str, str]) -> None:
    """Refuse rows of other shapes; the lengths of sequences may differ."""
    own = 2 if kind == "sequence" else 1
    if test[own:] != train[own:]:
        raise DataError(
            f"{names[1]}: x must have rows of the shape {train[1:]} that {names[0]} has. Received: {test[1:]}. "
            "Shape both alike."
        )


def _has_lengths(config: StudyConfig, names: Collection[str]) -> bool:
    """Return whether there is an array `lengths` that the study file does not name for another use."""
    data = config.data
    keys = {*data.targets, data.id, data.group, *data.time, data.weight, config.folds.column}
    return _LENGTHS in names and _LENGTHS not in keys


def _note_length(length: int, steps: int, name: str) -> tuple[str, ...]:
    """Return a note on sequences to predict that are longer or shorter than those of training."""
    if length == steps:
        return ()
    return (
        f"{'cut' if length > steps else 'padded'} {name} from {length} steps to {steps}, as many as training rows have",
    )


def _with_defaults(config: StudyConfig, train: Arrays, test: Arrays | None, target_name: str) -> StudyConfig:
    """Return the study with the default names of target and id."""
    id_name = config.data.id
    if id_name is not None and id_name not in train and id_name not in (test or {}):
        hint = suggest_word(id_name, train, label="Arrays")
        raise config.error("data.id", "must be an array of the file", id_name, hint)
    keys = {
        "target": config.data.target or _target_name(train, target_name),
        "id": id_name or "id",
        "types": {name: kind for name, kind in config.data.types.items() if name != "x"},
    }
    return config.model_copy(update={"data": config.data.model_copy(update=keys)})


def _target_name(arrays: Arrays, name: str) -> str | tuple[str, ...]:
    """Return the name of the target; y0, y1, … if y has several columns."""
    y = arrays.get("y")
    return name if y is None or y.ndim != 2 or y.shape[1] < 2 else tuple(f"y{n}" for n in range(y.shape[1]))


def _columns_beside(config: StudyConfig, arrays: Arrays, name: str) -> pd.DataFrame:
    """Return the arrays beside x: target, ids (else row numbers), groups, time, weights, folds."""
    data, rows = config.data, len(arrays["x"])
    found: dict[str, Array] = {str(data.id): np.arange(rows)}
    y = arrays.get("y")
    several = y is not None and y.ndim == 2 and y.shape[1] == len(data.targets) > 1
    columns = dict(zip(data.targets, y.T, strict=True)) if y is not None and several else {}
    wanted = [data.id, *data.targets, data.group, *data.time, data.weight, config.folds.column]
    for column in (column for column in wanted if column is not None):
        key = "y" if data.targets == (column,) and column not in arrays else column
        if column in columns:
            found[column] = beside({column: columns[column]}, column, rows, name)
        elif key in arrays:
            found[column] = beside(arrays, key, rows, name)
    return pd.DataFrame(found)


def _ids(arrays: Arrays, key: str | None, rows: int, name: str) -> dict[str, Array]:
    """Return the array of ids by its name, if there is one."""
    return {key: beside(arrays, key, rows, name)} if key is not None and key in arrays else {}


def beside(arrays: Arrays, key: str, rows: int, name: str) -> Array:
    """Return an array with one value for each row of x, in one dimension.

    Raises:
        DataError: the array has more or fewer values.
    """
    column = arrays[key]
    if column.size != rows or len(column) != rows:
        raise DataError(
            f"{name}: {key} must have one value for each of the {rows} rows of x. Received: the shape "
            f"{column.shape}. Make them fit."
        )
    return column.reshape(rows)


def features(x: Array) -> pd.DataFrame:
    """Flatten x into the columns x0, x1, …"""
    flat = x.reshape(len(x), -1)
    return pd.DataFrame(flat, columns=[f"x{place}" for place in range(flat.shape[1])])


def to_model_shape(
    arrays: Arrays, kind: Kind, name: str, *, ragged: bool = False, steps: int | None = None
) -> Array | MemmapArray:
    """Return x as images or sequences, uint8 or float32; a sequence of single values gets a channel.

    Args:
        arrays: x, and the arrays beside it.
        kind: the kind of a row.
        name: the file's name, for messages.
        ragged: whether the array `lengths` holds the number of real steps of each sequence.
        steps: the number of steps that sequences are padded to or cut at. Default: unchanged.

    Raises:
        DataError: values are infinite, or missing in images; or lengths do not fit.
    """
    x: Array | MemmapArray = arrays["x"]
    if isinstance(x, MemmapArray):
        return x
    sequence = kind == "sequence"
    ends = padding.lengths(arrays[_LENGTHS], x.shape, name) if sequence and ragged and _LENGTHS in arrays else None
    unfit = npz.count_unusable(x, sequence, ends)
    if unfit:
        raise npz.non_finite_error(name, unfit, sequence)
    if sequence:
        return padding.to_padded(x, lengths=ends, steps=steps)
    return x if x.dtype == np.uint8 else x.astype("float32")
