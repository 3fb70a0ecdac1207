"""The objective of the ensemble, and a sampler that learns from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from prediction_matrices import random_classes
from test_study import STUDY, made

import workbench
from workbench import evaluation
from workbench.errors import ConfigError
from workbench.search.ensemble_objective import EnsembleObjective
from workbench.search.storage import TrialRecord, TrialStorage
from workbench.space import Hyperparameter
from workbench.trial import TrialResult

FOLDS = np.arange(120) % 3
DEPTH = Hyperparameter("depth", "int", 50, 1, 100, step=1)


def row(family: str, number: int, score: float) -> TrialRecord:
    return TrialRecord(f"{family}-{number}", family, number, score, None, [], "complete", 1.0, {})


class Record:
    """A study of trials that consist of predictions alone."""

    def __init__(self, metric: str, y: np.ndarray, folds: np.ndarray = FOLDS) -> None:
        self.metric, self.y = evaluation.metric(metric), y
        self.oof: dict[str, np.ndarray] = {}
        self.rows: list[TrialRecord] = []
        self.read: list[str] = []
        self.objective = EnsembleObjective(self.metric, y, folds, self.predictions)

    def predictions(self, run_id: str) -> np.ndarray:
        self.read.append(run_id)
        return self.oof[run_id]

    def add(self, family: str, predictions: np.ndarray) -> TrialRecord:
        number = sum(each.family == family for each in self.rows)
        added = row(family, number, self.metric.score(self.y, predictions))
        self.oof[added.run_id] = predictions
        self.rows.append(added)
        return added

    def values(self, family: str, candidates: Sequence[TrialRecord] | None = None) -> dict[int, float]:
        trials = [each for each in self.rows if each.family == family]
        return self.objective.evaluate(trials, self.rows if candidates is None else candidates)


def two_causes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a target and the two parts that it is the sum of, the first the larger."""
    rng = np.random.default_rng(5)
    large, small = 2 * rng.normal(size=120), rng.normal(size=120)
    return large + small, large, small


def test_a_different_trial_is_valued_above_a_better_copy_of_a_member() -> None:
    y, large, small = two_causes()
    record = Record("rmse", y)
    record.add("trees", large)
    copy, different = record.add("linear", large), record.add("linear", small)
    values = record.values("linear")
    assert copy.score is not None
    assert different.score is not None
    assert copy.score < different.score
    assert values[different.number] < copy.score * 0.9
    assert values[copy.number] == pytest.approx(copy.score)


def test_a_trial_loses_value_once_the_ensemble_has_a_similar_member() -> None:
    y, large, small = two_causes()
    record = Record("rmse", y)
    first, scarce = record.add("trees", large), record.add("linear", small)
    record.add("linear", large)
    before = record.values("linear", [first])
    assert before[scarce.number] < before[1] * 0.9
    forest = record.add("forest", small)
    after = record.values("linear", [first, forest])
    assert after[scarce.number] == pytest.approx(after[1], rel=1e-3)


def test_a_family_is_evaluated_without_its_heaviest_member() -> None:
    y, large, small = two_causes()
    record = Record("rmse", y)
    record.add("trees", large)
    member, copy = record.add("linear", small), record.add("linear", small * 1.01)
    assert member.score is not None
    values = record.values("linear", record.rows[:2])
    # The copy is as good in the member's slot; beside the member it would add nothing.
    assert values[copy.number] == pytest.approx(values[member.number], rel=0.01)
    trees = record.rows[0].score
    assert trees is not None
    assert values[copy.number] < trees * 0.9


def test_weights_and_share_are_fitted_on_other_folds_than_they_are_scored_on() -> None:
    y = np.random.default_rng(6).normal(size=120)
    first = np.arange(120) < 60
    record = Record("rmse", y, first.astype(int))
    rest = record.add("trees", np.zeros(120))
    # Right on the first fold and wrong on the second: a share that is fitted on one fold does harm on the other.
    inconsistent = record.add("linear", np.where(first, y, -y))
    value = record.values("linear", [rest])[inconsistent.number]
    assert rest.score is not None
    assert value > rest.score * 1.2


def test_a_single_fold_is_split_into_parts() -> None:
    y, large, small = two_causes()
    record = Record("rmse", y, np.zeros(120, dtype=int))
    record.add("trees", large)
    record.add("linear", small)
    trees = record.rows[0].score
    assert trees is not None
    assert record.values("linear")[0] < trees * 0.9


@pytest.mark.parametrize("name", evaluation.names())
def test_the_targets_are_valued_above_a_copy_of_a_member_under_every_metric(name: str) -> None:
    metric = evaluation.metric(name)
    if metric.wants == "values":
        rng = np.random.default_rng(1)
        y = truth = 1 + rng.random(120)
        models = y * (1 + rng.random((3, 120)) / 2)
    else:
        models, y = random_classes(1, 3, 120, 2)
        models, truth = models[..., 1], y.astype(float)
    record = Record(name, y)
    for model in models:
        record.add("trees", model)
    record.add("linear", models[0])
    record.add("linear", truth)
    copy, right = (metric.loss_of(value) for value in record.values("linear", record.rows[:3]).values())
    assert math.isfinite(copy)
    assert right < copy


