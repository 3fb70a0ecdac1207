"""A process for every trial, forked from one that has the heavy libraries loaded.

Importing TensorFlow takes seconds; a fork of a process that has done so starts in hundredths of one, has a memory
of its own and gives it back when it ends. Where there is no fork, processes are spawned, slower.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any, Literal

import psutil

from workbench.search import worker
from workbench.trial import TrialSpec


@dataclass(frozen=True)
class Process:
    """A trial's process, and the line to it."""

    process: Any
    line: Any

    @property
    def memory(self) -> int:
        """How many bytes the process has in memory, those that it shares with its parent among them."""
        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    @property
    def usage(self) -> tuple[float, int] | None:
        """The seconds of processor time that the process has used, and its bytes in memory; None when it is gone."""
        try:
            process = psutil.Process(self.process.pid)
            seconds, memory = sum(process.cpu_times()[:2]), int(process.memory_info().rss)
        except psutil.Error:
            return None
        # One that has ended has no memory, and is waited for under its number still.
        return (seconds, memory) if memory else None

    def receive(self) -> worker.Message | None:
        """Return what the worker says next; None when it died."""
        try:
            message: worker.Message = self.line.recv()
        except (EOFError, ConnectionResetError):
            return None
        return message

    def send(self, answer: Any) -> None:
        """Answer the worker; one that just died will be found dead."""
        try:
            self.line.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return

    def obituary(self) -> str:
        """Say how the process ended."""
        self.process.join()
        code = self.process.exitcode
        if code == -9:
            return "the trial's process was killed (signal 9); where nobody did that, memory ran out"
        return f"the trial's process died ({f'signal {-code}' if code < 0 else f'exit status {code}'})"

    def end(self) -> None:
        """End the process and close the line; what it keeps on disk is there whole or not at all."""
        self.process.kill()
        self.process.join()
        self.line.close()


class Pool:
    """Starts processes that have `modules` loaded and `threads` threads each."""

    def __init__(
        self, modules: Sequence[str], *, threads: int = 1, gpus: Literal["shared", "assigned"] = "shared"
    ) -> None:
        """Begin to load the modules, in another process and without waiting for it.

        Args:
            modules: what a trial needs.
            threads: how many threads a trial may have.
            gpus: whether every trial sees all GPUs, or the one that its worker is assigned.
        """
        self._gpus = _gpus() if gpus == "assigned" else []
        self._spare: Process | None = None
        fork = "forkserver" in multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if fork else "spawn")
        self._environment = _environment(threads)
        if fork:
            from multiprocessing import forkserver

            self._context.set_forkserver_preload(["workbench.search.worker", *modules])
            with self._surroundings(), _silence():
                forkserver.ensure_running()

    def start(self, spec: TrialSpec, number: int, folder: Path, *, slot: int = 0) -> Process:
        """Start a trial as the worker of that number, from 0."""
        spare, self._spare = self._spare, None
        process = spare if spare is not None and spare.process.is_alive() else self._fork()
        process.send(worker.Job(spec, number, folder, self._device(slot)))
        return process

    def wait(self, processes: Sequence[Process], seconds: float | None) -> list[Process]:
        """Wait until a worker says something or dies; return those that have."""
        if self._spare is None:
            # While the others work there is time to fork the process of the next trial.
            self._spare = self._fork()
        ready = connection.wait([process.line for process in processes], seconds)
        return [process for process in processes if process.line in ready]

    def close(self) -> None:
        """End the process that waits for the next trial."""
        if self._spare is not None:
            self._spare.end()
            self._spare = None

    def _fork(self) -> Process:
        ours, theirs = self._context.Pipe()
        with self._surroundings():
            process = self._context.Process(target=worker.work, args=(theirs,), daemon=True)
            process.start()
        theirs.close()
        return Process(process, ours)

    def _device(self, slot: int) -> Mapping[str, str]:
        return {"CUDA_VISIBLE_DEVICES": self._gpus[slot % len(self._gpus)]} if self._gpus else {}

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        """Set the environment that a new process inherits, and hide the main module from it.

        A process would import the main module again, as a script without `if __name__ == "__main__"` must not be.
        """
        before = {name: os.environ.get(name) for name in self._environment}
        main = vars(sys.modules["__main__"])
        hidden = {name: main.pop(name) for name in ["__file__", "__spec__"] if name in main}
        main["__spec__"] = None
        os.environ.update(self._environment)
        try:
            yield
        finally:
            main.update(hidden)
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


@contextmanager
def _silence() -> Iterator[None]:
    """Let a process that is started now keep what its libraries say while they load to itself."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> list[str]:
    """Return NVIDIA's GPUs as CUDA_VISIBLE_DEVICES names them; no library is asked, which would take hold of them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    folder = Path("/proc/driver/nvidia/gpus")
    return [str(i) for i in range(len(list(folder.iterdir())))] if folder.is_dir() else []


def _environment(threads: int) -> Mapping[str, str]:
    """Return how many threads the libraries may have; they read it when they load."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return {
        **dict.fromkeys(names, str(threads)),
        "TF_NUM_INTEROP_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        # Trials share a GPU: none may take all of its memory because it came first.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
    }
