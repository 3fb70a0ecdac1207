"""The metrics, against scikit-learn's where it has one, and the user's own."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from workbench import evaluation
from workbench.config import TaskType
from workbench.errors import EvaluationError

RNG = np.random.default_rng(7)
ROWS = 90
WEIGHT = RNG.uniform(0.1, 2, ROWS)
# Two decimals make ties; the last class is never predicted.
BINARY = RNG.integers(0, 2, ROWS), RNG.random(ROWS).round(2)
MULTICLASS = RNG.integers(0, 4, ROWS), RNG.dirichlet([3, 3, 3, 0.3], ROWS)
REGRESSION = RNG.uniform(0.5, 9, ROWS), RNG.uniform(-1, 9, ROWS)
CASES: dict[TaskType, tuple[np.ndarray, np.ndarray]] = {
    "binary": BINARY,
    "multiclass": MULTICLASS,
    "regression": REGRESSION,
}

REFERENCES: dict[str, Callable[..., float]] = {
    "accuracy": sklearn_metrics.accuracy_score,
    "balanced_accuracy": sklearn_metrics.balanced_accuracy_score,
    "f1_macro": lambda y, p, **w: sklearn_metrics.f1_score(y, p, average="macro", **w),
    "f1_micro": lambda y, p, **w: sklearn_metrics.f1_score(y, p, average="micro", **w),
    "mcc": sklearn_metrics.matthews_corrcoef,
    "qwk": lambda y, p, **w: sklearn_metrics.cohen_kappa_score(y, p, weights="quadratic", labels=range(-1, 10), **w),
    "log_loss": sklearn_metrics.log_loss,
    "roc_auc": sklearn_metrics.roc_auc_score,
    "average_precision": sklearn_metrics.average_precision_score,
    "rmse": sklearn_metrics.root_mean_squared_error,
    "mae": sklearn_metrics.mean_absolute_error,
    "rmsle": lambda y, p, **w: sklearn_metrics.root_mean_squared_log_error(y, p.clip(0), **w),
    "mape": sklearn_metrics.mean_absolute_percentage_error,
    "r2": sklearn_metrics.r2_score,
}
FITTING = [(name, task) for name in evaluation.names() for task in CASES if task in evaluation.metric(name).tasks]


def reference(name: str, task: TaskType, weights: dict[str, np.ndarray]) -> float:
    """Ask scikit-learn, after what it leaves to its caller: labels, one class against the rest."""
    y, p = CASES[task]
    if evaluation.metric(name).wants == "labels":
        y, p = (np.rint(y), np.rint(p)) if task == "regression" else (y, p.argmax(1) if p.ndim == 2 else p >= 0.5)
        return REFERENCES[name](y, p.astype(y.dtype), **weights)
    if task == "multiclass" and name != "log_loss":
        return float(np.mean([REFERENCES[name](y == k, p[:, k], **weights) for k in range(p.shape[1])]))
    return REFERENCES[name](y, p, **weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "task"), FITTING)
def test_score_equals_scikit_learns(name: str, task: TaskType, weighted: bool) -> None:
    expected = reference(name, task, {"sample_weight": WEIGHT} if weighted else {})
    actual = evaluation.metric(name).score(*CASES[task], WEIGHT if weighted else None)
    assert type(actual) is float
    assert actual == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("name", "task"), FITTING)
def test_true_predictions_are_better_than_random_ones(name: str, task: TaskType) -> None:
    y, random = CASES[task]
    truth = np.eye(4)[y] if task == "multiclass" else y.astype(float)
    metric = evaluation.metric(name)
    best, poor = metric.score(y, truth), metric.score(y, random)
    assert metric.is_better(best, poor)
    assert not metric.is_better(poor, best)
    assert metric.loss_of(best) < metric.loss_of(poor)
    assert metric.is_better(poor, math.nan)
    assert not metric.is_better(math.nan, poor)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(1, 5)), min_size=2, max_size=30))
def test_roc_auc_counts_pairs_with_ties_as_half(rows: list[tuple[bool, int, int]]) -> None:
    hits = [(p, w) for hit, p, w in rows if hit]
    misses = [(p, w) for hit, p, w in rows if not hit]
    y, p, w = (np.array(part) for part in zip(*rows, strict=True))
    actual = evaluation.metric("roc_auc").score(y.astype(int), p / 6, w)
    if not hits or not misses:
        assert math.isnan(actual)
        return
    won = sum(a * b * ((p > q) + (p == q) / 2) for p, a in hits for q, b in misses)
    assert actual == pytest.approx(won / (sum(a for _, a in hits) * sum(b for _, b in misses)))


def test_multiclass_roc_auc_equals_scikit_learns_one_versus_rest() -> None:
    y, p = MULTICLASS
    expected = sklearn_metrics.roc_auc_score(y, p, multi_class="ovr", average="macro")
    assert evaluation.metric("roc_auc").score(y, p) == pytest.approx(expected)


@pytest.mark.parametrize("name", [name for name, task in FITTING if task == "multiclass"])
def test_a_fold_without_a_class_has_a_score_and_no_warning(name: str) -> None:
    y, p = MULTICLASS
    some = y < 2
    assert math.isfinite(evaluation.metric(name).score(y[some], p[some]))


def test_a_score_without_meaning_is_nan() -> None:
    ones, p = np.ones(5, int), np.linspace(0.1, 0.9, 5)
    assert math.isnan(evaluation.metric("roc_auc").score(ones, p))
    assert math.isnan(evaluation.metric("average_precision").score(0 * ones, p))
    assert math.isnan(evaluation.metric("qwk").score(ones, np.ones(5)))
    for rows in range(1, 40):
        # The mean of three times 0.1 is not 0.1.
        assert math.isnan(evaluation.metric("r2").score(np.full(rows, 0.1), np.arange(rows)))


def test_mcc_of_a_constant_prediction_is_zero_whatever_rounding_does() -> None:
    for rows in range(3, 60):
        for weight in (None, RNG.random(rows)):
            always_one = np.tile([0.1, 0.8, 0.1], (rows, 1))
            assert evaluation.metric("mcc").score(np.arange(rows) % 3, always_one, weight) == 0


def test_log_loss_clips_certainty_and_makes_rows_sum_to_one() -> None:
    metric = evaluation.metric("log_loss")
    assert metric.score(np.array([1]), np.array([0.0])) == pytest.approx(-math.log(1e-15))
    assert metric.score(np.array([2]), np.array([[1.0, 0, 0]])) == pytest.approx(-math.log(1e-15))
    assert metric.score(np.array([0]), np.array([[2.0, 1.0, 1.0]])) == pytest.approx(math.log(2))
    assert metric.score(np.array([1]), np.array([1.0])) == pytest.approx(0, abs=1e-14)


def test_qwk_measures_distance_over_classes_that_never_occur() -> None:
    y, p = np.array([0, 0, 3, 3]), np.eye(4)[[0, 3, 3, 3]]
    far = evaluation.metric("qwk").score(y, p)
    near = evaluation.metric("qwk").score(y, np.eye(4)[[0, 1, 3, 3]])
    assert far < near < 1


def test_the_target_may_be_of_any_integer_width_and_predictions_of_any_float_width() -> None:
    y, p = BINARY
    metric = evaluation.metric("log_loss")
    expected = metric.score(y, p.astype(np.float32))
    assert expected == pytest.approx(metric.score(y, p), rel=1e-6)
    for dtype in (bool, np.uint8, np.int16, np.float64):
        assert metric.score(y.astype(dtype), p.astype(np.float32)) == expected


def test_a_metric_says_what_a_family_should_train_on() -> None:
    assert evaluation.metric("rmsle").transform == "log1p"
    assert evaluation.metric("mae").loss == "absolute_error"
    assert evaluation.metric("rmse").loss == "squared_error"
    assert evaluation.metric("f1_macro").loss == "log_loss"
    assert evaluation.metric("qwk", task="multiclass").loss == "log_loss"
    assert evaluation.metric("qwk", task="regression").loss == "squared_error"


def test_the_default_suits_the_task() -> None:
    for task in CASES:
        metric = evaluation.metric(evaluation.default(task))
        metric.check_target(task, CASES[task][0])


def test_describe_has_a_line_for_every_metric() -> None:
    lines = evaluation.describe()
    assert [line["name"] for line in lines] == list(evaluation.names())
    assert all(set(line) == {"name", "direction", "wants", "tasks", "description"} for line in lines)


@pytest.mark.parametrize(
    ("name", "task", "y", "message"),
    [
        ("roc_auc", "regression", [0.5, 1.0], "Choose one of: qwk, rmse, mae, rmsle, mape, r2"),
        ("rmse", "binary", [0, 1], "Choose one of: accuracy, balanced_accuracy, log_loss"),
        ("rmsle", "regression", [3.0, -2.0], "targets of 0 or more. Received: -2"),
        ("mape", "regression", [0.0, 2.0, 0.0], "Received: 2 zeros"),
    ],
)
def test_a_metric_refuses_a_target_that_it_cannot_score(
    name: str, task: TaskType, y: list[float], message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluation.metric(name).check_target(task, np.array(y))


@pytest.mark.parametrize(
    ("name", "y", "predictions", "message"),
    [
        ("rmse", [1.0, 2.0], [1.0], r"shapes \(1,\) and \(2,\)"),
        ("rmse", [], [], "at least one"),
        ("rmse", [1.0, 2.0], [1.0, math.nan], "Received: 1 that"),
        ("log_loss", [0, 2], [0.5, 0.5], "class numbers from 0 to 1"),
        ("log_loss", [0, 3], [[0.2, 0.3, 0.5]] * 2, "class numbers from 0 to 2"),
        ("accuracy", [0.5, 1.0], [0.5, 0.5], "Received: 0.5, 1.0"),
        ("accuracy", ["a", "b"], [0.5, 0.5], "Received: a, b"),
        ("qwk", [3, 4], [3.2, 4.1], "Pass a regression's values as floats"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(name: str, y: list[Any], predictions: list[Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluation.metric(name).score(np.array(y), np.array(predictions))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("auc", "roc_auc"), ("acuracy", "accuracy"), ("F1", "f1_macro"), ("RMSE", "rmse"), ("logloss", "log_loss")],
)
def test_an_unknown_metric_is_refused_with_the_one_that_was_meant(name: str, hint: str) -> None:
    with pytest.raises(EvaluationError, match=f"Received: {name!r}. Did you mean {hint!r}?"):
        evaluation.check(name)
    with pytest.raises(EvaluationError, match="Did you mean"):
        evaluation.metric(name)


def test_an_unknown_metric_like_no_other_is_refused_with_all_there_are() -> None:
    with pytest.raises(EvaluationError, match=r"Known: accuracy, .* r2"):
        evaluation.check("zzz")


def test_names_and_checks_import_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import pandas\ndef gini(y, p): ...\n")
    code = (
        "import sys; before = set(sys.modules); from workbench import evaluation\n"
        f"evaluation.names(), evaluation.describe(), evaluation.check({str(tmp_path / 'own.py:gini')!r})\n"
        "print(*{m.split('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["workbench"]


OWN = """
import numpy as np
from dataclasses import dataclass

