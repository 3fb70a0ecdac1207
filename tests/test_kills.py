"""Kills at any moment: the same command continues, and Optuna and MLflow agree.

`WORKBENCH_KILLS` is the number of kills in the longest test, `WORKBENCH_KILLS_SEED` their seed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from workbench.trial import FoldResult

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the command's processes are found in /proc"),
]

KILLS = int(os.environ.get("WORKBENCH_KILLS", "6"))
SEED = int(os.environ.get("WORKBENCH_KILLS_SEED", "7"))
WAYS = ["command", "group", "worker", "ctrl-c", "ctrl-c twice"]
MOMENTS = ["start", "search", "record", "ensemble", "submission"]

FOLDS, ROWS, TEST_ROWS = 3, 300, 50
# Seconds that a killed command's processes may outlive it, and that a command may take after one Ctrl-C, in which it
# blends what there is, and after two.
ORPHANED, INTERRUPTED, AT_ONCE = 5.0, 20.0, 2.0
# The seconds written into a finished fold; a fold that is trained again has others.
MARK = 100.0

STUDY = """
name: small
data: {train: train.csv, test: test.csv, target: species, id: row}
metric: log_loss
folds: {folds: 3}
families: [linear, xgboost, extra_trees]
search: {workers: 2}
"""


def write_study(folder: Path, text: str = STUDY) -> Path:
    """Write a table of three classes into `folder`, and a study file for it."""
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 3, ROWS + TEST_ROWS)
    frame = pd.DataFrame({"row": np.arange(len(kind)), "length": kind + rng.normal(size=len(kind)) / 2})
    frame["colour"] = np.array(["red", "green", "blue"])[(kind + (rng.random(len(kind)) < 0.2)) % 3]
    frame["species"] = np.array(["oak", "elm", "fir"])[kind]
    frame[:ROWS].to_csv(folder / "train.csv", index=False)
    frame[ROWS:].drop(columns="species").to_csv(folder / "test.csv", index=False)
    (folder / "small.yaml").write_text(text)
    return folder


class Command:
    """`workbench run` in a session of its own, by which its processes are found."""

    def __init__(self, folder: Path, trials: int, *words: str) -> None:
        self.folder = folder
        run = [sys.executable, "-m", "workbench", "run", "small.yaml", "--trials", str(trials), *words]
        with (folder / "out.txt").open("w") as out, (folder / "err.txt").open("w") as err:
            self.process = subprocess.Popen(run, cwd=folder, stdout=out, stderr=err, start_new_session=True)

    @property
    def stderr(self) -> str:
        return (self.folder / "err.txt").read_text()

    def wait_until(self, condition: Callable[[], Any]) -> bool:
        """Wait for a condition; return whether it held before the command ended."""
        end = time.monotonic() + 120
        while self.process.poll() is None:
            if condition():
                return True
            assert time.monotonic() < end, self.stderr
            time.sleep(0.002)
        return False

    def workers(self) -> dict[int, Path]:
        """Return the processes that run a trial, each with its trial's folder, to which its output goes."""
        found = {}
        for pid in members(self.process.pid):
            with contextlib.suppress(OSError):
                out = Path(os.readlink(f"/proc/{pid}/fd/1"))
                if out.parent.parent.name == "trials":
                    found[pid] = out.parent
        return found

    def wait(self, seconds: float) -> int:
        """Wait for the end of the command and of all its processes; return the exit status."""
        status = self.process.wait(seconds)
        end = time.monotonic() + ORPHANED
        while left := members(self.process.pid):
            assert time.monotonic() < end, f"{left} outlive the command by {ORPHANED} s"
            time.sleep(0.02)
        return status


