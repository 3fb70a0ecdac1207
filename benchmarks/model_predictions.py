"""Predictions of real predictions: a hundred models of scikit-learn and XGBoost, out of fold and on rows set apart.

The same hundred configurations are trained on every set, each on some of the rows and columns, so that they are cheap
and differ. A row set apart is predicted by the models of one fold only: its predictions are made as out-of-fold ones
are, which makes its score the truth that a cross-fitted score is to meet.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from workbench.array import Array

FOLDS = 5
# The most rows that a model learns from, by how dear it is.
_MANY, _SOME, _FEW = 4000, 1500, 600
_SHARES_OF_COLUMNS = (1.0, 1.0, 0.7, 0.5)


@dataclass(frozen=True, eq=False)
class ModelPredictions:
    """Predictions of all models for one set."""

    name: str
    oof: Array
    """(models, rows, classes) float32 probabilities, out of fold."""
    y: Array
    """(rows,) class indices."""
    held: Array
    """(models, rows set apart, classes) float32 probabilities."""
    y_held: Array
    """(rows set apart,) class indices."""

    @property
    def classes(self) -> int:
        return int(self.oof.shape[2])

    def draw(self, models: int, rows: int, *, seed: int = 0) -> tuple[Array, Array]:
        """Return indices of some models and of some rows, with replacement where the set has fewer."""
        rng = np.random.default_rng((models, rows, seed))
        chosen = np.sort(rng.choice(len(self.oof), models, replace=False))
        return chosen, rng.choice(len(self.y), rows, replace=rows > len(self.y))


def exact(predictions: Array) -> Array:
    """Return probabilities as doubles that sum to one, so that no method has to mend them."""
    doubles = predictions.astype(np.float64)
    if doubles.shape[-1] == 2:
        doubles[..., 0] = 1 - doubles[..., 1]
        return doubles
    rescaled: Array = doubles / doubles.sum(axis=-1, keepdims=True)
    return rescaled


def prepare(cache: Path, data: Path | None) -> dict[str, Path]:
    """Make the predictions that `cache` does not have, in two processes, and return their files by the set's name.

    Args:
        cache: a folder. A file's name ends with a digest of this source, so that changed models are trained anew.
        data: a folder with a folder for each further set, or None.
    """
    began = time.monotonic()
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    sets = {name: found for name, found in _SETS.items() if found.folder is None}
    if data is not None:
        sets |= {name: found for name, found in _SETS.items() if found.folder and (data / found.folder).is_dir()}
    files = {name: cache / f"{name}-{digest}.npz" for name in sets}
    missing = [name for name, file in files.items() if not file.exists()]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        splits = {name: _split(sets[name], data) for name in missing}
        parts = {name: [pool.submit(_train, *splits[name], fold) for fold in range(FOLDS)] for name in missing}
        for name in missing:
            _write(files[name], splits[name], [part.result() for part in parts[name]])
            print(f"# trained {name}: {time.monotonic() - began:.0f} s", flush=True)
    return files


def read(file: Path) -> ModelPredictions:
    """Read predictions that `prepare` made."""
    with np.load(file) as arrays:
        return ModelPredictions(file.stem.rpartition("-")[0], *(arrays[key] for key in ("oof", "y", "held", "y_held")))


@dataclass(frozen=True)
class _Set:
    """Where a set comes from, and how many rows are predicted out of fold and how many are set apart."""

    load: Callable[[Path], tuple[Array, Array]]
    rows: int
    apart: int
    folder: str | None = None


def _split(found: _Set, data: Path | None) -> tuple[Array, Array, Array, Array]:
    """Return inputs and classes of the rows to train on, then of those set apart."""
    x, y = found.load((data or Path()) / (found.folder or ""))
    order = np.random.default_rng(0).permutation(len(y))
    ours, apart = order[: found.rows], order[found.rows : found.rows + found.apart]
    return x[ours], y[ours], x[apart], y[apart]


def _train(x: Array, y: Array, x_held: Array, y_held: Array, fold: int) -> tuple[Array, Array]:
    """Return what all models of a fold say about its rows, and about every fifth of those set apart."""
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    train, valid = _folds(y)[fold]
    scaler = StandardScaler().fit(x[train])
    asked = scaler.transform(np.concatenate([x[valid], x_held[fold::FOLDS]]))
    made = []
    with threadpool_limits(1), warnings.catch_warnings():
        # Nets that stop early, columns that are constant: weak models belong to the predictions.
        warnings.simplefilter("ignore")
        for number, (model, most) in enumerate(_models()):
            rng = np.random.default_rng(number)
            columns = rng.permutation(x.shape[1])[: round(x.shape[1] * _SHARES_OF_COLUMNS[number % 4])]
            rows = _some(train, y, most, rng)
            model.fit(scaler.transform(x[rows])[:, columns], y[rows])
            made.append(model.predict_proba(asked[:, columns]).astype(np.float32))
    said = np.stack(made)
    return said[:, : len(valid)], said[:, len(valid) :]


def _folds(y: Array) -> list[tuple[Array, Array]]:
    from sklearn.model_selection import StratifiedKFold

    return list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(y, y))


def _some(rows: Array, y: Array, most: int, rng: np.random.Generator) -> Array:
    """Return at most so many rows, with a like share of every class."""
    order = rng.permutation(rows)
    order = order[np.argsort(y[order], kind="stable")]
    return order[:: max(1, -(-len(order) // most))]


def _write(file: Path, split: tuple[Array, Array, Array, Array], parts: list[tuple[Array, Array]]) -> None:
    """Put the folds' parts together and keep them."""
    _, y, _, y_held = split
    models, _, classes = parts[0][0].shape
    oof = np.empty((models, len(y), classes), np.float32)
    held = np.empty((models, len(y_held), classes), np.float32)
    for fold, ((_, valid), (ours, apart)) in enumerate(zip(_folds(y), parts, strict=True)):
        oof[:, valid], held[:, fold::FOLDS] = ours, apart
    if not (np.isfinite(oof).all() and np.isfinite(held).all()):
        raise ValueError(f"{file.stem}: a model's predictions are not finite.")
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part.npz")
    np.savez(unfinished, oof=oof, y=y, held=held, y_held=y_held)
    unfinished.replace(file)


