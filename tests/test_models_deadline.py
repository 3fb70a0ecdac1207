"""Training that ends at a deadline with a usable model, and the trials that say so."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_trial import folds_of, spec_of

from workbench import models, trial
from workbench.models.protocol import Deadline, FitContext, Problem, Rows
from workbench.space import Space, defaults

TREES = [
    name
    for name, entry in models.FAMILIES.items()
    if entry.keeps_deadline and "table" in entry.kinds and entry.installed
]
# The deadline of a training that takes much longer without one, in seconds, and the slack of a slow machine.
SECONDS, SLACK = 0.3, 4.0


def noisy_table(rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 12))
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(12)]), x[:, 0] + rng.normal(size=rows) / 10


def fit(family: str, x: pd.DataFrame, y: np.ndarray, deadline: Deadline | None, **values: Any) -> Any:
    problem = Problem("table", "regression", 0, dict.fromkeys(map(str, x), "number"), "squared_error")
    context = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, deadline=deadline)
    hp = Space(lambda question: values.get(question.name, defaults(question)))
    cut = len(y) * 3 // 4
    return models.get_family(family).fit(hp, problem, Rows(x[:cut], y[:cut]), Rows(x[cut:], y[cut:]), context)


@pytest.mark.parametrize("family", TREES)
def test_training_ends_at_the_deadline_with_a_model_that_has_learnt(family: str) -> None:
    x, y = noisy_table(20_000)
    # The import of the library is not part of the training.
    models.get_family(family)
    began, deadline = time.monotonic(), Deadline(time.monotonic() + SECONDS)
    model = fit(family, x, y, deadline, learning_rate=0.02, trees=400)
    assert deadline.reached
    assert time.monotonic() - began < SECONDS + SLACK
    cut = len(y) * 3 // 4
    assert np.corrcoef(model.predict(x[cut:]), y[cut:])[0, 1] > 0.3


@pytest.mark.parametrize("family", TREES)
def test_a_deadline_that_is_not_reached_changes_nothing(family: str) -> None:
    x, y = noisy_table(300)
    deadline = Deadline(time.monotonic() + 600)
    limited = fit(family, x, y, deadline, trees=30, bootstrap=True)
    assert not deadline.reached
    np.testing.assert_array_equal(limited.predict(x), fit(family, x, y, None, trees=30, bootstrap=True).predict(x))


@pytest.mark.parametrize("family", TREES)
def test_after_the_deadline_the_smallest_model_is_trained(family: str) -> None:
    x, y = noisy_table(300)
    deadline = Deadline(time.monotonic() - 1)
    assert np.isfinite(fit(family, x, y, deadline).predict(x)).all()
    assert deadline.reached


def test_a_share_of_a_deadline_is_a_share_of_the_time_that_is_left() -> None:
    whole = Deadline(time.monotonic() + 100)
    assert 24 < whole.take(0.25).seconds_left <= 25
    assert not whole.reached


def test_a_trial_whose_training_was_cut_short_is_complete_and_says_so(tmp_path: Path) -> None:
    spec = spec_of("binary", family="xgboost")
    folds = folds_of(spec, tmp_path, end=time.monotonic())
    assert all(fold.cut_short for fold in folds)
    result = trial.join_folds(spec, 0, folds)
    assert (result.state, result.reason) == ("complete", "ended by the deadline")
    assert result.oof is not None
    # The note is kept with the fold, for a trial that goes on in a later run.
    assert [fold.cut_short for fold in folds_of(spec, tmp_path)] == [True] * 3


def test_a_family_without_a_deadline_is_trained_to_its_end(tmp_path: Path) -> None:
    spec = spec_of("binary", family="linear")
    folds = folds_of(spec, tmp_path, end=time.monotonic())
    assert trial.join_folds(spec, 0, folds).reason is None


def test_the_targets_of_a_trial_share_its_time() -> None:
    x, y = noisy_table(300)
    problem = Problem("table", "regression", 0, dict.fromkeys(map(str, x), "number"), "squared_error")
    targets = tuple(replace(problem, name=name) for name in "ab")
    both = replace(problem, task="multitarget", targets=targets)
    deadline = Deadline(time.monotonic() - 1)
    context = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, deadline=deadline)
    rows = Rows(x, np.column_stack([y, -y]))
    model = models.get_family("xgboost").fit(Space(defaults), both, rows, rows, context)
    assert model.predict(x).shape == (300, 2)
    assert deadline.reached
