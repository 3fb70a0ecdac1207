"""Storage, samplers, allocation, pool and scheduler, with real journals and real processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from test_trial import spec_of

from workbench import evaluation, space, trial
from workbench.errors import SearchError
from workbench.search import allocation, pruners, samplers
from workbench.search.allocation import FamilyProgress
from workbench.search.bounded_history import BoundedHistorySampler, limit_history
from workbench.search.events import (
    Event,
    FamilySetAside,
    FoldEnded,
    Stopped,
    TrialEnded,
    TrialPutBack,
    TrialStarted,
)
from workbench.search.pool import Pool
from workbench.search.pruners import END, STRIDE
from workbench.search.scheduler import Search, SearchPlan
from workbench.search.storage import TrialStorage, read_fidelity
from workbench.search.worker import EpochReport, FoldReport, TrialOutcome
from workbench.space import Hyperparameter
from workbench.trial import State, TrialResult, TrialSpec

DEPTH = Hyperparameter("depth", "int", 6, 2, 10, step=1)
RATE = Hyperparameter("rate", "float", 0.1, 0.01, 1.0, log=True)
KIND = Hyperparameter("kind", "categorical", "a", choices=("a", "b"))


def storage_in(folder: Path, **options: Any) -> TrialStorage:
    return TrialStorage(folder / "optuna.journal", "s", **({"direction": "minimize"} | options))


def finish(storage: TrialStorage, family: str, score: float) -> dict[str, Any]:
    """Run a trial without a model; return its hyperparameters."""
    active = storage.ask(family)
    suggested = {hyperparameter.name: active.suggest(hyperparameter) for hyperparameter in (DEPTH, RATE, KIND)}
    result = TrialResult(family, active.number, "complete", 1.0, suggested, [score], score, fidelity=storage.fidelity)
    active.finish(result, f"run-{active.number}")
    return suggested


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool(["workbench.trial", "workbench.models.tabular.linear", "workbench.models.tabular.xgboost"])


class Recorder:
    """A stand-in for MLflow that keeps the results that it receives."""

    def __init__(self) -> None:
        self.results: list[TrialResult] = []

    def __call__(self, result: TrialResult, log: Path) -> str:
        self.results.append(result)
        return f"run-{result.family}-{result.number}"


def search(folder: Path, pool: Pool, record: Callable[..., str], *, families: list[str], **options: Any) -> Search:
    given = {"workers": 2, "trials": None, "deadline": None} | options
    specs: dict[str, TrialSpec] = {family: spec_of("binary", family) for family in ["constant", *families]}
    storage = storage_in(folder)
    storage.requeue_running()
    plan = SearchPlan(specs, lambda family, number: folder / f"{family}-{number}", record, **given)
    return Search(plan, storage, pool)


def test_only_the_first_trial_of_a_family_takes_its_defaults(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    assert finish(storage, "x", 1.0) == {"depth": 6, "rate": 0.1, "kind": "a"}
    assert finish(storage, "x", 1.0) != {"depth": 6, "rate": 0.1, "kind": "a"}
    assert finish(storage, "y", 1.0) == {"depth": 6, "rate": 0.1, "kind": "a"}


def test_the_first_trial_of_a_fidelity_takes_the_best_of_a_lower_one_and_later_ones_do_not_see_it(
    tmp_path: Path,
) -> None:
    storage = storage_in(tmp_path)
    storage.use_fidelity("holdout/4")
    finish(storage, "x", 0.1)
    storage.use_fidelity("holdout")
    lower = [finish(storage, "x", score) for score in (3.0, 1.0, 2.0)]
    storage.ask("x").report((0, END), 1.0)
    reopened = storage_in(tmp_path)
    assert reopened.requeue_running() == 1
    assert finish(reopened, "x", 9.0) == lower[1]
    assert lower[1] not in [finish(reopened, "x", score) for score in (8.0, 7.0)]
    assert [trial.number for trial in reopened.frozen_trials("x")] == [4, 5, 6]
    assert set(reopened.intermediate_values["x"].complete) == {4, 5, 6}
    assert [(r.fidelity, r.score) for r in reopened.records()][:5] == [
        ("full", 7.0),
        ("full", 8.0),
        ("full", 9.0),
        ("holdout", 1.0),
        ("holdout", 2.0),
    ]


def test_tpe_sees_trials_of_its_own_fidelity_only() -> None:
    study = optuna.create_study()
    for value, attributes in [(1.0, {"fidelity": "holdout"}), (2.0, {"fidelity": "full"}), (3.0, {})]:
        study.add_trial(optuna.trial.create_trial(value=value, user_attrs=attributes))
    full = limit_history(study, is_comparable=lambda frozen: read_fidelity(frozen) == "full")
    assert [t.value for t in full.get_trials(deepcopy=False)] == [2.0, 3.0]
    assert len(limit_history(study).get_trials(deepcopy=False)) == 3


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_sampler_suggests_the_same_in_a_reopened_study(sampler: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    through = storage_in(tmp_path / "a", sampler=sampler)
    one = [finish(through, "x", float(i % 3)) for i in range(8)]
    two = [finish(storage_in(tmp_path / "b", sampler=sampler), "x", float(i % 3)) for i in range(8)]
    assert one == two
    assert len({str(suggested) for suggested in one}) > 3


def test_tpe_sees_the_best_and_the_latest_trials_of_a_long_history(tmp_path: Path) -> None:
    study = optuna.create_study(sampler=BoundedHistorySampler(optuna.samplers.RandomSampler(seed=1)))
    for number in range(600):
        value = float((number * 7919) % 600)
        study.add_trial(optuna.trial.create_trial(value=value))
    seen = limit_history(study).get_trials(deepcopy=False)
    assert [t.number for t in seen[-300:]] == list(range(300, 600))
    older = sorted(study.trials[:300], key=lambda t: t.value or 0.0)
    assert {t.number for t in seen[:-300]} == {t.number for t in older[:100]}
    assert [t.number for t in seen] == sorted(t.number for t in seen)
    few = optuna.create_study()
    few.add_trial(optuna.trial.create_trial(value=1.0))
    assert len(limit_history(few).trials) == 1


def test_an_exhaustive_sampler_tries_every_value_once_and_is_exhausted(tmp_path: Path) -> None:
    storage = storage_in(tmp_path, sampler="brute_force")
    suggested = set()
    for _ in range(3):
        assert not storage.exhausted
        active = storage.ask("x")
        suggested.add(active.suggest(Hyperparameter("kind", "categorical", "a", choices=("a", "b", "c"))))
        active.finish(TrialResult("x", active.number, "complete", 1.0, {}, [1.0], 1.0), "run")
    assert suggested == {"a", "b", "c"}
    assert storage.exhausted == {"x"}


def test_optuna_has_all_samplers() -> None:
    for name in samplers.sampler_names():
        if name != "cmaes":
            samplers.check_sampler(name)
            samplers.make_sampler(name, seed=1, family="x", number=1)
    with pytest.raises(SearchError, match="Did you mean 'random'"):
        samplers.check_sampler("randm")
    with pytest.raises(SearchError, match="Did you mean 'median'"):
        pruners.get_pruner("medan")


def test_a_value_that_is_not_finite_prunes_nothing_and_no_step_is_stored_twice(tmp_path: Path) -> None:
    for _ in range(5):
        active = storage_in(tmp_path, pruner="median").ask("x")
        active.report((0, END), 0.5)
        active.finish(TrialResult("x", active.number, "complete", 1.0, {}, [0.5], 0.5), "run")
    storage = storage_in(tmp_path, pruner="median")
    active = storage.ask("x")
    assert not active.report((0, END), float("nan"))
    assert not active.report((0, 2), 0.4)
    storage_in(tmp_path).requeue_running()
    again = storage_in(tmp_path, pruner="median").ask("x")
    assert (again.report((0, 2), 0.4), again.report((0, END), 0.4)) == (False, False)
    again.finish(TrialResult("x", again.number, "complete", 1.0, {}, [0.4], 0.4), "run")
    assert storage_in(tmp_path, pruner="median").ask("x").report((0, END), 9.0)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_journal_holds_a_step_for_every_fold_and_rung_and_unchanged_scores(direction: Any, tmp_path: Path) -> None:
    storage = storage_in(tmp_path, direction=direction)
    active = storage.ask("x")
    for fold in range(2):
        active.report((fold, 2), 0.7)
        active.report((fold, END), 0.9)
    frozen = storage._open("x").trials[0]
    assert sorted(frozen.intermediate_values) == [2, STRIDE - 1, STRIDE + 2, 2 * STRIDE - 1]
    assert frozen.intermediate_values[STRIDE - 1] == 0.9
    assert frozen.intermediate_values[2] == (0.7 if direction == "minimize" else -0.7)
    again = storage_in(tmp_path, direction=direction)
    again.ask("x")
    assert again.intermediate_values["x"].losses == storage.intermediate_values["x"].losses


def test_records_are_best_first_then_pruned_then_failed(tmp_path: Path) -> None:
    storage = storage_in(tmp_path, direction="maximize")
    ends: list[tuple[State, float | None]] = [("failed", None), ("complete", 0.5), ("pruned", None), ("complete", 0.9)]
    for state, score in ends:
        active = storage.ask("x")
        active.finish(TrialResult("x", active.number, state, 1.0, {}, [], score, reason="why"), f"run-{active.number}")
    assert [(row.state, row.score) for row in storage_in(tmp_path, direction="maximize").records()] == [
        ("complete", 0.9),
        ("complete", 0.5),
        ("pruned", None),
        ("failed", None),
    ]


def test_a_trial_of_a_dead_process_keeps_its_number_and_hyperparameters(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    finish(storage, "x", 1.0)
    active = storage.ask("x")
    depth = active.suggest(DEPTH)
    later = storage_in(tmp_path)
    assert later.requeue_running() == 1
    assert later.has_waiting("x")
    again = later.ask("x")
    assert (again.number, again.suggest(DEPTH)) == (active.number, depth)
    assert not again.exceeds_restarts


def test_a_trial_exceeds_its_restarts_after_the_command_died_three_times(tmp_path: Path) -> None:
    for _ in range(3):
        assert not storage_in(tmp_path).ask("x").exceeds_restarts
        storage_in(tmp_path).requeue_running()
    assert storage_in(tmp_path).ask("x").exceeds_restarts


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_study_continues_after_choices_ranges_and_kinds_changed(sampler: str, tmp_path: Path) -> None:
    for i in range(8):
        finish(storage_in(tmp_path, sampler=sampler), "x", float(i))
    changed = (
        Hyperparameter("depth", "int", 6, 2, 40, step=1),
        Hyperparameter("rate", "float", 0.1, 0.01, 1.0),
        Hyperparameter("kind", "categorical", "a", choices=("a", "b", "c")),
    )
    seen = []
    for _ in range(20):
        active = storage_in(tmp_path, sampler=sampler).ask("x")
        suggested = {hyperparameter.name: active.suggest(hyperparameter) for hyperparameter in changed}
        assert suggested == {hyperparameter.name: active.suggest(hyperparameter) for hyperparameter in changed}
        active.finish(TrialResult("x", active.number, "complete", 1.0, suggested, [1.0], 1.0), "run")
        seen.append(suggested)
    assert {suggested["kind"] for suggested in seen} == {"a", "b", "c"}
    assert max(suggested["depth"] for suggested in seen) > 10
    names = set(storage_in(tmp_path)._storage.get_all_trials(0)[-1].params)
    if sampler == "qmc":
        assert names == {"depth (whole, 2 to 40)", "rate (real, 0.01 to 1)", "kind {'a', 'b', 'c'}"}
    else:
        assert names == {"depth", "rate (real)", "kind {'a', 'b', 'c'}"}


def test_allocation_prefers_interrupted_trials_then_defaults_then_promising_families() -> None:
    good = FamilyProgress("good", started=3, seconds=10, best_loss=0.1, complete_seconds=[3.0, 4.0])
    bad = FamilyProgress("bad", started=3, seconds=10, best_loss=0.9, complete_seconds=[3.0, 4.0])
    new, interrupted = FamilyProgress("new"), FamilyProgress("interrupted", started=1, has_waiting=True)
    assert allocation.choose([bad, good, new, interrupted], None) is interrupted
    assert allocation.choose([bad, good, new], None) is new
    assert allocation.choose([bad, good], None) is good
    good.seconds, good.started = 200, 20
    assert allocation.choose([bad, good], None) is bad
    assert allocation.choose([bad, good], 2.0) is None


def test_without_a_time_limit_allocation_follows_from_the_trials_alone() -> None:
    slow = FamilyProgress("slow", started=3, seconds=1000, best_loss=0.1, complete_seconds=[300.0])
    fast = FamilyProgress("fast", started=3, seconds=1, best_loss=0.2, complete_seconds=[0.3])
    assert allocation.choose([slow, fast], None) is slow
    assert allocation.choose([slow, fast], 5000.0) is fast


def test_allocation_prefers_families_with_weight_in_the_ensemble() -> None:
    best = FamilyProgress("best", started=4, best_loss=0.1, weight=0.5)
    same = FamilyProgress("same", started=2, best_loss=0.11, weight=0.0)
    different = FamilyProgress("different", started=2, best_loss=0.3, weight=0.5)
    assert allocation.choose([best, same, different], None) is different


def test_under_a_time_limit_a_family_of_unknown_cost_gets_one_trial_at_a_time() -> None:
    slow, cheap = (
        FamilyProgress("cnn", started=1, running=1),
        FamilyProgress("linear", started=30, complete_seconds=[1.0], best_loss=0.5),
    )
    assert allocation.choose([slow, cheap], 100) is cheap
    assert allocation.choose([slow], 100) is slow
    assert allocation.choose([slow, cheap], None) is slow


def test_allocation_gives_every_family_trials() -> None:
    families = [FamilyProgress(str(i), started=1, seconds=1, best_loss=i, complete_seconds=[1.0]) for i in range(4)]
    for _ in range(100):
        chosen = allocation.choose(families, None)
        assert chosen is not None
        chosen.seconds += 1
        chosen.started += 1
    spent = [each.seconds for each in families]
    assert spent == sorted(spent, reverse=True)
    assert spent[-1] > 8


@pytest.mark.slow
def test_a_search_runs_the_baseline_and_every_family_and_stops_at_its_trials(tmp_path: Path, pool: Pool) -> None:
    record = Recorder()
    events = list(search(tmp_path, pool, record, families=["linear", "xgboost"], trials=6).run())
    ended = [event.row for event in events if isinstance(event, TrialEnded)]
    assert (ended[0].family, ended[0].state) == ("constant", "complete")
    assert {row.family for row in ended[1:]} == {"linear", "xgboost"}
    assert sum(row.state != "failed" for row in ended) == 6
    assert events[-1] == Stopped("trials", 0)
    assert [(r.family, r.number) for r in record.results] == [(row.family, row.number) for row in ended]
    assert sum(isinstance(event, FoldEnded) for event in events) >= 2 * 3
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.slow
def test_a_second_search_runs_only_the_missing_trials(tmp_path: Path, pool: Pool) -> None:
    record = Recorder()
    list(search(tmp_path, pool, record, families=["linear"], trials=3).run())
    assert len(record.results) == 3
    list(search(tmp_path, pool, record, families=["linear"], trials=3).run())
    assert len(record.results) == 3
    list(search(tmp_path, pool, record, families=["linear"], trials=5).run())
    assert {(r.family, r.number) for r in record.results[3:]} == {("linear", 2), ("linear", 3)}


def test_a_killed_worker_is_a_failed_trial_and_the_search_continues(tmp_path: Path, pool: Pool) -> None:
    record = Recorder()
    running = search(tmp_path, pool, record, families=["xgboost"], trials=3, workers=1)
    killed = False
    for event in running.run():
        if isinstance(event, TrialStarted) and event.family == "xgboost" and not killed:
            killed = True
            # The process starts when the generator goes on; it is killed as soon as it exists.
            kill_soon(running)
    states = [result.state for result in record.results]
    assert states.count("failed") == 1
    assert "signal 9" in next(r.reason or "" for r in record.results if r.state == "failed")
    assert states.count("complete") + states.count("pruned") == 3


def kill_soon(running: Search) -> None:
    """Kill the first worker from another thread, once it exists."""

    def kill() -> None:
        end = time.monotonic() + 60
        while not running._running and time.monotonic() < end:
            time.sleep(0.001)
        running._running[0].process.process.kill()

    threading.Thread(target=kill).start()


def test_a_family_is_set_aside_after_three_failures_and_the_search_ends_without_families(
    tmp_path: Path, pool: Pool
) -> None:
    record = Recorder()
    specs = {family: spec_of("binary", family) for family in ("constant", "linear", "xgboost")}
    broken = specs["xgboost"].dataset
    text = broken.x.assign(a="words that are said to be numbers")
    specs["xgboost"] = replace(specs["xgboost"], dataset=replace(broken, x=text))
    plan = SearchPlan(specs, lambda f, n: tmp_path / f"{f}-{n}", record, workers=1, trials=8, deadline=None)
    events = list(Search(plan, storage_in(tmp_path), pool).run())
    set_aside = [event for event in events if isinstance(event, FamilySetAside)]
    assert [event.family for event in set_aside] == ["xgboost"]
    assert "words that are" in set_aside[0].reason
    assert sum(r.state == "failed" for r in record.results) == 3
    assert sum(r.state != "failed" for r in record.results) == 8
    (tmp_path / "b").mkdir()
    only = SearchPlan(
        {k: specs[k] for k in ("constant", "xgboost")}, plan.trial_folder, record, workers=1, trials=4, deadline=None
    )
    with pytest.raises(SearchError, match="words that are"):
        list(Search(only, storage_in(tmp_path / "b"), pool).run())


@pytest.mark.slow
def test_the_deadline_ends_the_search_and_requeues_running_trials(tmp_path: Path, pool: Pool) -> None:
    record = Recorder()
    began = time.monotonic()
    deadline = began + 3
    events: list[Event] = list(search(tmp_path, pool, record, families=["xgboost"], deadline=deadline).run())
    assert time.monotonic() - deadline < 4
    stopped = events[-1]
    assert isinstance(stopped, Stopped)
    assert stopped.why == "minutes"
    trials = optuna.load_study(storage=storage_in(tmp_path)._storage, study_name="s/xgboost").trials
    assert sum(t.state.name == "WAITING" for t in trials) == stopped.interrupted
    assert not any(t.state.name == "RUNNING" for t in trials)


@pytest.mark.slow
def test_a_trial_that_cannot_end_in_time_is_put_back_and_continues_in_the_next_run(tmp_path: Path, pool: Pool) -> None:
    record = Recorder()
    running = search(tmp_path, pool, record, families=["linear", "xgboost"], deadline=time.monotonic() + 8)
    events: list[Event] = []
    for event in running.run():
        events.append(event)
        for each in running._running:
            if each.trial.family == "linear":
                # A stopped process looks like a net that trains for hours.
                os.kill(each.process.process.pid or 0, signal.SIGSTOP)
    (back,) = [event for event in events if isinstance(event, TrialPutBack)]
    assert (back.family, back.number) == ("linear", 0)
    # Three folds, none done, and two of eight seconds passed.
    assert 3 < back.left < back.seconds < 8
    assert sum(isinstance(e, TrialEnded) and e.row.family == "xgboost" for e in events[events.index(back) :]) > 1
    assert not [event for event in events if isinstance(event, TrialEnded) and event.row.family == "linear"]
    list(search(tmp_path, pool, record, families=["linear"], trials=len(record.results) + 1).run())
    assert (record.results[-1].family, record.results[-1].number) == ("linear", 0)
    assert record.results[-1].state == "complete"


class Instant:
    """A stand-in for the pool that records when each trial must end; its processes die at once."""

    memory, usage = 0, None

    def __init__(self) -> None:
        self.ends: list[tuple[str, float | None]] = []

    def start(self, spec: TrialSpec, number: int, folder: Path, *, slot: int = 0, end: float | None = None) -> Any:
        self.ends.append((spec.family, None if end is None else end - time.monotonic()))
        return self

    def is_ready(self, spec: TrialSpec) -> bool:
        return True

    def wait(self, processes: Any, seconds: float | None) -> Any:
        return processes[:1]

    def receive(self) -> None:
        return None

    def describe_end(self) -> str:
        return "it died"

    def end(self) -> None:
        pass


def test_under_a_time_limit_cheap_and_strong_families_come_first_and_each_first_trial_has_its_share(
    tmp_path: Path,
) -> None:
    pool: Any = Instant()
    options: dict[str, Any] = {"families": ["extra_trees", "xgboost", "linear"], "workers": 1}
    with pytest.raises(SearchError):
        list(search(tmp_path, pool, Recorder(), deadline=time.monotonic() + 100, **options).run())
    ends = dict(pool.ends[:3])
    assert list(ends)[2] == "extra_trees"
    assert ends["linear"] is None
    assert 50 < ends["xgboost"] < 61
    assert 80 < ends["extra_trees"] < 101


def test_a_worker_sends_hyperparameters_folds_and_its_outcome(tmp_path: Path, pool: Pool) -> None:
    process = pool.start(spec_of("binary", "linear"), 0, tmp_path)
    messages: list[Any] = []
    while not messages or not isinstance(messages[-1], TrialOutcome):
        pool.wait([process], 20)
        messages.append(process.receive())
        if isinstance(messages[-1], Hyperparameter):
            process.send(messages[-1].default)
        elif isinstance(messages[-1], FoldReport | EpochReport):
            process.send("continue")
    assert [type(message) for message in messages[-4:]] == [FoldReport, FoldReport, FoldReport, TrialOutcome]
    assert messages[-1].state == "complete"
    assert (
        len(
            list(
                trial.fit_folds(
                    spec_of("binary", "linear"), 0, trial.build_space("linear", space.defaults), folder=tmp_path
                )
            )
        )
        == 3
    )
    process.end()


def test_a_worker_stops_after_a_fold_if_the_parent_decides_so(tmp_path: Path, pool: Pool) -> None:
    process = pool.start(spec_of("binary", "linear"), 0, tmp_path)
    message = process.receive()
    while not isinstance(message, TrialOutcome):
        process.send(message.default if isinstance(message, Hyperparameter) else "stop")
        message = process.receive()
    assert (message.state, len(list(tmp_path.glob("fold-*.npz")))) == ("pruned", 1)
    process.end()


@pytest.mark.parametrize(("gpus", "seen"), [("assigned", [3.0, 5.0, 3.0]), ("shared", [-1.0, -1.0, -1.0])])
def test_gpus_are_shared_or_assigned_to_worker_slots(
    gpus: Any, seen: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: Pool
) -> None:
    # The forkserver is already running and does not see this variable.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    (tmp_path / "own.py").write_text(
        "import os\n\ndef device(y, p):\n    return float(os.environ.get('CUDA_VISIBLE_DEVICES', -1))\n\n"
        "device.direction = 'minimize'\n"
    )
    # A metric runs in the trial's process, so its value can show that process's environment.
    metric = evaluation.metric(f"{tmp_path}/own.py:device", Path, task="binary")
    spec = replace(spec_of("binary", "linear"), metric=metric)
    workers = Pool(
        ["workbench.trial", "workbench.models.tabular.linear", "workbench.models.tabular.xgboost"], gpus=gpus
    )
    for slot, device in enumerate(seen):
        process = workers.start(spec, 0, tmp_path / str(slot), slot=slot)
        while isinstance(message := process.receive(), Hyperparameter):
            process.send(message.default)
        process.end()
        assert message == FoldReport(device)
