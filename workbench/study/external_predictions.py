"""Predictions made elsewhere: a table, checked against the study's folds and put in their order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workbench import data, models
from workbench.data.dataset import output_spans
from workbench.errors import ConfigError, DataError, format_list
from workbench.evaluation import folds
from workbench.study.task import Task
from workbench.trial import TrialResult

# The number of ids that a message names.
_FEW = 5
# Probabilities may be this far from a sum of 1, and beyond 0 and 1: they may have been rounded.
_TOLERANCE = 1e-3


def check(task: Task, name: str, test: Path | None) -> None:
    """Check the name, and that there is a file of test predictions if and only if the study has test rows.

    Raises:
        ConfigError: the name cannot be used, or the file is missing or not needed.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ConfigError(
            f"--name must be letters, digits, '_', '.' and '-', the first a letter or a digit. Received: {name!r}."
        )
    if name in models.FAMILIES:
        raise ConfigError(f"--name must not be that of a family. Received: {name!r}. Say whose it is: 'my_{name}'.")
    file, ids = task.config.file, task.dataset.test_ids
    if ids is not None and test is None:
        raise ConfigError(
            f"--test must name predictions for the {len(ids)} test rows of {file}, which its ensembles predict. "
            "Received: none. Add --test FILE."
        )
    if ids is None and test is not None:
        raise ConfigError(f"--test does not go with {file}, which has no rows to predict. Leave it out.")


def read(task: Task, name: str, oof: Path, test: Path | None) -> TrialResult:
    """Read predictions, check them, and score them as a trial's.

    Args:
        task: the study's task, with the rows and folds that they must be for.
        name: their name.
        oof: a table of id, fold (and repeat, where rows are dealt repeatedly) and out-of-fold predictions.
        test: a table of id and predictions for the test rows.

    Raises:
        SourceError: a file cannot be opened.
        DataError: a file has other columns or ids than it must, or values that cannot be predictions.
    """
    schema, metric = task.schema, task.metric
    joined = metric.clip(_oof(task, oof))
    y = task.dataset.y[schema.rows]
    parts = [(schema.repeats == repeat) & (schema.folds == fold) for repeat, fold in task.folds.pairs()]
    return TrialResult(
        family=name,
        number=0,
        state="complete",
        seconds=0.0,
        hyperparameters={},
        fold_scores=[metric.score(y[part], joined[part]) for part in parts],
        score=metric.score(y, joined),
        also={each.name: each.score(y, joined) for each in task.also},
        oof=joined,
        test=None if test is None or schema.test_ids is None else metric.clip(_test(task, test, schema.test_ids)),
    )


def _oof(task: Task, path: Path) -> np.ndarray:
    """Return the out-of-fold predictions of a file in the study's order."""
    schema, repeated = task.schema, task.folds.repeats > 1
    keys = ["fold", "repeat"] if repeated else ["fold"]
    frame, ids = _table(task, path, keys)
    wanted = _keys(folds.to_texts(schema.ids[schema.rows]), schema.repeats if repeated else None)
    remedy = f"Train with the folds that 'workbench folds {task.config.file} -o FILE' writes."
    order = _order(path, _keys(ids, _whole_numbers(path, frame, "repeat") if repeated else None), wanted, remedy)
    fold = _whole_numbers(path, frame, "fold")[order]
    wrong = np.flatnonzero(fold != schema.folds)
    if len(wrong):
        first = wrong[0]
        raise DataError(
            f"{path}: column 'fold' must be as the study dealt it. Received: {len(wrong)} of {len(fold)} rows with "
            f"another, the first id {wanted[first]}: {fold[first]}, where the study has {schema.folds[first]}. {remedy}"
        )
    return np.asarray(_values(task, path, frame, ids)[order])


def _test(task: Task, path: Path, test_ids: np.ndarray) -> np.ndarray:
    """Return the test predictions of a file in the study's order."""
    frame, ids = _table(task, path, [])
    order = _order(path, ids, folds.to_texts(test_ids), "Predict the rows of data.test.")
    return np.asarray(_values(task, path, frame, ids)[order])


