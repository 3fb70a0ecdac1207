"""Whatever is killed, and whenever: the same command goes on where it stopped, and the books balance.

`WORKBENCH_KILLS` says how often the study of the longest test is killed, `WORKBENCH_KILLS_SEED` draws other choices.
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
# How long a killed command's processes may outlive it, and a command a Ctrl-C and a second one.
ORPHANED, INTERRUPTED, AT_ONCE = 5.0, 10.0, 2.0
# The seconds that a kept fold is given; trained again it would have its own.
MARK = 100.0

STUDY = """
name: small
data: {train: train.csv, test: test.csv, target: species, id: row}
metric: log_loss
folds: {folds: 3}
families: [linear, xgboost, extra_trees]
search: {workers: 2}
"""


def made(folder: Path, text: str = STUDY) -> Path:
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
    """`workbench run`, in a session of its own by which its processes are found."""

    def __init__(self, folder: Path, trials: int, *words: str) -> None:
        self.folder = folder
        run = [sys.executable, "-m", "workbench", "run", "small.yaml", "--trials", str(trials), *words]
        with (folder / "out.txt").open("w") as out, (folder / "err.txt").open("w") as err:
            self.process = subprocess.Popen(run, cwd=folder, stdout=out, stderr=err, start_new_session=True)

    @property
    def said(self) -> str:
        return (self.folder / "err.txt").read_text()

    def until(self, sign: Callable[[], Any]) -> bool:
        """Wait for a sign; return whether it came before the command ended."""
        end = time.monotonic() + 120
        while self.process.poll() is None:
            if sign():
                return True
            assert time.monotonic() < end, self.said
            time.sleep(0.002)
        return False

    def workers(self) -> dict[int, Path]:
        """Return the processes that run a trial, each with its trial's folder: a worker prints into a file there."""
        found = {}
        for pid in members(self.process.pid):
            with contextlib.suppress(OSError):
                out = Path(os.readlink(f"/proc/{pid}/fd/1"))
                if out.parent.parent.name == "trials":
                    found[pid] = out.parent
        return found

    def ended(self, seconds: float) -> int:
        """Wait for the command's end, and the end of all its processes; return the exit status."""
        status = self.process.wait(seconds)
        end = time.monotonic() + ORPHANED
        while left := members(self.process.pid):
            assert time.monotonic() < end, f"{left} outlive the command by {ORPHANED} s"
            time.sleep(0.02)
        return status


def members(session: int) -> list[int]:
    """Return the processes of a session that live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, own = stat.read_text().rpartition(")")[2].split()[:4]
            if int(own) == session and state not in "ZX":
                found.append(int(stat.parent.name))
    return found


@dataclass(frozen=True)
class Run:
    """A run as MLflow's database has it."""

    run_id: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


def told(folder: Path) -> dict[str, FrozenTrial]:
    """Return what Optuna was told, by FAMILY/NUMBER."""
    journal = folder / "mlruns" / "optuna.journal"
    if not journal.exists():
        return {}
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    found = {}
    for name in optuna.study.get_all_study_names(storage):
        trials = optuna.load_study(storage=storage, study_name=name).trials
        assert [trial.number for trial in trials] == list(range(len(trials)))
        found |= {f"{name.removeprefix('small/')}/{trial.number}": trial for trial in trials}
    return found


def logged(folder: Path) -> list[Run]:
    """Return every run that MLflow has."""
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


def agree(trial: FrozenTrial, run: Run) -> None:
    """Check that Optuna and MLflow say the same of a finished trial."""
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


def balanced(folder: Path) -> tuple[dict[str, FrozenTrial], dict[str, Run]]:
    """Check that Optuna's and MLflow's books agree as far as Optuna was told, and return both."""
    trials, runs = told(folder), trials_of(logged(folder))
    assert runs.keys() <= trials.keys(), "MLflow has a trial that Optuna never asked for"
    for key, trial in trials.items():
        if trial.state.is_finished():
            agree(trial, runs[key])
    return trials, runs