def members(session: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, own = stat.read_text().rpartition(")")[2].split()[:4]
            if int(own) == session and state not in "ZX":
                found.append(int(stat.parent.name))
    return found


@dataclass(frozen=True)
class Run:
    """A run in MLflow's database."""

    run_id: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


def optuna_trials(folder: Path) -> dict[str, FrozenTrial]:
    """Return the trials in Optuna's journal, by FAMILY/NUMBER."""
    journal = folder / "mlruns" / "optuna.journal"
    if not journal.exists():
        return {}
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    found: dict[str, FrozenTrial] = {}
    for name in optuna.study.get_all_study_names(storage):
        trials = optuna.load_study(storage=storage, study_name=name).trials
        assert [trial.number for trial in trials] == list(range(len(trials)))
        found |= {f"{name.removeprefix('small/')}/{trial.number}": trial for trial in trials}
    return found


def mlflow_runs(folder: Path) -> list[Run]:
    """Return every run in MLflow's database."""
    database = folder / "mlruns" / "mlflow.db"
    if not database.exists():
        return []
    with contextlib.closing(sqlite3.connect(database)) as connection:

        def of(table: str, run: str) -> dict[str, Any]:
            return dict(connection.execute(f"SELECT key, value FROM {table} WHERE run_uuid = ?", (run,)).fetchall())

        runs = connection.execute("SELECT run_uuid, status FROM runs WHERE lifecycle_stage = 'active'").fetchall()
        tables = ("tags", "params", "latest_metrics")
        return [Run(run, status, *(of(table, run) for table in tables)) for run, status in runs]


def trials_of(runs: list[Run]) -> dict[str, Run]:
    """Return the runs of trials by FAMILY/NUMBER; no trial may have two."""
    own = [run for run in runs if "workbench.trial" in run.tags]
    found = {run.tags["workbench.trial"]: run for run in own}
    assert len(found) == len(own), "a trial is in MLflow twice"
    return found


def check_trial(trial: FrozenTrial, run: Run) -> None:
    """Check that Optuna and MLflow agree about a finished trial."""
    row = trial.user_attrs["row"]
    states = {"complete": (TrialState.COMPLETE, "FINISHED"), "pruned": (TrialState.PRUNED, "FINISHED")}
    states["failed"] = (TrialState.FAIL, "FAILED")
    assert (trial.state, run.status) == states[row["state"]]
    assert (run.run_id, run.tags["workbench.state"]) == (row["run_id"], row["state"])
    assert run.params == {name: str(value) for name, value in row["hyperparameters"].items()}
    assert run.metrics.get("log_loss") == row["score"]
    assert run.metrics["seconds"] == row["seconds"]
    if row["state"] == "failed":
        assert run.tags["mlflow.note.content"] == row["reason"]
        assert re.search("signal 9|again and again", row["reason"])


def check_agreement(folder: Path) -> tuple[dict[str, FrozenTrial], dict[str, Run]]:
    """Check that Optuna and MLflow agree about the trials that are finished in Optuna; return both."""
    trials, runs = optuna_trials(folder), trials_of(mlflow_runs(folder))
    assert runs.keys() <= trials.keys(), "MLflow has a trial that is not in Optuna"
    for key, trial in trials.items():
        if trial.state.is_finished():
            check_trial(trial, runs[key])
    return trials, runs


def check_finished(folder: Path, trials: int) -> dict[str, FrozenTrial]:
    """Check Optuna, MLflow and the home after a complete run: nothing is open, missing or left over."""
    trials_by_key, runs = check_agreement(folder)
    assert runs.keys() == trials_by_key.keys()
    assert {run.status for run in mlflow_runs(folder)} <= {"FINISHED", "FAILED", "KILLED"}
    assert all(trial.state.is_finished() for trial in trials_by_key.values())
    assert sum(trial.state != TrialState.FAIL for trial in trials_by_key.values()) == trials
    artifacts = folder / "mlruns" / "artifacts" / "small"
    for key, trial in trials_by_key.items():
        if trial.state == TrialState.COMPLETE:
            check_predictions(artifacts / runs[key].run_id / "artifacts")
    stamp = json.loads((folder / "small-submission.csv.json").read_text())
    ensemble = json.loads((artifacts / stamp["run_id"] / "artifacts" / "ensemble.json").read_text())
    assert {member["run_id"] for member in ensemble["members"]} <= {run.run_id for run in runs.values()}
    assert len(pd.read_csv(folder / "small-submission.csv")) == TEST_ROWS
    home = folder / "mlruns" / "studies" / "small"
    known = {"study.json", "folds.parquet", "inference.json", "lock", "trials", "weights"}
    assert {path.name for path in home.iterdir()} <= known
    assert not list((home / "trials").iterdir())
    whole = {key.replace("/", "-") for key, trial in trials_by_key.items() if trial.state == TrialState.COMPLETE}
    assert {path.name for path in home.glob("weights/*")} <= whole
    assert not list(folder.rglob("*.part"))
    return trials_by_key


def check_predictions(artifacts: Path) -> None:
    """Check a complete trial's predictions."""
    for name, rows in (("oof", ROWS), ("test", TEST_ROWS)):
        frame = pd.read_parquet(artifacts / f"{name}.parquet").filter(like="prediction")
        assert frame.shape == (rows, 3)
        assert np.allclose(frame.sum(axis=1), 1)


def count_finished(folder: Path) -> int:
    """Return how many trials count for `--trials`."""
    return sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in optuna_trials(folder).values())


