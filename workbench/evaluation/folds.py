"""Folds: which rows a model is validated on, made once per study, written down, and hashed.

Predictions may be blended only where their folds have the same hash.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import FoldKind, FoldsConfig, TaskType
from workbench.errors import EvaluationError
from workbench.evaluation import splitters
from workbench.files import stage_file

_NEEDS = {
    "group": "data.group",
    "group_stratified": "data.group",
    "time": "data.time",
    "column": "folds.column",
}


@dataclass(frozen=True, eq=False)
class Folds:
    """Every row's fold in every repeat; two of them are the same where their hashes are."""

    kind: FoldKind
    """How the rows were dealt."""
    assignment: Array
    """(repeats, rows) int16: the fold in whose validation part a row is; -1 is never validated."""
    order: Array | None
    """(rows,) int64 ranks in time, equal where times are, for kind `time`; else None."""
    hash: str
    """16 hex digits over ids, target and assignment, the same in whatever order the rows come."""

    def __len__(self) -> int:
        """Return how many models a trial fits: folds times repeats."""
        return self.repeats * self.folds

    @property
    def repeats(self) -> int:
        """How often the rows are dealt."""
        return len(self.assignment)

    @property
    def folds(self) -> int:
        """How many folds a repeat has."""
        return int(self.assignment.max()) + 1

    @property
    def validated(self) -> Array:
        """(rows,) booleans: the rows that every repeat validates."""
        return cast(Array, (self.assignment >= 0).all(axis=0))

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield every (repeat, fold)."""
        for repeat in range(self.repeats):
            for fold in range(self.folds):
                yield repeat, fold

    def predicting(self) -> Iterator[tuple[int, int]]:
        """Yield every (repeat, fold) whose model predicts new rows.

        In order of time that is the last, which has seen the most rows and the latest: the mean with models that
        stopped learning years earlier is worse than it alone.
        """
        yield from self.pairs() if self.kind != "time" else [(0, self.folds - 1)]

    def split(self, repeat: int, fold: int) -> tuple[Array, Array]:
        """Return the indices of the training rows and of the validation rows, both ascending."""
        assigned = self.assignment[repeat]
        valid = assigned == fold
        train = ~valid if self.order is None else self.order < self.order[valid].min()
        return np.flatnonzero(train), np.flatnonzero(valid)

    def rows(self) -> tuple[Array, Array]:
        """Return repeats and rows of all out-of-fold predictions: the order in which every one of them is kept."""
        repeats, rows = np.nonzero(self.assignment >= 0)
        return repeats, rows


def make(
    config: FoldsConfig,
    *,
    task: TaskType,
    y: Array,
    ids: Array,
    groups: Array | None = None,
    time: Array | None = None,
    column: Array | None = None,
    classes: Sequence[bool] = (),
) -> Folds:
    """Deal the rows into folds.

    Args:
        config: the kind and number of folds; without a kind it follows from `groups` and `task`.
        task: regression is not stratified.
        y: (rows,) class numbers or labels, or values; of several targets (rows, targets).
        ids: (rows,) unique names of the rows.
        groups: (rows,) rows of one group are not split; a row without one is a group of its own.
        time: (rows,) what orders the rows, for kind `time`.
        column: (rows,) the user's folds, for kind `column`; missing, empty and negative ones only train.
        classes: of several targets, whether each is of classes.

    Raises:
        EvaluationError: the rows, groups or times do not suffice, or a column is needed that is not there.
    """
    strata = _strata(task, y, classes)
    kind = config.kind or _usual(groups is not None, strata is not None)
    _check(kind, strata is not None, {"data.group": groups, "data.time": time, "folds.column": column})
    order = None
    if kind == "time" and time is not None:
        order = splitters.time_ranks(time)
        deals = [splitters.time_blocks(order, config.folds)]
    elif kind == "column" and column is not None:
        deals = [splitters.column_folds(column)]
    else:
        codes = None if groups is None else splitters.encode_groups(groups)
        deals = [
            splitters.random_folds(kind, config, repeat, len(y), strata, codes) for repeat in range(config.repeats)
        ]
    assignment = np.stack(deals).astype(np.int16)
    return Folds(kind, assignment, order, fingerprint(task=task, y=y, ids=ids, assignment=assignment))


def fingerprint(*, task: TaskType, y: Array, ids: Array, assignment: Array) -> str:
    """Return 16 hex digits of the SHA-256 over ids, target and assignment, the rows sorted by id.

    Ids and class labels are hashed as text (1, 1.0 and '1' are the same), values and several targets as little-endian
    doubles.

    Raises:
        EvaluationError: an id comes twice.
    """
    names = texts(ids)
    order = sorted(range(len(names)), key=names.__getitem__)
    twice = next((names[a] for a, b in itertools.pairwise(order) if names[a] == names[b]), None)
    if twice is not None:
        raise EvaluationError(f"ids must be unique. Received: {twice!r} more than once. Set data.id to another column.")
    digest = hashlib.sha256(json.dumps([names[i] for i in order]).encode())
    if task == "regression" or np.ndim(y) > 1:
        # Adding 0.0 makes -0.0 and 0.0 the same bytes.
        digest.update((np.asarray(y, dtype="<f8")[order] + 0.0).tobytes())
    else:
        labels = texts(y)
        digest.update(json.dumps([labels[i] for i in order]).encode())
    digest.update(json.dumps(assignment.shape).encode())
    digest.update(np.ascontiguousarray(assignment[:, order], dtype="<i2").tobytes())
    return digest.hexdigest()[:16]


def texts(values: Array) -> list[str]:
    """Return ids or labels as text that does not depend on how they are stored: 1, 1.0 and '1' are the same."""
    return [_text(value) for value in np.asarray(values).tolist()]


def frame(folds: Folds, ids: Array, id_name: str = "id") -> pd.DataFrame:
    """Return the folds as a table of id, repeat and fold, of the validated rows only, in the order of `rows()`."""
    repeats, rows = folds.rows()
    fold = folds.assignment[repeats, rows].astype(np.int64)
    return pd.DataFrame({id_name: np.asarray(ids)[rows], "repeat": repeats, "fold": fold})


def save(folds: Folds, path: str | os.PathLike[str]) -> None:
    """Write the folds to a Parquet file, whole or not at all."""
    import pyarrow
    import pyarrow.parquet

    columns = {f"repeat_{repeat}": row for repeat, row in enumerate(folds.assignment)}
    if folds.order is not None:
        columns["order"] = folds.order
    table = pyarrow.table(columns).replace_schema_metadata({"kind": folds.kind, "hash": folds.hash})
    with stage_file(Path(path)) as part:
        pyarrow.parquet.write_table(table, part, write_page_checksum=True)


def load(path: str | os.PathLike[str]) -> Folds:
    """Read folds that `save` wrote.

    Raises:
        EvaluationError: the file is missing or damaged, or is not one of folds.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(os.fspath(path), page_checksum_verification=True)
    except (OSError, pyarrow.ArrowException) as error:
        what = "no file" if isinstance(error, FileNotFoundError) else str(error).splitlines()[0].rstrip(".")
        raise _damaged(path, what) from error
    facts = {
        key.decode(errors="replace"): value.decode(errors="replace")
        for key, value in (table.schema.metadata or {}).items()
    }
    names = [name for name in table.column_names if name != "order"]
    if facts.get("kind") not in get_args(FoldKind) or not re.fullmatch("[0-9a-f]{16}", facts.get("hash", "")):
        raise _damaged(path, "kind or hash is missing")
    if not names or names != [f"repeat_{repeat}" for repeat in range(len(names))]:
        raise _damaged(path, f"the columns are {table.column_names}")
    if ("order" in table.column_names) != (facts["kind"] == "time"):
        raise _damaged(path, "the column 'order' and the kind 'time' go together")
    if any(field.type != (pyarrow.int64() if field.name == "order" else pyarrow.int16()) for field in table.schema):
        raise _damaged(path, "a column has the wrong type")
    if any(column.null_count for column in table.columns):
        raise _damaged(path, "a value is missing")
    assignment = np.stack([table[name].to_numpy() for name in names])
    if not assignment.size or not _complete(assignment):
        raise _damaged(path, "a fold has no rows")
    order = table["order"].to_numpy() if "order" in table.column_names else None
    return Folds(cast(FoldKind, facts["kind"]), assignment, order, facts["hash"])


