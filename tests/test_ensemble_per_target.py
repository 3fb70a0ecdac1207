from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_matrices import metric_of, random_targets
from scipy.optimize import minimize

from workbench.ensemble import apply_threshold, assess, blend, check_weights, diversity
from workbench.ensemble.aggregation import PerOutput
from workbench.ensemble.objectives import RootMeanSquaredError, WeightedSum, objective_for
from workbench.ensemble.prediction_matrix import gather
from workbench.errors import EnsembleError
from workbench.search.ensemble_objective import EnsembleObjective
from workbench.search.storage import TrialRecord

CONVEX = [
    (("log_loss", "log_loss", "log_loss"), (2, 2, 3)),
    (("rmse", "rmse"), (0, 0)),
    (("r2", "r2", "r2"), (0, 0, 0)),
    (("mae", "mae"), (0, 0)),
    (("log_loss", "rmse", "mae"), (2, 0, 0)),
]
STEPPED = [(("roc_auc", "roc_auc"), (2, 2)), (("accuracy", "f1_macro", "mcc"), (2, 3, 2)), (("roc_auc", "r2"), (2, 0))]
SMOOTH = [case for case in CONVEX if "mae" not in case[0]]
SIMPLE = ["nelder_mead", "greedy", "uniform", "best"]
many = settings(max_examples=8, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)


def case(names, kinds, seed=1, models=6, rows=90):
    predictions, y = random_targets(seed, models, rows, kinds)
    return predictions, y, metric_of(names, kinds, y, (1.0, 2.0, 0.5)[: len(kinds)])


def lowest(predictions, y, metric):
    """Return the least loss that sequential quadratic programming reaches from several places."""
    models = len(predictions)
    rng = np.random.default_rng(0)

    def loss(weights):
        weights = np.maximum(weights, 0) / np.maximum(weights, 0).sum()
        return metric.loss_of(metric.score(y, np.tensordot(weights, predictions, axes=1).clip(-1e300, 1e300)))

    options = {"ftol": 1e-14, "maxiter": 300}
    sums = {"type": "eq", "fun": lambda w: w.sum() - 1}
    starts = [np.full(models, 1 / models), *rng.dirichlet(np.ones(models), 3)]
    found = [
        minimize(loss, start, method="SLSQP", bounds=[(0, 1)] * models, constraints=sums, options=options)
        for start in starts
    ]
    return min(loss(each.x) for each in found)


@pytest.mark.parametrize(("names", "kinds"), CONVEX)
def test_shared_weights_reach_the_optimum_that_another_solver_finds(names, kinds):
    predictions, y, metric = case(names, kinds)
    least = lowest(predictions, y, metric)
    for method in ("nelder_mead", "convex"):
        found = blend(predictions, y, metric, method=method)
        assert metric.loss_of(found.score) <= least + 1e-3 * abs(least) * ("mae" in names) + 1e-6 * abs(least)
        assert found.gap is not None
        assert metric.loss_of(found.score) - found.gap <= least + 1e-9
    gap = blend(predictions, y, metric, method="convex").gap
    assert gap is not None
    assert gap < 1e-5


@pytest.mark.parametrize(("names", "kinds"), CONVEX + STEPPED)
@pytest.mark.parametrize("weighting", ["shared", "target"])
@pytest.mark.parametrize("method", SIMPLE)
def test_weights_are_on_the_simplex_and_have_the_score_of_the_blend(names, kinds, weighting, method):
    predictions, y, metric = case(names, kinds, rows=60)
    found = blend(predictions, y, metric, weights=weighting, method=method, seconds=2)
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    assert found.weights.min() >= 0
    assert found.score == pytest.approx(metric.score(y, apply_threshold(found.combine(predictions), found.threshold)))
    assert found.weighting == weighting
    if weighting == "target":
        assert found.output_weights.sum(axis=0) == pytest.approx(np.ones(len(kinds)), abs=1e-12)
        counts = np.array([part.weight for part in metric.parts])
        np.testing.assert_allclose(found.weights, found.output_weights @ counts / counts.sum())


