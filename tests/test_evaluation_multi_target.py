from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import evaluation
from workbench.config import FoldsConfig
from workbench.errors import EvaluationError
from workbench.evaluation import folds
from workbench.evaluation.multi_target import SingleTargetMetric, TargetMetric, combine_metrics

ROWS = 50
RNG = np.random.default_rng(4)
Y = np.column_stack([RNG.integers(0, 2, ROWS), RNG.integers(0, 3, ROWS), RNG.normal(5, 2, ROWS)]).astype(float)
SHARES = RNG.dirichlet([1, 1, 1], ROWS)
PREDICTED = np.column_stack([RNG.uniform(size=ROWS), SHARES, RNG.normal(5, 1, ROWS)])


def parts(*metrics: str, weights: tuple[float, ...] = (1, 1, 1)) -> list[TargetMetric]:
    places = [("sold", 0, 0, 1, 2), ("colour", 1, 1, 4, 3), ("the price, €", 2, 4, 5, 0)]
    tasks = ("binary", "multiclass", "regression")
    return [
        TargetMetric(place[0], evaluation.metric(metric, task=task), *place[1:], weight)  # type: ignore[arg-type]
        for place, metric, task, weight in zip(places, metrics, tasks, weights, strict=False)
    ]


def alone(metrics: list[str]) -> list[float]:
    seen = [(Y[:, 0].astype(int), PREDICTED[:, 0]), (Y[:, 1].astype(int), SHARES), (Y[:, 2], PREDICTED[:, 4])]
    return [evaluation.metric(name).score(*pair) for name, pair in zip(metrics, seen, strict=False)]


def test_one_metric_of_all_targets_is_averaged_by_their_weights():
    metric = combine_metrics(parts("roc_auc", "roc_auc", weights=(3, 1)), Y[:, :2])
    first, second = alone(["roc_auc", "roc_auc"])
    assert metric.name == "roc_auc"
    assert metric.direction == "maximize"
    assert metric.score(Y[:, :2], PREDICTED[:, :4]) == pytest.approx((3 * first + second) / 4)


def test_different_metrics_are_shares_of_what_the_best_constant_has():
    metric = combine_metrics(parts("log_loss", "log_loss", "rmse"), Y)
    assert metric.name == "relative_loss"
    frequencies = [np.bincount(Y[:, place].astype(int)) / ROWS for place in (0, 1)]
    constant = np.column_stack(
        [np.full(ROWS, frequencies[0][1]), np.tile(frequencies[1], (ROWS, 1)), np.full(ROWS, Y[:, 2].mean())]
    )
    assert metric.score(Y, constant) == pytest.approx(1)
    losses = alone(["log_loss", "log_loss", "rmse"])
    scales = [-(share * np.log(share)).sum() for share in frequencies] + [Y[:, 2].std()]
    assert metric.score(Y, PREDICTED) == pytest.approx(np.mean(np.array(losses) / scales))


@pytest.mark.parametrize(("name", "best"), [("rmse", np.mean), ("mae", np.median), ("rmsle", None)])
def test_the_scale_of_a_metric_of_values_is_what_its_own_best_constant_has(name, best):
    y = np.column_stack([Y[:, 0], np.abs(Y[:, 2])])
    found = parts("log_loss")
    found.append(TargetMetric("price", evaluation.metric(name), 1, 1, 2, 0))
    least = np.expm1(np.log1p(y[:, 1]).mean()) if best is None else best(y[:, 1])
    metric = combine_metrics(found, y)
    assert metric.parts[1].scale == pytest.approx(evaluation.metric(name).score(y[:, 1], np.full(ROWS, least)))


def test_metrics_of_which_more_is_better_are_averaged_as_they_are():
    metric = combine_metrics(parts("roc_auc", "accuracy", "r2"), Y)
    assert metric.name == "mean_score"
    assert metric.score(Y, PREDICTED) == pytest.approx(np.mean(alone(["roc_auc", "accuracy", "r2"])))


def test_metrics_that_point_different_ways_are_refused():
    with pytest.raises(
        EvaluationError, match=r"must all be minimised or all be maximised.*Choose log_loss beside rmse"
    ):
        combine_metrics(parts("roc_auc", "log_loss", "rmse"), Y)


