from __future__ import annotations

import numpy as np
import pytest
from prediction_matrices import breast_cancer, diabetes, random_classes

from workbench.ensemble import BlendOptions, ModelPool, assess, blend, cross_fit, gather_checked
from workbench.ensemble.cross_fitted_scores import CrossFittedScores
from workbench.ensemble.decision import BlendKey, decide
from workbench.ensemble.resampling import bootstrap
from workbench.errors import EnsembleError
from workbench.evaluation import Metric, metric


def test_cross_fitted_score_is_that_of_blends_fitted_on_the_other_folds():
    predictions, y = diabetes()
    fold = np.arange(len(y)) % 3
    honest = np.empty(len(y))
    for number in range(3):
        weights = blend(predictions[:, fold != number], y[fold != number], "rmse").weights
        honest[fold == number] = weights @ predictions[:, fold == number]
    found = assess(predictions, y, "rmse", fold=fold, simplify=False)
    assert found.honest_score == pytest.approx(metric("rmse").score(y, honest), rel=1e-6)


def test_simpler_blends_stand_beside_on_the_same_rows():
    predictions, y = breast_cancer()
    found = assess(predictions, y, "log_loss")
    scores = [metric("log_loss").score(y, member) for member in predictions]
    best, uniform, greedy = (found.baselines[name] for name in ("best", "uniform", "greedy"))
    assert found.best_single == int(np.argmin(scores))
    assert best.score == pytest.approx(min(scores))
    assert uniform.score == uniform.honest_score == pytest.approx(metric("log_loss").score(y, predictions.mean(axis=0)))
    assert greedy.score == pytest.approx(blend(predictions, y, "log_loss", method="greedy").score)
    whole = assess(predictions, y, "log_loss", simplify=False)
    assert whole.blend.score <= min(greedy.score, uniform.score, best.score)
    assert whole.optimism == pytest.approx(whole.honest_score - whole.blend.score)


def test_the_choice_of_the_best_single_model_is_cross_fitted():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 200)
    chance = rng.uniform(size=(30, 200))
    best = assess(chance, y, "roc_auc", method="greedy").baselines["best"]
    assert best.score > 0.57
    assert abs(best.honest_score - 0.5) < 0.08


def test_the_choice_of_the_models_to_blend_is_cross_fitted():
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 200)
    chance = list(rng.uniform(size=(40, 200)))
    options = BlendOptions("uniform", simplify=False)
    found = cross_fit(gather_checked(chance, y, "roc_auc", options), options, None, ModelPool(["a"] * 40, 3))
    scores = [metric("roc_auc").score(y, model) for model in chance]
    assert set(np.flatnonzero(found.blend.weights)) == set(np.argsort(scores)[-3:])
    assert found.blend.score > 0.6
    assert abs(found.honest_score - 0.5) < 0.08
    np.testing.assert_allclose(found.blend.combine(chance), np.mean(np.array(chance)[np.argsort(scores)[-3:]], axis=0))


def test_the_blend_with_the_best_cross_fitted_score_is_taken_and_a_sentence_says_why():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 150)
    alike = np.clip(0.5 + 0.2 * (y - 0.5) + rng.normal(scale=0.15, size=(6, 150)), 0.01, 0.99)
    found = assess(alike, y, "log_loss")
    assert (found.requested_method, found.blend.method, found.weights_se) == ("nelder_mead", "uniform", None)
    assert found.remark is not None
    assert found.remark.startswith("The uniform mean is taken: its honest score is better than that of")
    kept = assess(alike, y, "log_loss", simplify=False)
    assert kept.blend.method == "nelder_mead"
    assert kept.remark is not None
    assert kept.remark.startswith("nelder_mead is taken as requested. The honest score of the uniform mean is better")
    values = rng.normal(size=2000)
    noise = rng.normal(size=(3, 2000)) * np.array([[0.3], [1.0], [3.0]])
    weighted = assess(values + noise, values, "rmse")
    assert weighted.blend.method == "nelder_mead"
    uniform = weighted.baselines["uniform"]
    assert uniform.gain_se is not None
    assert uniform.gain > 3 * uniform.gain_se
    assert weighted.remark is not None
    assert "weighted blend (nelder_mead) is taken: its honest score is better than that of" in weighted.remark


@pytest.mark.parametrize(("name", "signal"), [("log_loss", 0.0), ("log_loss", 0.1), ("rmse", 0.0), ("accuracy", 0.0)])
def test_what_is_taken_has_no_worse_honest_score_than_the_constant_baseline(name, signal):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        fold = np.arange(120) % 4
        y = rng.integers(0, 2, 120) if name != "rmse" else rng.normal(size=120)
        constant = np.array([y[fold != number].mean() for number in range(4)])[fold]
        models = np.clip(0.5 + signal * (y - 0.5) + rng.normal(scale=0.15, size=(3, 120)), 0.01, 0.99)
        found = assess([*models, constant], y, name, fold=fold, baseline=3, shrink=True)
        baseline = found.baselines["constant"]
        loss_of = metric(name, task="regression" if name == "rmse" else "binary").loss_of
        assert loss_of(found.honest_score) <= loss_of(baseline.honest_score)
        if found.remark is not None and found.remark.startswith("The constant baseline"):
            np.testing.assert_array_equal(found.blend.weights, np.eye(4)[3])
            assert found.honest_score == baseline.honest_score


