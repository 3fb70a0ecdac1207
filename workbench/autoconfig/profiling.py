"""Reading of the data files into a profile."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.autoconfig import images, sequences
from workbench.autoconfig.profile import DataFiles, DataProfile, looks_like_id
from workbench.config import StudyConfig
from workbench.data import near_names, remote
from workbench.data.csv_header import form, is_folder, read_header
from workbench.data.validation import is_unnamed
from workbench.errors import ConfigError, format_list, suggest_word

if TYPE_CHECKING:
    import pandas as pd

    from workbench.array import Array


def read_profile(files: DataFiles, targets: Sequence[str] = ()) -> DataProfile:
    """Read the files and return their profile.

    Args:
        files: the files or the source.
        targets: the target columns that the user names, if any.

    Raises:
        ConfigError: no array has the target's name, or the test file shares no column with the training file.
        SourceError: a file or a remote source cannot be reached.
        DataError: the content of a file is not valid.
    """
    if files.scheme == "kaggle":
        files = _download_competition(files)
    if files.scheme == "sklearn":
        return _from_source(files, targets)
    if files.train is None:
        from workbench import data

        frame, target = remote.openml(files.name)
        test = None if files.test is None else data.read_table(files.test)
        return DataProfile(
            files, "table", frame, test, _read_sample(files), target, near_names=_pair_columns(frame, test)
        )
    if is_folder(files.train):
        return images.from_folder(files, files.train, _read_sample(files))
    if form(files.train) == "idx":
        return _from_source(files, targets, notes=_discovery_notes(files))
    if form(files.train) == "npz":
        return _from_arrays(files, files.train, targets)
    return _from_tables(files, files.train)


def _read_sample(files: DataFiles) -> pd.DataFrame | None:
    """Read the sample submission; the column that seems to hold the ids comes first."""
    if files.sample is None:
        return None
    from workbench.data import sample_submission

    frame = sample_submission.read(files.sample).frame
    return _put_first(frame, sample_submission.find_id_column(frame, ["id"]))


def _put_first(frame: pd.DataFrame, id_column: str) -> pd.DataFrame:
    """Return a sample submission as written with the ids first, and numbers as numbers."""
    from workbench.data import sample_submission

    others = [name for name in frame.columns if name != id_column]
    return sample_submission.to_types(frame, id_column)[[id_column, *others]]


def _read_keyed_sample(files: DataFiles, train: Collection[str]) -> tuple[pd.DataFrame | None, str | None]:
    """Read the sample submission with the ids first; return it, and the column of the test rows with their values.

    Args:
        files: the files.
        train: the columns of the training rows.
    """
    from workbench.data import row_matching, sample_submission, table_files

    if files.sample is None:
        return None, None
    frame = sample_submission.read(files.sample).frame
    names = [name for name in map(str, frame) if name in train]
    if files.test is not None and form(files.test) in ("text", "frame"):
        test = row_matching.to_columns(table_files.read_as_written(files.test))
        sample = row_matching.to_columns(frame[[name for name in frame if name not in train or name in test]])
        keys = row_matching.find_keys(sample, test)
        if keys and all((key.rows == keys[0].rows).all() for key in keys):
            key = next((key for key in keys if key.right in train), keys[0])
            return _put_first(frame, key.left), key.right
        names = [name for name in names if name in test]
        # Test rows of a long table name each id in several rows.
        distinct = {name: values.drop_duplicates(ignore_index=True) for name, values in test.items()}
        names = [key.left for key in row_matching.find_keys(sample, distinct)] or names
    unique = [name for name in names if frame[name].is_unique and frame[name].notna().all()]
    likely = sorted(unique, key=lambda name: not looks_like_id(name))[:1]
    return _put_first(frame, sample_submission.find_id_column(frame, likely or ["id"])), None


def _from_tables(files: DataFiles, file: Path) -> DataProfile:
    """Read tables and look for images that they name. Columns that may be ids are read as they are written."""
    from workbench.data import table_files

    columns = read_header(file).columns if form(file) == "text" else ()
    sample, key = _read_keyed_sample(files, columns)
    ids = {key} if sample is None else {key, sample.columns[0]}
    exact = [name for name in columns if looks_like_id(name) or name in ids]
    content = table_files.read_content(file, exact)
    test = None
    if files.test is not None and not is_folder(files.test):
        test = table_files.read_table(files.test, exact, notations=content.notations)
    ignored: list[str] = []
    train, notes = content.frame, (*_discovery_notes(files), *content.notes)
    pairs = _pair_columns(train, test)
    profile = DataProfile(files, "table", train, test, sample, key=key, notes=notes, near_names=pairs)
    with_images = images.from_table(profile, file)
    if with_images.images is not None:
        return with_images
    if test is not None and files.test is not None:
        shared = sum(name in test.columns for name in train.columns) + len(pairs)
        if files.test in files.discovered and shared < len(test.columns) / 2:
            ignored = [f"{files.test.name} is left aside: most of its columns are not in {file.name}"]
            files, test, pairs = replace(files, test=None), None, {}
        elif not shared:
            raise ConfigError(
                f"--test must have the feature columns of {file.name}. Received: {format_list(test.columns)}. "
                "Name another file."
            )
    profile = replace(profile, files=files, test=test, notes=(*_discovery_notes(files), *content.notes, *ignored))
    return sequences.from_table(profile, file)


def _pair_columns(train: pd.DataFrame, test: pd.DataFrame | None) -> dict[str, str]:
    """Return columns that the test table has under a name that differs a little, with that name."""
    if test is None:
        return {}
    lacking = [name for name in map(str, train.columns) if name not in test.columns and not is_unnamed(name)]
    others = [name for name in map(str, test.columns) if name not in train.columns and not is_unnamed(name)]
    return near_names.pair_names(lacking, others)


def _from_arrays(files: DataFiles, file: Path, targets: Sequence[str]) -> DataProfile:
    """Read arrays: the kind of x, and the arrays with one value for each row."""
    from workbench import data

    names = _array_names(file)
    target = next((name for name in targets if name not in names), targets[0] if targets else "y")
    if names and not {target, "y"} & names:
        hint = suggest_word(target, sorted(names), label="Arrays")
        raise ConfigError(f"--target must be an array of {file.name}. Received: {target!r}.{hint} Set --target to it.")
    loaded = data.load(_minimal_config(files, targets))
    train = _read_columns(file)
    if loaded.targets:
        known: str | tuple[str, ...] = tuple(each.name for each in loaded.targets)
        train = train.assign(**_split_target(file, known))
    else:
        # The array y may have any name in the study file.
        train = train if target in train else train.rename(columns={"y": target})
        known = target
    test = None if files.test is None else _read_columns(files.test)
    return DataProfile(
        files,
        loaded.kind,
        train,
        test,
        _read_sample(files),
        known,
        features_in_columns=False,
        notes=_discovery_notes(files),
    )


def _split_target(file: Path, targets: Sequence[str]) -> dict[str, Array]:
    """Return the columns of an array y with a column for each target; nothing if the targets are arrays themselves."""
    import numpy as np

    with np.load(file, allow_pickle=False) as arrays:
        y = arrays["y"] if "y" in arrays.files else None
    return {} if y is None or y.ndim != 2 or y.shape[1] < 2 else dict(zip(targets, y.T, strict=True))


def _array_names(file: Path) -> set[str]:
    """Return the names of the arrays in a file; none if it is damaged, which `data.load` reports."""
    if not zipfile.is_zipfile(file):
        return set()
    with zipfile.ZipFile(file) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}


def _read_columns(file: Path) -> pd.DataFrame:
    """Return a table of the arrays with one value for each row of x."""
    import numpy as np
    import pandas as pd

    with np.load(file, allow_pickle=False) as arrays:
        rows = len(arrays["x"])
        others = {name: arrays[name] for name in arrays.files if name != "x"}
    return pd.DataFrame({name: each.reshape(rows) for name, each in others.items() if each.size == len(each) == rows})


def _from_source(files: DataFiles, targets: Sequence[str], notes: tuple[str, ...] = ()) -> DataProfile:
    """Read data whose features and target are known: a data set of scikit-learn, or IDX files."""
    import numpy as np
    import pandas as pd

    from workbench import data

    loaded = data.load(_minimal_config(files, targets))
    values = loaded.y if loaded.classes is None else np.array(loaded.classes)[loaded.y]
    frame = pd.DataFrame({loaded.target: values})
    return DataProfile(
        files, loaded.kind, frame, None, _read_sample(files), loaded.target, features_in_columns=False, notes=notes
    )


def _minimal_config(files: DataFiles, targets: Sequence[str]) -> StudyConfig:
    """Return a config with the keys that `data.load` needs."""
    paths = {"train": files.train, "test": files.test}
    section = {key: str(path) for key, path in paths.items() if path is not None}
    if files.scheme:
        section["train"] = f"{files.scheme}:{files.name}"
    return StudyConfig.model_validate(
        {"name": "draft", "data": {**section, "target": list(targets) or None}, "families": ["linear"]}
    )


def _download_competition(files: DataFiles) -> DataFiles:
    """Download a competition and use its test file and sample submission unless the user names others."""
    downloaded = remote.kaggle(files.name)
    own = frozenset(path for path in (downloaded.test, downloaded.sample) if path)
    test, sample = files.test or downloaded.test, files.sample or downloaded.sample
    return replace(files, train=downloaded.train, test=test, sample=sample, discovered=own - {files.test, files.sample})


def _discovery_notes(files: DataFiles) -> tuple[str, ...]:
    """Return a note for each file that was found beside the training file."""
    paths = [path for path in (files.test, files.sample) if path in files.discovered]
    return tuple(f"{path.name} was found beside {files.label}" for path in paths if path)