def folds_of(folder: Path) -> dict[str, list[Path]]:
    """Return the finished folds of the trials under way, by FAMILY/NUMBER."""
    places = (folder / "mlruns" / "studies" / "small" / "trials").glob("*")
    return {"/".join(place.name.rsplit("-", 1)): sorted(place.glob("*.npz")) for place in places}


def mark_folds(folder: Path) -> dict[str, float]:
    """Mark the finished folds of unfinished trials; return the least seconds that each trial must end with."""
    for file in (file for files in folds_of(folder).values() for file in files):
        repeat, fold = map(int, file.stem.split("-")[1:])
        result = FoldResult.load(file.parent, repeat, fold)
        assert result is not None
        replace(result, seconds=MARK).save(file.parent)
    return {key: MARK * len(files) for key, files in folds_of(folder).items()}


def check_reuse(trials: dict[str, FrozenTrial], marks: dict[str, float]) -> None:
    """Check that trials that have ended since did not train their marked folds again."""
    for key, least in marks.items():
        if trials[key].state.is_finished():
            assert trials[key].user_attrs["row"]["seconds"] >= least, f"{key} trained a finished fold again"


def check_interrupted(command: Command, status: int, *, twice: bool = False, early: bool = False) -> None:
    """Check the end of a command after Ctrl-C: exit status 130, and one line that says so or an ensemble."""
    over = "Next: workbench ui" in (command.folder / "out.txt").read_text()
    if (early or over) and status == -signal.SIGINT:
        # Before the command has started, and after its last output, Python dies from the signal; a shell reports 130
        # for that as well.
        return
    usual = r" *[\d.]+ s  |Forecast|Goes on from|Search over"
    lines = [line for line in command.stderr.splitlines() if line and not re.match(usual, line)]
    assert all(line.startswith("error: interrupted") for line in lines), command.stderr
    assert (status, len(lines)) in [(130, 1), (130, 0)], command.stderr
    if not lines and not twice:
        assert "it was ended by hand" in command.stderr
        assert "Submission: " in (command.folder / "out.txt").read_text()


def ensembles_of(folder: Path) -> int:
    """Return the number of logged ensembles."""
    return len(list((folder / "mlruns").glob("artifacts/small/*/artifacts/ensemble.json")))


def conditions(command: Command) -> dict[str, tuple[Callable[[], Any], float]]:
    """Return for every moment the condition that shows it from outside, and the seconds that it lasts from then on."""
    home = command.folder / "mlruns"
    before = ensembles_of(command.folder)
    return {
        "start": (lambda: True, 3.0),
        "store": (lambda: (home / ".mlflow.db.part").exists() or (home / "mlflow.db").exists(), 1.5),
        "search": (command.workers, 1.0),
        "record": (lambda: any(len(files) == FOLDS for files in folds_of(command.folder).values()), 0.1),
        "ensemble": (lambda: "Search over" in command.stderr, 0.5),
        "submission": (lambda: ensembles_of(command.folder) > before, 0.2),
    }


def strike(way: str, moment: str, command: Command, rng: random.Random) -> bool:
    """Kill in this way at this moment and check the end; return False if the command ended before."""
    condition, lasts = conditions(command)[moment]
    if not command.wait_until(condition):
        return False
    time.sleep(rng.uniform(0, lasts))
    process = command.process
    if way == "worker":
        if not command.wait_until(command.workers) or not (workers := sorted(command.workers())):
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(workers), signal.SIGKILL)
        assert command.wait(120) == 0, command.stderr
        return True
    if process.poll() is not None:
        return False
    if way in ("command", "group"):
        (os.kill if way == "command" else os.killpg)(process.pid, signal.SIGKILL)
        return command.wait(ORPHANED) == -signal.SIGKILL
    os.killpg(process.pid, signal.SIGINT)
    twice = way == "ctrl-c twice"
    if twice:
        time.sleep(rng.uniform(0.02, 0.3))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
    status = command.wait(AT_ONCE if twice else INTERRUPTED)
    if status:
        check_interrupted(command, status, twice=twice, early=moment == "start")
    return status != 0


