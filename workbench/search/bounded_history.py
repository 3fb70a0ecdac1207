"""What a sampler sees of a long history: the best trials and the latest, so that a suggestion costs no more in time.

The time that TPE takes grows with the trials it looks at, while those it models as good are 25 at most; of the others a
few hundred tell as well where not to look. Where the goal is not a trial's own score (`goal`), it sees the trials
valued by that.
"""

from __future__ import annotations

import copy
import heapq
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

# From complete trials of a study to their values by number; empty where their scores are to be shown.
Judge = Callable[[Sequence[FrozenTrial]], Mapping[int, float]]

_BEST = 100
_LATEST = 300


class BoundedHistorySampler(BaseSampler):
    """A sampler that is shown a part of its study."""

    def __init__(self, sampler: BaseSampler, judge: Judge | None = None) -> None:
        """Stand before `sampler`, which sees trials by their scores unless there is a `judge`."""
        self.sampler = sampler
        self._judge = judge

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what the sampler says."""
        return self.sampler.infer_relative_search_space(_Part(study), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return what the sampler says."""
        return self.sampler.sample_relative(_Part(study, self._judge), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return what the sampler says."""
        return self.sampler.sample_independent(_Part(study, self._judge), trial, param_name, param_distribution)


class _Part(Study):
    """A study that shows the best and the latest of its trials, valued by a judge where there is one."""

    def __init__(self, study: Study, judge: Judge | None = None) -> None:
        super().__init__(study.study_name, study._storage, sampler=study.sampler, pruner=study.pruner)
        self._judge = judge

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = self._shortened(super()._get_trials(deepcopy, states, use_cache))
        complete = [t for t in trials if t.state == TrialState.COMPLETE]
        values = self._judge(complete) if self._judge and complete else {}
        return [_valued(t, values[t.number]) if t.number in values else t for t in trials]

    def _shortened(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        if len(trials) <= _BEST + _LATEST:
            return trials
        sign = 1 if self.direction == StudyDirection.MINIMIZE else -1
        older, latest = trials[:-_LATEST], trials[-_LATEST:]
        complete = ((sign * (t.value or 0.0), t.number) for t in older if t.state == TrialState.COMPLETE)
        best = {number for _, number in heapq.nsmallest(_BEST, complete)}
        return [*(t for t in older if t.number in best), *latest]


def _valued(trial: FrozenTrial, value: float) -> FrozenTrial:
    """Return a trial with another value; the one given is the storage's own."""
    shown = copy.copy(trial)
    shown.value = value
    return shown
