"""The file that a competition takes, checked before it is written: columns, ids, classes, no missing value."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.data import Dataset
from workbench.errors import SubmissionError, listed
from workbench.evaluation import Metric


def make(dataset: Dataset, predictions: np.ndarray, metric: Metric, *, by_position: bool = False) -> pd.DataFrame:
    """Return the submission.

    With a sample submission it has exactly its columns, order and ids; without one it has the id and one column for
    the target, or a column `TARGET_CLASS` for each of several classes.

    Args:
        dataset: the test ids, the classes and the sample submission.
        predictions: for the test rows, (rows,) values or probabilities of the positive class, or (rows, classes).
        metric: says whether labels or probabilities are wanted where the sample does not.
        by_position: whether the sample's rows are the test rows in order, since these have no ids of their own.

    Raises:
        SubmissionError: rows, ids or columns do not fit, or a prediction is not finite.
    """
    if dataset.test_ids is None:
        raise SubmissionError("The study has no test rows to predict. Set data.test in the study file.")
    if len(predictions) != len(dataset.test_ids):
        raise SubmissionError(
            f"Predictions must be for the {len(dataset.test_ids)} test rows. Received: {len(predictions)} rows."
        )
    if not np.isfinite(predictions).all():
        raise SubmissionError(f"Predictions must be finite. Received: {np.sum(~np.isfinite(predictions))} that are not.")
    if dataset.sample is None:
        return _plain(dataset, predictions, metric)
    return _like(dataset.sample, dataset, predictions, metric, by_position=by_position)


def write(frame: pd.DataFrame, path: Path, stamp: Mapping[str, Any]) -> None:
    """Write the submission, and beside it `PATH.json` that says what made it; each whole or not at all.

    Raises:
        SubmissionError: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, frame.to_csv(index=False))
        _write(path.with_name(path.name + ".json"), json.dumps({"rows": len(frame), **stamp}, indent=1) + "\n")
    except OSError as error:
        raise SubmissionError(f"{path}: cannot be written ({error.strerror}). Name another file with -o.") from error


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _plain(dataset: Dataset, predictions: np.ndarray, metric: Metric) -> pd.DataFrame:
    frame = pd.DataFrame({dataset.id_name: dataset.test_ids})
    if dataset.classes is None or predictions.ndim == 1 and metric.wants != "labels":
        return frame.assign(**{dataset.target: predictions})
    if metric.wants == "labels":
        return frame.assign(**{dataset.target: _labels(dataset.classes, predictions)})
    return frame.assign(**{f"{dataset.target}_{c}": predictions[:, i] for i, c in enumerate(dataset.classes)})


def _like(
    sample: pd.DataFrame, dataset: Dataset, predictions: np.ndarray, metric: Metric, *, by_position: bool
) -> pd.DataFrame:
    """Fill the sample's columns, in its order of rows."""
    id_column = dataset.id_name if dataset.id_name in sample.columns else sample.columns[0]
    columns = [name for name in sample.columns if name != id_column]
    if not columns:
        raise SubmissionError(f"The sample submission must have a column beside {id_column!r}. It has none.")
    order = _order(sample[id_column], dataset, by_position=by_position)
    filled = sample.copy()
    for name, values in _columns(sample, columns, dataset, predictions, metric).items():
        filled[name] = values[order]
    return filled


def _order(ids: pd.Series, dataset: Dataset, *, by_position: bool) -> np.ndarray:
    """Return, for each row of the sample, the position of its prediction."""
    test_ids = dataset.test_ids if dataset.test_ids is not None else np.array([])
    if len(ids) != len(test_ids):
        raise SubmissionError(
            f"The sample submission must have a row for each of the {len(test_ids)} test rows. Received: {len(ids)} rows."
        )
    if by_position:
        return np.arange(len(ids))
    if ids.duplicated().any():
        raise SubmissionError(f"The sample submission names ids twice: {listed(ids[ids.duplicated()].unique(), 5)}.")
    order = pd.Index(test_ids.astype(str)).get_indexer(ids.astype(str))
    if (order < 0).any():
        raise SubmissionError(
            f"The sample submission's ids must be those of the test rows. Received {int((order < 0).sum())} others: "
            f"{listed(ids[order < 0], 5)}."
        )
    return order


def _columns(
    sample: pd.DataFrame, columns: list[str], dataset: Dataset, predictions: np.ndarray, metric: Metric
) -> dict[str, np.ndarray]:
    """Return the values of each column, in the order of the test rows."""
    classes = dataset.classes
    if classes is None:
        if len(columns) > 1:
            raise SubmissionError(f"The sample submission must have one column of values. Received: {listed(columns)}.")
        return {columns[0]: predictions}
    shares = np.column_stack([1 - predictions, predictions]) if predictions.ndim == 1 else predictions
    owners = {name: _class_of(name, classes) for name in columns}
    if len(columns) > 1:
        nobody = [name for name, owner in owners.items() if owner is None]
        if nobody or len(set(owners.values())) < len(columns):
            raise SubmissionError(
                f"Each column of the sample submission must name a class. Received: {listed(nobody or columns)}. "
                f"Classes: {listed(classes)}."
            )
        return {name: shares[:, owner] for name, owner in owners.items() if owner is not None}
    name = columns[0]
    if _shows_labels(sample[name], classes, metric):
        return {name: _labels(classes, predictions)}
    if len(classes) > 2 and owners[name] is None:
        raise SubmissionError(
            f"The sample submission's column {name!r} must hold labels. Received: {listed(sample[name].unique(), 5)}. "
            f"Classes: {listed(classes)}."
        )
    owner = owners[name]
    return {name: shares[:, 1 if owner is None else owner]}


def _class_of(column: str, classes: tuple[Any, ...]) -> int | None:
    """Return the class whose label a column's name equals or, after `_`, ends in; the longest label wins."""
    fits = [i for i, label in enumerate(classes) if column == str(label) or column.endswith(f"_{label}")]
    return max(fits, key=lambda i: len(str(classes[i])), default=None)


def _shows_labels(values: pd.Series, classes: tuple[Any, ...], metric: Metric) -> bool:
    """Tell whether a column holds labels; zeros and ones are probabilities where the metric wants these."""
    shown = {str(value).removesuffix(".0") for value in values.unique()}
    if not shown <= {str(label).removesuffix(".0") for label in classes}:
        return False
    return metric.wants == "labels" or set(map(str, classes)) != {"0", "1"}


def _labels(classes: tuple[Any, ...], predictions: np.ndarray) -> np.ndarray:
    index = predictions.argmax(axis=1) if predictions.ndim > 1 else (predictions >= 0.5).astype(int)
    return np.array(classes, dtype=object)[index]