def plan(rng: random.Random) -> list[tuple[str, str]]:
    """Return (way, moment) of every kill, each way and each moment about as often; the store is created only once."""
    ways, moments = (
        [each for _ in range(KILLS) for each in rng.sample(words, len(words))] for words in (WAYS, MOMENTS)
    )
    pairs = list(zip(ways, ["store", *moments], strict=False))[:KILLS]
    return [(way, "search" if way == "worker" else moment) for way, moment in pairs]


@contextlib.contextmanager
def add_note(text: str) -> Iterator[None]:
    """Add a note to any exception."""
    try:
        yield
    except BaseException as error:
        error.add_note(text)
        raise


def test_after_kills_at_random_moments_the_same_command_continues_and_the_stores_agree(tmp_path: Path) -> None:
    write_study(tmp_path)
    rng, target = random.Random(SEED), 4
    marks: dict[str, float] = {}
    runs: dict[str, Run] = {}
    for number, (way, moment) in enumerate(plan(rng)):
        for _ in range(5):
            if moment in ("search", "record") and count_finished(tmp_path) >= target:
                target += 4
            with add_note(f"WORKBENCH_KILLS_SEED={SEED}, kill {number}: {way} at {moment}"):
                hit = strike(way, moment, Command(tmp_path, target), rng)
                known, unfinished = runs, {key for key in runs if not optuna_trials(tmp_path)[key].state.is_finished()}
                trials, runs = check_agreement(tmp_path)
                # Trials are logged one after another, so at most one is in MLflow and unfinished in Optuna.
                ahead = {key for key in runs if not trials[key].state.is_finished()}
                assert len(ahead - unfinished) <= 1
                assert all(runs[key].run_id == run.run_id for key, run in known.items())
                check_reuse(trials, marks)
                marks = mark_folds(tmp_path)
            if hit:
                break
        else:
            pytest.fail(f"seed {SEED}: kill {number}, {way} at {moment}, never happened")
    with add_note(f"WORKBENCH_KILLS_SEED={SEED}, the last run"):
        last = Command(tmp_path, target)
        assert last.wait(300) == 0, last.stderr
        check_reuse(check_finished(tmp_path, target), marks)


def slow(folder: Path) -> Path:
    """Write a study whose folds are slow enough to be interrupted, and whose trials are never pruned."""
    text = STUDY.replace("[linear, xgboost, extra_trees]", "[extra_trees]").replace("workers: 2", "pruner: none")
    return write_study(folder, text)


def stop_worker(command: Command, folds: int) -> tuple[int, str]:
    """Stop a worker that has finished `folds` folds or more, but not all; return its process and its trial."""
    while command.wait_until(lambda: any(len(list(at.glob("*.npz"))) >= folds for at in command.workers().values())):
        for pid, place in command.workers().items():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                if folds <= len(list(place.glob("*.npz"))) < FOLDS:
                    return pid, "/".join(place.name.rsplit("-", 1))
                os.kill(pid, signal.SIGCONT)
    pytest.fail(f"no worker was stopped: {command.stderr}")


def test_a_killed_worker_is_a_failed_trial_and_the_study_continues(tmp_path: Path) -> None:
    command = Command(slow(tmp_path), 4, "--workers", "2")
    pid, key = stop_worker(command, 1)
    os.kill(pid, signal.SIGKILL)
    assert command.wait(120) == 0, command.stderr
    row = check_finished(tmp_path, 4)[key].user_attrs["row"]
    assert row["state"] == "failed"
    assert "signal 9" in row["reason"]
    assert 1 <= len(row["fold_scores"]) < FOLDS