@dataclass
class Unused:
    x: "int" = 0

def hits(y_true, y_pred):
    return np.mean(y_true == y_pred)
hits.direction = "maximize"
hits.wants = "labels"

def bias(y_true, y_pred, sample_weight=None):
    return abs(np.average(y_true - y_pred, weights=sample_weight))
bias.direction = "minimize"

def silent(y_true, y_pred):
    return 0.0

def odd(y_true, y_pred):
    return "good"
odd.direction = "maximize"

def unsure(y_true, y_pred):
    return 0.0
unsure.direction = "up"
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def test_a_users_metric_is_found_beside_the_study_file_and_gets_what_it_wants(own: Path) -> None:
    hits = evaluation.metric("own.py:hits", own.joinpath)
    assert (hits.name, hits.direction, hits.wants) == ("own.py:hits", "maximize", "labels")
    assert hits.score(*MULTICLASS) == evaluation.metric("accuracy").score(*MULTICLASS)
    assert hits.score(*BINARY) == evaluation.metric("accuracy").score(*BINARY)
    with pytest.raises(EvaluationError, match="must suit the task 'regression'"):
        hits.check_target("regression", REGRESSION[0])


def test_a_users_metric_for_values_gets_values_and_weights(own: Path) -> None:
    bias = evaluation.metric("own.py:bias", own.joinpath, task="regression")
    assert (bias.wants, bias.loss, bias.loss_of(2.0)) == ("values", "squared_error", 2.0)
    assert evaluation.metric("own.py:bias", own.joinpath, task="binary").wants == "probabilities"
    y, p = REGRESSION
    assert bias.score(y, p) == pytest.approx(abs(y.mean() - p.mean()))
    assert bias.score(y, p, WEIGHT) == pytest.approx(abs((y - p) @ WEIGHT / WEIGHT.sum()))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own.py:silent", r'Received: None. Add a line below the function: silent.direction = "maximize"'),
        ("own.py:unsure", "one of minimize, maximize. Received: 'up'"),
        ("own.py:hit", "must define the function 'hit'. Did you mean 'hits'?"),
        ("own.py:np", "Functions there: hits, bias, silent"),
        ("owm.py:hits", r"owm.py cannot be read \(No such file"),
    ],
)
def test_a_users_metric_that_lacks_something_is_refused(own: Path, name: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluation.metric(name, own.joinpath)


def test_a_users_metric_must_return_a_number_and_take_weights_if_given(own: Path) -> None:
    with pytest.raises(EvaluationError, match=r"must return a number. Received: 'good'"):
        evaluation.metric("own.py:odd", own.joinpath).score(*BINARY)
    with pytest.raises(EvaluationError, match="must take sample_weight"):
        evaluation.metric("own.py:hits", own.joinpath).score(*BINARY, WEIGHT)


def test_a_users_file_that_is_not_python_or_fails_is_refused_with_the_cause(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def gini(y, p)\n    return 0\n")
    with pytest.raises(EvaluationError, match=r"broken.py, line 1: must be Python. expected ':'"):
        evaluation.check("broken.py:gini", tmp_path.joinpath)
    (tmp_path / "fails.py").write_text("def gini(y, p):\n    return 0\n1 / 0\n")
    evaluation.check("fails.py:gini", tmp_path.joinpath)
    with pytest.raises(EvaluationError, match="fails with ZeroDivisionError: division by zero") as caught:
        evaluation.metric("fails.py:gini", tmp_path.joinpath)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_predictions_are_clipped_to_the_range_of_the_metric():
    rmsle, rmse = evaluation.metric("rmsle"), evaluation.metric("rmse")
    values = np.array([-0.5, -0.0, 2.0])
    assert rmsle.clip(values).tolist() == [0.0, 0.0, 2.0]
    assert not np.signbit(rmsle.clip(values)).any()
    assert rmse.clip(values) is values
    y = np.array([0.0, 1.0, 2.0])
    assert rmsle.score(y, values) == rmsle.score(y, rmsle.clip(values))
