"""Local web servers: they listen on this machine only, and each is a process that ends when its parent ends."""

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
# Seconds that a server may take to answer its first request, and to end after SIGTERM.
_START_TIMEOUT = 90.0
_STOP_TIMEOUT = 5.0
# Ports that are tried one after the other before any free port is taken.
_TRIED_PORTS = 20


@dataclass(frozen=True)
class Server:
    """A server process that was started."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    """The file that receives the server's stderr."""

    @property
    def address(self) -> str:
        """The URL of its pages, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            StudyError: the server ended, or does not answer in time.
        """
        end = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < end:
            self.check()
            try:
                with urllib.request.urlopen(self.address, timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise StudyError(
            f"{self.name} must answer at {self.address}. It did not within {_START_TIMEOUT:.0f} s. Try again."
        )

    def check(self) -> None:
        """Check that the server still runs.

        Raises:
            StudyError: the server has ended.
        """
        status = self.process.poll()
        if status is not None:
            self.errors.seek(0)
            lines = self.errors.read().decode(errors="replace").strip().splitlines()
            reason = f" ({lines[-1]})" if lines else ""
            raise StudyError(f"{self.name} ended with exit status {status}{reason}. Try another --port.")


@contextmanager
def start(
    name: str, module: str, *arguments: str, port: int, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a module as a server for as long as the context lasts. The server may not answer yet: see `Server.wait`.

    Args:
        name: the server's name in messages.
        module: the module, as for `python -m`.
        arguments: the module's command line.
        port: the port that the arguments tell it to listen on.
        environment: environment variables in addition to those of this process.
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
    """Reserve a port on which nothing listens: `near`, else one of the next, else any free port.

    A server needs seconds to bind its port; until then the reservation keeps other workbench processes from taking it.

    Raises:
        StudyError: no port is free.
    """
    for port in (*range(near, min(near + _TRIED_PORTS, 65536)), _find_free_port(0)):
        lock = None if port is None else _lock_port(port)
        if port is not None and lock is not None:
            try:
                yield port
            finally:
                lock.release()
            return
    raise StudyError(f"{HOST}: no port is free from {near} on. Choose another with --port.")


def require(library: str, *, option: str) -> None:
    """Check that the library that an option needs is installed.

    Raises:
        ConfigError: the library is not installed.
    """
    if importlib.util.find_spec(library) is None:
        package = library.replace("_", "-")
        raise ConfigError(f"{option} needs {package}, which is not installed. Install it with: pip install {package}")


def _lock_port(port: int) -> filelock.BaseFileLock | None:
    """Return the acquired lock of a port, which the caller releases; None if the port is taken."""
    import filelock

    lock = filelock.FileLock(Path(tempfile.gettempdir()) / f"workbench-{os.getuid()}-{port}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return None
    if _find_free_port(port) is None:
        lock.release()
        return None
    return lock


def _find_free_port(port: int) -> int | None:
    """Return `port` if a server could bind it now, else None; for 0, any port that is free."""
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
            process.wait(_STOP_TIMEOUT)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _run(module: str, *arguments: str) -> None:
    """Run a module in this process as `python -m` does, until the parent process ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    """Kill this process group when the parent's end of the stdin pipe closes, which happens even after SIGKILL."""
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    _run(*sys.argv[1:])
