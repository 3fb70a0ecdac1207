from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_matrices import breast_cancer, diabetes, digits, random_classes, random_values

from workbench.ensemble import blend, diversity
from workbench.errors import EnsembleError
from workbench.evaluation import metric

CASES = [
    (digits, "log_loss"),
    (digits, "accuracy"),
    (breast_cancer, "log_loss"),
    (breast_cancer, "roc_auc"),
    (diabetes, "rmse"),
    (diabetes, "r2"),
]
many = settings(max_examples=30, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)
sizes = st.integers(1, 7)
# Seconds in which nothing is blended anew.
AT_ONCE = 1e-9
# Seconds that even a busy machine does not use up: a blend that is cut short depends on the machine's speed.
AMPLE = 300.0


def weighed(models, seed=0):
    """Return random weights, some of them zero."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(models)) * (rng.uniform(size=models) < 0.8)
    return weights / weights.sum() if weights.any() else np.full(models, 1 / models)


def test_figures_of_two_classifiers_are_those_worked_out_by_hand():
    y = np.array([1, 0, 1, 0])
    predictions = np.array([[0.9, 0.2, 0.4, 0.3], [0.6, 0.6, 0.8, 0.1]])
    found = diversity(predictions, y, "log_loss", [0.25, 0.75])
    # The probabilities of the true class are .9 .8 .4 .7 and .6 .4 .8 .9; less their means .2 .1 -.3 0, -.075 -.275 ...
    a, b = np.array([0.2, 0.1, -0.3, 0.0]), np.array([-0.075, -0.275, 0.125, 0.225])
    assert found.error_correlation[0, 1] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-12)
    assert found.disagreement.tolist() == [[0, 0.5], [0.5, 0]]
    mixed = -np.log([0.675, 0.5, 0.7, 0.85]).mean()
    alone = [-np.log([0.9, 0.8, 0.4, 0.7]).mean(), -np.log([0.6, 0.4, 0.8, 0.9]).mean()]
    assert found.ambiguity.measure == "log_loss"
    assert found.ambiguity.ensemble_loss == pytest.approx(mixed, abs=1e-12)
    assert found.ambiguity.mean_member_loss == pytest.approx(0.25 * alone[0] + 0.75 * alone[1], abs=1e-12)
    best = blend(predictions, y, "log_loss").score
    assert found.contributions is not None
    np.testing.assert_allclose(found.contributions, [alone[1] - best, alone[0] - best], atol=1e-12)
    assert found.reoptimised.all()


def test_figures_of_two_regressors_are_those_worked_out_by_hand():
    y = np.array([0.0, 2.0, 4.0, 6.0])
    predictions = np.array([[1.0, 1.0, 5.0, 5.0], [0.0, 4.0, 4.0, 8.0]])
    found = diversity(predictions, y, "rmse", [0.5, 0.5])
    # Errors 1 -1 1 -1 and 0 2 0 2: opposite about their means. The target's variance is 5.
    np.testing.assert_allclose(found.error_correlation, [[1, -1], [-1, 1]], atol=1e-12)
    apart = np.sqrt((1 + 9 + 1 + 9) / 4 / 5)
    np.testing.assert_allclose(found.disagreement, [[0, apart], [apart, 0]], atol=1e-12)
    assert found.ambiguity.measure == "squared_error"
    assert found.ambiguity.mean_member_loss == pytest.approx((1 + 2) / 2)
    assert found.ambiguity.ensemble_loss == pytest.approx(0.25)
    assert found.ambiguity.ambiguity == pytest.approx(1.25)
    # The best weights are those at which w(1, -1) + (1 - w)(0, 2) is least: 0.6 and 0.4.
    best = np.sqrt((0.6**2 + 0.2**2) / 2)
    assert found.contributions is not None
    np.testing.assert_allclose(found.contributions, [np.sqrt(2) - best, 1 - best], atol=1e-6)


@pytest.mark.parametrize(("dataset", "name"), CASES)
def test_matrices_are_symmetric_within_their_bounds_and_free_of_nan(dataset, name):
    predictions, y = dataset()
    found = diversity(predictions, y, name, weighed(len(predictions)))
    for matrix, own in ((found.error_correlation, 1), (found.disagreement, 0)):
        np.testing.assert_array_equal(matrix, matrix.T)
        assert (np.diag(matrix) == own).all()
    assert (np.abs(found.error_correlation) <= 1).all()
    assert (found.disagreement >= 0).all()
    assert found.contributions is not None
    assert np.isfinite(found.contributions).all()


@many
@given(seeds, sizes, st.integers(2, 60), st.integers(2, 4))
def test_log_loss_of_an_ensemble_is_the_mean_of_its_members_less_the_jensen_gap(seed, models, rows, classes):
    predictions, y = random_classes(seed, models, rows, classes)
    weights = weighed(models, seed)
    found = diversity(predictions, y, "log_loss", weights, seconds=AT_ONCE).ambiguity
    score = metric("log_loss").score
    assert found.ensemble_loss == pytest.approx(score(y, np.tensordot(weights, predictions, axes=1)), abs=1e-9)
    losses = np.array([score(y, member) for member in predictions])
    assert found.mean_member_loss == pytest.approx(weights @ losses, abs=1e-9)
    assert found.mean_member_loss - found.ambiguity == pytest.approx(found.ensemble_loss, abs=1e-9)
    assert found.ambiguity >= 0


@many
@given(seeds, sizes, st.integers(2, 60), st.sampled_from(["rmse", "mae"]))
def test_squared_error_of_an_ensemble_is_the_mean_of_its_members_less_the_ambiguity(seed, models, rows, name):
    predictions, y = random_values(seed, models, rows)
    weights = weighed(models, seed)
    found = diversity(predictions, y, name, weights, seconds=AT_ONCE).ambiguity
    score = metric("rmse").score
    assert found.ensemble_loss == pytest.approx(score(y, weights @ predictions) ** 2, rel=1e-9)
    assert found.mean_member_loss == pytest.approx(
        weights @ [score(y, member) ** 2 for member in predictions], rel=1e-9
    )
    assert found.mean_member_loss - found.ambiguity == pytest.approx(
        found.ensemble_loss, abs=1e-9 * found.mean_member_loss
    )
    assert found.ambiguity >= 0


@pytest.mark.parametrize(("dataset", "name"), CASES)
def test_order_of_models_changes_nothing_but_the_order(dataset, name):
    predictions, y = dataset()
    weights = weighed(len(predictions))
    order = np.random.default_rng(1).permutation(len(predictions))
    first = diversity(predictions, y, name, weights, seconds=AMPLE)
    second = diversity(predictions[order], y, name, weights[order], seconds=AMPLE)
    cross = np.ix_(order, order)
    np.testing.assert_allclose(second.error_correlation, first.error_correlation[cross], atol=1e-12)
    np.testing.assert_allclose(second.disagreement, first.disagreement[cross], atol=1e-12)
    assert first.contributions is not None
    assert second.contributions is not None
    np.testing.assert_allclose(second.contributions, first.contributions[order], atol=1e-9)
    assert second.ambiguity.ambiguity == pytest.approx(first.ambiguity.ambiguity, abs=1e-12)


@pytest.mark.parametrize(("dataset", "name"), CASES)
def test_copies_agree_in_everything_and_add_nothing(dataset, name):
    predictions, y = dataset()
    weights = blend(predictions, y, name, seconds=AMPLE).weights
    most = int(np.argmax(weights))
    copied = np.concatenate([predictions, predictions[[most]]])
    found = diversity(copied, y, name, np.append(weights, 0), seconds=AMPLE)
    assert found.error_correlation[most, -1] == pytest.approx(1, abs=1e-12)
    assert found.disagreement[most, -1] == 0
    alone = diversity(predictions, y, name, weights, seconds=AMPLE)
    slack = 2e-6 if name in ("log_loss", "rmse", "r2") else 5e-3
    assert found.contributions is not None
    assert abs(found.contributions[[most, -1]]).max() <= slack * abs(blend(predictions, y, name).score)
    if name in ("log_loss", "rmse", "r2"):
        assert alone.contributions is not None
        assert alone.contributions[most] > 100 * abs(found.contributions[most])


@pytest.mark.parametrize(("name", "dataset"), [("rmse", diabetes), ("r2", diabetes), ("log_loss", digits)])
def test_contribution_is_the_loss_of_score_when_the_others_are_blended_again(name, dataset):
    predictions, y = dataset()
    whole = blend(predictions, y, name)
    # Weights that are far from the best do not blur what a member adds.
    found = diversity(predictions, y, name, weighed(len(predictions)))
    sign = 1 if metric(name).direction == "minimize" else -1
    assert found.contributions is not None
    for index, contribution in enumerate(found.contributions):
        rest = blend(np.delete(predictions, index, axis=0), y, name)
        assert contribution == pytest.approx(sign * (rest.score - whole.score), abs=2e-6 * abs(whole.score))
    assert found.contributions.max() > 1e-3 * abs(whole.score)
    assert found.contributions.min() > -2e-6 * abs(whole.score)


def test_where_the_time_is_out_the_weights_of_the_others_are_scaled_up():
    predictions, y = diabetes()
    weights = weighed(len(predictions), 3)
    found = diversity(predictions, y, "rmse", weights, seconds=AT_ONCE)
    assert not found.reoptimised.any()
    score = metric("rmse").score
    assert found.contributions is not None
    for index, contribution in enumerate(found.contributions):
        rest = np.where(np.arange(len(weights)) == index, 0, weights)
        expected = score(y, rest @ predictions / rest.sum()) - score(y, weights @ predictions)
        assert contribution == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_member_with_all_the_weight_leaves_an_equal_mean_when_the_time_is_out():
    predictions, y = breast_cancer()
    found = diversity(predictions, y, "roc_auc", np.eye(len(predictions))[2], seconds=AT_ONCE)
    score = metric("roc_auc").score
    without = np.delete(predictions, 2, axis=0).mean(axis=0)
    assert found.contributions is not None
    assert found.contributions[2] == pytest.approx(score(y, predictions[2]) - score(y, without), abs=1e-12)


def test_time_is_kept():
    predictions, y = random_classes(12, 12, 4000, 3)
    began = time.monotonic()
    found = diversity(predictions, y, "roc_auc", weighed(12), seconds=0.1)
    assert time.monotonic() - began < 3
    assert found.contributions is not None
    assert np.isfinite(found.contributions).all()


def test_single_member_has_no_contribution():
    predictions, y = random_classes(1, 1, 30, 3)
    found = diversity(predictions, y, "log_loss", [1.0])
    assert found.contributions is None
    assert found.ambiguity.ambiguity == pytest.approx(0, abs=1e-12)
    member = found.document()["members"][0]
    assert (member["contribution"], member["mean_error_correlation"], member["mean_disagreement"]) == (None, None, None)


def test_constant_error_is_correlated_with_nothing_and_constant_models_take_part():
    y = np.array([0.1, 0.2, 0.7, 1.3])
    shifted, constant = y + 0.3, np.full(4, 0.6)
    found = diversity([shifted, constant, y * 0.5], y, "rmse", [0.5, 0.25, 0.25])
    np.testing.assert_allclose(found.error_correlation[0], [1, 0, 0], atol=1e-12)
    # Both err by less the greater the target is, in proportion.
    assert found.error_correlation[1, 2] == pytest.approx(1)
    assert found.contributions is not None
    assert np.isfinite(found.contributions).all()


def test_constant_target_is_measured_in_its_own_units():
    found = diversity([[1.0, 2.0], [2.0, 2.0]], [2.0, 2.0], "rmse", [0.5, 0.5])
    assert found.disagreement[0, 1] == pytest.approx(np.sqrt(0.5))
    assert np.isfinite(found.error_correlation).all()


def test_scores_that_are_no_probabilities_are_compared_without_an_ambiguity():
    predictions, y = random_classes(4, 3, 50, 3)
    logits = 5 * np.log(predictions)
    found = diversity(logits, y, "accuracy", [0.2, 0.3, 0.5])
    assert found.ambiguity is None
    np.testing.assert_array_equal(
        found.disagreement, diversity(predictions, y, "accuracy", [0.2, 0.3, 0.5]).disagreement
    )
    assert found.document()["ambiguity"] is None


@pytest.mark.parametrize(("dataset", "name"), [(digits, "log_loss"), (diabetes, "rmse"), (breast_cancer, "roc_auc")])
def test_row_of_weight_two_counts_as_two_rows_in_every_figure(dataset, name):
    predictions, y = dataset()
    weights = weighed(len(predictions))
    times = 1 + np.arange(len(y)) % 2
    heavy = diversity(predictions, y, name, weights, sample_weight=times)
    twice = diversity(np.repeat(predictions, times, axis=1), np.repeat(y, times), name, weights)
    plain = diversity(predictions, y, name, weights)
    np.testing.assert_allclose(heavy.error_correlation, twice.error_correlation, atol=1e-12)
    np.testing.assert_allclose(heavy.disagreement, twice.disagreement, atol=1e-12)
    assert heavy.ambiguity.ambiguity == pytest.approx(twice.ambiguity.ambiguity, rel=1e-9)
    assert heavy.ambiguity.ensemble_loss == pytest.approx(twice.ambiguity.ensemble_loss, rel=1e-9)
    assert abs(heavy.error_correlation - plain.error_correlation).max() > 1e-6
    # A metric in steps has many optima, and datasets in another order end in others.
    near = 0.1 if name == "roc_auc" else 2e-3
    assert heavy.contributions is not None
    assert twice.contributions is not None
    np.testing.assert_allclose(heavy.contributions, twice.contributions, atol=near * abs(twice.contributions).max())


def test_labels_may_be_given_for_y():
    predictions, y = random_classes(2, 3, 40, 3)
    names = np.array(["a", "b", "c"])
    by_label = diversity(predictions, names[y], "log_loss", [0.2, 0.3, 0.5], classes=list(names))
    by_index = diversity(predictions, y, "log_loss", [0.2, 0.3, 0.5])
    np.testing.assert_array_equal(by_label.error_correlation, by_index.error_correlation)
    assert by_label.contributions is not None
    assert by_index.contributions is not None
    np.testing.assert_allclose(by_label.contributions, by_index.contributions, atol=1e-12)


def test_document_is_json_and_names_the_measures():
    import json

    for dataset, name, words in ((digits, "accuracy", "likeliest class"), (diabetes, "rmse", "standard deviation")):
        predictions, y = dataset()
        called = [f"model {letter}" for letter in "abcdefghi"[: len(predictions)]]
        found = diversity(predictions, y, name, weighed(len(predictions)), names=called)
        document = json.loads(json.dumps(found.document(), allow_nan=False))
        assert [member["name"] for member in document["members"]] == called
        assert words in document["disagreement"]["measure"]
        assert "Pearson" in document["error_correlation"]["measure"]
        assert name in document["contribution"]["measure"]
        assert document["disagreement"]["matrix"] == found.disagreement.tolist()
        others = found.error_correlation[0, 1:].mean()
        assert document["members"][0]["mean_error_correlation"] == pytest.approx(others)
        assert set(document["ambiguity"]) == {"measure", "mean_member_loss", "ambiguity", "ensemble_loss"}


@pytest.mark.parametrize(
    ("weights", "names", "sentence"),
    [
        ([0.5, 0.5], None, "weights must hold a number of 0 or more for each of the 3 models"),
        ([0.5, 0.7, -0.2], None, "weights must hold a number of 0 or more"),
        ([0.5, 0.5, 0.5], None, "of sum 1"),
        ([0.5, 0.5, np.nan], None, "weights must hold"),
        ([0.2, 0.3, 0.5], ["a", "b"], "names must hold a name for each of the 3 models"),
    ],
)
def test_weights_and_names_that_do_not_fit_are_refused(weights, names, sentence):
    predictions, y = random_classes(4, 3, 30, 3)
    with pytest.raises(EnsembleError, match=sentence):
        diversity(predictions, y, "log_loss", weights, names=names)