def test_a_target_is_scored_by_itself_under_a_name_that_is_its_own():
    found = parts("log_loss", "log_loss", "mae")
    names = [SingleTargetMetric.of(part).name for part in found]
    assert names == ["sold.log_loss", "colour.log_loss", "the price_ _.mae"]
    scores = [SingleTargetMetric.of(part).score(Y, PREDICTED) for part in found]
    assert scores == pytest.approx(alone(["log_loss", "log_loss", "mae"]))


def test_weights_of_rows_reach_every_target():
    weight = RNG.uniform(0.5, 2, ROWS)
    metric = combine_metrics(parts("log_loss", "log_loss"), Y[:, :2])
    scores = [evaluation.metric("log_loss").score(Y[:, 0].astype(int), PREDICTED[:, 0], weight)]
    scores += [evaluation.metric("log_loss").score(Y[:, 1].astype(int), SHARES, weight)]
    assert metric.score(Y[:, :2], PREDICTED[:, :4], weight) == pytest.approx(np.mean(scores))


def test_predictions_of_another_shape_are_refused():
    with pytest.raises(EvaluationError, match=r"must get targets \(rows, targets\)"):
        combine_metrics(parts("log_loss", "log_loss"), Y[:, :2]).score(Y[:, 0], PREDICTED[:, 0])


def test_what_must_stay_the_same_names_targets_metrics_and_weights():
    metric = combine_metrics(parts("log_loss", "log_loss", weights=(2, 1)), Y[:, :2])
    assert metric.signature == "log_loss of sold.log_loss × 2, colour.log_loss × 1"


def dealt(y: np.ndarray, count: int, *, stratified: bool) -> np.ndarray:
    """Return how many rows of each label each fold has, (folds, labels)."""
    rows, labels = y.shape
    options = {"ids": np.arange(rows), "classes": [stratified] * labels}
    made = folds.make(FoldsConfig(folds=count), task="multilabel", y=y, **options)  # type: ignore[arg-type]
    assert made.kind == ("stratified" if stratified else "kfold")
    return np.array([y[made.assignment[0] == fold].sum(axis=0) for fold in range(count)])


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 5), labels=st.integers(2, 6))
def test_folds_have_a_label_as_often_as_its_combinations_with_others_allow(seed, count, labels):
    rng = np.random.default_rng(seed)
    y = (rng.random((300, labels)) < rng.uniform(0.02, 0.5, labels)).astype(float)
    y[:2] = [[0.0] * labels, [1.0] * labels]
    counts = dealt(y, count, stratified=True)
    for label, spread in enumerate(counts.max(axis=0) - counts.min(axis=0)):
        assert spread <= len(np.unique(y[y[:, label] == 1], axis=0))


def test_rare_labels_are_spread_far_more_evenly_than_by_chance():
    shares = [0.5, 0.3, 0.1, 0.05, 0.02]
    rare = {True: 0.0, False: 0.0}
    for seed in range(10):
        y = (np.random.default_rng(seed).random((1000, 5)) < shares).astype(float)
        for stratified in rare:
            rare[stratified] += np.ptp(dealt(y, 5, stratified=stratified)[:, 2:], axis=0).mean() / 10
    assert rare[True] < rare[False] / 3


def test_values_among_the_targets_do_not_stratify():
    y = np.column_stack([np.arange(40.0), np.arange(40) % 2])
    made = folds.make(FoldsConfig(folds=2), task="multitarget", y=y, ids=np.arange(40), classes=[False, True])
    assert made.kind == "stratified"
    assert [y[made.assignment[0] == fold, 1].sum() for fold in (0, 1)] == [10, 10]
    plain = folds.make(FoldsConfig(folds=2), task="multitarget", y=y, ids=np.arange(40), classes=[False, False])
    assert plain.kind == "kfold"


def test_the_fold_hash_knows_every_target():
    y = np.column_stack([np.arange(20.0), np.arange(20) % 2])
    options: dict[str, Any] = {"task": "multitarget", "ids": np.arange(20), "classes": [False, False]}
    one = folds.make(FoldsConfig(), y=y, **options)
    other = folds.make(FoldsConfig(), y=np.column_stack([y[:, 0], 1 - y[:, 1]]), **options)
    assert one.hash != other.hash
