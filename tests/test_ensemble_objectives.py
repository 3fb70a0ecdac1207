from __future__ import annotations

import numpy as np
import pytest
from prediction_matrices import breast_cancer, diabetes, digits

from workbench.ensemble.aggregation import WeightedMean
from workbench.ensemble.objectives import AbsoluteError, LogLoss, MetricObjective, SquaredError, objective_for
from workbench.ensemble.prediction_matrix import gather

REDUCED = [(digits, "log_loss", LogLoss), (breast_cancer, "log_loss", LogLoss), (diabetes, "rmse", SquaredError)]
ALL = [
    *REDUCED,
    (diabetes, "r2", SquaredError),
    (breast_cancer, "roc_auc", MetricObjective),
    (diabetes, "mae", AbsoluteError),
]


def prepared(case):
    dataset, name, _ = case
    predictions, y = dataset()
    gathered = gather(predictions, y, name)
    objective = objective_for(gathered)
    weights = np.random.default_rng(0).dirichlet(np.ones(objective.models))
    return gathered, objective, weights


@pytest.mark.parametrize("case", ALL)
def test_loss_is_the_metric_of_the_mixture(case):
    dataset, objective, weights = prepared(case)
    assert isinstance(objective, case[2])
    score = dataset.metric.score(dataset.y, WeightedMean()(dataset.members, weights))
    assert objective.score(objective.loss(weights)) == pytest.approx(score, abs=1e-5, rel=1e-9)


@pytest.mark.parametrize("case", ALL)
def test_losses_if_added_are_the_losses_of_the_means(case):
    _, objective, _ = prepared(case)
    counts = np.arange(objective.models, dtype=float) % 3
    expected = [objective.loss((counts + one) / (counts.sum() + 1)) for one in np.eye(objective.models)]
    np.testing.assert_allclose(objective.losses_if_added(counts), expected, rtol=1e-10)


@pytest.mark.parametrize("case", ALL)
def test_some_of_the_models_lose_as_the_whole_with_weights_of_zero(case):
    _, objective, weights = prepared(case)
    chosen = np.array([0, 2, 5])
    some = weights[chosen] / weights[chosen].sum()
    whole = np.zeros(objective.models)
    whole[chosen] = some
    # A sum in another order may break a tie between two rows, and that is seen in an AUC.
    assert objective.subset(chosen).loss(some) == pytest.approx(objective.loss(whole), rel=1e-4)


@pytest.mark.parametrize("case", ALL)
def test_change_is_the_difference_of_two_losses(case):
    _, objective, weights = prepared(case)
    others = np.full(objective.models, 1 / objective.models)
    expected = objective.loss(others) - objective.loss(weights)
    assert objective.change_from(weights)(others) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("case", REDUCED)
def test_slopes_and_curvature_agree_with_finite_differences(case):
    _, objective, weights = prepared(case)
    gradient, hessian = objective.gradient(weights), objective.hessian(weights)
    toward = np.eye(objective.models)[1] - weights
    before, after = (objective.loss(weights + step * toward) for step in (-1e-3, 1e-3))
    assert (after - before) / 2e-3 == pytest.approx(toward @ gradient, rel=1e-3)
    bend = (before + after - 2 * objective.loss(weights)) / 1e-6
    assert bend == pytest.approx(toward @ hessian @ toward, rel=1e-2)


def test_general_objective_promises_nothing_it_cannot_prove():
    _, objective, weights = prepared((breast_cancer, "roc_auc", MetricObjective))
    assert objective.gap(weights) is None
    assert objective.gradient(weights) is None
    assert objective.hessian(weights) is None


def test_whiff_of_log_loss_breaks_ties_but_never_outweighs_a_row():
    y = np.array([0, 1, 1])
    dataset = gather(np.array([[0.4, 0.6, 0.6], [0.1, 0.9, 0.9], [0.4, 0.3, 0.9]]), y, "accuracy")
    losses = objective_for(dataset).losses_if_added(np.zeros(3))
    vague, sharp, wrong = dataset.restore_order(losses)
    assert sharp < vague < wrong
    assert vague - sharp < 1e-3


def test_constant_target_leaves_r2_to_the_metric():
    dataset = gather(np.array([[1.0, 2.0], [2.0, 2.0]]), np.array([2.0, 2.0]), "r2")
    assert isinstance(objective_for(dataset), MetricObjective)
