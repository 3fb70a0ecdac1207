"""The process of a trial: it trains the folds one after another and exchanges messages with the parent."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any, Literal

from workbench import trial
from workbench.errors import WorkbenchError
from workbench.search import net_artifacts
from workbench.search.pruners import rung_of
from workbench.search.stored_specs import StoredSpec
from workbench.space import Hyperparameter

# A trial's folder holds the output of its libraries, and the checkpoints of its fold models.
LOG = "worker.log"
CHECKPOINTS = "weights"
# Seconds between two epochs that are sent although nothing is decided at them.
_HEARTBEAT = 0.5


@dataclass(frozen=True)
class TrialJob:
    """The parent's first message: the trial to run."""

    spec: trial.TrialSpec | StoredSpec
    number: int
    folder: Path
    """The folder of finished folds and of the libraries' output."""
    environment: Mapping[str, str]
    """Variables that only this process has, such as the device that it may use."""
    end: float | None = None
    """The end of the trial, as for `trial.fit_folds`."""


@dataclass(frozen=True)
class EpochReport:
    """An epoch ended; only at a rung does the parent answer, with whether to go on."""

    fold: int
    """From 0, over all repeats."""
    epoch: int
    rung: int | None = None
    """The last rung that the model's progress has reached, if it has just reached it."""
    loss: float | None = None
    """The best validation loss so far in this fold."""
    of: int | None = None
    """The number of epochs, if it is settled."""


@dataclass(frozen=True)
class FoldReport:
    """A fold is done and saved; the parent answers with a decision."""

    score: float
    cut_short: bool = False
    """Whether its deadline ended the training."""


Decision = Literal["stop", "continue", "keep", "keep and inspect"]
"""The parent's answer to a fold: whether to go on, whether to keep the model's checkpoint, and whether to write its net
artifacts in full, because the trial is the best of its family so far."""


@dataclass(frozen=True)
class TrialOutcome:
    """The worker's last message: the trial is over."""

    state: trial.State
    reason: str | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    interrupted: trial.InterruptedFold | None = None
    """The fold in which it ended."""


Message = Hyperparameter | EpochReport | FoldReport | TrialOutcome
"""A worker's message. A Hyperparameter asks for its value."""


def run_worker(pipe: connection.Connection[Any, Any]) -> None:
    """Wait for a job, run it and send messages through `pipe`: hyperparameters, epochs, folds, and the outcome."""
    # Ctrl-C reaches the whole process group; the parent decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Freeze pre-fork objects: the GC skips them, and their pages stay shared (copy-on-write).
    gc.freeze()
    _exit_with_parent()
    _prefer_for_oom_kill()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        job: TrialJob = pipe.recv()
        os.environ.update(job.environment)
        job.folder.mkdir(parents=True, exist_ok=True)
        with (job.folder / LOG).open("a") as log:
            # The libraries' output goes to the log, not to the command's terminal.
            os.dup2(log.fileno(), sys.stdout.fileno())
            os.dup2(log.fileno(), sys.stderr.fileno())
            pipe.send(_TrialRunner(pipe).run(job))


class _TrialRunner:
    """Runs one trial and exchanges messages about it with the parent."""

    def __init__(self, pipe: connection.Connection[Any, Any]) -> None:
        self._pipe = pipe
        self._last_rung: tuple[int, int | None] | None = None
        self._last_sent = 0.0
        self._decision: Decision = "continue"
        self._fold: trial.FoldResult | None = None

    def run(self, job: TrialJob) -> TrialOutcome:
        number, folder = job.number, job.folder
        hp: Any = None
        try:
            spec = job.spec.load() if isinstance(job.spec, StoredSpec) else job.spec
            hp = trial.build_space(spec.resolved_family, self.suggest)
            keep = partial(self.keep, spec, folder)
            options: dict[str, Any] = {"folder": folder, "report": self.report, "keep": keep, "end": job.end}
            for fold in trial.fit_folds(spec, number, hp, **options):
                self._fold = fold
                self._decision = self._ask(FoldReport(fold.score, fold.cut_short))
                if self._decision == "stop":
                    return TrialOutcome("pruned", f"pruned after fold {fold.fold}", dict(hp.values))
        except (EOFError, BrokenPipeError):
            raise
        except trial.StoppedFold as stopped:
            epoch = stopped.fold.curve["epoch"][-1]
            reason = f"pruned in fold {stopped.fold.fold} after epoch {epoch:.0f}"
            return TrialOutcome("pruned", reason, dict(hp.values), stopped.fold)
        except Exception as error:  # noqa: BLE001 - any error of a model ends its trial, never the study
            traceback.print_exc()
            reason = "out of memory" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}"[:2000]
            return TrialOutcome("failed", reason, dict(hp.values) if hp else {})
        return TrialOutcome("complete", None, dict(hp.values))

    def suggest(self, hyperparameter: Hyperparameter) -> Any:
        """Ask the parent for a hyperparameter's value."""
        value = self._ask(hyperparameter)
        if isinstance(value, WorkbenchError):
            raise value
        return value

    def report(self, fold: int, epoch: int, progress: int, loss: float, of: int | None) -> bool:
        """Ask at each new rung whether to go on; between rungs, send a heartbeat."""
        rung = rung_of(progress)
        if rung is not None and self._last_rung != (fold, rung):
            self._last_rung = (fold, rung)
            self._last_sent = time.monotonic()
            return bool(self._ask(EpochReport(fold, epoch, rung, loss, of)))
        if time.monotonic() - self._last_sent > _HEARTBEAT:
            self._last_sent = time.monotonic()
            self._pipe.send(EpochReport(fold, epoch, of=of))
        return True

    def keep(self, spec: trial.TrialSpec, folder: Path, repeat: int, fold: int, model: Any) -> None:
        """Save a model's checkpoint if it may be wanted, and the net artifacts of the last fold's model."""
        if self._decision.startswith("keep"):
            trial.save_model(model, folder / CHECKPOINTS / f"{repeat}-{fold}")
        if self._fold is not None and (repeat, fold) == list(spec.folds.pairs())[-1]:
            full = self._decision == "keep and inspect"
            net_artifacts.write(spec, self._fold, model, folder / net_artifacts.FOLDER, full=full)

    def _ask(self, message: Message) -> Any:
        self._pipe.send(message)
        return self._pipe.recv()


def _exit_with_parent() -> None:
    """End this process as soon as the parent is gone, also if the parent was killed."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _prefer_for_oom_kill() -> None:
    """Make Linux, when memory runs out, kill this process before the parent, which writes the storage."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")