def settled(folder: Path, trials: int) -> dict[str, FrozenTrial]:
    """Check the books after a run that came to its end: nothing is open, nothing is missing, nothing is left over."""
    books, runs = balanced(folder)
    assert runs.keys() == books.keys()
    assert {run.status for run in logged(folder)} <= {"FINISHED", "FAILED", "KILLED"}
    assert all(trial.state.is_finished() for trial in books.values())
    assert sum(trial.state != TrialState.FAIL for trial in books.values()) == trials
    artifacts = folder / "mlruns" / "artifacts" / "small"
    for key, trial in books.items():
        if trial.state == TrialState.COMPLETE:
            readable(artifacts / runs[key].run_id / "artifacts")
    stamp = json.loads((folder / "small-submission.csv.json").read_text())
    ensemble = json.loads((artifacts / stamp["run_id"] / "artifacts" / "ensemble.json").read_text())
    assert {member["run_id"] for member in ensemble["members"]} <= {run.run_id for run in runs.values()}
    assert len(pd.read_csv(folder / "small-submission.csv")) == TEST_ROWS
    home = folder / "mlruns" / "studies" / "small"
    assert {path.name for path in home.iterdir()} <= {"study.json", "folds.parquet", "lock", "trials", "weights"}
    assert not list((home / "trials").iterdir())
    whole = {key.replace("/", "-") for key, trial in books.items() if trial.state == TrialState.COMPLETE}
    assert {path.name for path in home.glob("weights/*")} <= whole
    assert not list(folder.rglob("*.part"))
    return books


def readable(artifacts: Path) -> None:
    """Check a complete trial's predictions."""
    for name, rows in (("oof", ROWS), ("test", TEST_ROWS)):
        frame = pd.read_parquet(artifacts / f"{name}.parquet").filter(like="prediction")
        assert frame.shape == (rows, 3)
        assert np.allclose(frame.sum(axis=1), 1)


def finished(folder: Path) -> int:
    """Return how many trials count for `--trials`."""
    return sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in told(folder).values())


def folds_of(folder: Path) -> dict[str, list[Path]]:
    """Return the finished folds of the trials under way, by FAMILY/NUMBER."""
    places = (folder / "mlruns" / "studies" / "small" / "trials").glob("*")
    return {"/".join(place.name.rsplit("-", 1)): sorted(place.glob("*.npz")) for place in places}


def marked(folder: Path) -> dict[str, float]:
    """Mark the finished folds of the trials under way; return the least seconds that each trial must now end with."""
    for file in (file for files in folds_of(folder).values() for file in files):
        repeat, fold = map(int, file.stem.split("-")[1:])
        result = FoldResult.load(file.parent, repeat, fold)
        assert result is not None
        replace(result, seconds=MARK).save(file.parent)
    return {key: MARK * len(files) for key, files in folds_of(folder).items()}


def reused(trials: dict[str, FrozenTrial], marks: dict[str, float]) -> None:
    """Check that trials which have ended since they were marked did not train their marked folds again."""
    for key, least in marks.items():
        if trials[key].state.is_finished():
            assert trials[key].user_attrs["row"]["seconds"] >= least, f"{key} trained a finished fold again"


def interrupted(command: Command, status: int, *, twice: bool = False, early: bool = False) -> None:
    """Check how a command ends that met Ctrl-C: exit status 130, and one line beside those of its trials."""
    over = "Next: workbench ui" in (command.folder / "out.txt").read_text()
    if (early or over) and status == -signal.SIGINT:
        # Before Python has come to the command, and when it takes itself down after the last word, it ends as any
        # program does; a shell calls that 130 as well.
        return
    usual = r" *[\d.]+ s  |Forecast|Search over"
    said = [line for line in command.said.splitlines() if line and not re.match(usual, line)]
    assert all(line.startswith("error: interrupted") for line in said), command.said
    assert (status, len(said)) in [(130, 1), *twice * [(130, 0)]], command.said


def ensembles_of(folder: Path) -> int:
    """Return how many ensembles have been kept."""
    return len(list((folder / "mlruns").glob("artifacts/small/*/artifacts/ensemble.json")))


def signs(command: Command) -> dict[str, tuple[Callable[[], Any], float]]:
    """Return for every moment what shows it from outside, and how many seconds it lasts from then on."""
    home = command.folder / "mlruns"
    before = ensembles_of(command.folder)
    return {
        "start": (lambda: True, 3.0),
        "store": (lambda: (home / ".mlflow.db.part").exists() or (home / "mlflow.db").exists(), 1.5),
        "search": (command.workers, 1.0),
        "record": (lambda: any(len(files) == FOLDS for files in folds_of(command.folder).values()), 0.1),
        "ensemble": (lambda: "Search over" in command.said, 0.5),
        "submission": (lambda: ensembles_of(command.folder) > before, 0.2),
    }


