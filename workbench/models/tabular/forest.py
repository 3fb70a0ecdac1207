"""The search space that random forests and extra trees share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from workbench import features
from workbench.models.protocol import Deadline, FitContext, Problem, Rows
from workbench.models.wrappers import sklearn_estimator

# Beyond this many rows trees minimise squared errors even if the loss is absolute: absolute errors take 12 times as
# long at 4,000 rows and 16 times at 8,000, and were no better on the logarithms of a target with a long tail.
_MAX_ROWS_ABSOLUTE = 1_000


@dataclass(frozen=True)
class ForestDefaults:
    """The default hyperparameters of a forest, which differ by algorithm and task."""

    leaf: int
    """Rows in a leaf, at least."""
    share: float
    """Share of the columns that a split chooses from."""
    bootstrap: bool
    """Whether each tree has its own sample of the rows."""
    min_share: float = 0.1
    """The lower bound of the share of columns."""


def fit(
    forest_class: Any,
    hp: Any,
    problem: Problem,
    train: Rows,
    context: FitContext,
    defaults: ForestDefaults,
    *,
    preprocessor: Any | None = None,
) -> sklearn_estimator.EstimatorModel:
    """Train a forest; at the deadline it has the trees that were grown.

    Args:
        forest_class: scikit-learn's class.
        hp: the search space.
        problem: the learning problem.
        train: the rows to learn from.
        context: seed, threads and deadline.
        defaults: the default hyperparameters.
        preprocessor: the unfitted preprocessor; by default `tree_preprocessor`.
    """
    preprocessor = _search_preprocessor(hp, problem, train, context) if preprocessor is None else preprocessor
    options = {}
    if problem.classes:
        options["criterion"] = hp.Choice("criterion", ["gini", "entropy"])
    elif problem.loss == "absolute_error" and len(train.y) <= _MAX_ROWS_ABSOLUTE:
        options["criterion"] = "absolute_error"
    trees = forest_class(
        n_estimators=hp.Int("trees", 100, 400, step=50, default=150),
        min_samples_leaf=hp.Int("min_samples_leaf", 1, 20, sampling="log", default=defaults.leaf),
        max_features=hp.Float("max_features", defaults.min_share, 1.0, default=defaults.share),
        bootstrap=hp.Boolean("bootstrap", default=defaults.bootstrap),
        n_jobs=context.threads,
        random_state=context.seed,
        **options,
    )
    grow = None if context.deadline is None else partial(_grow, context.deadline, context.threads)
    return sklearn_estimator.fit(preprocessor, trees, problem, train, train_estimator=grow)


def _grow(deadline: Deadline, threads: int, forest: Any, matrix: Any, train: Rows) -> None:
    """Grow the trees in groups until all are grown or the deadline comes; they are the same as those grown at once.

    Args:
        deadline: the end of the training.
        threads: the number of trees that grow at the same time.
        forest: scikit-learn's estimator, with the wanted number of trees.
        matrix: the transformed training rows.
        train: the training rows.
    """
    wanted, group, began = forest.n_estimators, threads, time.monotonic()
    forest.set_params(warm_start=True, n_estimators=0)
    while forest.n_estimators < wanted:
        forest.set_params(n_estimators=min(wanted, forest.n_estimators + group))
        forest.fit(matrix, train.y, sample_weight=train.sample_weight)
        # Half of the trees that would fit, so that slow trees do not miss the deadline by much.
        pace = forest.n_estimators / (time.monotonic() - began)
        group = int(pace * deadline.seconds_left / 2)
        if group < threads and forest.n_estimators < wanted:
            deadline.mark_reached()
            break
    forest.set_params(warm_start=False)


def _search_preprocessor(hp: Any, problem: Problem, train: Rows, context: FitContext) -> Any:
    categories: features.CategoryEncoding = "ordinal"
    if problem.columns:
        categories = hp.Choice("categories", ["target", "ordinal"])
    return features.tree_preprocessor(
        problem.columns, train.x, categories=categories, classes=problem.classes, seed=context.seed, kind=problem.kind
    )
