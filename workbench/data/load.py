"""One door for every source: `load` gives the Dataset, `truth` what a scorer may look at once, at the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import StudyConfig
from workbench.data import (
    arrays,
    image_dataset,
    long_format,
    multimodal,
    pixel_table,
    remote,
    tables,
    target,
    validation,
)
from workbench.data.cache import Cache
from workbench.data.csv_header import is_arrays
from workbench.data.dataset import Dataset
from workbench.errors import DataError

# The rows that a sklearn: source sets apart, always the same.
_APART = 0.2
_SEED = 0


def load(config: StudyConfig, *, cache: Cache | None = None) -> Dataset:
    """Read what a study file asks for.

    Args:
        config: the study file.
        cache: where images that were decoded, and large arrays, are kept; without it they are held in memory.

    Raises:
        ConfigError: a key names something that is not there.
        SourceError: a file or a remote source cannot be reached.
        DataError: the data cannot be learnt from.
    """
    scheme, name = validation.source(config)
    if scheme == "kaggle":
        return _kaggle(config, name, cache)
    sample = _sample(config, _file(config, "data.sample_submission", config.data.sample_submission))
    if scheme == "sklearn":
        return _sklearn(config, name, sample)
    test = _file(config, "data.test", config.data.test, folder=None)
    if scheme == "openml":
        return _openml(config, name, test, sample)
    train = validation.find_file(config, "data.train", name, folder=None)
    return _from_files(config, train, test, sample, cache)


def load_answers(config: StudyConfig) -> tuple[Array, Array] | None:
    """Return ids and encoded targets of the rows that a sklearn: source sets apart; None for other sources.

    For a scorer, once, when a study is at its end: no search and no blend may see it.
    """
    scheme, name = validation.source(config)
    if scheme != "sklearn":
        return None
    rows = _rows(name)
    known = target.encode(
        rows.y[rows.train], name="target", task=target.single_task(config.task), positive=config.data.positive
    )
    return rows.test, target.codes(rows.y[rows.test], known.classes)


def _check_form(test: Path | None, train: str, *, arrays: bool) -> None:
    """Refuse a table where the study has arrays, and arrays where it has a table."""
    if test is not None and (test.is_dir() or is_arrays(test) != arrays):
        wanted = "an .npz file" if arrays else "a table"
        raise DataError(f"{test.name} must be {wanted}, as {train} is. Received: another form. Convert it.")


class _Rows(NamedTuple):
    """A data set of scikit-learn, and the numbers of the rows that train and test get."""

    x: Array
    y: Array
    features: list[str]
    train: Array
    test: Array


def _rows(name: str) -> _Rows:
    """Load a data set that ships with scikit-learn, and set a fifth apart, in equal shares of the classes."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    options = {"scaled": False} if name == "diabetes" else {}
    bunch: Any = getattr(datasets, f"load_{name}")(**options)
    numbers, digits = name == "diabetes", name == "digits"
    train, test = train_test_split(
        np.arange(len(bunch.target)),
        test_size=_APART,
        random_state=_SEED,
        stratify=None if numbers else bunch.target,
    )
    return _Rows(
        x=bunch.images.astype("float32") if digits else bunch.data,
        y=bunch.target if numbers or digits else bunch.target_names[bunch.target],
        features=list(bunch.feature_names),
        train=train,
        test=test,
    )


def _sklearn(config: StudyConfig, name: str, sample: pd.DataFrame | None) -> Dataset:
    rows, source = _rows(name), config.data.train
    names = (source, f"{source} (test)")
    if rows.x.ndim > 2:
        id_name = config.data.id or "id"
        train = {"x": rows.x[rows.train], "y": rows.y[rows.train], id_name: rows.train}
        apart = {"x": rows.x[rows.test], id_name: rows.test}
        return arrays.build(config, train, apart, names=names, target_name="target", sample=sample)
    config = _completed(config, target=config.data.target or "target", id=config.data.id or "id")
    label, id_name = str(config.data.target), str(config.data.id)
    for key, column in (("data.target", label), ("data.id", id_name)):
        if column in rows.features:
            raise config.error(key, "must not be a feature; the source knows its own", column, " Remove it.")
    frame = pd.DataFrame(rows.x, columns=rows.features).assign(**{id_name: np.arange(len(rows.y))})
    train_rows = frame.iloc[rows.train].assign(**{label: rows.y[rows.train]}).reset_index(drop=True)
    test_rows = frame.iloc[rows.test].reset_index(drop=True)
    return tables.build(config, train_rows, test_rows, names=names, sample=sample)