def struck(way: str, moment: str, command: Command, rng: random.Random) -> bool:
    """Kill in this way at this moment, wait for the end and judge it; return False when the command ended before."""
    sign, lasts = signs(command)[moment]
    if not command.until(sign):
        return False
    time.sleep(rng.uniform(0, lasts))
    process = command.process
    if way == "worker":
        if not command.until(command.workers) or not (workers := sorted(command.workers())):
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(workers), signal.SIGKILL)
        assert command.ended(120) == 0, command.said
        return True
    if process.poll() is not None:
        return False
    if way in ("command", "group"):
        (os.kill if way == "command" else os.killpg)(process.pid, signal.SIGKILL)
        return command.ended(ORPHANED) == -signal.SIGKILL
    os.killpg(process.pid, signal.SIGINT)
    twice = way == "ctrl-c twice"
    if twice:
        time.sleep(rng.uniform(0.02, 0.3))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
    status = command.ended(AT_ONCE if twice else INTERRUPTED)
    if status:
        interrupted(command, status, twice=twice, early=moment == "start")
    return status != 0


def plan(rng: random.Random) -> list[tuple[str, str]]:
    """Return (way, moment) of every kill: each way and each moment about as often; the store is made but once."""
    ways, moments = (
        [each for _ in range(KILLS) for each in rng.sample(words, len(words))] for words in (WAYS, MOMENTS)
    )
    dealt = list(zip(ways, ["store", *moments], strict=False))[:KILLS]
    return [(way, "search" if way == "worker" else moment) for way, moment in dealt]


@contextlib.contextmanager
def noted(text: str) -> Iterator[None]:
    """Say with whatever goes wrong where that was."""
    try:
        yield
    except BaseException as error:
        error.add_note(text)
        raise


def test_killed_at_random_moments_the_same_command_goes_on_and_the_books_balance(tmp_path: Path) -> None:
    made(tmp_path)
    rng, asked = random.Random(SEED), 4
    marks: dict[str, float] = {}
    runs: dict[str, Run] = {}
    for number, (way, moment) in enumerate(plan(rng)):
        for _ in range(5):
            if moment in ("search", "record") and finished(tmp_path) >= asked:
                asked += 4
            with noted(f"WORKBENCH_KILLS_SEED={SEED}, kill {number}: {way} at {moment}"):
                hit = struck(way, moment, Command(tmp_path, asked), rng)
                known, untold = runs, {key for key in runs if not told(tmp_path)[key].state.is_finished()}
                trials, runs = balanced(tmp_path)
                # Trials are recorded one after another, so of one at most Optuna was not told.
                unheard = {key for key in runs if not trials[key].state.is_finished()}
                assert len(unheard - untold) <= 1
                assert all(runs[key].run_id == run.run_id for key, run in known.items())
                reused(trials, marks)
                marks = marked(tmp_path)
            if hit:
                break
        else:
            pytest.fail(f"seed {SEED}: kill {number}, {way} at {moment}, never came in time")
    with noted(f"WORKBENCH_KILLS_SEED={SEED}, the last run"):
        last = Command(tmp_path, asked)
        assert last.ended(300) == 0, last.said
        reused(settled(tmp_path, asked), marks)


def slow(folder: Path) -> Path:
    """Make a study whose folds take long enough to be caught in, and whose trials all run to their end."""
    text = STUDY.replace("[linear, xgboost, extra_trees]", "[extra_trees]").replace("workers: 2", "pruner: none")
    return made(folder, text)


def caught(command: Command, folds: int) -> tuple[int, str]:
    """Stop a worker that has finished `folds` folds and not all; return its process and its trial."""
    while command.until(lambda: any(len(list(at.glob("*.npz"))) >= folds for at in command.workers().values())):
        for pid, place in command.workers().items():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                if folds <= len(list(place.glob("*.npz"))) < FOLDS:
                    return pid, "/".join(place.name.rsplit("-", 1))
                os.kill(pid, signal.SIGCONT)
    pytest.fail(f"no worker was caught: {command.said}")


