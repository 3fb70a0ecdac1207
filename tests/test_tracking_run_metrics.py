"""The metrics of a trial's run."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.tracking import run_metrics
from workbench.trial import TrialResult


def a_result(curves: dict[Any, Any], folds: int = 2) -> TrialResult:
    return TrialResult("mlp", 0, "complete", 1.0, {}, fold_scores=[0.5] * folds, score=0.5, curves=curves)


def curve(result: TrialResult, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in run_metrics.trial_metrics(result, "rmse") if point.name == name]


def test_the_mean_curve_ends_with_the_shortest_fold() -> None:
    first = {"epoch": [0, 1, 2], "loss": [4.0, 2.0, 1.0], "val_loss": [5.0, 3.0, 2.0]}
    second = {"epoch": [0, 1], "loss": [2.0, 1.0], "val_loss": [4.0, 4.0]}
    result = a_result({(0, 0): first, (0, 1): second})
    assert curve(result, "loss/mean") == [(0, 3.0), (1, 1.5)]
    assert curve(result, "val_loss/mean") == [(0, 4.5), (1, 3.5)]


def test_epochs_are_matched_by_number() -> None:
    result = a_result({(0, 0): {"epoch": [0, 10, 20], "loss": [3, 2, 1]}, (0, 1): {"epoch": [0, 20], "loss": [5, 3]}})
    assert curve(result, "loss/mean") == [(0, 4.0), (20, 2.0)]


def test_an_interrupted_fold_does_not_shorten_the_mean() -> None:
    whole, cut = {"epoch": [0, 1, 2], "loss": [3.0, 2.0, 1.0]}, {"epoch": [0], "loss": [9.0]}
    assert curve(a_result({(0, 0): whole, (0, 1): cut}, folds=1), "loss/mean") == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert curve(a_result({(0, 0): cut}, folds=0), "loss/mean") == [(0, 9.0)]
    assert curve(a_result({(0, 0): cut}, folds=0), "loss/fold_0") == [(0, 9.0)]


def test_only_the_first_repeat_has_fold_curves_and_the_mean_is_over_all() -> None:
    curves = {(repeat, fold): {"epoch": [0], "loss": [float(repeat)]} for repeat in range(2) for fold in range(2)}
    result = a_result(curves, folds=4)
    assert sorted({point.name for point in run_metrics.trial_metrics(result, "rmse") if "/" in point.name}) == [
        "loss/fold_0", "loss/fold_1", "loss/mean",
    ]  # fmt: skip
    assert curve(result, "loss/mean") == [(0, 0.5)]


def test_values_other_than_losses_have_only_a_mean() -> None:
    result = a_result({(0, 0): {"epoch": [0, 1], "learning_rate": [0.1, 0.05]}}, folds=1)
    assert [point.name for point in run_metrics.trial_metrics(result, "rmse") if "rate" in point.name] == [
        "learning_rate/mean"
    ] * 2


def test_a_family_without_curves_has_no_curve_metrics() -> None:
    without: list[dict[Any, Any]] = [{}, {(0, 0): {}, (0, 1): {}}]
    for curves in without:
        assert {point.name for point in run_metrics.trial_metrics(a_result(curves), "rmse")} == {
            "rmse",
            "std",
            "seconds",
            "fold_score",
        }


def test_long_curves_and_many_folds_give_a_bounded_number_of_metrics() -> None:
    long = {"epoch": list(range(5000)), "loss": [1.0] * 5000, "val_loss": [1.0] * 5000}
    result = a_result({(repeat, fold): long for repeat in range(10) for fold in range(5)}, folds=50)
    assert len(run_metrics.trial_metrics(result, "rmse")) < 1400
    assert curve(result, "loss/fold_0") == [(step, 1.0) for step in range(0, 5000, 50)]


def test_usage_metrics_have_mlflows_names_and_their_own_time() -> None:
    used = run_metrics.usage_metrics(
        [{"time": 100.5, "cpu_utilization_percentage": 12.0}, {"time": 101.5, "gpu_0": 3.0}]
    )
    assert used == [
        run_metrics.RunMetric("system/cpu_utilization_percentage", 12.0, 0, 100_500),
        run_metrics.RunMetric("system/gpu_0", 3.0, 1, 101_500),
    ]
    assert len(run_metrics.usage_metrics([{"time": float(i), "x": 1.0} for i in range(5000)])) == 100
    assert run_metrics.usage_metrics([]) == []


@pytest.mark.parametrize(("name", "word"), [("a b-c_d.e/f:g", "a b-c_d.e/f:g"), ("../x", "x"), ("a[1]", "a_1_")])
def test_a_name_becomes_one_that_mlflow_accepts(name: str, word: str) -> None:
    assert run_metrics.metric_name(name) == word
