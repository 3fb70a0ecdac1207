"""Raw target values -> task, classes, and the numbers that models are trained on, for one target or several."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workbench.config import SingleTask, StudyConfig, TaskType
from workbench.data.dataset import Class, Target
from workbench.errors import DataError, did_you_mean, format_list

# Whole numbers with more distinct values than this are amounts, not classes.
_MOST_NUMBERED_CLASSES = 20
_YES = dict.fromkeys(("true", "yes", "t", "y", "1"), True) | dict.fromkeys(("false", "no", "f", "n", "0"), False)


class EncodedTarget(NamedTuple):
    """An encoded target: `y` is int64 class numbers, or float64 values if `classes` is None."""

    task: SingleTask
    classes: tuple[Class, ...] | None
    y: np.ndarray[Any, np.dtype[Any]]


class TargetColumns(NamedTuple):
    """The fields of `Dataset` that describe the target."""

    target: str
    task: TaskType
    y: np.ndarray[Any, np.dtype[Any]]
    classes: tuple[Class, ...] | None
    targets: tuple[Target, ...] = ()


def encode_targets(config: StudyConfig, frame: pd.DataFrame) -> TargetColumns:
    """Encode the target of a study, or its several targets.

    Args:
        config: the study file.
        frame: (rows,) the columns of the targets.

    Raises:
        ConfigError: the task does not go with the number of targets.
        DataError: as for `encode`.
    """
    names, task = config.data.targets, config.task
    if not isinstance(config.data.target, tuple):
        if task in ("multilabel", "multitarget"):
            raise config.error("task", "must go with a list of columns as data.target", task, " Remove it.")
        one = encode(frame[names[0]], name=names[0], task=single_task(task), positive=config.data.positive)
        return TargetColumns(names[0], one.task, one.y, one.classes)
    shared_task: SingleTask | None = "binary" if task == "multilabel" else single_task(task)
    encoded = []
    for name in names:
        own = config.targets.get(name)
        options = (shared_task, None) if own is None else (own.task or shared_task, own.positive)
        encoded.append(encode(frame[name], name=name, task=options[0], positive=options[1]))
    targets = tuple(Target(name, each.task, each.classes) for name, each in zip(names, encoded, strict=True))
    binary = all(each.task == "binary" for each in encoded)
    y = np.column_stack([each.y.astype("float64") for each in encoded])
    return TargetColumns(", ".join(names), "multilabel" if binary else "multitarget", y, None, targets)


def single_task(task: TaskType | None) -> SingleTask | None:
    """Return the task of a single target; None if it is to be inferred."""
    return None if task is None or task == "multilabel" or task == "multitarget" else task


def infer_task(values: Any) -> SingleTask:
    """Infer the task from target values.

    Fractions are regression. More than 20 distinct whole numbers are regression, unless they run from 0 or 1 without a
    gap and none is rare, as labels do. Everything else is classes, binary if there are two.
    """
    plain = _plain(values)
    distinct, counts = np.unique(plain, return_counts=True)
    if plain.dtype.kind == "f" and (distinct % 1 != 0).any():
        return "regression"
    if plain.dtype.kind in "if" and len(distinct) > _MOST_NUMBERED_CLASSES:
        labels = distinct[0] in (0, 1) and distinct[-1] - distinct[0] == len(distinct) - 1
        rare = counts.min() < max(2, counts.mean() / 10)
        return "multiclass" if labels and not rare else "regression"
    return "binary" if len(distinct) <= 2 else "multiclass"


def encode(values: Any, *, name: str, task: SingleTask | None = None, positive: Class | None = None) -> EncodedTarget:
    """Encode a target.

    Args:
        values: the raw values.
        name: the name of the target, for messages.
        task: the task. Default: inferred.
        positive: the class of a binary target that comes last. Default: the last in sorted order.

    Raises:
        DataError: values are missing, infinite or dates, there is one class only, the task does not suit the
            values, or `positive` is not one of the classes.
    """
    series = pd.Series(values)
    _check_values(series, name)
    chosen = task or infer_task(series)
    if chosen == "regression":
        if positive is not None:
            raise DataError(_positive_needs_binary(name, positive, chosen))
        return EncodedTarget(chosen, None, _amounts(series, name))
    plain = _plain(series)
    classes: tuple[Class, ...] = tuple(sorted(pd.unique(plain).tolist()))
    if task is None and plain.dtype.kind == "O" and len(classes) > max(_MOST_NUMBERED_CLASSES, len(plain) / 2):
        raise DataError(
            f"Target {name!r} must have classes that repeat. Received: {len(classes)} distinct strings in "
            f"{len(plain)} rows, like {classes[0]!r}. Set data.target to another column, or set the task."
        )
    _check_classes(classes, name, chosen)
    if positive is not None:
        if chosen != "binary":
            raise DataError(_positive_needs_binary(name, positive, chosen))
        last = _find_class(positive, classes, name)
        classes = (*(each for each in classes if each != last), last)
    return EncodedTarget(chosen, classes, codes(plain, classes))


def codes(values: Any, classes: tuple[Class, ...] | None) -> np.ndarray[Any, np.dtype[Any]]:
    """Return class numbers, int64, -1 for unknown classes; without classes the values, float64."""
    plain = _plain(values)
    if classes is None:
        return plain.astype("float64")
    return np.asarray(pd.Index(list(classes)).get_indexer(pd.Index(plain)), dtype="int64")


def _plain(values: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return a NumPy array of booleans, numbers (integers if all are whole) or strings."""
    series = pd.Series(values).dropna()
    if isinstance(series.dtype, pd.CategoricalDtype) or series.dtype == object:
        series = series.astype(object).infer_objects()
    if pd.api.types.is_bool_dtype(series.dtype):
        return series.to_numpy(dtype=bool)
    if pd.api.types.is_integer_dtype(series.dtype):
        fits = series.empty or int(series.max()) < 2**63
        return series.to_numpy(dtype="int64" if fits else "float64")
    if pd.api.types.is_float_dtype(series.dtype):
        amounts = series.to_numpy(dtype="float64")
        whole = np.isfinite(amounts).all() and (amounts % 1 == 0).all() and (abs(amounts) < 2**53).all()
        return amounts.astype("int64") if whole else amounts
    return series.astype(str).to_numpy(dtype=object)


