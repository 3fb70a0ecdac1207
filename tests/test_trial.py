"""One set of hyperparameters through all folds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench import evaluation, space, trial
from workbench.config import FoldsConfig, TrainingConfig
from workbench.data import Dataset
from workbench.errors import FamilyError
from workbench.evaluation import folds as splitting
from workbench.models import FAMILIES
from workbench.trial import FoldResult, TrialSpec

ROWS = 90


def spec_of(task: str, family: str = "linear", metric: str | None = None, **changes: Any) -> TrialSpec:
    """Return the spec of a small problem whose target follows from its columns."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"a": rng.normal(size=ROWS), "b": rng.normal(size=ROWS)})
    raw = 3 * x.a + x.b + rng.normal(size=ROWS) / 5
    y = {
        "binary": (raw > 0).to_numpy(np.int64),
        "multiclass": np.digitize(raw, [-1, 1]).astype(np.int64),
        "regression": np.exp(raw / 3).to_numpy(),
    }[task]
    classes = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": None}[task]
    data = Dataset(
        kind="table",
        task=task,  # type: ignore[arg-type]
        x=x,
        y=y,
        ids=np.arange(ROWS),
        target="y",
        x_test=x.iloc[:20],
        test_ids=np.arange(20),
        classes=classes,
        columns={"a": "number", "b": "number"},
    )
    folds = splitting.make(FoldsConfig(folds=3), task=data.task, y=y, ids=data.ids)
    name = metric or evaluation.default(data.task)
    return replace(TrialSpec(family, data, folds, evaluation.metric(name, task=data.task)), **changes)


def run(spec: TrialSpec, folder: Path, number: int = 0) -> trial.TrialResult:
    """Run a trial with the family's defaults."""
    return trial.join_folds(spec, number, folds_of(spec, folder, number))


def folds_of(spec: TrialSpec, folder: Path, number: int = 0, **options: Any) -> list[FoldResult]:
    """Return the folds as their files hold them after the last one."""
    hp = trial.build_space(spec.family, space.defaults)
    count = sum(1 for _ in trial.fit_folds(spec, number, hp, folder=folder, **options))
    saved = [FoldResult.load(folder, *pair) for pair in spec.folds.pairs()][:count]
    return [fold for fold in saved if fold is not None]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_row_is_predicted_once_and_the_score_is_the_metric_of_these_predictions(
    task: str, tmp_path: Path
) -> None:
    spec = spec_of(task)
    result = run(spec, tmp_path)
    assert result.oof is not None
    assert result.test is not None
    assert len(result.oof) == ROWS
    assert len(result.test) == 20
    assert np.isfinite(result.oof).all()
    assert result.score == spec.metric.score(spec.dataset.y, result.oof)
    assert len(result.fold_scores) == 3


def test_with_time_folds_only_the_last_model_predicts_the_test_rows(tmp_path: Path) -> None:
    spec = spec_of("regression")
    own = spec.dataset
    config = FoldsConfig(kind="time", folds=3)
    folds_by_time = splitting.make(config, task=own.task, y=own.y, ids=own.ids, time=np.arange(ROWS))
    folds = folds_of(replace(spec, folds=folds_by_time), tmp_path)
    assert [fold.test is None for fold in folds] == [True, True, False]
    result = trial.join_folds(replace(spec, folds=folds_by_time), 0, folds)
    assert result.test is not None
    assert (result.test == folds[-1].test).all()


def test_no_row_is_predicted_by_a_model_fitted_on_its_target(tmp_path: Path) -> None:
    spec = spec_of("regression", "extra_trees")
    noise = np.random.default_rng(1).normal(size=ROWS)
    result = run(replace(spec, dataset=replace(spec.dataset, y=noise)), tmp_path)
    # Trees reproduce a target that they were fitted on; out-of-fold predictions of noise do not correlate with it.
    assert result.oof is not None
    assert abs(np.corrcoef(result.oof, noise)[0, 1]) < 0.35


def test_test_predictions_are_the_mean_over_folds(tmp_path: Path) -> None:
    spec = spec_of("binary")
    folds = folds_of(spec, tmp_path)
    result = trial.join_folds(spec, 0, folds)
    tests = [fold.test for fold in folds if fold.test is not None]
    assert len(tests) == len(folds)
    assert result.test is not None
    assert np.allclose(result.test, np.mean(tests, axis=0))


