"""Checkpoints: the fold models of the best trials on disk; the worst are freed first.

MLflow keeps the predictions of every trial. Checkpoints are large and needed only to predict new rows. They lie in the
home, a folder for each trial and in it one for each fold, in the format of the trial's family.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from workbench.files import replace_folder
from workbench.home import Home

# The bytes that the checkpoints of one study may take; they may also take half of the space that the disk has left.
_MAX_BYTES = 5_000_000_000

TrialKey = tuple[str, int]
"""A trial's family and number."""


class Checkpoints:
    """The checkpoints of one study."""

    def __init__(self, home: Home, study: str) -> None:
        """Name the study; no folder is created."""
        self._home, self._study = home, study

    def add(self, key: TrialKey, source: Path) -> None:
        """Move a trial's checkpoints here; they replace earlier ones."""
        replace_folder(source, self.folder(key))

    def folder(self, key: TrialKey) -> Path:
        """Return the folder of a trial's checkpoints, which may be missing: `REPEAT-FOLD` for each fold model."""
        return self._home.trial_checkpoints(self._study, *key)

    def free_except(self, ranked: Sequence[TrialKey], needed: Collection[TrialKey] = ()) -> int:
        """Free all checkpoints except those of the trials in `ranked`, best first, as far as there is room.

        Args:
            ranked: the trials whose checkpoints are worth keeping.
            needed: the trials to keep even if there is no room.

        Returns:
            The bytes freed.
        """
        root = self._home.checkpoints(self._study)
        if not root.exists():
            return 0
        wanted = {self.folder(key): key in needed for key in ranked}
        sizes = {folder: _size(folder) for folder in root.iterdir()}
        left = min(_MAX_BYTES, shutil.disk_usage(root).free // 2 + sum(sizes.values()) // 2)
        freed = 0
        for folder in [*wanted, *(sizes.keys() - wanted.keys())]:
            if folder not in sizes:
                continue
            if wanted.get(folder) or (folder in wanted and sizes[folder] <= left):
                left -= sizes[folder]
            else:
                shutil.rmtree(folder, ignore_errors=True)
                freed += sizes[folder]
        return freed


def best_per_family(ranked: Iterable[TrialKey], count: int) -> list[TrialKey]:
    """Return the first `count` trials of each family."""
    seen: Counter[str] = Counter()
    best = []
    for key in ranked:
        seen[key[0]] += 1
        if seen[key[0]] <= count:
            best.append(key)
    return best


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
