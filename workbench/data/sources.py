"""The door to every source: `load` reads the Dataset, `load_answers` the targets that a sklearn: source holds out."""

from __future__ import annotations

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
    sample_submission,
    table_files,
    tables,
    target,
    validation,
)
from workbench.data.cache import Cache
from workbench.data.csv_header import is_arrays, is_folder
from workbench.data.dataset import Dataset
from workbench.data.sample_submission import RawSample
from workbench.errors import DataError

# The share of rows that a sklearn: source holds out, with a fixed seed.
_HELD_OUT = 0.2
_SEED = 0


def load(config: StudyConfig, *, cache: Cache | None = None) -> Dataset:
    """Read the data of a study, with the reader of new rows.

    Args:
        config: the study file.
        cache: keeps decoded images and large arrays on disk; without it they are held in memory.

    Raises:
        ConfigError: a key names something that is not there.
        SourceError: a file or a remote source cannot be reached.
        DataError: the data cannot be learnt from.
        SubmissionError: the rows of the sample submission are not those to predict.
    """
    scheme, name = validation.source(config)
    if scheme == "kaggle":
        return _load_kaggle(config, name, cache)
    sample = _read_sample(_find_optional(config, "data.sample_submission", config.data.sample_submission))
    if scheme == "sklearn":
        return _align(_load_sklearn(config, name), None, sample)
    test = _find_optional(config, "data.test", config.data.test, folder=None)
    if scheme == "openml":
        return _align(_load_openml(config, name, test), test, sample)
    train = validation.find_file(config, "data.train", name, folder=None)
    return _load_files(config, train, test, sample, cache)


def load_answers(config: StudyConfig) -> tuple[Array, Array] | None:
    """Return ids and encoded targets of the rows that a sklearn: source holds out; None for other sources.

    They score a study once, at its end; no search and no ensemble may use them.
    """
    scheme, name = validation.source(config)
    if scheme != "sklearn":
        return None
    bundled = _load_bundled(name)
    encoded = target.encode(
        bundled.y[bundled.train], name="target", task=target.single_task(config.task), positive=config.data.positive
    )
    return bundled.test, target.codes(bundled.y[bundled.test], encoded.classes)


def _check_form(test: Path | None, train: str, *, arrays: bool) -> None:
    """Refuse a test file that is a table if the training data are arrays, and the other way round."""
    if test is not None and (is_folder(test) or is_arrays(test) != arrays):
        wanted = "an .npz file" if arrays else "a table"
        raise DataError(f"{test.name} must be {wanted}, as {train} is. Received: another form. Convert it.")


class _BundledDataset(NamedTuple):
    """A data set of scikit-learn, with the row numbers of train and test."""

    x: Array
    y: Array
    features: list[str]
    train: Array
    test: Array


