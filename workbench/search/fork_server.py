"""A process that has libraries loaded and forks the processes of trials.

`multiprocessing` keeps one such server for each program. Here a program has several, so that a trial need not wait for
libraries that its family does not use. A server lasts as long as the program, and pools with the same libraries share
it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing import connection, forkserver
from typing import Any

# The modules of all trials and of tables without nets, so that the first trials wait for no other library.
FIRST_MODULES = (
    "workbench.trial",
    *(f"workbench.models.tabular.{family}" for family in ("linear", "xgboost", "lightgbm", "catboost")),
    "skops.io",
    # The libraries import these at their first use.
    "narwhals._interchange.dataframe",
    "narwhals._pandas_like.namespace",
)


class ForkServer:
    """A running server; see `start_server`."""

    def __init__(self, modules: Sequence[str]) -> None:
        """Begin to load the modules in another process, which inherits the environment, without waiting for it."""
        self._server = forkserver.ForkServer()
        self._server.set_forkserver_preload([*modules])
        with _silence_stderr():
            self._server.ensure_running()
        # A request for a process that ends at once; it is answered when the modules are loaded.
        self._answer, request = self._server.connect_to_new_process([])
        os.close(request)
        self._has_loaded = False

    @property
    def is_ready(self) -> bool:
        """Whether the modules are loaded, so that a process starts at once."""
        if not self._has_loaded and connection.wait([self._answer], 0):
            self._has_loaded = True
            os.close(self._answer)
        return self._has_loaded

    def start(self, process: Any) -> None:
        """Start a process of the `forkserver` context as a fork of this server; wait until the modules are loaded."""
        # `multiprocessing` looks its own server up in the module for each process that it starts.
        own, forkserver.connect_to_new_process = forkserver.connect_to_new_process, self._server.connect_to_new_process
        try:
            process.start()
        finally:
            forkserver.connect_to_new_process = own


def start_server(modules: Sequence[str], environment: Mapping[str, str]) -> ForkServer:
    """Return the server that has these modules loaded under this environment; the first call starts it.

    Args:
        modules: the names of the modules; one that is not installed is left out.
        environment: the variables that the libraries read when they load.
    """
    return _start(("workbench.search.worker", *modules), tuple(sorted(environment.items())))


@cache
def _start(modules: tuple[str, ...], environment: tuple[tuple[str, str], ...]) -> ForkServer:
    with set_environment(dict(environment)):
        return ForkServer(modules)


@contextmanager
def set_environment(environment: Mapping[str, str]) -> Iterator[None]:
    """Set variables that a process inherits which starts inside the block."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_environment(threads: int) -> Mapping[str, str]:
    """Return the variables that limit the libraries' threads; libraries read them when they load."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return {
        **dict.fromkeys(names, str(threads)),
        "TF_NUM_INTEROP_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        # Trials share a GPU, so none may reserve all of its memory at its start.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
    }


@contextmanager
def _silence_stderr() -> Iterator[None]:
    """Give a process that starts now no standard error, which its libraries would write to while they load."""
    saved = os.dup(2)
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
