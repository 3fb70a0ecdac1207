"""What there is to draft a study of sequences from: a long table, and the labels within it or beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.autoconfig.profile import DataProfile, looks_like_id
from workbench.data.csv_header import form, is_arrays, read_header
from workbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# What the column that orders the steps is called, and tables of labels.
_STEP = re.compile(
    r"(?i)(^|[_\s.-])(t|ts|time|timestamp|steps?|timesteps?|seq|sequence|index|idx|tick|frame|order|position|number|"
    r"date|datetime|minute|second|hour|day|cycle)$|measurement_number|time_?step"
)
_LABELS = re.compile(r"(?i)label|^y[_.-]|target")
# Ids that have fewer rows than this on average are no sequences.
_LEAST = 2
# In so many of the sequences at least a column that is not named after it must grow to be that of the steps.
_SHARE = 0.95


class _Labels(NamedTuple):
    """A table with a row for each sequence."""

    path: Path
    frame: pd.DataFrame


def from_table(evidence: DataProfile, table: Path) -> DataProfile:
    """Return what a long table shows, a row for each sequence; the evidence as it is where the table is not long.

    It is long where ids repeat that the sample submission, or a table of labels beside it, has once each; where a
    column orders the rows of an id; and where something is known of each id that could be predicted.
    """
    for id_ in _ids(evidence, table):
        steps = _steps(evidence.train, id_)
        if steps is None:
            continue
        once = _once(evidence.train, id_, steps)
        lacking = [] if evidence.test is None else [name for name in evidence.train if name not in evidence.test]
        labels = None if set(lacking) & set(once) else next(_labels(evidence, table, id_), None)
        if labels is not None or (set(lacking) & set(once)) or (evidence.test is None and len(once.columns) > 1):
            return _long(evidence, id_, steps, once, labels)
    return evidence


def _long(evidence: DataProfile, id_: str, steps: str, once: pd.DataFrame, labels: _Labels | None) -> DataProfile:
    """Return the evidence of sequences."""
    train, test, name = evidence.train, evidence.test, evidence.sources.label
    lacking = [] if test is None else [column for column in train if column not in test]
    rowwise = [column for column in train if looks_like_id(str(column)) and column != id_ and train[column].is_unique]
    notes = [f"sequences: the {len(train):,} rows of {name} are the steps of {len(once):,} {id_}, ordered by {steps}"]
    if labels is not None:
        notes.append(f"labels: {labels.path.name}, which has a row for each {id_}")
        once = once.merge(labels.frame, on=id_, suffixes=("", " of labels"))
    return replace(
        evidence,
        kind="sequence",
        train=once,
        test=None if test is None else test[[c for c in once if c in test]].drop_duplicates(id_).reset_index(drop=True),
        columnar=False,
        notes=(*evidence.notes, *notes),
        id=id_,
        steps=steps,
        labels=None if labels is None else labels.path,
        drop=(*map(str, lacking), *(str(column) for column in rowwise if column not in lacking)),
    )


def _ids(evidence: DataProfile, table: Path) -> Iterator[str]:
    """Yield the columns whose equal values may be sequences."""
    train, test, sample = evidence.train, evidence.test, evidence.sample
    if sample is not None:
        first = str(sample.columns[0])
        candidates: Iterable[str] = [first] if first in train and sample[first].is_unique else []
    else:
        beside = {column for path in _tables(evidence, table) for column in _columns(path)}
        candidates = [name for name in map(str, train.columns) if name in beside]
    for name in candidates:
        frames = [train] if test is None or name not in test else [train, test]
        if all(frame[name].notna().all() and len(frame) >= _LEAST * frame[name].nunique() for frame in frames):
            yield name


def _steps(train: pd.DataFrame, id_: str) -> str | None:
    """Return the column that orders the rows of an id, by its name, else by how it grows."""
    from workbench import data

    named, growing = [], []
    for name in (str(column) for column in train.columns if column != id_):
        kind = data.kinds(train[[name]])[name]
        if kind not in ("number", "date") or train.duplicated([id_, name]).any() or train[name].isna().any():
            continue
        if _STEP.search(name):
            named.append(name)
        elif kind == "number" and (train[name] % 1 == 0).all() and not looks_like_id(name):
            grows = train.groupby(id_, sort=False)[name].is_monotonic_increasing
            growing += [name] if grows.mean() >= _SHARE else []
    return next(iter([*named, *growing]), None)


def _once(train: pd.DataFrame, id_: str, steps: str) -> pd.DataFrame:
    """Return the columns that have one value for each id, a row for each id."""
    counts = train.drop(columns=[steps]).groupby(id_, sort=False).nunique(dropna=False)
    kept = [id_, *(name for name in counts if (counts[name] == 1).all())]
    return train[kept].drop_duplicates(id_).reset_index(drop=True)


def _tables(evidence: DataProfile, table: Path) -> Iterator[Path]:
    """Yield the tables that may hold labels, those that are called so first."""
    known = {table, evidence.sources.test, evidence.sources.sample}
    files = [file for file in sorted(table.parent.iterdir()) if file.is_file() and file not in known]
    tables = [
        file for file in files if form(file) is not None and not is_arrays(file) and "test" not in file.name.lower()
    ]
    wanted = set() if evidence.sample is None else set(map(str, evidence.sample.columns[1:]))
    for file in sorted(tables, key=lambda file: not _LABELS.search(file.name)):
        if _LABELS.search(file.name) or wanted & set(_columns(file)):
            yield file


def _labels(evidence: DataProfile, table: Path, id_: str) -> Iterator[_Labels]:
    """Yield the tables with one row for each id, and something to predict."""
    from workbench import data

    for file in _tables(evidence, table):
        columns = _columns(file)
        if id_ not in columns or len(columns) < 2:
            continue
        frame = data.read_table(file, [id_])
        if frame[id_].is_unique and evidence.train[id_].isin(frame[id_]).all():
            yield _Labels(file, frame)


def _columns(file: Path) -> tuple[str, ...]:
    """Return the columns of a table; none where it cannot be read."""
    try:
        if form(file) == "text":
            return read_header(file).columns
        from pyarrow import parquet

        return tuple(parquet.read_schema(file).names)
    except (DataError, OSError, ValueError):
        return ()