def _load_bundled(name: str) -> _BundledDataset:
    """Load a data set that ships with scikit-learn and hold out a fifth of its rows, stratified by class."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    options = {"scaled": False} if name == "diabetes" else {}
    bunch: Any = getattr(datasets, f"load_{name}")(**options)
    numbers, digits = name == "diabetes", name == "digits"
    train, test = train_test_split(
        np.arange(len(bunch.target)),
        test_size=_HELD_OUT,
        random_state=_SEED,
        stratify=None if numbers else bunch.target,
    )
    return _BundledDataset(
        x=bunch.images.astype("float32") if digits else bunch.data,
        y=bunch.target if numbers or digits else bunch.target_names[bunch.target],
        features=list(bunch.feature_names),
        train=train,
        test=test,
    )


def _load_sklearn(config: StudyConfig, name: str) -> Dataset:
    bundled, source = _load_bundled(name), config.data.train
    x, y, train, test = bundled.x, bundled.y, bundled.train, bundled.test
    names = (source, f"{source} (test)")
    if x.ndim > 2:
        id_name = config.data.id or "id"
        train_arrays, test_arrays = {"x": x[train], "y": y[train], id_name: train}, {"x": x[test], id_name: test}
        return arrays.build(config, train_arrays, test_arrays, names=names, target_name="target")
    config = _with_data(config, target=config.data.target or "target", id=config.data.id or "id")
    label, id_name = str(config.data.target), str(config.data.id)
    for key, column in (("data.target", label), ("data.id", id_name)):
        if column in bundled.features:
            raise config.error(key, "must not be a feature; the source knows its own", column, " Remove it.")
    frame = pd.DataFrame(x, columns=bundled.features).assign(**{id_name: np.arange(len(y))})
    train_rows = frame.iloc[train].assign(**{label: y[train]}).reset_index(drop=True)
    test_rows = frame.iloc[test].reset_index(drop=True)
    return tables.build(config, train_rows, test_rows, names=names)


def _load_openml(config: StudyConfig, name: str, test: Path | None) -> Dataset:
    frame, target_name = remote.openml(name)
    config = _with_data(config, target=config.data.target or target_name)
    exact = [config.data.id] if config.data.id else []
    _check_form(test, config.data.train, arrays=False)
    rows = table_files.read_table(test, exact) if test else None
    return tables.build(config, frame, rows, names=(config.data.train, test.name if test else ""))


def _load_kaggle(config: StudyConfig, name: str, cache: Cache | None) -> Dataset:
    """Load a competition's files; files that the study file names replace those of the competition."""
    files, data = remote.kaggle(name), config.data
    folder = files.train.parent
    test, sample = files.test, files.sample
    if data.test is not None:
        test = _competition_file(config, folder, "data.test", data.test)
    if data.sample_submission is not None:
        sample = _competition_file(config, folder, "data.sample_submission", data.sample_submission)
    if data.images is not None:
        inside = folder / data.images
        config = _with_data(config, images=str(inside) if inside.is_dir() else data.images)
    return _load_files(config, files.train, test, _read_sample(sample), cache)


def _competition_file(config: StudyConfig, folder: Path, key: str, value: str) -> Path:
    """Return the competition's file of this name, else the local one."""
    inside = folder / value
    return inside if inside.exists() else validation.find_file(config, key, value)


def _load_files(
    config: StudyConfig, train: Path, test: Path | None, sample: RawSample | None, cache: Cache | None
) -> Dataset:
    """Load files of any form, and match the rows of the sample submission to those to predict."""
    return _align(_load_form(config, train, test, sample, cache), test, sample)


def _load_form(
    config: StudyConfig, train: Path, test: Path | None, sample: RawSample | None, cache: Cache | None
) -> Dataset:
    if validation.is_long(config):
        return long_format.load_long(config, train, test, _find_labels(config, train), cache=cache)
    frame = None if sample is None else sample.frame
    if config.data.images is not None and not is_folder(train):
        return multimodal.load_multimodal(config, train, test, sample=frame, cache=cache)
    if is_folder(train):
        return image_dataset.load_images(config, train, test, sample=frame, cache=cache)
    _check_form(test, train.name, arrays=is_arrays(train))
    if is_arrays(train):
        return arrays.load_arrays(config, train, test, cache=cache)
    if pixel_table.is_requested(config):
        return pixel_table.load_pixels(config, train, test)
    return tables.load_tables(config, train, test)


def _find_labels(config: StudyConfig, train: Path) -> Path | None:
    """Return the table of labels: the one beside the training table, else the local one."""
    name = config.data.labels
    return None if name is None else _competition_file(config, train.parent, "data.labels", name)


def _find_optional(config: StudyConfig, key: str, value: str | None, *, folder: bool | None = False) -> Path | None:
    return None if value is None else validation.find_file(config, key, value, folder=folder)


def _read_sample(path: Path | None) -> RawSample | None:
    return None if path is None else sample_submission.read(path)


def _align(dataset: Dataset, test: Path | None, sample: RawSample | None) -> Dataset:
    """Match the rows of the sample submission to those to predict."""

    def read_test() -> pd.DataFrame | None:
        is_table = test is not None and not is_folder(test) and not is_arrays(test)
        return table_files.read_as_written(test) if test is not None and is_table else None

    return dataset if sample is None else sample_submission.align(dataset, sample, read_test)


def _with_data(config: StudyConfig, **keys: Any) -> StudyConfig:
    """Return the study with these keys of `data` replaced."""
    return config.model_copy(update={"data": config.data.model_copy(update=keys)})
