"""Pruners: stop unpromising trials at a rung or after a fold.

A trial is compared with other trials of its family at the same step: the same fold and the same progress in it, or the
same number of finished folds. Optuna's own pruners know one scale of steps and take all values for comparable. Here
values within a fold are validation losses and those at its end are scores, so the rules are written anew over
`IntermediateValues`, which keeps them apart. Decisions follow from Optuna's journal alone; a resumed study repeats
them.
"""

from __future__ import annotations

import bisect
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from workbench.array import Array
from workbench.errors import SearchError, suggest_word

# The progress at which a fold is examined: 2, 3, 4, 6, 8, 11, 16 … epochs.
RUNGS = tuple(round(2 ** (k / 2)) for k in range(2, 30))
END = -1
"""The rung that stands for the end of a fold."""
# Optuna's step number is fold · STRIDE + rung; the end of a fold is the last number of its stride.
STRIDE = 100_000

Step = tuple[int, int]
"""Fold (from 0, over all repeats) and rung."""

# The fewest trials to compare with.
_MIN_TRIALS = 4
# The same for decisions within a fold: the worst of five equal trials is often the newest.
_MIN_TRIALS_WITHIN = 8
# The complete trials whose differences estimate the noise between folds; more would cost time at every fold.
_NOISE_TRIALS = 12


def encode_step(step: Step) -> int:
    """Return Optuna's step number, unique over folds and rungs."""
    fold, rung = step
    return fold * STRIDE + (STRIDE - 1 if rung == END else rung)


def decode_step(number: int) -> Step:
    """Return the step of one of Optuna's step numbers."""
    fold, rung = divmod(number, STRIDE)
    return fold, END if rung == STRIDE - 1 else rung


def rung_of(progress: int) -> int | None:
    """Return the last rung at or below `progress`; None below the first."""
    index = bisect.bisect_right(RUNGS, progress)
    return RUNGS[index - 1] if index else None


@dataclass
class IntermediateValues:
    """The losses of one family's trials at each step; smaller is better."""

    losses: dict[Step, dict[int, float]] = field(default_factory=dict)
    """By step and trial: the best validation loss so far in the fold, or the loss of the finished fold."""
    mean_losses: dict[int, dict[int, float]] = field(default_factory=dict)
    """By fold and trial: the mean loss up to the end of that fold, if every fold so far has a loss."""
    ranked: list[tuple[float, int]] = field(default_factory=list)
    """Loss and number of each complete trial, best first."""
    complete: set[int] = field(default_factory=set)
    """The numbers of the complete trials."""

    def add(self, number: int, step: Step, loss: float) -> None:
        """Add a trial's loss at a step, folds in their order; a loss that is not finite is left out."""
        if not math.isfinite(loss):
            return
        self.losses.setdefault(step, {})[number] = loss
        fold, rung = step
        before = self.mean_losses.get(fold - 1, {}).get(number, None if fold else 0.0)
        if rung == END and before is not None:
            self.mean_losses.setdefault(fold, {})[number] = (before * fold + loss) / (fold + 1)

    def add_complete(self, number: int, loss: float) -> None:
        """Add a complete trial with its loss over all folds."""
        bisect.insort(self.ranked, (loss, number))
        self.complete.add(number)

    def values_at(self, step: Step) -> dict[int, float]:
        """Return the values, by trial, that are comparable at a step: losses in the fold, or means up to its end."""
        fold, rung = step
        return self.mean_losses.get(fold, {}) if rung == END else self.losses.get(step, {})

    def values_of_others(self, number: int, step: Step) -> Array:
        """Return the values of the other complete trials at a step: (trials,)."""
        return np.array([v for n, v in self.values_at(step).items() if n in self.complete and n != number])


Pruner = Callable[[IntermediateValues, int, Step], bool]
"""Receives the family's values, the trial's number and its step, at which it has a value; returns whether to prune."""


def percentile(share: float) -> Pruner:
    """Return the pruner that stops trials worse than the best `share` of the complete trials at the same step."""

    def should_prune(values: IntermediateValues, number: int, step: Step) -> bool:
        others, own = values.values_of_others(number, step), values.values_at(step).get(number)
        return own is not None and len(others) >= _MIN_TRIALS and bool(own > np.quantile(others, share))

    return should_prune