def _strata(task: TaskType, y: Array, classes: Sequence[bool]) -> Array | None:
    """Return (rows,) the number of each row's class, which folds are to have alike; None without classes.

    Of several targets it is the combination of their classes, numbered so that rows of the rarest classes lie beside
    each other: dealt in that order, every fold has its share of them, even where combinations are rare.
    """
    if np.ndim(y) < 2:
        return None if task == "regression" else pd.factorize(np.asarray(y))[0]
    if not any(classes):
        return None
    columns = y[:, np.asarray(classes, dtype=bool)].astype(np.int64).T
    # The last key of a sort decides first.
    rarest_last = sorted(columns, key=lambda column: -np.bincount(column)[np.unique(column)].min())
    order = np.lexsort(rarest_last)
    changes = np.any([np.diff(column[order]) != 0 for column in columns], axis=0)
    strata = np.empty(len(y), dtype=np.int64)
    strata[order] = np.concatenate(([0], np.cumsum(changes)))
    return strata


def _usual(grouped: bool, stratified: bool) -> FoldKind:
    """Return the kind of folds that suits the target where the study names none."""
    if grouped:
        return "group_stratified" if stratified else "group"
    return "stratified" if stratified else "kfold"


def _check(kind: FoldKind, stratified: bool, columns: Mapping[str, Array | None]) -> None:
    """Refuse a kind of folds that does not suit the target or the columns there are."""
    key = _NEEDS.get(kind)
    if key and columns[key] is None:
        raise EvaluationError(f"folds.kind {kind!r} needs {key}. Received: none. Set {key} to a column.")
    if not stratified and kind in ("stratified", "group_stratified"):
        other = "kfold" if kind == "stratified" else "group"
        raise EvaluationError(f"folds.kind {kind!r} needs classes. Received: a regression. Set it to {other!r}.")
    if kind in ("kfold", "stratified") and columns["data.group"] is not None:
        other = "group" if kind == "kfold" or not stratified else "group_stratified"
        raise EvaluationError(
            f"folds.kind must keep the groups of data.group together. Received: {kind!r}. "
            f"Set it to {other!r}, or leave data.group out."
        )


def _text(value: object) -> str:
    """Return whole numbers, booleans too, without a decimal point, and anything else as it is."""
    if isinstance(value, bool | int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value)


def _complete(assignment: Array) -> bool:
    """Return whether every repeat has every fold, numbered from 0."""
    folds = set(range(int(assignment.max()) + 1))
    return bool(folds) and all(set(np.unique(row).tolist()) - {-1} == folds for row in assignment)


def _damaged(path: str | os.PathLike[str], what: str) -> EvaluationError:
    """Return the error for a file of folds that cannot be used."""
    return EvaluationError(
        f"{os.fspath(path)}: must be the folds that a study wrote. Received: {what}. "
        "Restore the file, or start a study of another name."
    )
