"""What runs in a trial's own process: the folds, one after another, and a line to the parent."""

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
from workbench.space import Hyperparameter

LOG = "worker.log"
WEIGHTS = "weights"
# How often the parent hears of epochs at which nothing is decided, in seconds.
_BEAT = 0.5


@dataclass(frozen=True)
class Epoch:
    """A model trains; only at a rung does the parent answer, whether to go on."""

    fold: int
    """From 0, over all repeats."""
    epoch: int
    rung: int | None = None
    """The last rung that the model's progress has reached, where it has just been reached."""
    loss: float | None = None
    """The best validation loss so far in this fold."""
    of: int | None = None
    """How many epochs there will be, where that is settled."""


@dataclass(frozen=True)
class FoldDone:
    """A fold is done and kept; the parent answers what to do now."""

    score: float


Answer = Literal["stop", "go on", "keep and go on", "keep, show and go on"]
"""What a parent says to a fold: whether to go on, whether the model's weights may be wanted, and whether it is to be
looked at: it is the best of its family so far."""


@dataclass(frozen=True)
class Done:
    """The trial is over."""

    state: Literal["complete", "pruned", "failed"]
    reason: str | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    cut: trial.InterruptedFold | None = None
    """The fold that it ended in."""


Message = Hyperparameter | Epoch | FoldDone | Done


@dataclass(frozen=True)
class Job:
    """What a worker is to do."""

    spec: trial.TrialSpec
    number: int
    folder: Path
    """Where finished folds are kept, and what libraries print."""
    environment: Mapping[str, str]
    """Variables that only this process has, as the device it may use."""


def work(line: connection.Connection[Any, Any]) -> None:
    """Wait for a job, run it and tell the parent over `line`: questions, progress, folds, and the end."""
    # Ctrl-C reaches the whole process group; what to do about it is the parent's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What was loaded before the fork is never garbage; not to look through it saves time, and copies of its memory.
    gc.freeze()
    _die_with_the_parent()
    _be_the_first_to_go()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        job: Job = line.recv()
        os.environ.update(job.environment)
        job.folder.mkdir(parents=True, exist_ok=True)
        with (job.folder / LOG).open("a") as log:
            # Libraries print; the command's screen is not theirs.
            os.dup2(log.fileno(), sys.stdout.fileno())
            os.dup2(log.fileno(), sys.stderr.fileno())
            line.send(_Work(line).run(job.spec, job.number, job.folder))


class _Work:
    """One trial and its line to the parent."""

    def __init__(self, line: connection.Connection[Any, Any]) -> None:
        self._line = line
        self._seen: tuple[int, int | None] | None = None
        self._beat = 0.0
        self._answer: Answer = "go on"
        self._fold: trial.FoldResult | None = None

    def run(self, spec: trial.TrialSpec, number: int, folder: Path) -> Done:
        hp: Any = None
        try:
            hp = trial.space(spec.located, self.suggest)
            keep = partial(self.keep, spec, folder)
            for fold in trial.run(spec, number, hp, folder=folder, report=self.report, keep=keep):
                self._fold = fold
                self._answer = self._ask(FoldDone(fold.score))
                if self._answer == "stop":
                    return Done("pruned", f"pruned after fold {fold.fold}", dict(hp.values))
        except (EOFError, BrokenPipeError):
            raise
        except trial.StoppedFold as halted:
            epoch = halted.cut.curve["epoch"][-1]
            reason = f"pruned in fold {halted.cut.fold} after epoch {epoch:.0f}"
            return Done("pruned", reason, dict(hp.values), halted.cut)
        except Exception as error:  # noqa: BLE001 - whatever a model raises ends its trial, never the study
            traceback.print_exc()
            reason = "out of memory" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}"[:2000]
            return Done("failed", reason, dict(hp.values) if hp else {})
        return Done("complete", None, dict(hp.values))

    def suggest(self, question: Hyperparameter) -> Any:
        answer = self._ask(question)
        if isinstance(answer, WorkbenchError):
            raise answer
        return answer

    def report(self, fold: int, epoch: int, progress: int, loss: float, of: int | None) -> bool:
        """Ask at each new rung whether to go on; in between, tell now and then."""
        rung = rung_of(progress)
        if rung is not None and self._seen != (fold, rung):
            self._seen = (fold, rung)
            self._beat = time.monotonic()
            return bool(self._ask(Epoch(fold, epoch, rung, loss, of)))
        if time.monotonic() - self._beat > _BEAT:
            self._beat = time.monotonic()
            self._line.send(Epoch(fold, epoch, of=of))
        return True

    def keep(self, spec: trial.TrialSpec, folder: Path, repeat: int, fold: int, model: Any) -> None:
        """Save a model whose weights may be wanted, and of the last one what there is to see."""
        if self._answer.startswith("keep"):
            trial.save(model, folder / WEIGHTS / f"{repeat}-{fold}")
        if self._fold is not None and (repeat, fold) == list(spec.folds.pairs())[-1]:
            whole = self._answer == "keep, show and go on"
            net_artifacts.make(spec, self._fold, model, folder / net_artifacts.FOLDER, whole=whole)

    def _ask(self, message: Message) -> Any:
        self._line.send(message)
        return self._line.recv()


def _die_with_the_parent() -> None:
    """End this process as soon as the parent is gone, also when the parent was killed."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _be_the_first_to_go() -> None:
    """Let Linux, when memory runs out, kill this process before the one that keeps the books."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")