def test_the_score_of_the_best_of_several_blends_is_corrected_for_the_choice():
    rng = np.random.default_rng(0)
    keys: list[BlendKey] = [(f"method {index}", "shared") for index in range(4)]
    corrected, least = [], []
    for _ in range(150):
        # Four blends that are equally good, on 100 rows and on resamples of them.
        losses = rng.normal(size=(4, 100))
        drawn = rng.integers(100, size=(200, 100))
        scores = {
            key: CrossFittedScores(own.mean(), own.mean(), own[drawn].mean(axis=1), 1, 1.0)
            for key, own in zip(keys, losses, strict=True)
        }
        corrected.append(decide(keys, scores).loss)
        least.append(losses.mean(axis=1).min())
    error = np.std(corrected) / np.sqrt(150)
    assert abs(np.mean(corrected)) < 3 * error
    assert np.mean(least) < -8 * error


def test_spread_of_weights_is_that_of_weights_on_new_rows():
    rng = np.random.default_rng(4)

    def drawn(rows: int = 700) -> tuple[np.ndarray, np.ndarray]:
        y = rng.normal(size=rows)
        return y + rng.normal(size=(2, rows)) * np.array([[1.0], [1.2]]), y

    spread = np.std([blend(*drawn(), "rmse", method="convex").weights[0] for _ in range(60)])
    found = assess(*drawn(), "rmse", simplify=False)
    assert found.weights_se == pytest.approx([spread, spread], rel=0.5)


def test_cross_fitted_score_of_random_models_is_that_of_chance():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 150)
    chance = rng.uniform(size=(12, 150))
    found = assess(chance, y, "accuracy", method="greedy", simplify=False)
    assert found.blend.score > 0.6
    assert found.honest_se is not None
    assert abs(found.honest_score - 0.5) < 3 * found.honest_se


def test_standard_error_is_that_of_a_mean_where_the_metric_is_one():
    predictions, y = breast_cancer()
    found = assess(predictions, y, "log_loss", method="uniform")
    mean = predictions.mean(axis=0)
    losses = -np.log(np.where(y == 1, mean, 1 - mean))
    assert found.honest_se == pytest.approx(losses.std() / np.sqrt(len(y)), rel=0.2)


def test_the_standard_error_counts_the_noise_of_training():
    rng = np.random.default_rng(7)
    y = rng.normal(size=400)
    options = BlendOptions()
    resamples = list(bootstrap(np.arange(400), rng, 100, 400))
    for predictions, least, most in ((rng.normal(size=400), 0.9, 1.0), (y + rng.normal(scale=0.2, size=400), 0.0, 0.2)):
        scores = CrossFittedScores.of(gather_checked([predictions], y, "rmse", options), predictions, resamples)
        assert least <= scores.noise <= most
        assert scores.se == pytest.approx(np.std(scores.resampled, ddof=1) * np.sqrt(1 + scores.noise))


def test_rows_of_a_group_count_once_in_the_standard_error():
    predictions, y = breast_cancer()
    once = assess(predictions, y, "log_loss", method="uniform")
    copied = assess(
        np.tile(predictions, 4), np.tile(y, 4), "log_loss", method="uniform", groups=np.tile(np.arange(len(y)), 4)
    )
    naive = assess(np.tile(predictions, 4), np.tile(y, 4), "log_loss", method="uniform")
    assert once.honest_se is not None
    assert copied.honest_se == pytest.approx(once.honest_se, rel=0.25)
    assert naive.honest_se == pytest.approx(once.honest_se / 2, rel=0.25)


def test_many_folds_are_merged_and_random_ones_need_no_labels():
    predictions, y = random_classes(1, 4, 60, 3)
    leave_one_out = assess(predictions, y, "log_loss", fold=np.arange(60))
    dealt = assess(predictions, y, "log_loss")
    assert leave_one_out.honest_score == pytest.approx(dealt.honest_score, rel=0.2)


def test_labels_may_be_given_for_y_and_folds():
    predictions, y = random_classes(2, 3, 40, 3)
    names = np.array(["a", "b", "c"])
    fold = np.where(np.arange(40) < 20, "early", "late")
    found = assess(predictions, names[y], "log_loss", classes=list(names), fold=fold, members=2)
    assert np.count_nonzero(found.blend.weights) <= 2
    assert found.honest_se is not None
    assert found.honest_se > 0


def test_standard_error_is_not_given_where_the_metric_is_mostly_undefined():
    def error_of_distinct_rows(y, predictions, weight):
        return float(np.abs(y - predictions).mean()) if len(np.unique(y)) == len(y) else float("nan")

    fussy = Metric(
        "fussy", "minimize", "values", frozenset({"regression"}), "squared_error", "none", error_of_distinct_rows
    )
    found = assess([[1.0, 2.0, 3.0, 4.5], [1.5, 2.0, 3.5, 4.0]], [1.0, 2.0, 3.0, 4.0], fussy, fold=[0, 0, 1, 1])
    assert found.honest_se is None
    assert found.honest_score >= found.blend.score


def test_time_is_shared_among_all_fits():
    predictions, y = random_classes(3, 6, 1000, 3)
    assert assess(predictions, y, "roc_auc", seconds=0.1).seconds < 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"fold": [0, 1]}, "fold must hold a label for each of the 30 rows"),
        ({"fold": [7] * 30}, "at least two folds"),
        ({"groups": [1]}, "groups must hold a label"),
        ({"groups": [1] * 30}, "at least two rows"),
        ({"method": "gredy"}, "Did you mean 'greedy'"),
    ],
)
def test_folds_and_options_that_cannot_be_used_are_refused(options, sentence):
    predictions, y = random_classes(4, 2, 30, 3)
    with pytest.raises(EnsembleError, match=sentence):
        assess(predictions, y, "log_loss", **options)
