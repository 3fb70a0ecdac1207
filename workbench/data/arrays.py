""".npz and IDX -> Dataset: images, sequences, or the rows of a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import StudyConfig
from workbench.data import idx, npz, padding, tables, target, validation
from workbench.data.cache import Cache
from workbench.data.csv_header import form
from workbench.data.dataset import Dataset, Kind
from workbench.data.memmap import MemmapArray
from workbench.errors import DataError, did_you_mean, format_list, suggest_word

Arrays = Mapping[str, Array]

# A square of fewer floats than this is more likely steps x channels than pixels.
_LEAST_SIDE = 8
# The array that says how many steps of each sequence are real.
_LENGTHS = "lengths"
# Of rows with more values than this, one is example enough.
_LARGE = 10_000
_DIMENSIONS: dict[Kind, tuple[int, ...]] = {"table": (2, 3, 4), "image": (3, 4), "sequence": (2, 3)}


def load_arrays(
    config: StudyConfig,
    train: Path,
    test: Path | None,
    *,
    sample: pd.DataFrame | None = None,
    cache: Cache | None = None,
) -> Dataset:
    """Read `.npz` files with `x`, `y` and optionally `id`, or IDX files, and build a Dataset.

    Of sequences the array `lengths` says how many steps of each are real; those to predict get as many steps as those
    of training have.

    Raises:
        ConfigError: a key names an array that is not there.
        SourceError: a file cannot be opened.
        DataError: arrays are missing, of different lengths, or of a shape or dtype that cannot be used.
    """
    found, names = read(train, config, cache), (train.name, test.name if test else "")
    x = values(found, train.name)
    steps = x.shape[1] if kind_of(config, x, found, train.name) == "sequence" else None
    rows = None if test is None else read(test, config, cache, steps=steps)
    made = build(config, found, rows, names=names, sample=sample)
    if test is None or rows is None or steps is None:
        return made
    had = npz.head(test) or rows["x"]
    return replace(made, notes=(*made.notes, *_other_length(had.shape[1], steps, test.name)))


def build(
    config: StudyConfig,
    train: Arrays,
    test: Arrays | None,
    *,
    names: tuple[str, str],
    target_name: str = "y",
    sample: pd.DataFrame | None = None,
) -> Dataset:
    """Build a Dataset from arrays by name; `names` are the files' names, for messages.

    Four dimensions are images, two a table; three are images when they are uint8 or square and at least 8 x 8, and
    sequences otherwise. An array `lengths` makes sequences of two and three. `data.types: {x: …}` has the last word.
    The keys that name columns of a table (group, time, weight, folds.column) name further arrays here.
    """
    kind = kind_of(config, values(train, names[0]), train, names[0])
    ragged = _ragged(config, train)
    config = _completed(config, train, test, target_name)
    frame = _frame(config, train, names[0])
    rows = None if test is None else _frame(config, test, names[1])
    if test is not None:
        _check_shapes(train["x"].shape, values(test, names[1]).shape, kind, names)
    if kind == "table":
        frame = pd.concat([features(train["x"]), frame], axis=1)
        rows = None if test is None else pd.concat([features(test["x"]), rows], axis=1)
        return tables.build(config, frame, rows, names=names, sample=sample)
    validation.check_no_past(config, kind)
    validation.check_columns(config, list(frame.columns), names[0])
    id_name = str(config.data.id)
    x = to_model_shape(train, kind, names[0], ragged=ragged)
    steps = x.shape[1] if kind == "sequence" else None
    return Dataset(
        kind=kind,
        x=x,
        ids=tables.ids(frame, id_name, names[0]),
        x_test=None if test is None else to_model_shape(test, kind, names[1], ragged=ragged, steps=steps),
        test_ids=None if rows is None else tables.ids(rows, id_name, names[1]),
        id_name=id_name,
        sample=sample,
        example=(x if ragged else train["x"])[: 5 if train["x"][0].size <= _LARGE else 1],
        **target.encode_targets(config, frame)._asdict(),
        **tables.roles(config, frame, names[0]),
    )


def read(
    path: Path, config: StudyConfig | None = None, cache: Cache | None = None, *, steps: int | None = None
) -> Arrays:
    """Read all arrays of an .npz file, or of IDX files; large images and sequences stay on disk where there is a cache.

    There sequences are padded as `lengths` says, and to `steps` or cut at them, where these are given.

    Raises:
        ConfigError: the study file says of x what it cannot be.
        SourceError: the file cannot be opened.
        DataError: it holds what is not plain arrays.
    """
    if form(path) == "idx":
        return idx.read(path)
    head = None if cache is None or config is None else npz.head(path)
    if cache is None or config is None or head is None or not head.liftable:
        return npz.read(path)
    kind = kind_of(config, head, head.names, path.name)
    if kind == "table":
        return npz.read(path)
    ragged = kind == "sequence" and _ragged(config, head.names)
    return npz.extract_to_disk(path, cache, sequence=kind == "sequence", ragged=ragged, steps=steps)


def values(arrays: Arrays, name: str) -> Array:
    """Return x, checked to be numbers in two to four dimensions.

    Raises:
        DataError: there is no x, or it is something else.
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
    """Return what a row of x is; `names` are those of all arrays of the file called `name`.

    Raises:
        ConfigError: the study file says of x what it cannot be.
    """
    asked: Any = config.data.types.get("x")
    if asked is None:
        if x.ndim in _DIMENSIONS["sequence"] and _ragged(config, names):
            return "sequence"
        if x.ndim != 3:
            return "table" if x.ndim == 2 else "image"
        height, width = x.shape[1:]
        square = height == width and height >= _LEAST_SIDE
        return "image" if x.dtype == np.uint8 or square else "sequence"
    if asked not in _DIMENSIONS:
        raise config.error("data.types.x", f"must be one of {', '.join(_DIMENSIONS)}", asked)
    kind: Kind = asked
    if x.ndim not in _DIMENSIONS[kind]:
        hint = f" x in {name} has the shape {x.shape}."
        raise config.error("data.types.x", f"must go with x; {kind} needs {_DIMENSIONS[kind]} dimensions", asked, hint)
    return kind


