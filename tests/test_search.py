"""Books, samplers, allocation, pool and scheduler: real journals, real processes."""

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
from workbench.search.bounded_history import BoundedHistorySampler, _Part
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
from workbench.search.scheduler import Plan, Search
from workbench.search.storage import TrialStorage
from workbench.search.worker import Done, Epoch, FoldDone
from workbench.space import Hyperparameter
from workbench.trial import TrialResult, TrialSpec

DEPTH = Hyperparameter("depth", "int", 6, 2, 10, step=1)
RATE = Hyperparameter("rate", "float", 0.1, 0.01, 1.0, log=True)
KIND = Hyperparameter("kind", "categorical", "a", choices=("a", "b"))


def books_in(folder: Path, **options: Any) -> TrialStorage:
    return TrialStorage(folder / "optuna.journal", "s", **({"direction": "minimize"} | options))


def finish(books: TrialStorage, family: str, score: float) -> dict[str, Any]:
    """Run a trial that needs no model."""
    live = books.ask(family)
    asked = {question.name: live.answer(question) for question in (DEPTH, RATE, KIND)}
    live.end(TrialResult(family, live.number, "complete", 1.0, asked, [score], score), f"run-{live.number}")
    return asked


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool(["workbench.trial", "workbench.models.tabular.linear", "workbench.models.tabular.xgboost"])


class Recorder:
    """Stands where MLflow stands: remembers what it was given."""

    def __init__(self) -> None:
        self.results: list[TrialResult] = []

    def __call__(self, result: TrialResult, log: Path) -> str:
        self.results.append(result)
        return f"run-{result.family}-{result.number}"


def search(folder: Path, pool: Pool, record: Callable[..., str], *, families: list[str], **options: Any) -> Search:
    given = {"workers": 2, "trials": None, "deadline": None} | options
    specs: dict[str, TrialSpec] = {family: spec_of("binary", family) for family in ["constant", *families]}
    books = books_in(folder)
    books.reclaim()
    plan = Plan(specs, lambda family, number: folder / f"{family}-{number}", record, **given)
    return Search(plan, books, pool)


