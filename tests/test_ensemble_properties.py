"""What every method of `blend` promises, on random problems, and its certificate against independent solvers."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from workbench.ensemble import blend, methods
from workbench.errors import EnsembleError
from workbench.evaluation import metric

METRICS = ("log_loss", "multiclass log_loss", "rmse", "roc_auc", "accuracy", "multiclass accuracy")
CONVEX = ("log_loss", "multiclass log_loss", "rmse")
CERTIFIED = ("nelder_mead", "convex", "greedy", "uniform", "best")
CLOSED = ("nelder_mead", "convex")
NEVER_WORSE = ("nelder_mead", "convex", "greedy", "best")

some = settings(max_examples=6, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(2, 12)
rows = st.integers(20, 300)
# How much of their noise models share: real models of one target are alike, and that is what makes weights hard.
likeness = st.sampled_from([0.0, 0.9, 0.999])


def problem(seed, name, models, count, alike):
    """Return predictions and a target: models of various skill whose errors have a part in common."""
    rng = np.random.default_rng(seed)
    if name == "rmse":
        y = rng.normal(size=count) * 10 ** rng.uniform(-3, 3)
        noise = alike * rng.normal(size=count) + (1 - alike) * rng.normal(size=(models, count))
        return y * rng.uniform(0.5, 1.1, (models, 1)) + noise * y.std() * rng.uniform(0.1, 2, (models, 1)), y
    classes = int(rng.integers(3, 6)) if name.startswith("multiclass") else 2
    # Every class is there, or a metric might not be defined.
    y = rng.permutation(np.arange(count) % classes)
    noise = alike * rng.normal(size=(count, classes)) + (1 - alike) * rng.normal(size=(models, count, classes))
    logits = noise * rng.uniform(0.5, 3, (models, 1, 1)) + rng.uniform(0, 2, (models, 1, 1)) * np.eye(classes)[y]
    odds = np.exp(logits - logits.max(axis=2, keepdims=True))
    predictions = odds / odds.sum(axis=2, keepdims=True)
    return (predictions if classes > 2 else predictions[:, :, 1]), y


def metric_of(name):
    return name.split()[-1]


def loss(name, found):
    return metric(metric_of(name)).loss_of(found.score)


@cache
def tried(method, name):
    """Return what a method makes of a small problem; None where it refuses the metric and says what it needs."""
    try:
        predictions, y = problem(0, name, 2, 20, 0.0)
        return blend(predictions, y, metric_of(name), method=method)
    except EnsembleError as refused:
        if f"method {method!r} needs" not in str(refused):
            raise
        return None


def cases(of=None):
    every = of or methods()
    return [(method, name) for method in methods() if method in every for name in METRICS if tried(method, name)]


def test_only_methods_of_certain_metrics_refuse_any():
    refused = {(method, name) for method in methods() for name in METRICS} - set(cases())
    assert {method for method, _ in refused} <= {"convex", "rank"}
    assert not {("convex", name) for name in CONVEX} & refused
    assert ("rank", "roc_auc") not in refused


@pytest.mark.parametrize(("method", "name"), cases())
def test_certificate_exists_for_weights_of_a_mean_and_a_convex_metric(method, name):
    assert (tried(method, name).gap is not None) == (method in CERTIFIED and name in CONVEX)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "name"), cases())
@some
@given(seeds, sizes, rows, likeness)
def test_weights_are_on_the_simplex_and_follow_their_models(method, name, seed, models, count, alike):
    predictions, y = problem(seed, name, models, count, alike)
    found = blend(predictions, y, metric_of(name), method=method)
    assert found.weights.shape == (models,)
    assert found.weights.min() >= 0
    assert found.weights.sum() == pytest.approx(1, abs=1e-9)
    order = np.random.default_rng(seed).permutation(models)
    shuffled = blend(predictions[order], y, metric_of(name), method=method)
    np.testing.assert_allclose(shuffled.weights, found.weights[order], atol=1e-9)
    assert shuffled.score == pytest.approx(found.score, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "name"), cases(NEVER_WORSE))
@some
@given(seeds, sizes, rows, likeness)
def test_blend_is_never_worse_than_its_best_member(method, name, seed, models, count, alike):
    predictions, y = problem(seed, name, models, count, alike)
    best = min(metric(metric_of(name)).loss_of(metric(metric_of(name)).score(y, member)) for member in predictions)
    assert loss(name, blend(predictions, y, metric_of(name), method=method)) <= best + 1e-12 * abs(best)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "name"), cases(NEVER_WORSE))
@some
@given(seeds, sizes, rows, likeness)
def test_duplicate_models_do_not_lower_the_score(method, name, seed, models, count, alike):
    predictions, y = problem(seed, name, models, count, alike)
    copies = np.random.default_rng(seed).integers(0, models, 3)
    once, more = (
        loss(name, blend(p, y, metric_of(name), method=method))
        for p in (predictions, [*predictions, *predictions[copies]])
    )
    # A metric in steps has many optima; there a bank in another order may end in another, as good for all we know.
    slack = 2e-6 if name in CONVEX or method != "nelder_mead" else 1e-2
    assert more <= once + slack * abs(once)


@pytest.mark.parametrize(("method", "name"), cases())
@some
@given(seeds, sizes, rows, st.sampled_from([np.nan, np.inf]))
def test_model_that_is_not_finite_is_refused_by_name(method, name, seed, models, count, value):
    predictions, y = problem(seed, name, models, count, 0.0)
    broken, row = seed % models, seed % count
    predictions[broken, row] = value
    sentence = rf"predictions\[{broken}\] must hold finite numbers.*Leave this model out"
    with pytest.raises(EnsembleError, match=sentence):
        blend(predictions, y, metric_of(name), method=method)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "name"), cases())
@some
@given(seeds, sizes, rows, likeness)
def test_model_that_predicts_the_same_for_every_row_is_left_out_with_a_reason(method, name, seed, models, count, alike):
    predictions, y = problem(seed, name, models, count, alike)
    constant = np.broadcast_to(predictions[0, 0], predictions[:1].shape)
    plain, found = (
        blend(p, y, metric_of(name), method=method) for p in (predictions, np.concatenate([predictions, constant]))
    )
    assert "the same for every row" in found.left_out[models]
    np.testing.assert_allclose(found.weights, [*plain.weights, 0], atol=1e-9)


def lowest_log_loss(predictions, y):
    """Return the lowest log loss that expectation maximisation and, from there, SLSQP reach."""
    likelihood = np.stack([np.where(y == 1, p, 1 - p) if p.ndim == 1 else p[np.arange(len(y)), y] for p in predictions])
    weights = np.full(len(likelihood), 1 / len(likelihood))
    for _ in range(200):
        weights = weights * (likelihood / (weights @ likelihood)).mean(axis=1)
    weights /= weights.sum()
    # SLSQP may look a little outside of the simplex.
    polished = on_simplex(
        lambda w: -np.log(np.maximum(w @ likelihood, 1e-300)).mean(),
        lambda w: -(likelihood / np.maximum(w @ likelihood, 1e-300)).mean(axis=1),
        weights,
    )
    return min(-np.log(w @ likelihood).mean() for w in (weights, polished))


def lowest_rmse(predictions, y):
    """Return the lowest RMSE that SLSQP reaches on the Gram matrix of the residuals."""
    errors = (predictions - y) / y.std()
    gram = errors @ errors.T / len(y)
    uniform = np.full(len(gram), 1 / len(gram))
    found = on_simplex(lambda w: w @ gram @ w, lambda w: 2 * gram @ w, uniform)
    return min(np.sqrt(np.mean((w @ predictions - y) ** 2)) for w in (uniform, found))


def on_simplex(value, gradient, start):
    """Return the weights that sequential quadratic programming finds from `start`."""
    found = minimize(
        value,
        start,
        jac=gradient,
        method="SLSQP",
        bounds=[(0, 1)] * len(start),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-15, "maxiter": 200},
    )
    weights = np.maximum(found.x, 0)
    return weights / weights.sum()


# Three times 170 problems, each with every method that has a certificate.
@pytest.mark.slow
@pytest.mark.parametrize("name", CONVEX)
@settings(max_examples=170, deadline=None, derandomize=True)
@given(seeds, sizes, rows, likeness)
def test_certificate_holds_against_an_independent_solver(name, seed, models, count, alike):
    predictions, y = problem(seed, name, models, count, alike)
    lowest = (lowest_rmse if name == "rmse" else lowest_log_loss)(predictions, y)
    for method in {*CERTIFIED} & {*methods()}:
        found = blend(predictions, y, metric_of(name), method=method)
        assert found.gap is not None
        assert found.score - found.gap <= lowest + 1e-12 * abs(lowest)
        if method in CLOSED:
            assert found.gap <= 1e-6 * found.score
