"""Training that ends at a deadline with a usable model, and the trials that say so."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
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
    if entry.keeps_deadline and not entry.keras and "table" in entry.kinds and entry.installed
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


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@dataclass
class Course:
    """The effect of a time limit on a training."""

    deadline: Deadline
    seconds: float = 0.0
    """The duration of the training."""
    rates: list[float] = field(default_factory=list)
    """The learning rate at the beginning of each epoch."""
    expected: list[int] = field(default_factory=list)
    """The epochs that the limit expected at the end of each epoch."""
    last_rate: float = 0.0


def train_by_clock(
    monkeypatch: pytest.MonkeyPatch, seconds: float, kind: Any, *, steps: int = 4, stops_after: int = 1000
) -> Course:
    """Simulate a training of 40 epochs with a deadline after some seconds.

    An execution of some steps takes 0.2 seconds, and the first one 5 seconds more; a validation takes 0.2 seconds.
    """
    import keras

    from workbench.models.nn.optimizer import LearningRateSchedule
    from workbench.models.nn.time_limit import TimeLimit

    clock = Clock(monkeypatch)
    schedule = LearningRateSchedule(kind, 0.01, 0, None if kind == "plateau" else 40)
    optimizer = keras.optimizers.SGD(0.01)
    course = Course(Deadline(clock.now + seconds))
    limit = TimeLimit(course.deadline, 40, schedule, has_validation=True)
    limit.set_params({"steps": steps})
    net = SimpleNamespace(stop_training=False, optimizer=optimizer)
    limit.set_model(net)
    for epoch in range(40):
        optimizer.learning_rate = schedule.compute_rate(epoch, float(optimizer.learning_rate))
        limit.on_epoch_begin(epoch)
        course.rates.append(float(optimizer.learning_rate))
        for step in range(steps):
            clock.now += 0.2 + (5.0 if not epoch and not step else 0.0)
            limit.on_train_batch_end(step)
            if net.stop_training:
                break
        limit.on_test_begin()
        clock.now += 0.2
        limit.on_test_end()
        net.stop_training |= epoch + 1 == stops_after
        limit.on_epoch_end(epoch)
        course.expected.append(limit.expected_epochs)
        if net.stop_training:
            break
    course.seconds, course.last_rate = clock.now - 1000, float(optimizer.learning_rate)
    return course


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cosine", "step", "plateau"])
def test_a_net_compresses_its_schedule_into_the_time_until_the_deadline(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # 40 epochs of 1 second, and 5 seconds of tracing.
    course = train_by_clock(monkeypatch, 25, kind)
    assert course.deadline.reached
    assert 24 < course.seconds <= 25
    assert len(course.rates) in (20, 21)
    # The rate stays high for a third of the time, then it falls.
    assert course.rates[3] > 0.0098
    assert course.rates == sorted(course.rates, reverse=True)
    assert course.last_rate <= 0.0001
    assert abs(course.expected[10] - len(course.rates)) <= 1
    # A first epoch that takes longer than the time ends within, and its rate falls too.
    short = train_by_clock(monkeypatch, 25, kind, steps=200)
    assert (short.deadline.reached, len(short.rates)) == (True, 1)
    assert 17 < short.seconds <= 25
    assert short.last_rate <= 0.0001
    # After the deadline one execution is trained, and validated.
    late = train_by_clock(monkeypatch, -1, kind)
    assert late.deadline.reached
    assert late.seconds == pytest.approx(5.4)


@pytest.mark.slow
def test_a_deadline_changes_nothing_in_a_net_that_ends_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # The tracing in the first execution says nothing about the pace: 46 seconds are enough.
    course = train_by_clock(monkeypatch, 46, "cosine")
    assert not course.deadline.reached
    assert course.rates == pytest.approx([0.005 * (1 + np.cos(np.pi * epoch / 40)) for epoch in range(40)], rel=1e-5)
    assert set(course.expected) == {40}
    # A training that early stopping ends was not shortened.
    stopped = train_by_clock(monkeypatch, 25, "plateau", stops_after=9)
    assert not stopped.deadline.reached
    assert len(stopped.rates) == 9


@pytest.mark.slow
def test_the_stages_of_a_net_have_the_weighted_validation_losses_of_its_epochs(tmp_path: Path) -> None:
    from workbench.models.nn.keras_model import KerasModel, StagedKerasModel
    from workbench.space.keras import HyperParameters

    x, y = noisy_table(200)
    problem = Problem("table", "regression", 0, dict.fromkeys(map(str, x), "number"), "squared_error")
    losses: list[float] = []
    context = FitContext(3, 1, lambda epoch, found, progress=None, of=None: losses.append(found["val_loss"]), epochs=5)
    valid = Rows(x[150:], y[150:], np.linspace(0, 3, 50))
    model = models.get_family("mlp").fit(HyperParameters(defaults), problem, Rows(x[:150], y[:150]), valid, context)
    assert isinstance(model, StagedKerasModel)
    assert model.length == np.argmin(losses) + 1
    stages = {length: model.truncate(length) for length in (4, 1, 3, 5, 2, 9)}
    predictions = {length: stage.predict(valid.x) for length, stage in stages.items()}
    for length, loss in enumerate(losses, 1):
        errors = np.average((predictions[length] - valid.y) ** 2 * valid.sample_weight) / y[:150].var()
        assert errors == pytest.approx(loss, rel=1e-4)
    np.testing.assert_array_equal(predictions[9], predictions[5])
    np.testing.assert_array_equal(stages[4].predict(valid.x), predictions[4])
    model.save(tmp_path)
    loaded = models.get_family("mlp").load(tmp_path)
    assert isinstance(loaded, StagedKerasModel)
    np.testing.assert_allclose(loaded.predict(valid.x), model.predict(valid.x), rtol=1e-6)
    folder = tmp_path / "stage"
    folder.mkdir()
    loaded.truncate(2).save(folder)
    again = models.get_family("mlp").load(folder)
    assert type(again) is KerasModel
    np.testing.assert_allclose(again.predict(valid.x), predictions[2], rtol=1e-6)


@pytest.mark.slow
def test_the_weights_of_many_epochs_are_thinned_and_those_of_the_best_are_kept(tmp_path: Path) -> None:
    from workbench.models.nn.epoch_weights import EpochWeights

    frozen = np.zeros(100, np.float32)
    # The arrays of five epochs fit beside the frozen one.
    stages = EpochWeights(max_bytes=1400)
    for length in range(1, 14):
        weights = [frozen.copy(), np.full(50, length, np.float32), np.asarray(length)]
        stages.add(length, weights, abs(length - 7) + 1.0)
    assert (stages.best, sorted(stages.losses)) == (7, [4, 7, 8, 12])
    assert stages.find_nearest(6) == 7
    assert stages.find_nearest(10) == 8
    stages.save(tmp_path)
    with np.load(tmp_path / "stages.npz", allow_pickle=False) as stored:
        assert stored["weight_0"].shape == (1, 100)
    loaded = EpochWeights.load(tmp_path)
    assert (loaded.best, loaded.losses) == (7, stages.losses)
    assert loaded.weights[12][0] is loaded.weights[4][0]
    for length, kept in stages.weights.items():
        for array, other in zip(kept, loaded.weights[length], strict=True):
            np.testing.assert_array_equal(array, other)


def test_a_share_of_a_deadline_is_a_share_of_the_time_that_is_left() -> None:
    whole = Deadline(time.monotonic() + 100)
    part, other = whole.take(0.25), whole.take(0.5)
    assert 24 < part.seconds_left <= 25
    assert not whole.reached
    part.take(0.5).mark_reached()
    assert (part.reached, whole.reached, other.reached) == (True, True, False)


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
