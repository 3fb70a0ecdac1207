from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_matrices import breast_cancer, digits

from workbench.ensemble.scorer import Scorer, apply_threshold
from workbench.evaluation import metric

BY_COUNTS = ["accuracy", "f1_micro", "balanced_accuracy", "f1_macro", "mcc", "qwk"]
some = settings(max_examples=60, deadline=None, derandomize=True)


def rows(seed, count, decimals=1):
    """Return random classes, and probabilities with ties."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    return y, np.round(np.clip(0.5 + 0.3 * (y - 0.5) + rng.normal(scale=0.3, size=count), 0, 1), decimals)


@some
@given(st.integers(0, 10_000), st.integers(2, 60), st.sampled_from(BY_COUNTS), st.booleans())
def test_score_is_the_best_that_any_threshold_gives(seed, count, name, weighted):
    y, p = rows(seed, count)
    weight = np.random.default_rng(seed).uniform(0.5, 2, count) if weighted else None
    scorer = Scorer(y, metric(name), weight, pairs=True)
    every = [metric(name).score(y, apply_threshold(p, cut), weight) for cut in [*np.unique(p), 2.0]]
    assert scorer.score(p) == pytest.approx(np.nanmax(every), abs=1e-12)
    assert scorer.score_at(p, scorer.threshold(p)) == pytest.approx(scorer.score(p), abs=1e-12)


@some
@given(st.integers(0, 10_000), st.integers(2, 80), st.integers(0, 3))
def test_area_by_one_sort_is_the_metric_with_ties_and_values_below_zero(seed, count, decimals):
    y, p = rows(seed, count, decimals)
    if len(np.unique(y)) == 2:
        for values in (p, p - 0.5, -p, 1e-300 * p):
            for pairs in (True, False):
                found = Scorer(y, metric("roc_auc"), pairs=pairs).score(values)
                assert found == pytest.approx(metric("roc_auc").score(y, values), abs=1e-12)


def test_area_of_several_classes_is_the_metric():
    predictions, y = digits()
    for member in predictions:
        assert Scorer(y, metric("roc_auc")).score(member) == pytest.approx(metric("roc_auc").score(y, member), abs=1e-9)


def test_area_of_one_class_is_no_number():
    scorer = Scorer(np.ones(4, dtype=int), metric("roc_auc"), pairs=True)
    assert np.isnan(scorer.score(np.arange(4) / 4))
    assert scorer.loss(np.arange(4) / 4) == np.inf


def test_of_thresholds_as_good_the_one_nearest_to_a_half_is_taken():
    y = np.array([0, 0, 1, 1])
    scorer = Scorer(y, metric("accuracy"), pairs=True)
    assert scorer.threshold(np.array([0.1, 0.4, 0.7, 0.9])) == 0.5
    assert scorer.threshold(np.array([0.1, 0.2, 0.3, 0.4])) == pytest.approx(0.25)


def test_a_steady_threshold_is_good_among_its_neighbours():
    rng = np.random.default_rng(0)
    y = (rng.uniform(size=500) < 0.3).astype(int)
    p = np.clip(0.3 + 0.25 * (y - 0.3) + rng.normal(scale=0.15, size=500), 0, 1)
    scorer = Scorer(y, metric("f1_macro"), pairs=True)
    smoothed = scorer.threshold(p, smoothed=True)
    assert smoothed is not None
    near = np.sort(p)[np.abs(np.sort(p) - smoothed).argsort()[:10]]
    assert min(scorer.score_at(p, cut) for cut in near) > scorer.score(p) - 0.03


def test_metrics_of_probabilities_and_several_classes_have_no_threshold():
    predictions, y = breast_cancer()
    assert Scorer(y, metric("roc_auc"), pairs=True).threshold(predictions[0]) is None
    several, classes = digits()
    assert Scorer(classes, metric("accuracy")).threshold(several[0]) is None