def _models() -> list[tuple[Any, int]]:
    """Return the hundred models, fresh, each with the most rows it learns from."""
    return [*_linear(), *_local(), *_trees(), *_boosted(), *_nets()]


def _linear() -> list[tuple[Any, int]]:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.pipeline import make_pipeline

    models: list[Any] = [LogisticRegression(C=c, max_iter=50) for c in (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0)]
    models += [SGDClassifier(loss="log_loss", alpha=a, random_state=0) for a in (1e-3, 1e-2, 0.1, 1.0)]
    models += [LinearDiscriminantAnalysis(solver="lsqr", shrinkage=s) for s in (0.01, 0.1, 0.5, 0.9)]
    models += [QuadraticDiscriminantAnalysis(reg_param=r) for r in (0.1, 0.3, 0.6, 0.9)]
    for seed, (gamma, c) in enumerate([(0.003, 1.0), (0.01, 1.0), (0.03, 0.3), (0.1, 1.0), (0.01, 10.0), (0.03, 3.0)]):
        kernel = Nystroem(gamma=gamma, n_components=120, random_state=seed)
        models.append(make_pipeline(kernel, LogisticRegression(C=c, max_iter=50)))
    return [(model, _MANY) for model in models]


def _local() -> list[tuple[Any, int]]:
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier

    models: list[Any] = [GaussianNB(var_smoothing=smoothing) for smoothing in (1e-3, 0.01, 0.1, 1.0)]
    for neighbours in (3, 6, 12, 25, 60):
        models += [KNeighborsClassifier(neighbours, weights=weights) for weights in ("uniform", "distance")]
    return [(model, _MANY) for model in models]


def _trees() -> list[tuple[Any, int]]:
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    models: list[Any] = []
    for depth in (2, 4, 6, 10):
        models += [DecisionTreeClassifier(max_depth=depth, min_samples_leaf=leaf, random_state=0) for leaf in (3, 25)]
    for columns in (0.1, 0.3, 0.7):
        for leaf in (1, 4, 12):
            words = {"max_features": columns, "min_samples_leaf": leaf, "random_state": leaf}
            models += [RandomForestClassifier(25, **words), ExtraTreesClassifier(40, **words)]
    return [(model, _SOME) for model in models]


def _boosted() -> list[tuple[Any, int]]:
    from sklearn.ensemble import AdaBoostClassifier, HistGradientBoostingClassifier
    from xgboost import XGBClassifier

    models: list[Any] = []
    for leaves, rate, rounds in [(4, 0.2, 40), (4, 0.05, 40), (8, 0.1, 30), (8, 0.3, 20)]:
        for decay in (0.0, 5.0):
            words = {"max_leaf_nodes": leaves, "l2_regularization": decay, "early_stopping": False}
            models.append(HistGradientBoostingClassifier(learning_rate=rate, max_iter=rounds, **words))
    for depth, rate, rounds in [(1, 0.3, 50), (2, 0.2, 40), (3, 0.1, 40), (4, 0.3, 20), (6, 0.1, 20)]:
        for share in (0.5, 1.0):
            words = {"subsample": share, "colsample_bytree": share, "n_jobs": 1, "random_state": 0}
            models.append(XGBClassifier(max_depth=depth, learning_rate=rate, n_estimators=rounds, **words))
    models += [AdaBoostClassifier(n_estimators=25, learning_rate=rate, random_state=0) for rate in (0.3, 1.0)]
    return [(model, _SOME) for model in models]