def test_the_first_trial_of_a_family_takes_its_defaults_and_the_next_does_not(tmp_path: Path) -> None:
    books = books_in(tmp_path)
    assert finish(books, "x", 1.0) == {"depth": 6, "rate": 0.1, "kind": "a"}
    assert finish(books, "x", 1.0) != {"depth": 6, "rate": 0.1, "kind": "a"}
    assert finish(books, "y", 1.0) == {"depth": 6, "rate": 0.1, "kind": "a"}


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_sampler_suggests_the_same_whether_the_study_ran_through_or_was_reopened(
    sampler: str, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    through = books_in(tmp_path / "a", sampler=sampler)
    one = [finish(through, "x", float(i % 3)) for i in range(8)]
    two = [finish(books_in(tmp_path / "b", sampler=sampler), "x", float(i % 3)) for i in range(8)]
    assert one == two
    assert len({str(asked) for asked in one}) > 3


def test_tpe_looks_at_the_best_and_the_latest_of_a_long_history(tmp_path: Path) -> None:
    study = optuna.create_study(sampler=BoundedHistorySampler(optuna.samplers.RandomSampler(seed=1)))
    for number in range(600):
        value = float((number * 7919) % 600)
        study.add_trial(optuna.trial.create_trial(value=value))
    seen = _Part(study).get_trials(deepcopy=False)
    assert [t.number for t in seen[-300:]] == list(range(300, 600))
    older = sorted(study.trials[:300], key=lambda t: t.value or 0.0)
    assert {t.number for t in seen[:-300]} == {t.number for t in older[:100]}
    assert [t.number for t in seen] == sorted(t.number for t in seen)
    few = optuna.create_study()
    few.add_trial(optuna.trial.create_trial(value=1.0))
    assert len(_Part(few).trials) == 1


def test_an_exhaustive_sampler_tries_everything_once_and_then_says_so(tmp_path: Path) -> None:
    books = books_in(tmp_path, sampler="brute_force")
    asked = set()
    for _ in range(3):
        assert not books.exhausted
        live = books.ask("x")
        asked.add(live.answer(Hyperparameter("kind", "categorical", "a", choices=("a", "b", "c"))))
        live.end(TrialResult("x", live.number, "complete", 1.0, {}, [1.0], 1.0), "run")
    assert asked == {"a", "b", "c"}
    assert books.exhausted == {"x"}


def test_all_samplers_are_known_to_optuna() -> None:
    for name in samplers.samplers():
        if name != "cmaes":
            samplers.check_sampler(name)
            samplers.make_sampler(name, seed=1, family="x", number=1)
    with pytest.raises(SearchError, match="Did you mean 'random'"):
        samplers.check_sampler("randm")
    with pytest.raises(SearchError, match="Did you mean 'median'"):
        pruners.pruner("medan")


def test_a_report_that_means_nothing_prunes_nothing_and_none_is_made_twice(tmp_path: Path) -> None:
    for _ in range(5):
        live = books_in(tmp_path, pruner="median").ask("x")
        live.report((0, END), 0.5)
        live.end(TrialResult("x", live.number, "complete", 1.0, {}, [0.5], 0.5), "run")
    books = books_in(tmp_path, pruner="median")
    live = books.ask("x")
    assert not live.report((0, END), float("nan"))
    assert not live.report((0, 2), 0.4)
    books_in(tmp_path).reclaim()
    again = books_in(tmp_path, pruner="median").ask("x")
    assert (again.report((0, 2), 0.4), again.report((0, END), 0.4)) == (False, False)
    again.end(TrialResult("x", again.number, "complete", 1.0, {}, [0.4], 0.4), "run")
    assert books_in(tmp_path, pruner="median").ask("x").report((0, END), 9.0)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_journal_holds_a_step_for_every_fold_and_rung_and_scores_as_they_are(
    direction: Any, tmp_path: Path
) -> None:
    books = books_in(tmp_path, direction=direction)
    live = books.ask("x")
    for fold in range(2):
        live.report((fold, 2), 0.7)
        live.report((fold, END), 0.9)
    frozen = books._open("x").trials[0]
    assert sorted(frozen.intermediate_values) == [2, STRIDE - 1, STRIDE + 2, 2 * STRIDE - 1]
    assert frozen.intermediate_values[STRIDE - 1] == 0.9
    assert frozen.intermediate_values[2] == (0.7 if direction == "minimize" else -0.7)
    board = books_in(tmp_path, direction=direction)
    board.ask("x")
    assert board.boards["x"].at == books.boards["x"].at


def test_rows_are_best_first_then_pruned_then_failed(tmp_path: Path) -> None:
    books = books_in(tmp_path, direction="maximize")
    for state, score in (("failed", None), ("complete", 0.5), ("pruned", None), ("complete", 0.9)):
        live = books.ask("x")
        live.end(TrialResult("x", live.number, state, 1.0, {}, [], score, reason="why"), f"run-{live.number}")
    assert [(row.state, row.score) for row in books_in(tmp_path, direction="maximize").rows()] == [
        ("complete", 0.9),
        ("complete", 0.5),
        ("pruned", None),
        ("failed", None),
    ]


def test_a_trial_that_a_dead_process_left_goes_on_with_its_number_and_hyperparameters(tmp_path: Path) -> None:
    books = books_in(tmp_path)
    finish(books, "x", 1.0)
    live = books.ask("x")
    depth = live.answer(DEPTH)
    later = books_in(tmp_path)
    assert later.reclaim() == 1
    assert later.waiting("x")
    again = later.ask("x")
    assert (again.number, again.answer(DEPTH)) == (live.number, depth)
    assert not again.hopeless


def test_a_trial_under_which_the_command_died_thrice_is_hopeless(tmp_path: Path) -> None:
    for _ in range(3):
        assert not books_in(tmp_path).ask("x").hopeless
        books_in(tmp_path).reclaim()
    assert books_in(tmp_path).ask("x").hopeless


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_study_goes_on_with_other_choices_ranges_and_kinds(sampler: str, tmp_path: Path) -> None:
    for i in range(8):
        finish(books_in(tmp_path, sampler=sampler), "x", float(i))
    changed = (
        Hyperparameter("depth", "int", 6, 2, 40, step=1),
        Hyperparameter("rate", "float", 0.1, 0.01, 1.0),
        Hyperparameter("kind", "categorical", "a", choices=("a", "b", "c")),
    )
    seen = []
    for _ in range(20):
        live = books_in(tmp_path, sampler=sampler).ask("x")
        asked = {question.name: live.answer(question) for question in changed}
        assert asked == {question.name: live.answer(question) for question in changed}
        live.end(TrialResult("x", live.number, "complete", 1.0, asked, [1.0], 1.0), "run")
        seen.append(asked)
    assert {asked["kind"] for asked in seen} == {"a", "b", "c"}
    assert max(asked["depth"] for asked in seen) > 10
    names = set(books_in(tmp_path)._storage.get_all_trials(0)[-1].params)
    if sampler == "qmc":
        assert names == {"depth (whole, 2 to 40)", "rate (real, 0.01 to 1)", "kind {'a', 'b', 'c'}"}
    else:
        assert names == {"depth", "rate (real)", "kind {'a', 'b', 'c'}"}


def test_allocation_takes_interrupted_trials_first_then_defaults_then_the_promising() -> None:
    good = FamilyProgress("good", started=3, spent=10, loss=0.1, complete=[3.0, 4.0])
    bad = FamilyProgress("bad", started=3, spent=10, loss=0.9, complete=[3.0, 4.0])
    new, interrupted = FamilyProgress("new"), FamilyProgress("interrupted", started=1, waiting=True)
    assert allocation.choose([bad, good, new, interrupted], None) is interrupted
    assert allocation.choose([bad, good, new], None) is new
    assert allocation.choose([bad, good], None) is good
    good.spent, good.started = 200, 20
    assert allocation.choose([bad, good], None) is bad
    assert allocation.choose([bad, good], 2.0) is None


def test_without_a_clock_allocation_follows_from_the_trials_alone() -> None:
    slow = FamilyProgress("slow", started=3, spent=1000, loss=0.1, complete=[300.0])
    fast = FamilyProgress("fast", started=3, spent=1, loss=0.2, complete=[0.3])
    assert allocation.choose([slow, fast], None) is slow
    assert allocation.choose([slow, fast], 5000.0) is fast


def test_allocation_favours_what_adds_to_the_ensemble() -> None:
    best = FamilyProgress("best", started=4, loss=0.1, weight=0.5)
    same = FamilyProgress("same", started=2, loss=0.11, weight=0.0)
    different = FamilyProgress("different", started=2, loss=0.3, weight=0.5)
    assert allocation.choose([best, same, different], None) is different


def test_under_a_limit_of_time_a_family_of_unknown_cost_gets_one_trial_at_a_time() -> None:
    slow, cheap = (
        FamilyProgress("cnn", started=1, running=1),
        FamilyProgress("linear", started=30, complete=[1.0], loss=0.5),
    )
    assert allocation.choose([slow, cheap], 100) is cheap
    assert allocation.choose([slow], 100) is slow
    assert allocation.choose([slow, cheap], None) is slow


def test_allocation_starves_nobody() -> None:
    standings = [FamilyProgress(str(i), started=1, spent=1, loss=i, complete=[1.0]) for i in range(4)]
    for _ in range(100):
        chosen = allocation.choose(standings, None)
        assert chosen is not None
        chosen.spent += 1
        chosen.started += 1
    spent = [standing.spent for standing in standings]
    assert spent == sorted(spent, reverse=True)
    assert spent[-1] > 8


@pytest.mark.slow
def test_a_search_runs_the_baseline_then_every_family_and_stops_at_its_trials(tmp_path: Path, pool: Pool) -> None:
    record = Recorder()
    events = list(search(tmp_path, pool, record, families=["linear", "xgboost"], trials=6).events())
    ended = [event.row for event in events if isinstance(event, TrialEnded)]
    assert (ended[0].family, ended[0].state) == ("constant", "complete")
    assert {row.family for row in ended[1:]} == {"linear", "xgboost"}
    assert sum(row.state != "failed" for row in ended) == 6
    assert events[-1] == Stopped("trials", 0)
    assert [(r.family, r.number) for r in record.results] == [(row.family, row.number) for row in ended]
    assert sum(isinstance(event, FoldEnded) for event in events) >= 2 * 3
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.slow
def test_called_again_a_search_adds_only_what_is_missing(tmp_path: Path, pool: Pool) -> None:
    record = Recorder()
    list(search(tmp_path, pool, record, families=["linear"], trials=3).events())
    assert len(record.results) == 3
    list(search(tmp_path, pool, record, families=["linear"], trials=3).events())
    assert len(record.results) == 3
    list(search(tmp_path, pool, record, families=["linear"], trials=5).events())
    assert {(r.family, r.number) for r in record.results[3:]} == {("linear", 2), ("linear", 3)}


def test_a_killed_worker_is_a_failed_trial_with_its_reason_and_the_search_goes_on(tmp_path: Path, pool: Pool) -> None:
    record = Recorder()
    running = search(tmp_path, pool, record, families=["xgboost"], trials=3, workers=1)
    killed = False
    for event in running.events():
        if isinstance(event, TrialStarted) and event.family == "xgboost" and not killed:
            killed = True
            # The process is started when the generator goes on; it is killed as soon as it is there.
            kill_soon(running)
    states = [result.state for result in record.results]
    assert states.count("failed") == 1
    assert "signal 9" in next(r.reason or "" for r in record.results if r.state == "failed")
    assert states.count("complete") + states.count("pruned") == 3


def kill_soon(running: Search) -> None:
    """Kill the first worker from another thread, once it exists."""

    def kill() -> None:
        end = time.monotonic() + 10
        while not running._running and time.monotonic() < end:
            time.sleep(0.001)
        running._running[0].process.process.kill()

    threading.Thread(target=kill).start()


def test_a_family_that_fails_three_times_running_is_set_aside_and_with_none_left_the_search_ends(
    tmp_path: Path, pool: Pool
) -> None:
    record = Recorder()
    specs = {family: spec_of("binary", family) for family in ("constant", "linear", "xgboost")}
    broken = specs["xgboost"].dataset
    words = broken.x.assign(a="words that are said to be numbers")
    specs["xgboost"] = replace(specs["xgboost"], dataset=replace(broken, x=words))
    plan = Plan(specs, lambda f, n: tmp_path / f"{f}-{n}", record, workers=1, trials=8, deadline=None)
    events = list(Search(plan, books_in(tmp_path), pool).events())
    aside = [event for event in events if isinstance(event, FamilySetAside)]
    assert [event.family for event in aside] == ["xgboost"]
    assert "words that are" in aside[0].reason
    assert sum(r.state == "failed" for r in record.results) == 3
    assert sum(r.state != "failed" for r in record.results) == 8
    (tmp_path / "b").mkdir()
    only = Plan({k: specs[k] for k in ("constant", "xgboost")}, plan.folder, record, workers=1, trials=4, deadline=None)
    with pytest.raises(SearchError, match="words that are"):
        list(Search(only, books_in(tmp_path / "b"), pool).events())


@pytest.mark.slow
def test_the_deadline_ends_the_search_and_keeps_what_was_under_way(tmp_path: Path, pool: Pool) -> None:
    record = Recorder()
    began = time.monotonic()
    deadline = began + 3
    events: list[Event] = list(search(tmp_path, pool, record, families=["xgboost"], deadline=deadline).events())
    assert time.monotonic() - deadline < 4
    stopped = events[-1]
    assert isinstance(stopped, Stopped)
    assert stopped.why == "minutes"
    trials = optuna.load_study(storage=books_in(tmp_path)._storage, study_name="s/xgboost").trials
    assert sum(t.state.name == "WAITING" for t in trials) == stopped.interrupted
    assert not any(t.state.name == "RUNNING" for t in trials)


@pytest.mark.slow
def test_a_trial_that_cannot_end_in_time_makes_room_for_others_and_goes_on_in_the_next_run(
    tmp_path: Path, pool: Pool
) -> None:
    record = Recorder()
    running = search(tmp_path, pool, record, families=["xgboost", "linear"], deadline=time.monotonic() + 8)
    events: list[Event] = []
    for event in running.events():
        events.append(event)
        for each in running._running:
            if each.live.family == "xgboost":
                # As good as a net that learns for hours.
                os.kill(each.process.process.pid or 0, signal.SIGSTOP)
    (back,) = [event for event in events if isinstance(event, TrialPutBack)]
    assert (back.family, back.number) == ("xgboost", 0)
    # With three folds, none done, and two seconds gone of eight.
    assert 3 < back.left < back.seconds < 7
    assert sum(isinstance(e, TrialEnded) and e.row.family == "linear" for e in events[events.index(back) :]) > 1
    assert not [event for event in events if isinstance(event, TrialEnded) and event.row.family == "xgboost"]
    list(search(tmp_path, pool, record, families=["xgboost"], trials=len(record.results) + 1).events())
    assert (record.results[-1].family, record.results[-1].number) == ("xgboost", 0)
    assert record.results[-1].state == "complete"


def test_a_worker_asks_reports_and_ends(tmp_path: Path, pool: Pool) -> None:
    process = pool.start(spec_of("binary", "linear"), 0, tmp_path)
    said: list[Any] = []
    while not said or not isinstance(said[-1], Done):
        pool.wait([process], 20)
        said.append(process.receive())
        if isinstance(said[-1], Hyperparameter):
            process.send(said[-1].default)
        elif isinstance(said[-1], FoldDone | Epoch):
            process.send("go on")
    assert [type(message) for message in said[-4:]] == [FoldDone, FoldDone, FoldDone, Done]
    assert said[-1].state == "complete"
    assert (
        len(list(trial.run(spec_of("binary", "linear"), 0, trial.space("linear", space.defaults), folder=tmp_path)))
        == 3
    )
    process.end()


def test_a_worker_is_told_to_stop_after_a_poor_fold(tmp_path: Path, pool: Pool) -> None:
    process = pool.start(spec_of("binary", "linear"), 0, tmp_path)
    message = process.receive()
    while not isinstance(message, Done):
        process.send(message.default if isinstance(message, Hyperparameter) else "stop")
        message = process.receive()
    assert (message.state, len(list(tmp_path.glob("fold-*.npz")))) == ("pruned", 1)
    process.end()


@pytest.mark.parametrize(("gpus", "seen"), [("assigned", [3.0, 5.0, 3.0]), ("shared", [-1.0, -1.0, -1.0])])
def test_gpus_are_shared_or_assigned_to_workers(
    gpus: Any, seen: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: Pool
) -> None:
    # The server that trials are forked from runs already and does not see this.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    (tmp_path / "own.py").write_text(
        "import os\n\ndef device(y, p):\n    return float(os.environ.get('CUDA_VISIBLE_DEVICES', -1))\n\n"
        "device.direction = 'minimize'\n"
    )
    # A metric is called in the trial's process, and can tell what that process sees.
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
        assert message == FoldDone(device)