def _openml(config: StudyConfig, name: str, test: Path | None, sample: pd.DataFrame | None) -> Dataset:
    frame, known = remote.openml(name)
    config = _completed(config, target=config.data.target or known)
    exact = [config.data.id] if config.data.id else []
    _check_form(test, config.data.train, arrays=False)
    rows = tables.read_table(test, exact) if test else None
    return tables.build(config, frame, rows, names=(config.data.train, test.name if test else ""), sample=sample)


def _kaggle(config: StudyConfig, name: str, cache: Cache | None) -> Dataset:
    """Load a competition's files; what the study file names replaces what was found."""
    files, data = remote.kaggle(name), config.data
    folder = files.train.parent
    test, sample = files.test, files.sample
    if data.test is not None:
        test = _competition_file(config, folder, "data.test", data.test)
    if data.sample_submission is not None:
        sample = _competition_file(config, folder, "data.sample_submission", data.sample_submission)
    if data.images is not None:
        inside = folder / data.images
        config = _completed(config, images=str(inside) if inside.is_dir() else data.images)
    return _from_files(config, files.train, test, _sample(config, sample), cache)


def _competition_file(config: StudyConfig, folder: Path, key: str, value: str) -> Path:
    """Return a file of the competition, or else one that lies here."""
    inside = folder / value
    return inside if inside.exists() else validation.find_file(config, key, value)


def _from_files(
    config: StudyConfig, train: Path, test: Path | None, sample: pd.DataFrame | None, cache: Cache | None
) -> Dataset:
    if validation.is_long(config):
        return long_format.load_long(config, train, test, _labels(config, train), sample=sample, cache=cache)
    if config.data.images is not None and not train.is_dir():
        return multimodal.load_multimodal(config, train, test, sample=sample, cache=cache)
    if train.is_dir():
        return image_dataset.load_images(config, train, test, sample=sample, cache=cache)
    _check_form(test, train.name, arrays=is_arrays(train))
    if is_arrays(train):
        return arrays.load_arrays(config, train, test, sample=sample, cache=cache)
    if pixel_table.is_requested(config):
        return _pixels(config, train, test, sample)
    return tables.load_tables(config, train, test, sample=sample)


def _pixels(config: StudyConfig, train: Path, test: Path | None, sample: pd.DataFrame | None) -> Dataset:
    """Load a table whose columns are the pixels of images."""
    exact = [config.data.id] if config.data.id else []
    frame = tables.read_table(train, exact)
    validation.check_columns(config, list(map(str, frame.columns)), train.name)
    names = pixel_table.names(config, frame)
    rows = None if test is None else tables.read_table(test, exact)
    called = (train.name, test.name if test else "")
    x = pixel_table.arrays(frame, called[0], names)
    x_test = None if rows is None else pixel_table.arrays(rows, called[1], names)
    dataset = arrays.build(_completed(config, drop=()), x, x_test, names=called, sample=sample)
    return replace(dataset, pixels=tuple(names))


def _labels(config: StudyConfig, train: Path) -> Path | None:
    """Return the table of labels: one beside the training table of a competition, or one that lies here."""
    named = config.data.labels
    return None if named is None else _competition_file(config, train.parent, "data.labels", named)


def _file(config: StudyConfig, key: str, value: str | None, *, folder: bool | None = False) -> Path | None:
    return None if value is None else validation.find_file(config, key, value, folder=folder)


def _sample(config: StudyConfig, path: Path | None) -> pd.DataFrame | None:
    """Read the sample submission; its ids stay as they are written."""
    if path is None:
        return None
    exact = [config.data.id] if config.data.id else []
    return tables.read_table(path, exact)


def _completed(config: StudyConfig, **known: Any) -> StudyConfig:
    """Return the study with what its source knows without being told."""
    return config.model_copy(update={"data": config.data.model_copy(update=known)})
