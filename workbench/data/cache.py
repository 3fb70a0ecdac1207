"""What was made of the data once and is kept: a folder for each thing made, there whole or not at all."""

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

_DAY = 86_400
# What was not used for so long is made again rather than kept, in seconds.
_UNUSED = 7 * _DAY


@dataclass(frozen=True)
class Cache:
    """A folder whose entries are known by what they were made from."""

    path: Path

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
        os.utime(folder)
        return folder

    def sweep(self, unused: float = _UNUSED) -> int:
        """Remove what was not used for so many seconds; return how many bytes that freed."""
        freed = 0
        for folder in self.path.iterdir() if self.path.is_dir() else ():
            # A part is being filled, or whoever filled it was killed.
            limit = max(unused, _DAY) if folder.suffix == ".part" else unused
            if time.time() - folder.stat().st_mtime > limit:
                freed += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
                shutil.rmtree(folder)
        return freed

    def _make(self, folder: Path, make: Callable[[Path], None]) -> None:
        part = folder.with_name(f"{folder.name}-{os.getpid()}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            make(part)
            part.replace(folder)
        except OSError as error:
            # Another process was faster, and made the same.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
