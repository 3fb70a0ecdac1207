"""What random forest and extra trees share: their space."""

from __future__ import annotations

from typing import Any

from workbench import features
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.wrappers import sklearn_estimator

# Growing by absolute errors takes 12 times as long as by squares at 4,000 rows, 16 times at 8,000, and was no better on
# the logarithms of a target with a long tail; beyond this many rows squares must do.
_MOST_ROWS_ABSOLUTE = 1_000


def fit(
    kind: Any,
    hp: Any,
    problem: Problem,
    train: Rows,
    setting: FitContext,
    *,
    leaf: int,
    share: float,
    bootstrap: bool,
    least_share: float = 0.1,
    view: Any | None = None,
) -> sklearn_estimator.EstimatorModel:
    """Train a forest of scikit-learn's class `kind`.

    Args:
        kind: the class.
        hp: the search space.
        problem: what is to be learned.
        train: the rows to learn from.
        setting: seed and threads.
        leaf: the default of the rows in a leaf.
        share: the default of the share of columns that a split looks at.
        bootstrap: whether each tree has rows of its own by default.
        least_share: the least share that is tried.
        view: what the trees see; the table's codes unless given.
    """
    view = _codes(hp, problem, train, setting) if view is None else view
    options = {}
    if problem.classes:
        options["criterion"] = hp.Choice("criterion", ["gini", "entropy"])
    elif problem.loss == "absolute_error" and len(train.y) <= _MOST_ROWS_ABSOLUTE:
        options["criterion"] = "absolute_error"
    trees = kind(
        n_estimators=hp.Int("trees", 100, 400, step=50, default=150),
        min_samples_leaf=hp.Int("min_samples_leaf", 1, 20, sampling="log", default=leaf),
        max_features=hp.Float("max_features", least_share, 1.0, default=share),
        bootstrap=hp.Boolean("bootstrap", default=bootstrap),
        n_jobs=setting.threads,
        random_state=setting.seed,
        **options,
    )
    return sklearn_estimator.fit(view, trees, problem, train)


def _codes(hp: Any, problem: Problem, train: Rows, setting: FitContext) -> Any:
    categories: features.Coding = hp.Choice("categories", ["target", "ordinal"]) if problem.columns else "ordinal"
    return features.tree_preprocessor(
        problem.columns, train.x, categories=categories, classes=problem.classes, seed=setting.seed, kind=problem.kind
    )