@pytest.mark.parametrize(("names", "kinds"), CONVEX + STEPPED)
def test_a_metric_has_a_certificate_only_where_every_target_is_convex(names, kinds):
    predictions, y, metric = case(names, kinds, rows=60)
    gaps = [blend(predictions, y, metric, weights=weighting, seconds=1).gap for weighting in ("shared", "target")]
    assert (None in gaps) == ((names, kinds) in STEPPED)


@many
@given(seeds, st.sampled_from(CONVEX + STEPPED), st.integers(1, 6), st.integers(12, 40))
def test_shared_weights_are_never_worse_than_simpler_ones_nor_those_of_targets_than_shared_ones(
    seed, which, models, rows
):
    names, kinds = which
    predictions, y, metric = case(names, kinds, seed=seed, models=models, rows=rows)
    loss = {m: metric.loss_of(blend(predictions, y, metric, method=m, seconds=2).score) for m in SIMPLE}
    assert loss["nelder_mead"] <= min(loss.values()) + 1e-12
    if which in SMOOTH:
        apart = metric.loss_of(blend(predictions, y, metric, weights="target", seconds=2).score)
        assert apart <= loss["nelder_mead"] + 1e-9


@pytest.mark.parametrize(("names", "kinds"), CONVEX + STEPPED[:1])
def test_weights_of_a_target_are_those_of_a_blend_of_its_own(names, kinds):
    predictions, y, metric = case(names, kinds)
    whole = blend(predictions, y, metric, weights="target", seed=3)
    assert whole.output_weights is not None
    gaps = []
    for place, part in enumerate(metric.parts):
        own = predictions[:, :, part.start] if kinds[place] < 3 else predictions[:, :, part.start : part.stop]
        single = blend(own, part.y(y), part.metric, seed=3)
        np.testing.assert_allclose(whole.output_weights[:, place], single.weights, atol=1e-12)
        gaps.append(single.gap)
    if None not in gaps:
        counts = np.array([part.weight for part in metric.parts])
        scales = np.array([part.scale for part in metric.parts])
        assert whole.gap == pytest.approx(float((counts / scales / counts.sum()) @ gaps))


@many
@given(seeds)
def test_weights_do_not_depend_on_the_order_of_models(seed):
    predictions, y, metric = case(*CONVEX[0], seed=seed, rows=40)
    order = np.random.default_rng(seed).permutation(len(predictions))
    for weighting in ("shared", "target"):
        found, moved = (blend(each, y, metric, weights=weighting) for each in (predictions, predictions[order]))
        np.testing.assert_array_equal(moved.weights, found.weights[order])
        np.testing.assert_allclose(moved.combine(predictions[order]), found.combine(predictions), atol=1e-14)


@many
@given(seeds, st.sampled_from(SMOOTH))
def test_the_sum_of_losses_has_the_slopes_and_the_curvature_of_finite_differences(seed, which):
    names, kinds = which
    predictions, y, metric = case(names, kinds, seed=seed, rows=30)
    objective = objective_for(gather(predictions, y, metric))
    assert isinstance(objective, WeightedSum)
    rng = np.random.default_rng(seed)
    weights, step = rng.dirichlet(np.ones(objective.models)), 1e-5
    for direction in np.eye(objective.models):
        ahead, behind = weights + step * direction, weights - step * direction
        slope = (objective.loss(ahead) - objective.loss(behind)) / (2 * step)
        assert objective.gradient(weights) @ direction == pytest.approx(slope, rel=1e-4, abs=1e-6)
        bend = (objective.gradient(ahead) - objective.gradient(behind)) / (2 * step)
        np.testing.assert_allclose(objective.hessian(weights) @ direction, bend, rtol=1e-3, atol=1e-5)