def _check_values(series: pd.Series[Any], name: str) -> None:
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        raise DataError(f"Target {name!r} must be classes or numbers. Received: dates. Set another data.target.")
    if pd.api.types.is_float_dtype(series.dtype) and np.isinf(series.to_numpy(dtype="float64")).any():
        raise DataError(f"Target {name!r} must be finite. Received: infinite values. Remove those rows.")
    missing = int(series.isna().sum())
    if missing:
        raise DataError(
            f"Target {name!r} must be known in every training row. Received: {missing} of {len(series)} rows "
            f"without it, the first is row {int(series.isna().to_numpy().argmax())}. Remove those rows."
        )


def _check_classes(classes: tuple[Class, ...], name: str, task: SingleTask) -> None:
    if len(classes) < 2:
        raise DataError(f"Target {name!r} must have two classes or more. Received: {classes[0]!r} only.")
    if task == "binary" and len(classes) > 2:
        few = format_list(map(repr, classes), 5)
        raise DataError(f"Target {name!r} must have two classes for task binary. Received: {few}. Set multiclass.")


def _amounts(series: pd.Series[Any], name: str) -> np.ndarray[Any, np.dtype[Any]]:
    """Return float64 values."""
    plain = _plain(series)
    amounts = pd.to_numeric(pd.Series(plain), errors="coerce").to_numpy(dtype="float64")
    if not np.isfinite(amounts).all():
        few = format_list(map(repr, pd.unique(plain[~np.isfinite(amounts)]).tolist()), 3)
        raise DataError(
            f"Target {name!r} must be finite numbers for task regression. Received: {few}. "
            "Remove those rows, or set another task."
        )
    return amounts


def _positive_needs_binary(name: str, positive: Class, task: SingleTask) -> str:
    return (
        f"data.positive must go with a binary target. Received: {positive!r}, but the task of {name!r} is {task}. "
        "Remove it."
    )


def _find_class(positive: Class, classes: tuple[Class, ...], name: str) -> Class:
    """Return the class that `positive` names: equal, equal as text, or equal as a truth value."""
    by_text = {str(each).strip().lower(): each for each in reversed(classes)}
    wanted = str(positive).strip().lower()
    if wanted in by_text:
        return by_text[wanted]
    by_truth = {_YES[word]: each for word, each in by_text.items() if word in _YES}
    if len(by_truth) == 2 and wanted in _YES:
        return by_truth[_YES[wanted]]
    hint = did_you_mean(positive, map(str, classes))
    raise DataError(
        f"data.positive must be a class of target {name!r}. Received: {positive!r}.{hint} "
        f"Classes: {format_list(map(repr, classes))}."
    )
