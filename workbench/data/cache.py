"""What was made of the data once and is kept: a folder for each thing made, there whole or not at all."""

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
# What was not used for so long is made again rather than kept, in seconds.
_UNUSED = 7 * _DAY


Tell = Callable[[str], object]
"""Told in a line how far something is that takes long."""


def silent(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Cache:
    """A folder whose entries are known by what they were made from."""

    path: Path
    tell: Tell = silent

    def entry(self, made_from: Any, make: Callable[[Path], None]) -> Path:
        """Return the folder that `make` filled from the same earlier, or let it fill one now.

        Args:
            made_from: what tells entries apart: anything that JSON can say.
            make: fills the folder that it is given; when it raises, nothing stays.
        """
        words = json.dumps(made_from, sort_keys=True, default=str)
        folder = self.path / hashlib.sha256(words.encode()).hexdigest()[:20]
        if not folder.is_dir():
            self._make(folder, make)
        # What was used lately is not swept away.
        with contextlib.suppress(OSError):
            os.utime(folder)
        return folder

    def sweep(self, unused: float = _UNUSED) -> int:
        """Remove what was not used for so many seconds; return how many bytes that freed."""
        freed = 0
        for folder in self.path.iterdir() if self.path.is_dir() else ():
            # A part is being filled, or whoever filled it was killed.
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
            # Another process may have been faster, and made the same.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> SourceError:
        return SourceError(
            f"{self.path}: must take what is made of the data. Received: {error.strerror or error}. Make room, or "
            "choose another home with --home."
        )