def halving(values: IntermediateValues, number: int, step: Step, *, spared: int = 0) -> bool:
    """Stop trials outside of the best third after 4, 16, 64 … epochs of the first fold, and after 1, 3, 9 … folds.

    Asynchronous successive halving (Li et al., 2020, "A system for massively parallel hyperparameter tuning").

    Args:
        values: the values of all trials.
        number: the trial's number.
        step: its step.
        spared: 1 spares the trial the decisions within the first fold, 2 also the one at its end.
    """
    fold, rung = step
    due = fold + 1 in (1, 3, 9, 27, 81) if rung == END else fold == 0 and rung in RUNGS[2::4]
    if not due or (fold == 0 and spared > (rung == END)):
        return False
    at_step = values.values_at(step)
    if number not in at_step or len(at_step) < 3:
        return False
    better = sum(value < at_step[number] for value in at_step.values())
    return better >= math.ceil(len(at_step) / 3)


def hyperband(values: IntermediateValues, number: int, step: Step) -> bool:
    """Halve in three brackets, by the trial's number, which spare more and more (Li et al., 2018, "Hyperband")."""
    return halving(values, number, step, spared=zlib.crc32(str(number).encode()) % 3)


def wilcoxon(values: IntermediateValues, number: int, step: Step) -> bool:
    """Stop trials worse than the best complete one, fold by fold (Wilcoxon, 1945: signed ranks, p < 0.1)."""
    difference = _differences(values, number, step, best=0.0)
    if difference is None or not difference.any() or difference.mean() <= 0:
        return False
    from scipy import stats

    return bool(stats.wilcoxon(difference, alternative="greater", method="auto").pvalue < 0.1)


def compare_pairs(values: IntermediateValues, number: int, step: Step) -> bool:
    """Stop clearly worse trials after as few epochs and folds as possible.

    In the first fold: worse than every one of at least eight complete trials was at the same progress. At the end of a
    fold: worse than a trial of the best quarter, fold by fold, by more than 1.5 standard errors. The standard deviation
    of a difference between two trials from fold to fold is the median over the complete trials.
    """
    fold, rung = step
    if rung != END:
        others = values.values_of_others(number, step)
        examined = fold == 0 and rung >= RUNGS[2] and len(others) >= _MIN_TRIALS_WITHIN
        return examined and bool(values.losses[step][number] > others.max())
    difference = _differences(values, number, step, best=0.25)
    if difference is None:
        return False
    deviation = _deviation(values)
    return deviation is not None and bool(difference.mean() > 1.5 * deviation / math.sqrt(len(difference)))


def never(values: IntermediateValues, number: int, step: Step) -> bool:
    """Stop nothing."""
    return False


_PRUNERS: dict[str, Pruner] = {
    "paired": compare_pairs,
    "median": percentile(0.5),
    "percentile": percentile(0.25),
    "halving": halving,
    "hyperband": hyperband,
    "wilcoxon": wilcoxon,
    "none": never,
}


def pruner_names() -> tuple[str, ...]:
    """Return the names of all pruners."""
    return tuple(_PRUNERS)


def get_pruner(name: str) -> Pruner:
    """Return a pruner by its name.

    Raises:
        SearchError: there is no pruner of that name; names the known ones.
    """
    if name not in _PRUNERS:
        hint = suggest_word(name, _PRUNERS)
        raise SearchError(f"must be a known pruner. Received: {name!r}.{hint}")
    return _PRUNERS[name]


def _differences(values: IntermediateValues, number: int, step: Step, *, best: float) -> Array | None:
    """Return, fold by fold, a trial's loss minus that of the complete trial at the quantile `best`: (folds,)."""
    fold, rung = step
    if rung != END or len(values.ranked) < _MIN_TRIALS:
        return None
    _, reference = values.ranked[int(best * (len(values.ranked) - 1))]
    return _fold_differences(values, number, reference, fold + 1)


def _fold_differences(values: IntermediateValues, one: int, other: int, folds: int) -> Array | None:
    ends = [values.losses.get((fold, END), {}) for fold in range(folds)]
    differences = [end[one] - end[other] for end in ends if one in end and other in end]
    return np.array(differences) if differences else None


def _deviation(values: IntermediateValues) -> float | None:
    """Return the median standard deviation, over folds, of the difference between a complete trial and the best."""
    (_, best), *others = values.ranked[:_NOISE_TRIALS]
    each = [_fold_differences(values, number, best, len(values.mean_losses)) for _, number in others]
    deviations = [float(np.std(pair, ddof=1)) for pair in each if pair is not None and len(pair) > 1]
    return float(np.median(deviations)) if deviations else None