def _check_shapes(train: tuple[int, ...], test: tuple[int, ...], kind: Kind, names: tuple[str, str]) -> None:
    """Refuse rows of other shapes; sequences are brought to one length."""
    own = 2 if kind == "sequence" else 1
    if test[own:] != train[own:]:
        raise DataError(
            f"{names[1]}: x must have rows of the shape {train[1:]} that {names[0]} has. Received: {test[1:]}. "
            "Shape both alike."
        )


def _ragged(config: StudyConfig, names: Collection[str]) -> bool:
    """Tell whether an array says how long sequences are, and is not there for something else."""
    data = config.data
    keys = {*data.targets, data.id, data.group, *data.time, data.weight, config.folds.column}
    return _LENGTHS in names and _LENGTHS not in keys


def _other_length(had: int, steps: int, name: str) -> tuple[str, ...]:
    """Say what is done with sequences of more or fewer steps than those of training."""
    if had == steps:
        return ()
    return (f"{'cut' if had > steps else 'padded'} {name} from {had} steps to {steps}, as many as training rows have",)


def _completed(config: StudyConfig, train: Arrays, test: Arrays | None, target_name: str) -> StudyConfig:
    """Return the study with the target and the id that arrays have without being told."""
    asked = config.data.id
    if asked is not None and asked not in train and asked not in (test or {}):
        hint = suggest_word(asked, train, label="Arrays")
        raise config.error("data.id", "must be an array of the file", asked, hint)
    known = {
        "target": config.data.target or _named(train, target_name),
        "id": asked or "id",
        "types": {name: kind for name, kind in config.data.types.items() if name != "x"},
    }
    return config.model_copy(update={"data": config.data.model_copy(update=known)})


def _named(arrays: Arrays, name: str) -> str | tuple[str, ...]:
    """Return the name of the target; of a `y` with some columns a row, theirs: y0, y1, …"""
    y = arrays.get("y")
    return name if y is None or y.ndim != 2 or y.shape[1] < 2 else tuple(f"y{n}" for n in range(y.shape[1]))


def _frame(config: StudyConfig, arrays: Arrays, name: str) -> pd.DataFrame:
    """Return what there is beside x: target, ids (row numbers if need be), groups, time, weights, folds."""
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


def beside(arrays: Arrays, key: str, rows: int, name: str) -> Array:
    """Return an array that has one value for each row of x, in one dimension.

    Raises:
        DataError: it has more or fewer.
    """
    found = arrays[key]
    if found.size != rows or len(found) != rows:
        raise DataError(
            f"{name}: {key} must have one value for each of the {rows} rows of x. Received: the shape "
            f"{found.shape}. Make them fit."
        )
    return found.reshape(rows)


def features(x: Array) -> pd.DataFrame:
    """Return the columns x0, x1, …"""
    flat = x.reshape(len(x), -1)
    return pd.DataFrame(flat, columns=[f"x{place}" for place in range(flat.shape[1])])


def to_model_shape(
    arrays: Arrays, kind: Kind, name: str, *, ragged: bool = False, steps: int | None = None
) -> Array | MemmapArray:
    """Return x as images or sequences, uint8 or float32; a sequence of single values gets a channel.

    Args:
        arrays: x, and what lies beside it.
        kind: what a row is.
        name: the file's, for messages.
        ragged: whether the array `lengths` says how many steps of a sequence are real.
        steps: how many steps sequences are padded to, or cut at; as many as they have unless given.

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