def test_a_mean_of_rmse_is_not_the_rmse_of_all_targets_together():
    predictions, y, metric = case(*CONVEX[1])
    objective = objective_for(gather(predictions, y, metric))
    assert isinstance(objective, WeightedSum)
    assert all(isinstance(part, RootMeanSquaredError) for part in objective.parts)
    weights = np.full(len(predictions), 1 / len(predictions))
    expected = metric.score(y, predictions.mean(axis=0))
    assert objective.score(objective.loss(weights)) == pytest.approx(expected)


def test_members_are_limited_over_all_targets_together():
    predictions, y, metric = case(*STEPPED[0], models=8, rows=50)
    for members in (1, 3):
        shared = blend(predictions, y, metric, members=members)
        apart = blend(predictions, y, metric, members=members, weights="target")
        assert np.count_nonzero(apart.weights) <= members
        assert apart.score >= shared.score - 1e-12


def test_a_target_of_labels_has_a_threshold_and_the_others_none():
    kinds = (2, 3, 2)
    predictions, y = random_targets(4, 5, 80, kinds)
    metric = metric_of(("accuracy", "f1_macro", "roc_auc"), kinds, y)
    found = blend(predictions, y, metric, weights="target")
    assert [threshold is None for threshold in found.threshold] == [False, True, True, True, True]
    decided = apply_threshold(found.combine(predictions), found.threshold)
    assert set(np.unique(decided[:, 0])) <= {0.0, 1.0}
    np.testing.assert_array_equal(decided[:, 1:], found.combine(predictions)[:, 1:])


def test_the_weighting_with_the_better_cross_fitted_score_is_used():
    predictions, y, metric = case(*CONVEX[0], models=5, rows=300)
    found = assess(predictions, y, metric, shrink=True)
    assert set(found.alternatives) == {"shared", "target"}
    best = min(found.alternatives, key=lambda weighting: found.alternatives[weighting].honest_score)
    assert found.blend.weighting == best
    assert found.honest_score == found.alternatives[best].honest_score
    assert found.baselines["best"].score == pytest.approx(min(metric.score(y, model) for model in predictions))
    for weighting in ("shared", "target"):
        scoring = assess(predictions, y, metric, shrink=True, weights=weighting, simplify=False)
        assert scoring.blend.weighting == weighting
        assert scoring.honest_score == pytest.approx(found.alternatives[weighting].honest_score)
    assert not assess(predictions, y, metric, weights="shared").alternatives