def test_a_killed_worker_is_a_failed_trial_with_its_reason_and_the_study_goes_on(tmp_path: Path) -> None:
    command = Command(slow(tmp_path), 4, "--workers", "2")
    pid, key = caught(command, 1)
    os.kill(pid, signal.SIGKILL)
    assert command.ended(120) == 0, command.said
    row = settled(tmp_path, 4)[key].user_attrs["row"]
    assert row["state"] == "failed"
    assert "signal 9" in row["reason"]
    assert 1 <= len(row["fold_scores"]) < FOLDS


def test_ctrl_c_keeps_finished_folds_and_the_next_run_takes_them(tmp_path: Path) -> None:
    command = Command(slow(tmp_path), 5, "--workers", "2")
    begun = lambda: [len(files) for key, files in folds_of(tmp_path).items() if key.startswith("extra_trees/")]  # noqa: E731
    assert command.until(lambda: any(0 < count < FOLDS for count in begun())), command.said
    os.killpg(command.process.pid, signal.SIGINT)
    interrupted(command, command.ended(INTERRUPTED))
    trials, _ = balanced(tmp_path)
    assert TrialState.RUNNING not in {trial.state for trial in trials.values()}
    marks = marked(tmp_path)
    assert any(marks.values())
    assert {trials[key].state for key in marks} == {TrialState.WAITING}
    last = Command(tmp_path, 5)
    assert last.ended(120) == 0, last.said
    trials = settled(tmp_path, 5)
    assert all(trials[key].state == TrialState.COMPLETE for key in marks)
    reused(trials, marks)


def test_a_trial_of_which_mlflow_knows_and_optuna_was_not_told_ends_once_as_it_ends_at_last(tmp_path: Path) -> None:
    command = Command(slow(tmp_path), 3, "--workers", "1")
    pid, key = caught(command, 1)
    # The command records the death in MLflow, and must wait before it can tell Optuna.
    with filelock.FileLock(tmp_path / "mlruns" / "optuna.lock"):
        os.kill(pid, signal.SIGKILL)
        assert command.until(lambda: {run.status for run in logged(tmp_path)} >= {"FAILED"}), command.said
        os.kill(command.process.pid, signal.SIGKILL)
        assert command.ended(ORPHANED) == -signal.SIGKILL
    trials, runs = balanced(tmp_path)
    assert (trials[key].state, runs[key].status) == (TrialState.RUNNING, "FAILED")
    marks = marked(tmp_path)
    last = Command(tmp_path, 3)
    assert last.ended(120) == 0, last.said
    after = settled(tmp_path, 3)
    assert after[key].state == TrialState.COMPLETE
    assert after[key].user_attrs["row"]["run_id"] == runs[key].run_id
    reused(after, marks)


def test_what_a_kill_leaves_between_two_writes_is_put_right_by_the_next_run(tmp_path: Path) -> None:
    first = Command(slow(tmp_path), 2)
    assert first.ended(120) == 0, first.said
    # A kill before the folder of a trial that Optuna was told of is gone, and one within a line of the journal.
    told_of = tmp_path / "mlruns" / "studies" / "small" / "trials" / "extra_trees-0"
    told_of.mkdir()
    (told_of / ".fold-0-0.npz-0a1b2c3d.part").touch()
    with (tmp_path / "mlruns" / "optuna.journal").open("a") as journal:
        journal.write('{"op_code":4,"worker_id":"')
    last = Command(tmp_path, 3)
    assert last.ended(120) == 0, last.said
    settled(tmp_path, 3)


def test_an_ensemble_that_a_kill_cut_off_does_not_stay_running(tmp_path: Path) -> None:
    slow(tmp_path)

    def cut_off() -> bool:
        return "RUNNING" in {run.status for run in logged(tmp_path) if run.tags["workbench.kind"] == "ensemble"}

    for _ in range(5):
        command = Command(tmp_path, 2)
        if command.until(cut_off):
            os.killpg(command.process.pid, signal.SIGKILL)
        command.ended(ORPHANED)
        if cut_off():
            break
    else:
        pytest.fail("no ensemble was cut off")
    last = Command(tmp_path, 2)
    assert last.ended(120) == 0, last.said
    settled(tmp_path, 2)
