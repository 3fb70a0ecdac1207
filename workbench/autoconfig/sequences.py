"""Profiles of sequences: a long table, and the labels in it or in a table beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.autoconfig.profile import DataProfile, looks_like_id
from workbench.autoconfig.sample_columns import find_sample_id, list_prediction_columns
from workbench.data.csv_header import form, is_arrays, read_header
from workbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# Names of the column that orders the steps, and of tables of labels.
_STEP = re.compile(
    r"(?i)(^|[_\s.-])(t|ts|time|timestamp|steps?|timesteps?|seq|sequence|index|idx|tick|frame|order|position|number|"
    r"date|datetime|minute|second|hour|day|cycle)$|measurement_number|time_?step"
)
_LABELS = re.compile(r"(?i)label|^y[_.-]|target")
# The least mean number of rows per id of a long table.
_MIN_STEPS = 2
# A column without a telling name orders the steps if it increases in at least this share of the sequences.
_MIN_INCREASING = 0.95


class _LabelTable(NamedTuple):
    """A table with one row for each sequence."""

    path: Path
    frame: pd.DataFrame


def from_table(profile: DataProfile, table: Path) -> DataProfile:
    """Return the profile of a long table, with one row for each sequence, or `profile` if the table is not long.

    A table is long if it has ids that repeat, each of which occurs once in the sample submission or in a table of
    labels beside it; if a column orders the rows of an id; and if a column that could be the target has one value for
    each id.
    """
    for id_ in _id_candidates(profile, table):
        steps = _find_step_column(profile.train, id_)
        if steps is None:
            continue
        constant = _constant_columns(profile.train, id_, steps)
        lacking = [] if profile.test is None else [name for name in profile.train if name not in profile.test]
        labels = None if set(lacking) & set(constant) else next(_label_tables(profile, table, id_), None)
        if labels is not None or (set(lacking) & set(constant)) or (profile.test is None and len(constant.columns) > 1):
            return _sequence_profile(profile, id_, steps, constant, labels)
    return profile


def _sequence_profile(
    profile: DataProfile, id_: str, steps: str, sequences: pd.DataFrame, labels: _LabelTable | None
) -> DataProfile:
    """Return the profile of sequences; `sequences` has one row for each."""
    train, test, name = profile.train, profile.test, profile.files.label
    lacking = [] if test is None else [column for column in train if column not in test]
    rowwise = [column for column in train if looks_like_id(str(column)) and column != id_ and train[column].is_unique]
    notes = [
        f"sequences: the {len(train):,} rows of {name} are the steps of {len(sequences):,} {id_}, ordered by {steps}"
    ]
    if labels is not None:
        notes.append(f"labels: {labels.path.name}, which has a row for each {id_}")
        sequences = sequences.merge(labels.frame, on=id_, suffixes=("", " of labels"))
    return replace(
        profile,
        kind="sequence",
        train=sequences,
        test=None
        if test is None
        else test[[c for c in sequences if c in test]].drop_duplicates(id_).reset_index(drop=True),
        features_in_columns=False,
        notes=(*profile.notes, *notes),
        id=id_,
        table=train,
        test_table=test,
        steps=steps,
        labels=None if labels is None else labels.path,
        drop=(*map(str, lacking), *(str(column) for column in rowwise if column not in lacking)),
    )


def _id_candidates(profile: DataProfile, table: Path) -> Iterator[str]:
    """Yield the columns that may identify the sequences."""
    train, test, sample = profile.train, profile.test, profile.sample
    if sample is not None:
        shown = str(find_sample_id(profile))
        candidates: Iterable[str] = [shown] if shown in train and sample[shown].is_unique else []
    else:
        neighbours = {column for path in _possible_label_files(profile, table) for column in _read_columns(path)}
        candidates = [name for name in map(str, train.columns) if name in neighbours]
    for name in candidates:
        frames = [train] if test is None or name not in test else [train, test]
        if all(frame[name].notna().all() and len(frame) >= _MIN_STEPS * frame[name].nunique() for frame in frames):
            yield name


def _find_step_column(train: pd.DataFrame, id_: str) -> str | None:
    """Return the column that orders the rows of an id, recognised by its name or else by its increasing values."""
    from workbench import data

    named, increasing = [], []
    for name in (str(column) for column in train.columns if column != id_):
        kind = data.kinds(train[[name]])[name]
        if kind not in ("number", "date") or train.duplicated([id_, name]).any() or train[name].isna().any():
            continue
        if _STEP.search(name):
            named.append(name)
        elif kind == "number" and (train[name] % 1 == 0).all() and not looks_like_id(name):
            share = train.groupby(id_, sort=False)[name].is_monotonic_increasing.mean()
            increasing += [name] if share >= _MIN_INCREASING else []
    return next(iter([*named, *increasing]), None)


def _constant_columns(train: pd.DataFrame, id_: str, steps: str) -> pd.DataFrame:
    """Return the columns that have one value for each id, with one row for each id."""
    counts = train.drop(columns=[steps]).groupby(id_, sort=False).nunique(dropna=False)
    kept = [id_, *(name for name in counts if (counts[name] == 1).all())]
    return train[kept].drop_duplicates(id_).reset_index(drop=True)


def _possible_label_files(profile: DataProfile, table: Path) -> Iterator[Path]:
    """Yield the tables beside `table` that may hold labels; those whose names say so come first."""
    known = {table, profile.files.test, profile.files.sample}
    files = [file for file in sorted(table.parent.iterdir()) if file.is_file() and file not in known]
    tables = [
        file for file in files if form(file) is not None and not is_arrays(file) and "test" not in file.name.lower()
    ]
    wanted = set(list_prediction_columns(profile))
    for file in sorted(tables, key=lambda file: not _LABELS.search(file.name)):
        if _LABELS.search(file.name) or wanted & set(_read_columns(file)):
            yield file


def _label_tables(profile: DataProfile, table: Path, id_: str) -> Iterator[_LabelTable]:
    """Yield the tables with one row for each id and a column that could be the target."""
    from workbench import data

    for file in _possible_label_files(profile, table):
        columns = _read_columns(file)
        if id_ not in columns or len(columns) < 2:
            continue
        frame = data.read_table(file, [id_])
        if frame[id_].is_unique and profile.train[id_].isin(frame[id_]).all():
            yield _LabelTable(file, frame)


def _read_columns(file: Path) -> tuple[str, ...]:
    """Return the columns of a table, or none if it cannot be read."""
    try:
        if form(file) == "text":
            return read_header(file).columns
        from pyarrow import parquet

        return tuple(parquet.read_schema(file).names)
    except (DataError, OSError, ValueError):
        return ()
