"""A study's history in real Optuna journals."""

from __future__ import annotations

import time
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from test_search import DEPTH, KIND, RATE, finish, storage_in

from workbench.search import trial_history
from workbench.search.storage import TrialStorage
from workbench.space import Hyperparameter
from workbench.trial import TrialResult

DAY = datetime(2026, 11, 21, 12)
RANGES = {"depth": IntDistribution(2, 10), "rate": FloatDistribution(0.01, 1.0, log=True)}


def keep(
    storage: TrialStorage, family: str, params: dict[str, Any], distributions: dict[str, Any], value: float
) -> None:
    """Add a complete trial under Optuna's names; the leaderboard's names have no conditions."""
    plain = {name.partition(" ")[0]: value for name, value in params.items()}
    number = len(storage.frozen_trials(family))
    row = {"run_id": f"run-{number}", "family": family, "number": number, "hyperparameters": plain}
    attributes = {"row": row}
    study = optuna.load_study(study_name=f"s/{family}", storage=storage._storage)
    trial = optuna.trial.create_trial(
        params=params, distributions=distributions, value=value, user_attrs=attributes, state=TrialState.COMPLETE
    )
    study.add_trial(trial)


def trials_with_times(spans: list[tuple[float, float]]) -> list[FrozenTrial]:
    """Return trials that began and ended the given seconds after noon."""
    found = []
    for number, (start, end) in enumerate(spans):
        trial = optuna.trial.create_trial(value=0.0)
        trial.number = number
        trial.datetime_start, trial.datetime_complete = DAY + timedelta(seconds=start), DAY + timedelta(seconds=end)
        found.append(trial)
    return found


class FakeStorage:
    """A storage of one family with given trials."""

    def __init__(self, trials: list[FrozenTrial]) -> None:
        self._trials = trials

    def families(self) -> list[str]:
        return ["x"]

    def frozen_trials(self, family: str) -> list[FrozenTrial]:
        return self._trials


def test_end_times_are_seconds_since_the_first_trial_began(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    began = time.time()
    finish(storage, "x", 1.0)
    finish(storage, "y", 2.0)
    passed = time.time() - began
    found = trial_history.end_times(storage_in(tmp_path))
    assert set(found) == {("x", 0), ("y", 0)}
    assert 0 <= found["x", 0] <= found["y", 0] <= passed


def test_a_running_trial_has_no_end_time(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    assert trial_history.end_times(storage) == {}
    storage.ask("x")
    assert trial_history.end_times(storage) == {}


@pytest.mark.parametrize(
    ("spans", "ends"),
    [
        ([(0, 5), (2, 9)], [5, 9]),
        ([(0, 5), (3600, 3610)], [5, 15]),
        ([(0, 9), (1, 2), (100, 101), (100, 103)], [9, 2, 10, 12]),
        ([(50, 60), (0, 5)], [15, 5]),
        ([(0, 0)], [0]),
    ],
)
def test_pauses_between_runs_are_left_out(spans: list[tuple[float, float]], ends: list[float]) -> None:
    found = trial_history.end_times(FakeStorage(trials_with_times(spans)))  # type: ignore[arg-type]
    assert [found["x", number] for number in range(len(spans))] == pytest.approx(ends)


def test_the_hyperparameter_that_determines_the_score_is_the_most_important(tmp_path: Path) -> None:
    for direction, sign in (("minimize", 1), ("maximize", -1)):
        (tmp_path / direction).mkdir()
        storage = storage_in(tmp_path / direction, direction=direction, sampler="random")
        for _ in range(60):
            active = storage.ask("x")
            suggested = {each.name: active.suggest(each) for each in (DEPTH, RATE, KIND)}
            score = sign * (abs(suggested["depth"] - 8) + 0.01 * suggested["rate"])
            active.finish(
                TrialResult("x", active.number, "complete", 1.0, suggested, [score], score), f"run-{active.number}"
            )
        found = trial_history.importances(storage)["x"]
        assert set(found) == {"depth", "rate", "kind"}
        assert sum(found.values()) == pytest.approx(1)
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert found["depth"] == max(found.values()) > 0.7


def test_families_with_few_trials_or_one_score_or_one_value_are_left_out(tmp_path: Path) -> None:
    storage = storage_in(tmp_path, sampler="random")
    for number in range(trial_history.LEAST_TRIALS):
        finish(storage, "same", 1.0)
        if number:
            finish(storage, "few", float(number))
        active = storage.ask("fixed")
        suggested = {"depth": active.suggest(Hyperparameter("depth", "int", 3, 3, 3, step=1))}
        score = float(number)
        active.finish(TrialResult("fixed", active.number, "complete", 1.0, suggested, [score], score), f"run-{number}")
        finish(storage, "enough", float(number))
    assert list(trial_history.importances(storage)) == ["enough"]


def test_a_conditional_hyperparameter_has_its_plain_name_and_no_warning(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    assert storage.frozen_trials("x") == []
    kind = CategoricalDistribution(("a", "b"))
    for number in range(30):
        branch = "ab"[number % 2]
        name = f"rate [kind={branch}]"
        distributions = {"kind": kind, name: FloatDistribution(0.0, 1.0 + (branch == "b"))}
        value = number / 30
        keep(storage, "x", {"kind": branch, name: value}, distributions, value + (branch == "b"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = trial_history.importances(storage)["x"]
    assert set(found) == {"kind", "rate"}
    assert sum(found.values()) == pytest.approx(1)


def test_importances_of_many_trials_take_little_time(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    assert storage.frozen_trials("x") == []
    distributions: dict[str, BaseDistribution] = {f"h{i}": FloatDistribution(0.0, 1.0) for i in range(20)}
    study = optuna.load_study(study_name="s/x", storage=storage._storage)
    rng = np.random.default_rng(1)
    made = []
    for number in range(500):
        params = {name: float(rng.random()) for name in distributions}
        row = {"hyperparameters": params, "number": number}
        made.append(
            optuna.trial.create_trial(
                params=params, distributions=distributions, value=params["h0"] ** 2, user_attrs={"row": row}
            )
        )
    study.add_trials(made)
    began = time.monotonic()
    found = trial_history.importances(storage)["x"]
    assert time.monotonic() - began < 5
    assert next(iter(found)) == "h0"


def test_relative_positions_use_the_scale_of_the_search(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    assert storage.frozen_trials("x") == []
    given = RANGES | {"kind": CategoricalDistribution(("a", "b")), "one": IntDistribution(3, 3)}
    for depth, rate in ((2, 0.01), (10, 0.1), (6, 1.0)):
        keep(storage, "x", {"depth": depth, "rate": rate, "kind": "a", "one": 3}, given, 1.0)
    found = trial_history.relative_positions(storage)
    assert found["x", 0] == pytest.approx({"depth": 0, "rate": 0})
    assert found["x", 1] == pytest.approx({"depth": 1, "rate": 0.5})
    assert found["x", 2] == pytest.approx({"depth": 0.5, "rate": 1})