def test_multiclass_trials_are_evaluated_on_all_columns() -> None:
    models, y = random_classes(2, 4, 120, 3)
    record = Record("log_loss", y)
    for model in models[:3]:
        record.add("trees", model)
    record.add("linear", models[3])
    record.add("linear", np.eye(3)[y])
    values = record.values("linear", record.rows[:3])
    assert values[1] < 0.01 < values[0]


def test_without_other_members_the_scores_apply() -> None:
    y, large, _ = two_causes()
    record = Record("rmse", y)
    record.add("linear", large)
    assert record.values("linear") == {}


def test_without_a_defined_metric_the_scores_apply() -> None:
    record = Record("roc_auc", np.zeros(120, dtype=int))
    rng = np.random.default_rng(7)
    record.add("trees", rng.random(120))
    record.add("linear", rng.random(120))
    assert record.values("linear") == {}


def test_only_the_best_trials_of_a_long_history_are_evaluated() -> None:
    y, large, small = two_causes()
    record = Record("rmse", y)
    record.add("trees", large)
    rng = np.random.default_rng(8)
    for number in range(150):
        record.add("linear", small + number / 50 * rng.normal(size=120))
    values = record.values("linear", record.rows[:1])
    ranked = sorted(record.rows[1:], key=lambda each: each.score or 0.0)
    assert len(values) == 150
    assert [values[each.number] for each in ranked[100:]] == pytest.approx([record.rows[0].score] * 50)
    assert len(set(record.read)) == 101
    before = len(record.read)
    record.values("linear", record.rows[:1])
    assert len(record.read) == before


def run_trials(folder: Path, **options: Any) -> tuple[TrialStorage, list[int]]:
    """Run trials whose score is their depth; return their storage and the depths."""
    storage = TrialStorage(folder / "optuna.journal", "s", direction="minimize", **options)
    suggested = []
    for _ in range(30):
        active = storage.ask("x")
        suggested.append(int(active.suggest(DEPTH)))
        active.finish(
            TrialResult("x", active.number, "complete", 1.0, {}, [suggested[-1]], suggested[-1]), f"run-{active.number}"
        )
    return storage, suggested


def test_the_sampler_learns_from_the_objective_and_the_storage_keeps_the_score(tmp_path: Path) -> None:
    def deepest(trials: Sequence[TrialRecord], rows: Sequence[TrialRecord]) -> Mapping[int, float]:
        assert len(rows) >= len(trials) > 0
        return {each.number: -(each.score or 0.0) for each in trials}

    for name in ("score", "replaced", "empty"):
        (tmp_path / name).mkdir()
    _, shallow = run_trials(tmp_path / "score")
    storage, deep = run_trials(tmp_path / "replaced", objective=deepest)
    _, empty = run_trials(tmp_path / "empty", objective=lambda trials, rows: {})
    assert np.mean(shallow[10:]) < 35
    assert np.mean(deep[10:]) > 65
    assert empty == shallow
    assert [each.score for each in sorted(storage.records(), key=lambda each: each.number)] == deep
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "replaced" / "optuna.journal"))
    stored = optuna.load_study(study_name="s/x", storage=optuna.storages.JournalStorage(backend))
    assert [each.value for each in stored.trials] == deep


def test_a_goal_that_the_sampler_cannot_learn_from_is_refused(tmp_path: Path) -> None:
    file = made(tmp_path)
    file.write_text(STUDY.replace("trials: 5,", "trials: 5, sampler: qmc, goal: ensemble,"))
    with pytest.raises(ConfigError, match=r"search\.goal must be 'score' with sampler 'qmc'.*Choose the sampler tpe"):
        workbench.open(str(file))


@pytest.mark.slow
def test_a_resumed_study_with_the_ensemble_goal_repeats_an_uninterrupted_one(tmp_path: Path, database: Path) -> None:
    through = run_study(tmp_path / "through", database, "ensemble", [21])
    resumed = run_study(tmp_path / "resumed", database, "ensemble", [15, 21])
    scored = run_study(tmp_path / "scored", database, "score", [21])
    assert through == resumed
    # The sampler's first trials are random; the later ones depend on the goal.
    assert all(scored[key] == hyperparameters for key, hyperparameters in through.items() if key[1] < 6)
    assert through != scored


def run_study(
    folder: Path, database: Path, goal: str, stops: Sequence[int]
) -> dict[tuple[str, int], Mapping[str, Any]]:
    """Run a study, reopened for each stop; return the hyperparameters of its trials."""
    home = folder / "mlruns"
    home.mkdir(parents=True)
    (home / database.name).write_bytes(database.read_bytes())
    rng = np.random.default_rng(9)
    table = pd.DataFrame({"slope": rng.normal(size=120), "step": rng.normal(size=120)})
    # Linear models fit the slope and trees the step, so an ensemble needs both.
    table["y"] = table.slope + 2 * (table.step > 0) + rng.normal(size=120) / 2
    table.to_csv(folder / "train.csv", index=False)
    file = folder / "small.yaml"
    file.write_text(f"""
name: small
data: {{train: train.csv, target: y}}
folds: {{folds: 2}}
families: [linear, xgboost]
search: {{pruner: none, goal: {goal}}}
""")
    for trials in stops:
        study = workbench.open(str(file), str(home))
        for _ in study.search(trials=trials, workers=1):
            pass
    return {each.key: each.hyperparameters for each in study.trials()}
