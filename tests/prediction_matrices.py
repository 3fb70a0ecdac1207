"""Out-of-fold predictions for the tests of `workbench.ensemble`: small real models, and random ones."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from workbench.evaluation import metric
from workbench.evaluation.multi_target import MultiTargetMetric, TargetMetric, combine_metrics


@cache
def digits() -> tuple[Any, Any]:
    """Return (9 models, 240 rows, 10 classes) out-of-fold probabilities and the class indices."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return _out_of_fold(_classifiers(), x[:240], y[:240])


@cache
def breast_cancer() -> tuple[Any, Any]:
    """Return (9 models, 190 rows) out-of-fold probabilities of class 1 and the class indices."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    predictions, y = _out_of_fold(_classifiers(), x[::3], y[::3])
    return predictions[:, :, 1], y


@cache
def diabetes() -> tuple[Any, Any]:
    """Return (8 models, 221 rows) out-of-fold values and the target."""
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.tree import DecisionTreeRegressor

    models = [Ridge(alpha) for alpha in (0.01, 1.0)]
    models += [DecisionTreeRegressor(max_depth=depth, random_state=depth) for depth in (2, 3, 5)]
    models += [KNeighborsRegressor(neighbors) for neighbors in (5, 20, 60)]
    x, y = load_diabetes(return_X_y=True)
    return _out_of_fold(models, x[::2], y[::2])


def random_classes(seed: int, models: int, rows: int, classes: int) -> tuple[Any, Any]:
    """Return random (models, rows, classes) probabilities that know something of random class indices."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    logits = rng.normal(size=(models, rows, classes)) * rng.uniform(0.2, 4)
    logits += rng.uniform(0, 3, (models, 1, 1)) * np.eye(classes)[y]
    predictions = np.exp(logits)
    return predictions / predictions.sum(axis=2, keepdims=True), y


def random_values(seed: int, models: int, rows: int) -> tuple[Any, Any]:
    """Return random (models, rows) values that know something of a random target."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=rows) * 10 ** rng.uniform(-4, 4)
    noise = rng.normal(size=(models, rows)) * np.abs(y).mean() * rng.uniform(0.05, 2, (models, 1))
    return y * rng.uniform(0.3, 1.2, (models, 1)) + noise, y


def random_targets(seed: int, models: int, rows: int, kinds: tuple[int, ...]) -> tuple[Any, Any]:
    """Return (models, rows, outputs) predictions of random targets, (rows, targets); each model knows some of them.

    A kind is a number of classes, 0 for values; of two classes the second's probability is predicted.
    """
    columns, targets = [], []
    for place, kind in enumerate(kinds):
        if kind:
            predictions, y = random_classes(seed + 100 * place, models, rows, kind)
            columns.append(predictions[:, :, 1:] if kind == 2 else predictions)
        else:
            predictions, y = random_values(seed + 100 * place, models, rows)
            columns.append(predictions[:, :, None])
        targets.append(y)
    return np.concatenate(columns, axis=2), np.column_stack(targets).astype(np.float64)


def metric_of(
    names: tuple[str, ...], kinds: tuple[int, ...], y: Any, weights: tuple[float, ...] = ()
) -> MultiTargetMetric:
    """Return the metric of targets of some kinds."""
    parts, start = [], 0
    tasks: dict[int, Any] = {0: "regression", 2: "binary"}
    for place, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        stop = start + (kind if kind > 2 else 1)
        scoring = metric(name, task=tasks.get(kind, "multiclass"))
        parts.append(TargetMetric(f"t{place}", scoring, place, start, stop, kind, weights[place] if weights else 1.0))
        start = stop
    return combine_metrics(parts, y)


def _classifiers() -> list[Any]:
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.tree import DecisionTreeClassifier

    models: list[Any] = [DecisionTreeClassifier(max_depth=depth, random_state=depth) for depth in (3, 5, 9)]
    models += [KNeighborsClassifier(neighbors) for neighbors in (3, 10, 30)]
    return models + [GaussianNB(var_smoothing=smoothing) for smoothing in (1e-3, 1e-2, 1e-1)]


def _out_of_fold(models: list[Any], x: Any, y: Any) -> tuple[Any, Any]:
    from sklearn.base import is_classifier
    from sklearn.model_selection import KFold

    folds = list(KFold(3, shuffle=True, random_state=0).split(x))
    predictions = []
    for model in models:
        ask = "predict_proba" if is_classifier(model) else "predict"
        parts = [getattr(model.fit(x[train], y[train]), ask)(x[held]) for train, held in folds]
        whole = np.empty((len(x), *parts[0].shape[1:]))
        for (_, held), part in zip(folds, parts, strict=True):
            whole[held] = part
        predictions.append(whole)
    return np.array(predictions), y
