"""A pool of processes for trials, forked from one that has the heavy libraries loaded.

Importing TensorFlow takes seconds. A fork of a process that has imported it starts in hundredths of a second, has a
memory of its own and frees it when it ends. While TensorFlow loads, families that do not use it are forked from a
process without it. Platforms without fork spawn processes, which is slower.
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

from workbench import models
from workbench.search import worker
from workbench.search.fork_server import ForkServer, set_environment, start_server, thread_environment
from workbench.search.stored_specs import StoredSpec, store_specs
from workbench.trial import TrialSpec


@dataclass(frozen=True)
class WorkerProcess:
    """A trial's process, and the pipe to it."""

    process: Any
    pipe: Any
    server: ForkServer | None = None
    """The process that it was forked from."""

    @property
    def memory(self) -> int:
        """The bytes that the process has in memory, those shared with its parent included."""
        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    @property
    def usage(self) -> tuple[float, int] | None:
        """The seconds of processor time that the process has used, and its bytes in memory; None if it has ended."""
        try:
            process = psutil.Process(self.process.pid)
            seconds, memory = sum(process.cpu_times()[:2]), int(process.memory_info().rss)
        except psutil.Error:
            return None
        # An ended process that was not waited for yet has no memory.
        return (seconds, memory) if memory else None

    def receive(self) -> worker.Message | None:
        """Return the worker's next message; None if the worker died."""
        try:
            message: worker.Message = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            return None
        return message

    def send(self, answer: Any) -> None:
        """Answer the worker; if it has just died, the next `receive` says so."""
        try:
            self.pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return

    def describe_end(self) -> str:
        """Wait for the process's end and describe it."""
        self.process.join()
        code = self.process.exitcode
        if code == -9:
            return "the trial's process was killed (signal 9); where nobody did that, memory ran out"
        return f"the trial's process died ({f'signal {-code}' if code < 0 else f'exit status {code}'})"

    def end(self) -> None:
        """Kill the process and close the pipe; its files on disk are whole or absent."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


class Pool:
    """Starts processes that have `modules` loaded and `threads` threads each."""

    def __init__(
        self, modules: Sequence[str], *, threads: int = 1, gpus: Literal["shared", "assigned"] = "shared"
    ) -> None:
        """Begin to load the modules in another process, without waiting for it.

        Args:
            modules: the names of the modules that a trial needs.
            threads: the number of threads that a trial may use.
            gpus: whether every trial sees all GPUs, or the one that is assigned to its worker.
        """
        self._gpus = _visible_gpus() if gpus == "assigned" else []
        self._spare: WorkerProcess | None = None
        fork = "forkserver" in multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if fork else "spawn")
        self._environment = thread_environment(threads)
        self._servers: list[ForkServer] = []
        self._stored: dict[int, StoredSpec] = {}
        if fork:
            self.load(modules)

    def load(self, modules: Sequence[str]) -> None:
        """Begin to load these modules in a further process; once they are loaded, trials are forked from it."""
        if self._context.get_start_method() == "forkserver":
            self._servers.append(start_server(modules, self._environment))

    def is_ready(self, spec: TrialSpec) -> bool:
        """Return whether a trial can start at once, its libraries being loaded."""
        server = self._find_server(spec)
        return server is None or server.is_ready

    def start(
        self, spec: TrialSpec, number: int, folder: Path, *, slot: int = 0, end: float | None = None
    ) -> WorkerProcess:
        """Start a trial in the worker slot of that number, from 0; its `end` is as for `trial.fit_folds`."""
        server = self._find_server(spec)
        spare, self._spare = self._spare, None
        if spare is not None and not (spare.process.is_alive() and self._suits(spare, spec)):
            spare.end()
            spare = None
        process = spare or self._fork(server)
        stored = self._stored.get(id(spec), spec)
        process.send(worker.TrialJob(stored, number, folder, self._device(slot), end))
        return process

    def store(self, specs: Mapping[str, TrialSpec], file: Path) -> None:
        """Write the specifications to a file, which the trials' processes map instead of receiving copies.

        Args:
            specs: the specifications by family; the caller keeps them as long as the pool.
            file: the file, which the caller removes after the last trial.
        """
        store_specs(specs, file)
        self._stored = {id(spec): StoredSpec(file, family) for family, spec in specs.items()}

    def wait(self, processes: Sequence[WorkerProcess], seconds: float | None) -> list[WorkerProcess]:
        """Wait until a worker sends a message or dies; return those that have."""
        if self._spare is None:
            # The workers are busy, so this is the time to fork the next trial's process.
            self._spare = self._fork(self._newest_ready())
        ready = connection.wait([process.pipe for process in processes], seconds)
        return [process for process in processes if process.pipe in ready]

    def close(self) -> None:
        """End the process that waits for the next trial."""
        if self._spare is not None:
            self._spare.end()
            self._spare = None

    def _find_server(self, spec: TrialSpec) -> ForkServer | None:
        """Return the process to fork a trial from: for a net the last one, also if it still loads."""
        if self._servers and models.get_entry(spec.resolved_family).keras:
            return self._servers[-1]
        return self._newest_ready()

    def _suits(self, spare: WorkerProcess, spec: TrialSpec) -> bool:
        return spare.server in self._servers[-1:] or not models.get_entry(spec.resolved_family).keras

    def _newest_ready(self) -> ForkServer | None:
        """Return the last process whose modules are loaded; the first one if none is."""
        return next((each for each in reversed(self._servers) if each.is_ready), next(iter(self._servers), None))

    def _fork(self, server: ForkServer | None) -> WorkerProcess:
        pipe, worker_pipe = self._context.Pipe()
        with self._child_environment():
            process = self._context.Process(target=worker.run_worker, args=(worker_pipe,), daemon=True)
            process.start() if server is None else server.start(process)
        worker_pipe.close()
        return WorkerProcess(process, pipe, server)

    def _device(self, slot: int) -> Mapping[str, str]:
        return {"CUDA_VISIBLE_DEVICES": self._gpus[slot % len(self._gpus)]} if self._gpus else {}

    @contextmanager
    def _child_environment(self) -> Iterator[None]:
        """Set the environment that a new process inherits, and hide the main module from it.

        The process would import the main module again, which is wrong for a script without
        `if __name__ == "__main__"`.
        """
        main = vars(sys.modules["__main__"])
        hidden = {name: main.pop(name) for name in ["__file__", "__spec__"] if name in main}
        main["__spec__"] = None
        try:
            with set_environment(self._environment):
                yield
        finally:
            main.update(hidden)


def _visible_gpus() -> list[str]:
    """Return NVIDIA's GPUs as CUDA_VISIBLE_DEVICES names them; a library would take hold of them, so none is used."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    folder = Path("/proc/driver/nvidia/gpus")
    return [str(i) for i in range(len(list(folder.iterdir())))] if folder.is_dir() else []
