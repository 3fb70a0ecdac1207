"""What runs in a trial's own process: the folds, one after another, and a line to the parent."""

import contextlib
import os
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any, Literal

from workbench import trial
from workbench.errors import WorkbenchError
from workbench.space import Question

LOG = "worker.log"


@dataclass(frozen=True)
class FoldDone:
    """A fold is done and kept; the parent answers whether to go on."""

    score: float


@dataclass(frozen=True)
class Done:
    """The trial is over."""

    state: Literal["complete", "pruned", "failed"]
    reason: str | None = None


Message = Question | FoldDone | Done


def work(line: "connection.Connection[Any, Any]", spec: trial.Spec, number: int, folder: Path) -> None:
    """Run a trial and tell the parent over `line`: questions, folds, and the end."""
    # Ctrl-C reaches the whole process group; what to do about it is the parent's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_the_parent()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("a") as log, contextlib.suppress(EOFError, BrokenPipeError):
        # Libraries print; the command's screen is not theirs.
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
        line.send(_run(line, spec, number, folder))


def _run(line: "connection.Connection[Any, Any]", spec: trial.Spec, number: int, folder: Path) -> Done:
    def suggest(question: Question) -> Any:
        line.send(question)
        answer = line.recv()
        if isinstance(answer, WorkbenchError):
            raise answer
        return answer

    try:
        for fold in trial.run(spec, number, suggest, folder=folder):
            line.send(FoldDone(fold.score))
            if not line.recv():
                return Done("pruned", f"pruned after fold {fold.fold}")
    except (EOFError, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a model raises ends its trial, never the study
        traceback.print_exc()
        return Done("failed", f"{type(error).__name__}: {error}"[:2000])
    return Done("complete")


def _die_with_the_parent() -> None:
    """End this process as soon as the parent is gone, also when the parent was killed."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
