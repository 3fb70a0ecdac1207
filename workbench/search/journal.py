"""Optuna's journal on disk: opened, locked and written so that a kill loses nothing and leaves no lock."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import filelock
import optuna
from optuna.storages.journal import JournalFileBackend

from workbench.search.optuna_internals import changes_trial_state


def open_storage(journal: Path) -> optuna.storages.JournalStorage:
    """Open a journal for reading and writing; a missing file is created, and other processes may have it open too."""
    lock = _Lock(journal.with_suffix(".lock"))
    _truncate_partial_line(journal, lock)
    return optuna.storages.JournalStorage(_SyncedJournal(journal, lock))


class _Lock:
    """A file lock that the system releases when its holder dies; Optuna's own is waited for for half a minute then."""

    def __init__(self, path: Path) -> None:
        self._lock = filelock.FileLock(path)

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire()
        return True

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()


class _SyncedJournal(JournalFileBackend):
    """Optuna's journal, synced to the disk when a trial changes its state; a sync takes milliseconds.

    A killed process loses nothing that it wrote. A power failure may lose the trials under way.
    """

    def __init__(self, path: Path, lock: _Lock) -> None:
        """Open the file; a missing one is created."""
        super().__init__(str(path), lock_obj=cast("Any", lock))
        self._path, self._file_lock = path, lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write operations to the end of the file."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._file_lock.acquire()
        try:
            with self._path.open("ab") as file:
                file.write(text.encode())
                file.flush()
                if any(changes_trial_state(log) for log in logs):
                    os.fsync(file.fileno())
        finally:
            self._file_lock.release()


def _truncate_partial_line(journal: Path, lock: _Lock) -> None:
    """Remove a last line that a kill left unfinished; Optuna could not read what is written after it."""
    if not journal.exists():
        return
    lock.acquire()
    try:
        text = journal.read_bytes()
        if text and not text.endswith(b"\n"):
            os.truncate(journal, text.rfind(b"\n") + 1)
    finally:
        lock.release()
