from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_matrices import digits, random_classes

from workbench.ensemble import assess, blend, diversity
from workbench.ensemble.aggregation import PerOutput
from workbench.ensemble.per_class import PerClassLogLoss
from workbench.errors import EnsembleError
from workbench.evaluation import metric

many = settings(max_examples=8, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)


def experts(seed, rows, classes=4, spread=3.0):
    """Return a model for each class that tells it well and the others badly, and the class indices."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    logits = rng.normal(size=(classes, rows, classes))
    for model in range(classes):
        logits[model] += 0.5 * np.eye(classes)[y]
        logits[model, :, model] += spread * (y == model)
    predictions = np.exp(logits)
    return predictions / predictions.sum(axis=2, keepdims=True), y


@many
@given(seeds, st.integers(1, 5), st.integers(3, 5))
def test_the_gradient_is_that_of_finite_differences(seed, models, classes):
    predictions, y = random_classes(seed, models, 20, classes)
    rng = np.random.default_rng(seed)
    loss = PerClassLogLoss(predictions, y, rng.uniform(0.5, 2, 20))
    weights = rng.dirichlet(np.ones(models), classes).T
    value, gradient = loss.loss_and_gradient(weights)
    assert value == pytest.approx(loss.loss(loss.totals(weights)))
    for m in range(models):
        for k in range(classes):
            step = np.zeros((models, classes))
            step[m, k] = 1e-6
            change = loss.loss(loss.totals(weights + step)) - loss.loss(loss.totals(weights - step))
            assert gradient[m, k] == pytest.approx(change / 2e-6, rel=1e-4, abs=1e-6)


@many
@given(seeds, st.integers(2, 6), st.integers(3, 5), st.sampled_from(["log_loss", "accuracy", "roc_auc", "f1_macro"]))
def test_weights_by_class_are_never_below_shared_ones_on_the_rows_that_they_are_fitted_to(seed, models, classes, name):
    predictions, y = random_classes(seed, models, 45, classes)
    scoring = metric(name)
    for own in ({}, {"shrink": True}, {"members": 2}):
        # Time that runs out would give other shared weights.
        options: dict[str, Any] = {"seconds": 300.0, **own}
        shared = blend(predictions, y, name, **options)
        found = blend(predictions, y, name, weights="class", **options)
        assert found.output_weights is not None
        assert scoring.loss_of(found.score) <= scoring.loss_of(shared.score) + 1e-9
        assert found.output_weights.min() >= 0
        assert found.output_weights.sum(axis=0) == pytest.approx(np.ones(classes), abs=1e-12)
        assert found.score == pytest.approx(scoring.score(y, found.combine(predictions)))
        shares = np.bincount(y, minlength=classes) / len(y)
        np.testing.assert_allclose(found.weights, found.output_weights @ shares)
        assert np.count_nonzero(found.output_weights.any(axis=1)) <= options.get("members", models)
        assert found.combine(predictions).sum(axis=1) == pytest.approx(np.ones(len(y)))


@pytest.mark.parametrize("method", ["nelder_mead", "convex"])
def test_where_models_know_different_classes_weights_by_class_are_worth_more_on_fresh_rows(method):
    predictions, y = experts(0, 6000)
    fitted, fresh = slice(None, 1500), slice(1500, None)
    scores = {}
    for weighting in ("shared", "class"):
        found = blend(predictions[:, fitted], y[fitted], "log_loss", weights=weighting, method=method, shrink=True)
        scores[weighting] = metric("log_loss").score(y[fresh], found.combine(predictions[:, fresh]))
    assert scores["class"] < 0.97 * scores["shared"]


def test_nelder_mead_finds_more_than_the_descent_of_log_loss_where_the_metric_is_another():
    predictions, y = digits()
    scores = {}
    for name in ("accuracy", "f1_macro"):
        shared, own = (
            blend(predictions, y, name, weights=weighting, seconds=8).score for weighting in ("shared", "class")
        )
        scores[name] = own - shared
    assert min(scores.values()) >= 0


def test_on_few_rows_the_weights_stay_near_the_shared_ones():
    apart = []
    for rows in (40, 2000):
        predictions, y = random_classes(5, 5, rows, 3)
        found = blend(predictions, y, "log_loss", weights="class", shrink=True)
        shared = blend(predictions, y, "log_loss", weights="class")
        assert found.output_weights is not None
        assert shared.output_weights is not None
        apart.append(
            (
                np.abs(found.output_weights - found.weights[:, None]).sum(),
                np.abs(np.ptp(shared.output_weights, axis=1)).sum(),
            )
        )
    assert apart[0][0] <= apart[0][1]


def test_the_cross_fitted_score_of_shared_weights_is_an_alternative():
    predictions, y = experts(1, 300)
    found = assess(predictions, y, "log_loss", weights="class", method="convex", shrink=True)
    assert found.blend.weighting == "class"
    assert set(found.alternatives) == {"shared", "class"}
    assert found.honest_score == found.alternatives["class"].honest_score < found.alternatives["shared"].honest_score
    assert assess(predictions, y, "log_loss").alternatives == {}
    assert assess(predictions, y, "log_loss").blend.weighting == "shared"


@pytest.mark.slow
def test_the_cross_fitted_score_is_near_the_score_on_new_rows():
    errors = []
    options: dict[str, Any] = {"method": "convex", "weights": "class", "shrink": True, "simplify": False}
    for seed in range(12):
        predictions, y = experts(seed, 3200, spread=1.5)
        found = assess(predictions[:, :200], y[:200], "log_loss", **options)
        fresh = metric("log_loss").score(y[200:], found.blend.combine(predictions[:, 200:]))
        errors.append(found.honest_score - fresh)
    assert abs(np.mean(errors)) < 2.5 * np.std(errors) / np.sqrt(12)


def test_an_aggregation_read_from_json_predicts_the_same_and_rows_without_probabilities_are_uniform():
    predictions, y = experts(2, 100)
    found = blend(predictions, y, "log_loss", weights="class")
    assert found.output_weights is not None
    again = PerOutput.from_document(json.loads(json.dumps(found.aggregation.document())))
    np.testing.assert_allclose(again(list(predictions), found.output_weights), found.combine(predictions), rtol=1e-12)
    empty = PerOutput.of_classes(3)(
        [np.array([[1.0, 0, 0]]), np.array([[0, 1.0, 0]])], np.array([[0.0, 1, 1], [1, 0, 0]])
    )
    np.testing.assert_allclose(empty, np.full((1, 3), 1 / 3))


def test_contributions_are_of_weights_by_class():
    predictions, y = experts(3, 300)
    found = blend(predictions, y, "log_loss", weights="class")
    assert found.output_weights is not None
    whole = diversity(predictions, y, "log_loss", found.output_weights)
    assert whole.contributions is not None
    others = blend(predictions[1:], y, "log_loss", weights="class").score
    assert whole.contributions[0] == pytest.approx(others - found.score, abs=1e-6)
    assert whole.ambiguity is None
    np.testing.assert_allclose(whole.weights, found.weights)


def test_what_has_no_weights_by_class_is_refused():
    predictions, y = random_classes(0, 3, 30, 3)
    with pytest.raises(EnsembleError, match=r"needs one target of more than two classes. Received: 2 classes"):
        blend(predictions[:, :, 0], (y == 0).astype(int), "log_loss", weights="class")
    with pytest.raises(EnsembleError, match=r"needs the method nelder_mead or convex. Received: 'greedy'"):
        blend(predictions, y, "log_loss", weights="class", method="greedy")
    with pytest.raises(EnsembleError, match="needs probabilities that sum to 1"):
        blend(np.log(predictions), y, "accuracy", weights="class")