def test_ctrl_c_keeps_finished_folds_and_the_next_run_reuses_them(tmp_path: Path) -> None:
    command = Command(slow(tmp_path), 5, "--workers", "2")
    begun = lambda: [len(files) for key, files in folds_of(tmp_path).items() if key.startswith("extra_trees/")]  # noqa: E731
    assert command.wait_until(lambda: any(0 < count < FOLDS for count in begun())), command.stderr
    os.killpg(command.process.pid, signal.SIGINT)
    check_interrupted(command, command.wait(INTERRUPTED))
    trials, _ = check_agreement(tmp_path)
    assert TrialState.RUNNING not in {trial.state for trial in trials.values()}
    marks = mark_folds(tmp_path)
    assert any(marks.values())
    assert {trials[key].state for key in marks} == {TrialState.WAITING}
    last = Command(tmp_path, 5)
    assert last.wait(120) == 0, last.stderr
    trials = check_finished(tmp_path, 5)
    assert all(trials[key].state == TrialState.COMPLETE for key in marks)
    check_reuse(trials, marks)


def test_a_trial_in_mlflow_that_optuna_was_not_told_of_is_trained_to_its_end_once(tmp_path: Path) -> None:
    command = Command(slow(tmp_path), 3, "--workers", "1")
    pid, key = stop_worker(command, 1)
    # The baseline is recorded when MLflow has loaded.
    assert command.wait_until(lambda: optuna_trials(tmp_path)["constant/0"].state == TrialState.COMPLETE)
    # The command logs the failed trial in MLflow, and must wait for the lock before it can tell Optuna.
    with filelock.FileLock(tmp_path / "mlruns" / "optuna.lock"):
        os.kill(pid, signal.SIGKILL)
        assert command.wait_until(lambda: {run.status for run in mlflow_runs(tmp_path)} >= {"FAILED"}), command.stderr
        os.kill(command.process.pid, signal.SIGKILL)
        assert command.wait(ORPHANED) == -signal.SIGKILL
    trials, runs = check_agreement(tmp_path)
    assert (trials[key].state, runs[key].status) == (TrialState.RUNNING, "FAILED")
    marks = mark_folds(tmp_path)
    last = Command(tmp_path, 3)
    assert last.wait(120) == 0, last.stderr
    after = check_finished(tmp_path, 3)
    assert after[key].state == TrialState.COMPLETE
    assert after[key].user_attrs["row"]["run_id"] == runs[key].run_id
    check_reuse(after, marks)


def test_the_next_run_repairs_what_a_kill_left_between_two_writes(tmp_path: Path) -> None:
    first = Command(slow(tmp_path), 2)
    assert first.wait(120) == 0, first.stderr
    # One kill before a finished trial's folder was removed, and one within a line of the journal.
    leftover = tmp_path / "mlruns" / "studies" / "small" / "trials" / "extra_trees-0"
    leftover.mkdir()
    (leftover / ".fold-0-0.npz-0a1b2c3d.part").touch()
    with (tmp_path / "mlruns" / "optuna.journal").open("a") as journal:
        journal.write('{"op_code":4,"worker_id":"')
    last = Command(tmp_path, 3)
    assert last.wait(120) == 0, last.stderr
    check_finished(tmp_path, 3)


def test_an_ensemble_interrupted_by_a_kill_does_not_stay_running(tmp_path: Path) -> None:
    slow(tmp_path)

    def is_running() -> bool:
        return "RUNNING" in {run.status for run in mlflow_runs(tmp_path) if run.tags["workbench.kind"] == "ensemble"}

    for _ in range(5):
        command = Command(tmp_path, 2)
        if command.wait_until(is_running):
            os.killpg(command.process.pid, signal.SIGKILL)
        command.wait(ORPHANED)
        if is_running():
            break
    else:
        pytest.fail("no ensemble was interrupted")
    last = Command(tmp_path, 2)
    assert last.wait(120) == 0, last.stderr
    check_finished(tmp_path, 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_search_and_what_there_is_is_blended_and_written(tmp_path: Path, number: int) -> None:
    command = Command(write_study(tmp_path), 500, "--workers", "2")
    assert command.wait_until(lambda: "xgboost #0" in command.stderr), command.stderr
    began = time.monotonic()
    command.process.send_signal(number)
    assert command.wait(INTERRUPTED) == 130
    assert time.monotonic() - began < 15
    assert "Search over: it was ended by hand" in command.stderr
    assert len(pd.read_csv(tmp_path / "small-submission.csv")) == TEST_ROWS
    assert ensembles_of(tmp_path) == 1
    trials, _ = check_agreement(tmp_path)
    assert TrialState.RUNNING not in {trial.state for trial in trials.values()}
    last = Command(tmp_path, count_finished(tmp_path) + 1)
    assert last.wait(120) == 0, last.stderr
