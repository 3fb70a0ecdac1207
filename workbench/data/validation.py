"""Checks of a study file's data section against the files that it names, with the standard library alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import get_args

from workbench.config import ColumnKind, StudyConfig
from workbench.data import image_folder, near_names, remote
from workbench.data.csv_header import SUFFIXES, follow_bare_link, form, is_arrays, is_folder, read_header
from workbench.errors import ConfigError, DataError, SourceError, did_you_mean, format_list, suggest_word
from workbench.files import describe_broken_link, make_absolute

SKLEARN = ("digits", "breast_cancer", "wine", "diabetes", "iris")
SCHEMES = ("sklearn", "openml", "kaggle")


def peek(config: StudyConfig) -> None:
    """Refuse a study whose files or columns do not exist, before anything heavy loads.

    Columns are read from the headers of text tables; `load` checks other forms.

    Raises:
        ConfigError: a key names something that does not exist, or that does not go with the source.
        SourceError: a file is missing, or a remote source cannot be used.
        DataError: a header is broken, or the test file lacks columns.
    """
    scheme, name = source(config)
    _check_targets(config, scheme)
    if is_long(config) and scheme in ("sklearn", "openml"):
        key = "steps" if config.data.steps is not None else "labels"
        received = getattr(config.data, key)
        raise config.error(f"data.{key}", "must go with a table in a file", received, f" Not with {config.data.train}.")
    if scheme == "sklearn":
        _check_sklearn(config, name)
    elif scheme == "kaggle":
        _require_targets(config, "")
        remote.check_kaggle(name)
    elif not scheme:
        _check_files(config)
    if config.data.sample_submission is not None and scheme != "kaggle":
        path = find_file(config, "data.sample_submission", config.data.sample_submission)
        if is_arrays(path):
            raise config.error("data.sample_submission", "must be a table", str(path))
        if form(path) == "text":
            read_header(path)


def source(config: StudyConfig) -> tuple[str, str]:
    """Return scheme and name of `data.train`: ("sklearn", "digits"), or ("", path) for a file.

    Raises:
        ConfigError: the scheme is not known, or nothing follows it.
    """
    train = config.data.train
    found = re.fullmatch(r"([A-Za-z_]{2,}):(.*)", train)
    if not found or config.resolve(train).exists():
        return "", train
    scheme, name = found[1], found[2]
    if scheme not in SCHEMES:
        hint = suggest_word(scheme, SCHEMES, label="Known sources", shown=[f"{each}:" for each in SCHEMES])
        raise config.error("data.train", "must be a file or a known source", train, hint)
    if not name.strip():
        raise config.error("data.train", f"must say what to take, as in '{scheme}:NAME'", train)
    return scheme, name


def find_file(config: StudyConfig, key: str, value: str, *, folder: bool | None = False) -> Path:
    """Return the file that `key` names; with `folder`, the folder; with `folder=None`, either.

    Raises:
        SourceError: it does not exist.
        ConfigError: it is a folder instead of a file, or the other way round, or its suffix is unknown.
    """
    path = config.resolve(value)
    if not path.exists():
        broken = describe_broken_link(path)
        if broken:
            raise SourceError(f"{config.error(key, 'must be an existing file', value)}{broken}")
        looked = dict.fromkeys([path.parent, make_absolute(value).parent])
        near = [file.name for folder in looked if folder.is_dir() for file in folder.iterdir()]
        what = "an existing folder" if folder else "an existing file"
        error = config.error(key, f"must be {what}", value, did_you_mean(path.name, near))
        raise SourceError(f"{error} Looked in {' and '.join(map(str, looked))}.")
    if is_folder(path) and folder is not False:
        return path
    if is_folder(path):
        raise config.error(key, "must be a file", value, f" A folder cannot be read. Readable: {SUFFIXES}.")
    if folder:
        raise config.error(key, "must be a folder", value)
    path = follow_bare_link(path)
    if form(path) is None:
        raise config.error(key, "must be a file of a known form", value, f" Known: {SUFFIXES}.")
    return path


def check_columns(config: StudyConfig, columns: Collection[str], train: str) -> tuple[str, ...]:
    """Refuse keys of the study file that name no column of the training table; return the names of the targets.

    `train` is the table's name, for messages.

    Raises:
        ConfigError: a column is missing, or a column has two uses that exclude each other.
    """
    targets = _require_targets(config, f" Columns of {train}: {format_list(columns)}.")
    for key, column in _columns_by_key(config):
        if column not in columns:
            raise _no_column(config, key, column, columns, train)
        if column in targets and not key.startswith(("data.target", "data.missing")):
            raise config.error(key, "must not be the target", column, " A target is never a feature.")
    for column, kind in types_of_columns(config).items():
        if kind not in get_args(ColumnKind):
            known = ", ".join(get_args(ColumnKind))
            raise config.error(f"data.types.{column}", f"must be one of {known} for a column", kind)
        if kind == "image" and config.data.images is None:
            hint = " Set data.images to the folder of the files that the column names."
            raise config.error(f"data.types.{column}", "must go with data.images", kind, hint)
    return targets


def check_long(
    config: StudyConfig, columns: Collection[str], train: str, labels: tuple[Collection[str], str] | None
) -> tuple[str, ...]:
    """Refuse keys of the study file that do not go with a long table, or name no column; return the targets' names.

    Args:
        config: the study file.
        columns: those of the long table.
        train: its name, for messages.
        labels: the columns and the name of the table of labels, if there is one.

    Raises:
        ConfigError: a key is missing, a column is missing, or a column has two uses that exclude each other.
    """
    data = config.data
    if data.steps is None:
        raise config.error("data.labels", "must go with data.steps", data.labels, " Set data.steps, or remove it.")
    if data.id is None:
        hint = " Set data.id to the column whose equal values are one sequence."
        raise config.error("data.steps", "must go with data.id", data.steps, hint)
    label_columns, label_name = labels or ((), "")
    targets = check_columns(config, [*columns, *label_columns], f"{train} or {label_name}" if labels else train)
    for key, column, found, where in (
        ("data.id", data.id, columns, train),
        ("data.steps", data.steps, columns, train),
        *([("data.id", data.id, label_columns, label_name)] if labels else []),
        *([("data.target", target, label_columns, label_name) for target in targets] if labels else []),
    ):
        if column not in found:
            raise _no_column(config, key, column, found, where)
    if data.steps == data.id:
        raise config.error("data.steps", "must be another column than data.id", data.steps)
    return targets


def check_test(
    config: StudyConfig,
    columns: Collection[str],
    found: Collection[str],
    *,
    train: str,
    test: str,
    targets: Collection[str],
) -> None:
    """Refuse a test table that lacks a feature or the id.

    Raises:
        DataError: columns are missing.
    """
    data = config.data
    needed = {*data.time, *data.series} if data.lags or data.windows or data.horizon else set()
    apart = {*targets, *not_features(config)} - {data.id, *needed}
    lacks = [name for name in columns if name not in found and name not in apart and not is_unnamed(name)]
    if lacks:
        others = [name for name in found if name not in columns]
        pairs = near_names.pair_names(lacks, others)
        remedy = f"{did_you_mean(lacks[0], others)} Add them, or list them under data.drop."
        if pairs:
            remedy = f" {near_names.describe_pairs(pairs, table=test, source=train)}"
        raise DataError(
            f"{test} must have the feature columns and the id of {train}. It lacks {format_list(map(repr, lacks))}."
            f"{remedy}"
        )


def check_no_past(config: StudyConfig, kind: str) -> None:
    """Refuse lag features for data that are not a table.

    Raises:
        ConfigError: the study file sets some.
    """
    for key in ("lags", "windows", "horizon"):
        if getattr(config.data, key):
            raise config.error(f"data.{key}", "must go with a table", f"{key} for data of kind {kind}", " Remove it.")


def not_features(config: StudyConfig) -> set[str]:
    """Return the columns other than the target that are not features."""
    data = config.data
    return {name for name in (data.id, data.group, data.weight, config.folds.column, *data.drop) if name}


def is_unnamed(column: str) -> bool:
    """Return whether a column has no name, like a row index that pandas saved."""
    return column.startswith("Unnamed: ")


def types_of_columns(config: StudyConfig) -> dict[str, str]:
    """Return the kinds that the study file sets for columns; `x: image` is about all columns together."""
    return {name: kind for name, kind in config.data.types.items() if (name, kind) != ("x", "image")}


def _columns_by_key(config: StudyConfig) -> Iterator[tuple[str, str]]:
    """Yield each key that names a column, and the column."""
    data = config.data
    single = {"id": data.id, "group": data.group, "weight": data.weight, "steps": data.steps}
    yield from ((f"data.{key}", column) for key, column in single.items() if column is not None)
    lists = {"data.target": data.targets, "data.time": data.time, "data.series": data.series}
    for key, columns in lists.items():
        places = [key] if len(columns) == 1 else [f"{key}[{number}]" for number in range(len(columns))]
        yield from zip(places, columns, strict=True)
    yield from ((f"data.drop[{number}]", column) for number, column in enumerate(data.drop))
    yield from ((f"data.types.{column}", column) for column in types_of_columns(config))
    yield from ((f"data.missing.{column}", column) for column in data.missing)
    if config.folds.column is not None:
        yield "folds.column", config.folds.column
    for number, columns in enumerate(config.training.shared):
        yield from ((f"training.shared[{number}][{position}]", column) for position, column in enumerate(columns))


def _no_column(config: StudyConfig, key: str, column: str, columns: Collection[str], train: str) -> ConfigError:
    hint = f"{did_you_mean(column, columns)} Columns: {format_list(columns)}."
    return config.error(key, f"must be a column of {train}", column, hint)


def is_long(config: StudyConfig) -> bool:
    """Return whether the study file describes a table with a row for each step of a sequence."""
    return config.data.steps is not None or config.data.labels is not None


def _require_targets(config: StudyConfig, hint: str) -> tuple[str, ...]:
    if not config.data.targets:
        raise ConfigError(f"{config.file}: data.target is missing. Set it to the column to predict.{hint}")
    return config.data.targets


def _check_targets(config: StudyConfig, scheme: str) -> None:
    """Refuse settings of unknown targets, and settings that need a single target."""
    data, several = config.data, isinstance(config.data.target, tuple)
    for name in config.targets:
        if not several:
            hint = " Remove it, or list the targets."
            raise config.error("targets", "must go with a list of columns as data.target", data.target, hint)
        if name not in data.targets:
            hint = suggest_word(name, data.targets, label="Targets")
            raise config.error("targets", "must name columns of data.target", name, hint)
    if several and config.class_weight is not None:
        raise config.error("class_weight", "must go with one target", config.class_weight, " Remove it.")
    if several and scheme in ("sklearn", "openml"):
        raise config.error("data.target", f"must be one target for {scheme}:", format_list(data.targets))


def _check_sklearn(config: StudyConfig, name: str) -> None:
    if name not in SKLEARN:
        hint = suggest_word(name, SKLEARN)
        raise config.error("data.train", "must be a known data set of sklearn:", config.data.train, hint)
    if config.data.test is not None:
        hint = " Remove it: sklearn: sources set a fifth of their rows apart."
        raise config.error("data.test", "does not go with a sklearn: source", config.data.test, hint)


def _check_files(config: StudyConfig) -> None:
    """Check the files of train and test: headers of text tables, and the images of folders."""
    train = find_file(config, "data.train", config.data.train, folder=None)
    test = None if config.data.test is None else find_file(config, "data.test", config.data.test, folder=None)
    if is_long(config):
        _check_long_files(config, train, test)
        return
    if is_folder(train) or config.data.images is not None:
        _check_images(config, train, test)
    elif test is not None and (is_folder(test) or is_arrays(train) != is_arrays(test)):
        raise config.error("data.test", f"must be of the same form as {train.name}", config.data.test)
    if is_folder(train) or form(train) != "text":
        return
    columns = read_header(train).columns
    targets = check_columns(config, columns, train.name)
    # A table of images to predict needs only a column of names, which is found when the table is read.
    if test is not None and not is_folder(test) and form(test) == "text" and config.data.images is None:
        found = read_header(test).columns
        check_test(config, columns, found, train=train.name, test=test.name, targets=targets)


def _check_long_files(config: StudyConfig, train: Path, test: Path | None) -> None:
    """Check the files of a long table, and the headers of those that are text."""
    for key, path in (("data.train", train), ("data.test", test)):
        if path is not None and (is_folder(path) or is_arrays(path) or config.data.images is not None):
            hint = " Remove data.steps and data.labels, or name a table."
            raise config.error(key, "must be a table for data.steps and data.labels", str(path), hint)
    labels = None if config.data.labels is None else find_file(config, "data.labels", config.data.labels)
    if labels is not None and is_arrays(labels):
        raise config.error("data.labels", "must be a table", config.data.labels)
    if form(train) != "text" or (labels is not None and form(labels) != "text"):
        return
    columns = read_header(train).columns
    label_columns = None if labels is None else (read_header(labels).columns, labels.name)
    targets = check_long(config, columns, train.name, label_columns)
    if test is not None and form(test) == "text":
        check_test(config, columns, read_header(test).columns, train=train.name, test=test.name, targets=targets)


def _check_images(config: StudyConfig, train: Path, test: Path | None) -> None:
    """Check that the folders of images hold images."""
    if config.data.images is None:
        image_folder.list_by_class(train, f"{config.file}: data.train")
        if test is not None and not is_folder(test):
            hint = " Name a folder with the images to predict."
            raise config.error("data.test", f"must be a folder, as {train.name} is", config.data.test, hint)
    elif is_folder(train) or is_arrays(train):
        hint = " Remove it: it goes with a table that names its files."
        raise config.error("data.images", "must go with a table as data.train", config.data.images, hint)
    else:
        folder = find_file(config, "data.images", config.data.images, folder=True)
        image_folder.list_recursively(folder, f"{config.file}: data.images")
    if test is not None and is_folder(test):
        image_folder.list_flat(test, f"{config.file}: data.test")
    elif test is not None and is_arrays(test):
        raise config.error("data.test", "must be a folder of images, or a table that names them", config.data.test)
