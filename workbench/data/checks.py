"""What a study file says about data, held against the files it names. Only the standard library loads."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import get_args

from workbench.config import ColumnKind, StudyConfig
from workbench.data import remote
from workbench.data.header import SUFFIXES, form, read_header
from workbench.errors import ConfigError, DataError, SourceError, did_you_mean, listed

SKLEARN = ("digits", "breast_cancer", "wine", "diabetes", "iris")
SCHEMES = ("sklearn", "openml", "kaggle")


def peek(config: StudyConfig) -> None:
    """Refuse a study whose files or columns are not there, before anything heavy loads.

    Columns are read from the headers of text tables; other forms are checked by `load`.

    Raises:
        ConfigError: a key names something that is not there, or that does not go with the source.
        SourceError: a file is missing, or a remote source cannot be used.
        DataError: a header is broken, or the test file lacks columns.
    """
    scheme, name = source(config)
    if scheme == "sklearn":
        _check_sklearn(config, name)
    elif scheme == "kaggle":
        _needed_target(config, "")
        remote.check_kaggle(name)
    elif not scheme:
        _check_files(config)
    if config.data.sample_submission is not None and scheme != "kaggle":
        path = located(config, "data.sample_submission", config.data.sample_submission)
        if form(path) == "npz":
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
        hint = did_you_mean(scheme, SCHEMES) or f" Known sources: {listed(f'{s}:' for s in SCHEMES)}."
        raise config.error("data.train", "must be a file or a known source", train, hint)
    if not name.strip():
        raise config.error("data.train", f"must say what to take, as in '{scheme}:NAME'", train)
    return scheme, name


def located(config: StudyConfig, key: str, value: str) -> Path:
    """Return the file that `key` names.

    Raises:
        SourceError: it is not there.
        ConfigError: it is a folder, or has a suffix that we do not read.
    """
    path = config.resolve(value)
    if not path.exists():
        looked = dict.fromkeys([path.parent, (Path.cwd() / value).parent.resolve()])
        near = [file.name for folder in looked if folder.is_dir() for file in folder.iterdir()]
        error = config.error(key, "must be an existing file", value, did_you_mean(path.name, near))
        raise SourceError(f"{error} Looked in {' and '.join(map(str, looked))}.")
    if path.is_dir():
        raise config.error(key, "must be a file", value, f" A folder cannot be read. Readable: {SUFFIXES}.")
    if form(path) is None:
        raise config.error(key, "must be a file of a known form", value, f" Known: {SUFFIXES}.")
    return path


def check_columns(config: StudyConfig, columns: Collection[str], train: str) -> str:
    """Refuse keys of the study file that name no column of the training table; return the target's name.

    `train` is the table's name, for messages.

    Raises:
        ConfigError: a column is missing, or one column is asked to be two things.
    """
    target = _needed_target(config, f" Columns of {train}: {listed(columns)}.")
    for key, column in _named(config):
        if column not in columns:
            raise _no_column(config, key, column, columns, train)
        if column == target and key != "data.target":
            raise config.error(key, "must not be the target", column, " A target is never a feature.")
    for column, kind in config.data.types.items():
        if kind not in get_args(ColumnKind):
            known = ", ".join(get_args(ColumnKind))
            raise config.error(f"data.types.{column}", f"must be one of {known} for a column", kind)
    return target


def check_test(
    config: StudyConfig, columns: Collection[str], found: Collection[str], *, train: str, test: str, target: str
) -> None:
    """Refuse a test table that lacks a feature or the id.

    Raises:
        DataError: columns are missing.
    """
    apart = {target, *not_features(config)} - {config.data.id}
    lacks = [name for name in columns if name not in found and name not in apart and not unnamed(name)]
    if lacks:
        hint = did_you_mean(lacks[0], [name for name in found if name not in columns])
        raise DataError(
            f"{test} must have the feature columns and the id of {train}. It lacks {listed(map(repr, lacks))}."
            f"{hint} Add them, or list them under data.drop."
        )


def not_features(config: StudyConfig) -> set[str]:
    """Return the columns that never become features, the target aside."""
    data = config.data
    return {name for name in (data.id, data.group, data.weight, config.folds.column, *data.drop) if name}


def unnamed(column: str) -> bool:
    """Tell whether a column has no name of its own, as a row index saved by pandas."""
    return column.startswith("Unnamed: ")


def _named(config: StudyConfig) -> Iterator[tuple[str, str]]:
    """Yield each key that names a column, and the column."""
    data = config.data
    single = {"target": data.target, "id": data.id, "group": data.group, "time": data.time, "weight": data.weight}
    yield from ((f"data.{key}", column) for key, column in single.items() if column is not None)
    yield from ((f"data.drop[{place}]", column) for place, column in enumerate(data.drop))
    yield from ((f"data.types.{column}", column) for column in data.types)
    if config.folds.column is not None:
        yield "folds.column", config.folds.column


def _no_column(config: StudyConfig, key: str, column: str, columns: Collection[str], train: str) -> ConfigError:
    hint = f"{did_you_mean(column, columns)} Columns: {listed(columns)}."
    return config.error(key, f"must be a column of {train}", column, hint)


def _needed_target(config: StudyConfig, hint: str) -> str:
    if config.data.target is None:
        raise ConfigError(f"{config.file}: data.target is missing. Set it to the column to predict.{hint}")
    return config.data.target


def _check_sklearn(config: StudyConfig, name: str) -> None:
    if name not in SKLEARN:
        hint = did_you_mean(name, SKLEARN) or f" Known: {listed(SKLEARN)}."
        raise config.error("data.train", "must be a known data set of sklearn:", config.data.train, hint)
    if config.data.test is not None:
        hint = " Remove it: sklearn: sources set a fifth of their rows apart."
        raise config.error("data.test", "does not go with a sklearn: source", config.data.test, hint)


def _check_files(config: StudyConfig) -> None:
    """Check the files of train and test, and the headers of those that are text."""
    train = located(config, "data.train", config.data.train)
    test = None if config.data.test is None else located(config, "data.test", config.data.test)
    if test is not None and (form(train) == "npz") != (form(test) == "npz"):
        raise config.error("data.test", f"must be of the same form as {train.name}", config.data.test)
    if form(train) != "text":
        return
    columns = read_header(train).columns
    target = check_columns(config, columns, train.name)
    if test is not None and form(test) == "text":
        found = read_header(test).columns
        check_test(config, columns, found, train=train.name, test=test.name, target=target)