def _table(task: Task, path: Path, keys: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Read a table that has the columns in `keys`; return it without the ids, and the ids as text."""
    own = task.dataset.id_name
    frame = data.read_table(path, [own, "id"]).rename(columns=str)
    name = own if own in frame else "id"
    missing = [key for key in (name, *keys) if key not in frame]
    if missing:
        raise DataError(
            f"{path}: must have the columns {format_list([own, *keys])} and predictions. "
            f"Received: {format_list(frame.columns)}. Add {format_list(missing)}."
        )
    if frame[name].isna().any():
        raise DataError(
            f"{path}: column {name!r} must have a value in every row. Received: {int(frame[name].isna().sum())} "
            "rows without. Fill them in."
        )
    return frame.drop(columns=name), folds.to_texts(frame[name].to_numpy())


def _keys(ids: Sequence[str], repeats: np.ndarray | None) -> list[str]:
    """Return the key of each prediction: the id, and the repeat where there is more than one."""
    return list(ids) if repeats is None else [f"{i} (repeat {r})" for i, r in zip(ids, repeats, strict=True)]


def _whole_numbers(path: Path, frame: pd.DataFrame, name: str) -> np.ndarray:
    """Return a column of whole numbers."""
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(values) | (values % 1 != 0)
    if wrong.any():
        raise DataError(
            f"{path}: column {name!r} must hold whole numbers from 0. Received: {int(wrong.sum())} values that are "
            f"none, the first {frame[name].iloc[int(wrong.argmax())]!r}. Correct them."
        )
    return values.astype(np.int64)


def _order(path: Path, found: Sequence[str], wanted: Sequence[str], remedy: str) -> np.ndarray:
    """Return the index of each wanted id among those found, which must be the same, each once."""
    there = pd.Index(found)
    twice = there[there.duplicated()].unique()
    if len(twice):
        raise DataError(
            f"{path}: must have every id once. "
            f"Received: {len(twice)} more than once ({format_list(twice, _FEW)}). {remedy}"
        )
    order = there.get_indexer(pd.Index(wanted))
    missing = [key for key, place in zip(wanted, order, strict=True) if place < 0]
    known = set(wanted)
    others = [key for key in found if key not in known]
    if missing or others:
        lacks = [f"none of {len(missing)} ({format_list(missing, _FEW)})"] if missing else []
        has = [f"{len(others)} others ({format_list(others, _FEW)})"] if others else []
        raise DataError(
            f"{path}: must have the study's {len(wanted)} ids. Received: {' and '.join([*has, *lacks])}. {remedy}"
        )
    return np.asarray(order)


def _values(task: Task, path: Path, frame: pd.DataFrame, ids: Sequence[str]) -> np.ndarray:
    """Return the predictions in the file's order, as those of a trial; probabilities sum to 1."""
    shown = frame[_columns(task, path, [name for name in map(str, frame) if name not in ("fold", "repeat")])]
    values = np.asarray(shown.apply(pd.to_numeric, errors="coerce"), dtype=np.float64)
    _refuse(path, ~np.isfinite(values), "finite numbers", shown, ids)
    targets = task.dataset.targets
    if targets:
        columns = []
        for target, span in zip(targets, output_spans(targets), strict=True):
            own = values[:, span]
            columns.append(own if target.classes is None else _check_probabilities(path, own, shown.iloc[:, span], ids))
        return np.hstack(columns)
    if task.dataset.classes is None:
        return values[:, 0]
    made = _check_probabilities(path, values, shown, ids)
    return made[:, 0] if made.shape[1] == 1 else made


def _check_probabilities(path: Path, values: np.ndarray, shown: pd.DataFrame, ids: Sequence[str]) -> np.ndarray:
    """Return probabilities, (rows, columns), that sum to 1 where there is a column for each class."""
    _refuse(path, np.abs(values - 0.5) > 0.5 + _TOLERANCE, "probabilities", shown, ids)
    values = values.clip(0.0, 1.0)
    if values.shape[1] == 1:
        return values
    sums = values.sum(axis=1, keepdims=True)
    _refuse(path, np.abs(sums - 1) > _TOLERANCE, "probabilities that sum to 1", shown, ids)
    return np.asarray(values / sums)


def _refuse(path: Path, wrong: np.ndarray, must: str, shown: pd.DataFrame, ids: Sequence[str]) -> None:
    """Refuse predictions of which some, (rows, columns), are `wrong`."""
    rows = np.flatnonzero(wrong.any(axis=1))
    if len(rows):
        first = rows[0]
        raise DataError(
            f"{path}: predictions must be {must}. Received: {len(rows)} of {len(wrong)} rows that are not, the "
            f"first id {ids[first]}: {format_list(shown.iloc[first], _FEW)}. Correct them."
        )


def _columns(task: Task, path: Path, columns: list[str]) -> list[str]:
    """Return the columns of predictions: `prediction`, one for each class, or the only one that there is.

    With several targets they have the names of the schema.
    """
    labels = [str(label) for label in task.dataset.classes or ()]
    # For two classes the probability of the second one is enough.
    first, wanted = (labels[0], labels[1:]) if len(labels) == 2 else (None, labels)
    single = len(wanted) < 2
    known = [["prediction"]] if single else []
    known += [[f"prediction_{label}" for label in wanted], wanted] if wanted else []
    if task.dataset.targets:
        single, known = False, [list(task.schema.outputs)]
    named = next((names for names in known if set(names) <= set(columns)), None)
    if named is not None:
        return named
    if single and len(columns) == 1 and columns[0] not in (first, f"prediction_{first}"):
        return columns
    raise DataError(
        f"{path}: must have the predictions in {' or in '.join(format_list(names) for names in known)}. "
        f"Received: {format_list(columns) or 'no column of them'}. Rename the columns."
    )