def test_the_cross_fitted_score_is_that_of_weights_by_target_fitted_on_the_other_folds():
    predictions, y, metric = case(*CONVEX[1])
    fold = np.arange(len(y)) % 3
    honest = np.empty((len(y), 2))
    for number in range(3):
        weights = blend(predictions[:, fold != number], y[fold != number], metric, weights="target").output_weights
        assert weights is not None
        honest[fold == number] = np.einsum("mt,mrt->rt", weights, predictions[:, fold == number])
    found = assess(predictions, y, metric, fold=fold, weights="target", simplify=False)
    assert found.honest_score == pytest.approx(metric.score(y, honest), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("weighting", ["shared", "target"])
def test_the_cross_fitted_score_is_near_the_score_on_new_rows(weighting):
    kinds, errors, naive = (2, 2, 2), [], []
    for seed in range(12):
        predictions, y = random_targets(1000 * seed, 12, 4150, kinds)
        metric = metric_of(("log_loss",) * 3, kinds, y)
        found = assess(predictions[:, :150], y[:150], metric, weights=weighting, simplify=False)
        fresh = metric.score(y[150:], found.blend.combine(predictions[:, 150:]))
        errors.append(found.honest_score - fresh)
        naive.append(found.blend.score - fresh)
    assert abs(np.mean(errors)) < 2.5 * np.std(errors) / np.sqrt(12)
    assert abs(np.mean(errors)) < abs(np.mean(naive))


def test_targets_share_the_time():
    predictions, y, metric = case(*STEPPED[1], models=12, rows=400)
    found = blend(predictions, y, metric, weights="target", seconds=0.3)
    assert found.seconds < 1
    assert assess(predictions, y, metric, seconds=1.0).seconds < 3


@pytest.mark.parametrize("method", ["nelder_mead", "stack"])
def test_an_aggregation_read_from_json_predicts_the_same(method):
    predictions, y, metric = case(("log_loss", "rmse", "log_loss"), (3, 0, 2))
    found = blend(predictions, y, metric, weights="target", method=method)
    assert found.output_weights is not None
    again = PerOutput.from_document(json.loads(json.dumps(found.aggregation.document())))
    np.testing.assert_allclose(again(list(predictions), found.output_weights), found.combine(predictions), rtol=1e-12)


def test_contributions_and_figures_are_means_over_targets():
    predictions, y, metric = case(*CONVEX[0], models=4)
    for weighting in ("shared", "target"):
        found = blend(predictions, y, metric, weights=weighting)
        weights = found.weights if found.output_weights is None else found.output_weights
        whole = diversity(predictions, y, metric, weights)
        np.testing.assert_allclose(whole.weights, found.weights)
        others = blend(predictions[1:], y, metric, weights=weighting).score
        assert whole.contributions is not None
        assert whole.contributions[0] == pytest.approx(others - found.score, abs=1e-6)
        assert whole.ambiguity.ensemble_loss == pytest.approx(found.score)
        counts, disagreement = np.array([1.0, 2.0, 0.5]) / 3.5, np.zeros((4, 4))
        for place, part in enumerate(metric.parts):
            own = [part.predictions(model) for model in predictions]
            single = diversity(own, part.y(y), part.metric, np.full(4, 0.25))
            disagreement += counts[place] * single.disagreement
        np.testing.assert_allclose(whole.disagreement, disagreement)


def test_a_trial_is_scored_by_its_contribution_to_an_ensemble_of_several_targets():
    predictions, y, metric = case(*CONVEX[0], models=4, rows=90)
    rows = [
        TrialRecord(f"r{i}", f"f{i % 2}", i, metric.score(y, predictions[i]), None, [], "complete", 1.0, {})
        for i in range(4)
    ]
    goal = EnsembleObjective(metric, y, np.arange(90) % 3, lambda name: predictions[int(name[1:])])
    values = goal.evaluate([rows[0], rows[2]], rows)
    assert set(values) == {0, 2}
    assert np.isfinite(list(values.values())).all()


def test_what_cannot_be_blended_is_refused_in_a_sentence():
    predictions, y, metric = case(*CONVEX[0])
    with pytest.raises(EnsembleError, match=r"method must join 3 targets. Received: 'rank'"):
        blend(predictions, y, metric, method="rank")
    with pytest.raises(EnsembleError, match=r"weights must be 'target' for method 'stack'"):
        blend(predictions, y, metric, method="stack")
    with pytest.raises(EnsembleError, match=r"weights 'class' needs one target of more than two classes. Received: 3"):
        blend(predictions, y, metric, weights="class")
    with pytest.raises(EnsembleError, match=r"weights 'target' needs several targets. Received: one"):
        blend(predictions[:, :, 0], y[:, 0], "log_loss", weights="target")
    with pytest.raises(EnsembleError, match=r"weights must be one of shared, target, class. Received: 'row'"):
        check_weights("row", "nelder_mead", targets=1, classes=2)  # type: ignore[arg-type]
    with pytest.raises(EnsembleError, match=r"predictions\[0\] must be \(rows, outputs\) with 5 columns"):
        blend(predictions[:, :, :4], y, metric)
    with pytest.raises(EnsembleError, match=r"y must be \(rows, targets\)"):
        blend(predictions, y[:, 0], metric)
    with pytest.raises(EnsembleError, match=r"target 't1': predictions\[0\] must be probabilities"):
        blend(predictions + np.array([0, 2, 0, 0, 0]), y, metric)