def test_a_finished_fold_is_not_trained_again(tmp_path: Path) -> None:
    spec = spec_of("binary", "xgboost")
    first = next(iter(trial.fit_folds(spec, 0, trial.build_space("xgboost", space.defaults), folder=tmp_path)))
    suggested: list[str] = []

    def suggest(question: space.Hyperparameter) -> Any:
        suggested.append(question.name)
        return question.default

    reports: list[tuple[int, int, float]] = []

    def report(fold: int, epoch: int, progress: int, loss: float, of: int | None) -> bool:
        reports.append((fold, progress, loss))
        return True

    again = list(trial.fit_folds(spec, 0, trial.build_space("xgboost", suggest), folder=tmp_path, report=report))
    assert np.array_equal(again[0].oof, first.oof)
    assert again[0].seconds == first.seconds
    assert {fold for fold, _, _ in reports} == {1, 2}
    assert suggested


def test_reported_progress_increases_and_reported_loss_decreases(tmp_path: Path) -> None:
    reports: list[tuple[int, int, float]] = []

    def report(fold: int, epoch: int, progress: int, loss: float, of: int | None) -> bool:
        reports.append((fold, progress, loss))
        return True

    folds_of(spec_of("binary", "xgboost"), tmp_path, report=report)
    for index in range(3):
        progress = [p for fold, p, _ in reports if fold == index]
        losses = [loss for fold, _, loss in reports if fold == index]
        assert len(progress) > 3
        assert progress == sorted(progress)
        assert losses == sorted(losses, reverse=True)
        # Progress is rounds × learning rate: XGBoost's default of 0.08 and some hundred rounds.
        assert progress[-1] < 60


@pytest.mark.parametrize("family", ["xgboost", "lightgbm", "catboost"])
def test_a_fold_stops_when_the_report_returns_false(family: str, tmp_path: Path) -> None:
    pytest.importorskip(family)
    answers = [True, True, True, False]
    with pytest.raises(trial.StoppedFold) as stopped:
        folds_of(spec_of("binary", family), tmp_path, report=lambda *progress: answers.pop(0))
    interrupted = stopped.value.fold
    assert (interrupted.repeat, interrupted.fold, not answers) == (0, 0, True)
    assert interrupted.curve["epoch"] == [0, 10, 20, 30]
    assert interrupted.seconds > 0
    assert not list(tmp_path.glob("fold-*"))
    result = trial.join_folds(
        spec_of("binary", family), 0, [], state="pruned", hyperparameters={"depth": 3}, interrupted=interrupted
    )
    assert (result.hyperparameters, result.seconds) == ({"depth": 3}, interrupted.seconds)
    assert result.curves[0, 0]["val_loss"] == interrupted.curve["val_loss"]


def test_a_saved_fold_loads_unchanged(tmp_path: Path) -> None:
    fold = FoldResult(
        0, 2, np.eye(3), None, 0.5, 1.5, {"depth": 3, "kind": "a"}, {"epoch": [0.0], "loss": [0.1]}, {"parameters": 7}
    )
    fold.save(tmp_path)
    back = FoldResult.load(tmp_path, 0, 2)
    assert back is not None
    assert np.array_equal(back.oof, fold.oof)
    assert (back.test, back.score, back.hyperparameters, back.curve) == (None, 0.5, fold.hyperparameters, fold.curve)
    assert back.size == {"parameters": 7}
    assert FoldResult.load(tmp_path, 0, 1) is None
    assert not list(tmp_path.glob("*.part"))


def test_predictions_follow_from_seed_and_trial_number(tmp_path: Path) -> None:
    spec = spec_of("binary", "xgboost")
    first, again = run(spec, tmp_path / "a"), run(spec, tmp_path / "b")
    other = run(spec, tmp_path / "c", number=1)
    assert first.oof is not None
    assert again.oof is not None
    assert other.oof is not None
    assert np.array_equal(first.oof, again.oof)
    assert not np.array_equal(first.oof, other.oof)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("family", ["linear", "xgboost", pytest.param("mlp", marks=pytest.mark.slow)])