def _nets() -> list[tuple[Any, int]]:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC

    models: list[tuple[Any, int]] = []
    for layers, decay in [((16,), 1e-3), ((32,), 1e-2), ((64,), 0.1), ((32, 32), 1e-3)]:
        for rate in (0.003, 0.01):
            net = MLPClassifier(layers, alpha=decay, learning_rate_init=rate, max_iter=25, random_state=0)
            models.append((net, _SOME))
    for c in (0.3, 3.0):
        for gamma in ("scale", 0.01, 0.1):
            models.append((CalibratedClassifierCV(SVC(C=c, gamma=gamma), ensemble=False, cv=3), _FEW))
    return models


def _of_scikit_learn(name: str) -> Callable[[Path], tuple[Array, Array]]:
    def load(folder: Path) -> tuple[Array, Array]:
        from sklearn import datasets

        found: tuple[Array, Array] = getattr(datasets, name)(return_X_y=True)
        return found

    return load


def _generated(rows: int, **words: Any) -> Callable[[Path], tuple[Array, Array]]:
    def load(folder: Path) -> tuple[Array, Array]:
        from sklearn.datasets import make_classification

        found: tuple[Array, Array] = make_classification(rows, random_state=0, **words)
        return found

    return load


def _rings(folder: Path) -> tuple[Array, Array]:
    """A class inside the other in ten dimensions, with every twelfth label wrong: no line parts them."""
    from sklearn.datasets import make_gaussian_quantiles

    x, y = make_gaussian_quantiles(n_samples=10_000, n_features=10, n_classes=2, random_state=0)
    wrong = np.random.default_rng(0).random(len(y)) < 1 / 12
    return x, np.where(wrong, 1 - y, y)


def _table(folder: Path) -> tuple[Array, Array]:
    """The labelled rows of a set in competition form, words as columns of 0 and 1."""
    import pandas as pd

    about: Mapping[str, Any] = json.loads((folder / "ABOUT.json").read_text())
    frame = pd.read_csv(folder / "train.csv")
    y = np.unique(frame.pop(about["target"]), return_inverse=True)[1]
    x = pd.get_dummies(frame.drop(columns=about["id"]), dtype=float)
    return x.fillna(x.median()).to_numpy(np.float64), y


def _pixels(folder: Path) -> tuple[Array, Array]:
    """The labelled images of a set, as their first forty principal components."""
    from sklearn.decomposition import PCA

    with np.load(folder / "train.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    flat = x.reshape(len(x), -1).astype(np.float32) / 255
    return PCA(40, svd_solver="randomized", random_state=0).fit_transform(flat), np.unique(y, return_inverse=True)[1]


_SETS = {
    "digits": _Set(_of_scikit_learn("load_digits"), 1200, 597),
    "breast_cancer": _Set(_of_scikit_learn("load_breast_cancer"), 369, 200),
    "wine": _Set(_of_scikit_learn("load_wine"), 108, 70),
    "generated_2": _Set(
        _generated(15_000, n_features=20, n_informative=8, n_redundant=4, n_clusters_per_class=4, flip_y=0.1),
        10_000,
        5000,
    ),
    "generated_10": _Set(
        _generated(
            15_000, n_features=30, n_informative=15, n_classes=10, n_clusters_per_class=2, class_sep=1.5, flip_y=0.05
        ),
        10_000,
        5000,
    ),
    "skewed_4": _Set(
        _generated(10_000, n_features=15, n_informative=8, n_classes=4, weights=[0.6, 0.25, 0.1], flip_y=0.05),
        6000,
        4000,
    ),
    "rings_2": _Set(_rings, 6000, 4000),
    "bank_marketing": _Set(_table, 10_000, 5000, "bank_marketing"),
    "online_shoppers": _Set(_table, 5000, 3600, "online_shoppers"),
    "forest_cover": _Set(_table, 6500, 4000, "forest_cover"),
    "fashion_mnist": _Set(_pixels, 10_000, 2000, "fashion_mnist"),
}
