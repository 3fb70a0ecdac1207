"""Servers of pages: on this machine only, each a process that ends when this one does, however this one ends."""

from __future__ import annotations

import importlib.util
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from workbench.errors import ConfigError, StudyError

if TYPE_CHECKING:
    import filelock

HOST = "127.0.0.1"
# Seconds that a server may take to answer for the first time, and to end when it is asked to.
_PATIENCE = 90.0
_POLITE = 5.0
# How many ports are tried before any will do.
_NEXT = 20


@dataclass(frozen=True)
class Server:
    """A server that was started."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    """What it says on stderr."""

    @property
    def address(self) -> str:
        """Where its pages are, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            StudyError: it ended, or takes too long.
        """
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            self.check()
            try:
                with urllib.request.urlopen(self.address, timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise StudyError(f"{self.name} must answer at {self.address}. It did not within {_PATIENCE:.0f} s. Try again.")

    def check(self) -> None:
        """See that it runs.

        Raises:
            StudyError: it does not any more.
        """
        status = self.process.poll()
        if status is not None:
            self.errors.seek(0)
            said = self.errors.read().decode(errors="replace").strip().splitlines()
            reason = f" ({said[-1]})" if said else ""
            raise StudyError(f"{self.name} ended with exit status {status}{reason}. Try another --port.")


@contextmanager
def start(
    name: str, module: str, *arguments: str, port: int, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a module as a server while the context lasts; it need not answer yet.

    Args:
        name: what it is called in messages.
        module: what `python -m` would run.
        arguments: of its command line.
        port: where it is told to listen.
        environment: variables that it has besides this process's.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, module, *arguments],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            yield Server(name, port, process, errors)
        finally:
            _stop(process)


@contextmanager
def reserve_port(near: int) -> Iterator[int]:
    """Hold a port that nobody listens on: `near`, else one of the next, else any.

    Until a server listens on it, seconds go by in which no other `workbench` gets it.
    """
    for port in (*range(near, min(near + _NEXT, 65536)), _bound(0)):
        lock = None if port is None else _held(port)
        if port is not None and lock is not None:
            try:
                yield port
            finally:
                lock.release()
            return
    raise StudyError(f"{HOST}: no port is free from {near} on. Choose another with --port.")


def require(library: str, *, option: str, extra: str) -> None:
    """See that a library is installed that only `option` needs.

    Raises:
        ConfigError: it is not.
    """
    if importlib.util.find_spec(library) is None:
        package = library.replace("_", "-")
        raise ConfigError(
            f"{option} needs {package}, the extra {extra!r} of workbench. It is not installed. "
            f"Install it with: pip install {package}"
        )


def _held(port: int) -> filelock.BaseFileLock | None:
    """Return the lock of a port, to be released by the caller; None where the port cannot be had."""
    import filelock

    lock = filelock.FileLock(Path(tempfile.gettempdir()) / f"workbench-{os.getuid()}-{port}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return None
    if _bound(port) is None:
        lock.release()
        return None
    return lock


def _bound(port: int) -> int | None:
    """Return the port that a server could be bound to now, None where it could not."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and the processes that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLITE)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _run(module: str, *arguments: str) -> None:
    """Run a module in this process as `python -m` does, until the process that started it is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    """Kill this process and all that it started when the other end of stdin is closed: even SIGKILL does that."""
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    _run(*sys.argv[1:])