def test_a_fold_model_trained_again_from_its_hyperparameters_is_the_same(family: str, tmp_path: Path) -> None:
    spec, suggested = (
        spec_of("binary", family),
        trial.build_space(family, lambda q: q.choices[-1] if q.choices else q.high),
    )
    fold = next(iter(trial.fit_folds(spec, 4, suggested, folder=tmp_path)))
    again = trial.fit_fold(spec, 4, trial.restore_space(family, fold.hyperparameters), 0, 0)
    rows = spec.dataset.x.iloc[spec.folds.split(0, 0)[1]]
    assert np.array_equal(trial.predict(again, rows, family=spec.family, transform="none"), fold.oof)


def test_only_families_that_learn_without_labels_get_the_features_of_all_rows() -> None:
    spec = spec_of("binary", "dae_mlp")
    shared = trial.collect_unlabeled_features(spec, 4)
    assert shared is not None
    x, x_test = spec.dataset.x, spec.dataset.x_test
    assert isinstance(shared.x, pd.DataFrame)
    assert isinstance(x, pd.DataFrame)
    assert isinstance(x_test, pd.DataFrame)
    pd.testing.assert_frame_equal(shared.x, pd.concat([x, x_test], ignore_index=True))
    more = x.head(2) + 1
    more_spec = replace(spec, dataset=replace(spec.dataset, unlabelled=more))
    with_unlabelled = trial.collect_unlabeled_features(more_spec, 4)
    assert with_unlabelled is not None
    pd.testing.assert_frame_equal(pd.DataFrame(with_unlabelled.x), pd.concat([x, x_test, more], ignore_index=True))
    assert trial.collect_unlabeled_features(replace(spec, family="mlp"), 4) is None
    assert trial.collect_unlabeled_features(spec, 5).seed != shared.seed
    times = np.arange(ROWS)
    ordered = splitting.make(FoldsConfig(kind="time", folds=3), task="binary", y=spec.dataset.y, ids=times, time=times)
    assert trial.collect_unlabeled_features(replace(spec, folds=ordered), 4) is None


@pytest.mark.slow
def test_the_folds_of_a_trial_share_one_autoencoder_and_a_resumed_trial_trains_the_same(tmp_path: Path) -> None:
    def few(question: Any) -> Any:
        return {"encoder_steps": 64, "layers": 1}.get(question.name, question.default)

    spec = spec_of("binary", "dae_mlp", training=TrainingConfig(epochs=1))
    models: list[Any] = []
    list(
        trial.fit_folds(
            spec,
            4,
            trial.build_space("dae_mlp", few),
            folder=tmp_path,
            keep=lambda repeat, fold, model: models.append(model),
        )
    )
    assert len(models) == 3
    assert models[0].encoder is models[1].encoder is models[2].encoder
    again = trial.fit_fold(spec, 4, trial.build_space("dae_mlp", few), 0, 2)
    assert isinstance(spec.dataset.x_test, pd.DataFrame)
    np.testing.assert_array_equal(again.predict(spec.dataset.x_test), models[2].predict(spec.dataset.x_test))


def test_a_model_on_all_rows_is_trained_for_the_mean_of_the_folds_best_lengths(tmp_path: Path) -> None:
    spec = spec_of("binary", "xgboost")
    curves = {
        (0, 0): {"epoch": [0.0, 10.0, 20.0], "val_loss": [0.9, 0.3, 0.5]},
        (0, 1): {"epoch": [0.0, 10.0, 20.0], "val_loss": [0.9, 0.8, float("nan")]},
        (0, 2): {"epoch": [0.0, 10.0, 20.0], "val_loss": [0.9, 0.3, 0.1]},
    }
    # The mean of 11, 11 and 21 rounds.
    assert trial.read_length(curves) == 14
    assert trial.read_length({}) is None
    # The folds trained on two thirds of the rows.
    assert trial.extrapolate_length(spec, 14) == 21
    assert trial.extrapolate_length(replace(spec, family="mlp"), 14) == 14
    assert trial.extrapolate_length(spec, None) is None
    hp = trial.restore_space("xgboost", {})
    fitted: list[Any] = [trial.fit_full(spec, 0, hp, seed=seed, length=21) for seed in (7, 8)]
    one, two = fitted
    assert one.trees.num_boosted_rounds() == 21
    assert not np.array_equal(one.predict(spec.dataset.x), two.predict(spec.dataset.x))


