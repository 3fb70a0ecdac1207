"""The rounds and epochs with which a trial predicts: no row chooses the length of the model that predicts it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from test_trial import folds_of, run, spec_of

from workbench import evaluation, models, space, trial
from workbench.config import FoldsConfig
from workbench.evaluation import folds as splitting
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.trial import TrialSpec

BOOSTERS = [name for name in ("xgboost", "lightgbm", "catboost") if models.FAMILIES[name].installed]


def fit_booster(family: str, hp: Any, valid: bool, length: int | None = None) -> tuple[Any, pd.DataFrame]:
    """Return a booster of a small regression, and its rows."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
    y = x["a"].to_numpy() + rng.normal(size=300) / 2
    problem = Problem("table", "regression", 0, dict.fromkeys("abcd", "number"), "squared_error")
    context = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, length=length)
    held_out = Rows(x[200:], y[200:]) if valid else None
    return models.get_family(family).fit(hp, problem, Rows(x[:200], y[:200]), held_out, context), x


@pytest.mark.parametrize("family", BOOSTERS)
def test_a_truncated_booster_is_that_of_fewer_rounds_also_after_it_was_saved(family: str, tmp_path: Path) -> None:
    model, x = fit_booster(family, space.Space(space.defaults), valid=True)
    longer = model.length + 5
    for length in (3, model.length, longer):
        expected = fit_booster(family, space.Space(space.defaults), valid=False, length=length)[0].predict(x)
        np.testing.assert_allclose(model.truncate(length).predict(x), expected, rtol=1e-5, atol=1e-6)
    lengths = [1, 3, model.length, longer, longer + 1000]
    for length, stage in zip(lengths, model.predict_stages(x, lengths), strict=True):
        np.testing.assert_allclose(stage, model.truncate(length).predict(x), rtol=1e-5, atol=1e-6)
    # The same trees, of which the first ones predict.
    np.testing.assert_array_equal(model.predict(x), model.truncate(model.length).predict(x))
    for name, each in {"whole": model, "cut": model.truncate(longer)}.items():
        (tmp_path / name).mkdir()
        each.save(tmp_path / name)
        loaded: Any = models.get_family(family).load(tmp_path / name)
        assert loaded.length == each.length
        np.testing.assert_array_equal(loaded.predict(x), each.predict(x))
        np.testing.assert_array_equal(loaded.truncate(3).predict(x), model.truncate(3).predict(x))


def noise_spec(seed: int, rows: int = 240) -> TrialSpec:
    """Return a spec whose target does not depend on its columns."""
    rng = np.random.default_rng(seed)
    spec = spec_of("binary", "xgboost", metric="roc_auc")
    x = pd.DataFrame(rng.normal(size=(rows, 6)), columns=list("abcdef"))
    y = rng.permutation(np.arange(rows) % 2)
    data = replace(spec.dataset, x=x, y=y, ids=np.arange(rows), columns=dict.fromkeys("abcdef", "number"))
    folds = splitting.make(FoldsConfig(folds=5), task="binary", y=y, ids=data.ids)
    return replace(spec, dataset=replace(data, x_test=None, test_ids=None), folds=folds)


def test_noise_scores_at_chance_though_each_fold_would_choose_rounds_that_flatter_it(tmp_path: Path) -> None:
    honest: list[Any] = []
    own: list[Any] = []
    for seed in range(4):
        spec, folder = noise_spec(seed), tmp_path / str(seed)
        hp = trial.build_space("xgboost", lambda asked: 0.2 if asked.name == "learning_rate" else asked.default)
        # Each fold's own rounds, as they are while the trial runs.
        running = list(trial.fit_folds(spec, 0, hp, folder=folder))
        own.append(trial.join_folds(spec, 0, running).score)
        honest.append(run(spec, folder).score)
    # One standard error of the mean of four is about 0.02.
    assert abs(np.mean(honest) - 0.5) < 0.05
    assert np.mean(own) - np.mean(honest) > 0.02


def test_the_other_folds_choose_the_rounds_and_new_rows_get_the_mean(tmp_path: Path) -> None:
    spec = spec_of("multiclass", "xgboost")
    folds = folds_of(spec, tmp_path)
    lengths = [fold.length for fold in folds if fold.length is not None]
    assert len(lengths) == 3
    hp, tests = trial.restore_space("xgboost", {}), []
    for index, fold in enumerate(folds):
        model: Any = trial.fit_fold(spec, 0, hp, 0, index)
        assert model.length == lengths[index]
        others = round(float(np.mean([length for place, length in enumerate(lengths) if place != index])))
        rows = spec.dataset.x.iloc[spec.folds.split(0, index)[1]]
        np.testing.assert_array_equal(fold.oof, model.truncate(others).predict(rows))
        assert fold.score == spec.metric.score(spec.dataset.y[spec.folds.split(0, index)[1]], fold.oof)
        tests.append(model.truncate(round(float(np.mean(lengths)))).predict(spec.dataset.x_test))
    result: Any = trial.join_folds(spec, 0, folds)
    assert result.length == round(float(np.mean(lengths)))
    np.testing.assert_allclose(result.test, np.mean(tests, axis=0))


def test_a_trial_that_was_killed_while_it_chose_the_rounds_ends_the_same(tmp_path: Path) -> None:
    spec, kept = spec_of("binary", "xgboost"), []
    first = folds_of(spec, tmp_path)
    again = folds_of(spec, tmp_path, keep=lambda repeat, fold, model: kept.append((fold, model.length)))
    for before, after in zip(first, again, strict=True):
        np.testing.assert_array_equal(before.oof, after.oof)
        np.testing.assert_array_equal(before.test, after.test)
    # The models that predict new rows are kept, and have no other rounds.
    mean = trial.join_folds(spec, 0, again).length
    assert [fold for fold, _ in kept] == [0, 1, 2]
    assert max(length for _, length in kept) == mean


@pytest.mark.parametrize("grouped", [False, True])
def test_each_half_of_a_single_fold_chooses_the_rounds_of_the_other(grouped: bool, tmp_path: Path) -> None:
    spec = noise_spec(1)
    config, data = FoldsConfig(kind="holdout", fraction=0.5), spec.dataset
    folds = splitting.make(config, task="binary", y=data.y, ids=data.ids)
    groups = np.arange(240) // 8 if grouped else None
    spec = replace(spec, dataset=replace(data, groups=groups), folds=folds)
    (fold,) = folds_of(spec, tmp_path)
    model: Any = trial.fit_fold(spec, 0, trial.restore_space("xgboost", {}), 0, 0)
    rows = spec.folds.split(0, 0)[1]
    x, y = data.x.iloc[rows], data.y[rows]
    stages = [model.truncate(length).predict(x) for length in range(1, model.trees.num_boosted_rounds() + 1)]
    # Two stages predict, each about half of the rows.
    (one, first), (other, second) = [
        (stage, half) for stage in stages if np.count_nonzero(half := stage == fold.oof) > len(rows) / 3
    ]
    assert (first ^ second).all()
    if groups is not None:
        assert all(len(set(first[groups[rows] == group])) == 1 for group in set(groups[rows]))
    for stage, chosen_on in [(one, second), (other, first)]:
        scores = [roc_auc_score(y[chosen_on], each[chosen_on]) for each in stages]
        # Twelve lengths are compared, so a stage between two of them may be better.
        assert roc_auc_score(y[chosen_on], stage[chosen_on]) >= np.quantile(scores, 0.8)
    assert fold.score == evaluation.metric("roc_auc").score(y, fold.oof)
