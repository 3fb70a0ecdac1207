"""A cache of data that take long to derive: one folder per entry, which appears complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import SourceError, WorkbenchError
from workbench.files import stage_folder

_DAY = 86_400
# Seconds without use after which an entry is removed.
_UNUSED = 7 * _DAY


Tell = Callable[[str], object]
"""Receives a line of progress from a step that takes long."""


def silent(_: str) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class Cache:
    """A folder of entries that are identified by a digest of their inputs."""

    path: Path
    tell: Tell = silent

    def entry(self, inputs: Any, make: Callable[[Path], None]) -> Path:
        """Return the folder of an entry; `make` fills it unless it exists.

        Args:
            inputs: what the entry is derived from; any JSON value.
            make: fills the folder that it is given; if it raises, the folder is removed.
        """
        key = json.dumps(inputs, sort_keys=True, default=str)
        folder = self.path / hashlib.sha256(key.encode()).hexdigest()[:20]
        if not folder.is_dir():
            self._make(folder, make)
        # The modification time records the last use.
        with contextlib.suppress(OSError):
            os.utime(folder)
        return folder

    def sweep(self, unused: float = _UNUSED) -> int:
        """Remove the entries that were not used for `unused` seconds; return the bytes freed."""
        freed = 0
        for folder in self.path.iterdir() if self.path.is_dir() else ():
            # A partial folder is being filled, or its process was killed.
            limit = max(unused, _DAY) if folder.suffix == ".part" else unused
            files = [file.stat() for file in folder.rglob("*")]
            if time.time() - max(each.st_mtime for each in (folder.stat(), *files)) > limit:
                freed += sum(each.st_size for each in files)
                shutil.rmtree(folder)
        return freed

    def _make(self, folder: Path, make: Callable[[Path], None]) -> None:
        try:
            with stage_folder(folder, concurrent=True) as part:
                make(part)
        except WorkbenchError:
            raise
        except OSError as error:
            # Another process may have made the same entry first.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> SourceError:
        return SourceError(
            f"{self.path}: must be writable, to cache derived data. Received: {error.strerror or error}. Make room, or "
            "choose another home with --home."
        )
