"""Who ends a poor trial: policies by name, asked at every rung of a fold and at its end.

A trial is compared with others of its family at the same place: the same fold and the same progress in it, or the
same number of finished folds. Optuna's own pruners know one scale of steps and take its values for comparable; here
values within a fold are validation losses and those at its end are scores, so the policies are written anew over a
`IntermediateValues` that keeps them apart. What they decide follows from Optuna's journal alone and is the same after a restart.
"""

from __future__ import annotations

import bisect
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from workbench.errors import SearchError, suggest_word

# Where within a fold a trial is looked at: 2, 3, 4, 6, 8, 11, 16 … epochs.
RUNGS = tuple(round(2 ** (k / 2)) for k in range(2, 30))
END = -1
"""The rung that stands for the end of a fold."""
# In the journal, step = fold · STRIDE + rung, and the end of a fold is the last step of its stride.
STRIDE = 100_000

Place = tuple[int, int]
"""Fold (from 0, over all repeats) and rung."""

# No trial is judged by fewer.
_STARTUP = 4


def encode_step(place: Place) -> int:
    """Return the step of a place in Optuna's journal, unique over folds and rungs."""
    fold, rung = place
    return fold * STRIDE + (STRIDE - 1 if rung == END else rung)


def decode_step(step: int) -> Place:
    """Return the place that a step of the journal stands for."""
    fold, rung = divmod(step, STRIDE)
    return fold, END if rung == STRIDE - 1 else rung


def rung_of(progress: int) -> int | None:
    """Return the last rung at or below `progress`; None below the first."""
    index = bisect.bisect_right(RUNGS, progress)
    return RUNGS[index - 1] if index else None


@dataclass
class IntermediateValues:
    """What the trials of one family came to, place by place; smaller is better."""

    at: dict[Place, dict[int, float]] = field(default_factory=dict)
    """By place and trial: the best validation loss so far in the fold, or the loss of the finished fold."""
    means: dict[int, dict[int, float]] = field(default_factory=dict)
    """By fold and trial: the mean loss up to the end of that fold, where every fold so far has a loss."""
    ranked: list[tuple[float, int]] = field(default_factory=list)
    """Loss and number of each complete trial, best first."""
    complete: set[int] = field(default_factory=set)
    """Their numbers."""

    def put(self, number: int, place: Place, loss: float) -> None:
        """Write down what a trial came to, folds in their order; what means nothing is left out."""
        if not math.isfinite(loss):
            return
        self.at.setdefault(place, {})[number] = loss
        fold, rung = place
        before = self.means.get(fold - 1, {}).get(number, None if fold else 0.0)
        if rung == END and before is not None:
            self.means.setdefault(fold, {})[number] = (before * fold + loss) / (fold + 1)

    def finish(self, number: int, loss: float) -> None:
        """Take a complete trial and its loss over all folds."""
        bisect.insort(self.ranked, (loss, number))
        self.complete.add(number)

    def values(self, place: Place) -> dict[int, float]:
        """Return what trials can be compared by at a place: the loss in this fold, or the mean up to its end."""
        fold, rung = place
        return self.means.get(fold, {}) if rung == END else self.at.get(place, {})

    def peers(self, number: int, place: Place) -> np.ndarray:
        """Return the values of the complete trials at a place."""
        return np.array([v for n, v in self.values(place).items() if n in self.complete and n != number])


Pruner = Callable[[IntermediateValues, int, Place], bool]
"""Told the board, the trial's number and its place, where its own value is: returns whether the trial should end."""


def percentile(share: float) -> Pruner:
    """Return the pruner that ends what is worse than the best `share` of the complete trials at the same place."""

    def ends(board: IntermediateValues, number: int, place: Place) -> bool:
        peers, own = board.peers(number, place), board.values(place).get(number)
        return own is not None and len(peers) >= _STARTUP and bool(own > np.quantile(peers, share))

    return ends


