"""The weights of the trials that are worth it: their fold models on disk, the worst freed first.

Predictions are kept for every trial, by MLflow; weights are large and wanted only to predict new rows. They lie in the
home, a folder per trial and in it one per fold, as the trial's family wrote them.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from workbench.files import replace_folder
from workbench.home import Home

# Weights of one study may take so many bytes, and half of what the disk has left.
_MOST = 5_000_000_000

Key = tuple[str, int]
"""A trial: family and number."""


class Checkpoints:
    """The weights that a study has."""

    def __init__(self, home: Home, study: str) -> None:
        """Look into the study's folder; nothing is made."""
        self._home, self._study = home, study

    def take(self, key: Key, made: Path) -> None:
        """Move the weights that a trial has made here, in the place of what it may have here."""
        replace_folder(made, self.folder(key))

    def folder(self, key: Key) -> Path:
        """Return where a trial's weights are, if they are: `REPEAT-FOLD` for each fold model."""
        return self._home.trial_checkpoints(self._study, *key)

    def keep(self, ranked: Sequence[Key], needed: Collection[Key] = ()) -> int:
        """Free all weights but those of the trials in `ranked`, best first, as far as there is room.

        Args:
            ranked: the trials whose weights are worth keeping.
            needed: those to keep even where room is scarce.

        Returns:
            The bytes freed.
        """
        place = self._home.checkpoints(self._study)
        if not place.exists():
            return 0
        wanted = {self.folder(key): key in needed for key in ranked}
        sizes = {folder: _size(folder) for folder in place.iterdir()}
        left = min(_MOST, shutil.disk_usage(place).free // 2 + sum(sizes.values()) // 2)
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


def best(ranked: Iterable[Key], each: int) -> list[Key]:
    """Return the first `each` trials of each family."""
    seen: Counter[str] = Counter()
    found = []
    for key in ranked:
        seen[key[0]] += 1
        if seen[key[0]] <= each:
            found.append(key)
    return found


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