def test_a_pruned_trial_has_no_predictions_for_test_rows(tmp_path: Path) -> None:
    spec = spec_of("binary")
    folds = folds_of(spec, tmp_path)
    pruned = trial.join_folds(spec, 0, folds[:2], state="pruned", reason="pruned after fold 1")
    assert folds[0].test is not None
    assert pruned.test is None
    assert pruned.oof is None


def test_rmsle_trains_on_the_logarithm_and_predicts_in_the_targets_units(tmp_path: Path) -> None:
    plain, logged = spec_of("regression", metric="rmsle"), spec_of("regression", metric="rmsle", transform="log1p")
    assert evaluation.metric("rmsle").transform == "log1p"
    raw_score, log_score = (run(spec, tmp_path / name).score for name, spec in (("plain", plain), ("logged", logged)))
    assert raw_score is not None
    assert log_score is not None
    assert log_score < raw_score


def test_balanced_class_weights_raise_the_rare_class(tmp_path: Path) -> None:
    spec = spec_of("binary")
    y = (spec.dataset.x.a > 1.2).to_numpy(np.int64)
    data = replace(spec.dataset, y=y)
    folds = splitting.make(FoldsConfig(folds=3), task="binary", y=y, ids=data.ids)
    plain = run(replace(spec, dataset=data, folds=folds), tmp_path / "plain")
    balanced = run(replace(spec, dataset=data, folds=folds, class_weight="balanced"), tmp_path / "balanced")
    assert balanced.oof.mean() > plain.oof.mean()


@pytest.mark.parametrize(("metric", "balanced"), [("log_loss", True), ("roc_auc", False)])
@pytest.mark.parametrize("family", [name for name in ("xgboost", "lightgbm", "catboost") if FAMILIES[name].installed])
def test_class_weights_count_in_early_stopping_unless_the_metric_is_of_order(
    family: str, metric: str, balanced: bool
) -> None:
    spec = spec_of("binary", family, metric=metric, class_weight="balanced")
    y, reported = (spec.dataset.x.a > 1).to_numpy(np.int64), []
    spec = replace(spec, dataset=replace(spec.dataset, y=y))

    def record(epoch: int, losses: Any, progress: float | None = None, of: int | None = None) -> None:
        reported.append(losses["val_loss"])

    model: Any = trial.fit_fold(spec, 0, trial.restore_space(family, {}), 0, 0, record)
    rows = spec.folds.split(0, 0)[1]
    first = model.truncate(1).predict(spec.dataset.x.iloc[rows])
    weight = (1 / np.bincount(y[rows]))[y[rows]] if balanced else np.ones(len(rows))
    expected = np.average(-np.log(np.where(y[rows] == 1, first, 1 - first)), weights=weight)
    assert reported[0] == pytest.approx(expected, rel=1e-4)


def test_predictions_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    # exp of a line far outside the training range is infinite.
    spec = spec_of("regression", transform="log1p")
    wild = spec.dataset.x.iloc[:20] * 1e6
    with pytest.raises(FamilyError, match="not finite"):
        run(replace(spec, dataset=replace(spec.dataset, x_test=wild)), tmp_path)


def test_trials_predict_in_the_range_of_the_metric(tmp_path: Path) -> None:
    spec = spec_of("regression", metric="rmsle")
    # A line through rows far below 0, as extrapolation gives.
    shifted = replace(spec, dataset=replace(spec.dataset, y=np.clip(spec.dataset.y - 1.5, 0, None)))
    assert run(replace(shifted, metric=evaluation.metric("rmse")), tmp_path / "rmse").oof.min() < 0
    result = run(shifted, tmp_path / "rmsle")
    assert result.oof is not None
    assert result.test is not None
    assert result.oof.min() == 0
    assert result.test.min() == 0
    assert result.score == shifted.metric.score(shifted.dataset.y, result.oof)