def halving(board: IntermediateValues, number: int, place: Place, *, spared: int = 0) -> bool:
    """End what is not in the best third after 4, 16, 64 … epochs of the first fold, and after 1, 3, 9 … folds.

    Asynchronous successive halving (Li et al., 2020, "A system for massively parallel hyperparameter tuning").

    Args:
        board: what all trials came to.
        number: the trial.
        place: where it is.
        spared: 1 spares the trial the decisions within the first fold, 2 the one at its end too.
    """
    fold, rung = place
    due = fold + 1 in (1, 3, 9, 27, 81) if rung == END else fold == 0 and rung in RUNGS[2::4]
    if not due or (fold == 0 and spared > (rung == END)):
        return False
    values = board.values(place)
    if number not in values or len(values) < 3:
        return False
    better = sum(value < values[number] for value in values.values())
    return better >= math.ceil(len(values) / 3)


def hyperband(board: IntermediateValues, number: int, place: Place) -> bool:
    """Halve in three brackets, by the trial's number, that spare more and more (Li et al., 2018, "Hyperband")."""
    return halving(board, number, place, spared=zlib.crc32(str(number).encode()) % 3)


def wilcoxon(board: IntermediateValues, number: int, place: Place) -> bool:
    """End what is worse than the best complete trial, fold by fold (Wilcoxon, 1945: signed ranks, p < 0.1)."""
    difference = _differences(board, number, place, best=0.0)
    if difference is None or not difference.any() or difference.mean() <= 0:
        return False
    from scipy import stats

    return bool(stats.wilcoxon(difference, alternative="greater", method="auto").pvalue < 0.1)


def paired(board: IntermediateValues, number: int, place: Place) -> bool:
    """End what is clearly worse, by as few epochs and folds as that takes.

    In the first fold: worse than every complete trial was at the same progress. At the end of a fold: worse than a
    trial of the best quarter, fold by fold, by more than 1.5 standard errors; the deviation of a difference between
    two trials from fold to fold is the median over the complete trials.
    """
    fold, rung = place
    if rung != END:
        peers = board.peers(number, place)
        return fold == 0 and rung >= RUNGS[2] and len(peers) >= _STARTUP and board.at[place][number] > peers.max()
    difference = _differences(board, number, place, best=0.25)
    if difference is None:
        return False
    spread = _spread(board)
    return spread is not None and bool(difference.mean() > 1.5 * spread / math.sqrt(len(difference)))


def never(board: IntermediateValues, number: int, place: Place) -> bool:
    """End nothing."""
    return False


_PRUNERS: dict[str, Pruner] = {
    "paired": paired,
    "median": percentile(0.5),
    "percentile": percentile(0.25),
    "halving": halving,
    "hyperband": hyperband,
    "wilcoxon": wilcoxon,
    "none": never,
}


def pruners() -> tuple[str, ...]:
    """Return the names of all pruners."""
    return tuple(_PRUNERS)


def pruner(name: str) -> Pruner:
    """Return a pruner.

    Raises:
        SearchError: there is none of that name; says which are known.
    """
    if name not in _PRUNERS:
        hint = suggest_word(name, _PRUNERS)
        raise SearchError(f"must be a known pruner. Received: {name!r}.{hint}")
    return _PRUNERS[name]


def _differences(board: IntermediateValues, number: int, place: Place, *, best: float) -> np.ndarray | None:
    """Return, fold by fold, by how much a trial is worse than the complete trial at the quantile `best`."""
    fold, rung = place
    if rung != END or len(board.ranked) < _STARTUP:
        return None
    _, reference = board.ranked[int(best * (len(board.ranked) - 1))]
    return _between(board, number, reference, fold + 1)


def _between(board: IntermediateValues, one: int, other: int, folds: int) -> np.ndarray | None:
    ends = [board.at.get((fold, END), {}) for fold in range(folds)]
    both = [end[one] - end[other] for end in ends if one in end and other in end]
    return np.array(both) if both else None


def _spread(board: IntermediateValues) -> float | None:
    """Return the usual standard deviation, over folds, of the difference between a complete trial and the best."""
    # The best dozen tell enough; a study of thousands is not gone through at every fold.
    (_, best), *others = board.ranked[:12]
    each = [_between(board, number, best, len(board.means)) for _, number in others]
    spreads = [float(np.std(between, ddof=1)) for between in each if between is not None and len(between) > 1]
    return float(np.median(spreads)) if spreads else None
