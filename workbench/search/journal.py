"""Optuna's journal on disk: how it is opened, locked and written, so that a kill loses nothing and leaves no lock."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import filelock
import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._storage import JournalOperation


def storage(journal: Path) -> optuna.storages.JournalStorage:
    """Open a journal for reading and writing, beside whoever else has it open; it is made when it is not there."""
    lock = _Lock(journal.with_suffix(".lock"))
    _mend(journal, lock)
    return optuna.storages.JournalStorage(_Journal(journal, lock))


class _Lock:
    """A lock that the system lets go when its holder dies; Optuna's own would be waited for, for half a minute."""

    def __init__(self, path: Path) -> None:
        self._lock = filelock.FileLock(path)

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire()
        return True

    def release(self) -> None:
        """Let go."""
        self._lock.release()


class _Journal(JournalFileBackend):
    """Optuna's journal, forced to the disk when a trial changes its state: that takes milliseconds each time.

    A process that is killed loses nothing that it wrote; a power failure may take the trials under way.
    """

    def __init__(self, path: Path, lock: _Lock) -> None:
        """Open the file, made when it is not there."""
        super().__init__(str(path), lock_obj=cast("Any", lock))
        self._path, self._own = path, lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write operations to the end of the file."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._own.acquire()
        try:
            with self._path.open("ab") as file:
                file.write(text.encode())
                file.flush()
                if any(log["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES for log in logs):
                    os.fsync(file.fileno())
        finally:
            self._own.release()


def _mend(journal: Path, lock: _Lock) -> None:
    """Cut off a last line that a kill left unfinished; Optuna could not read what came after it."""
    if not journal.exists():
        return
    lock.acquire()
    try:
        text = journal.read_bytes()
        if text and not text.endswith(b"\n"):
            os.truncate(journal, text.rfind(b"\n") + 1)
    finally:
        lock.release()
