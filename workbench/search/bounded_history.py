"""A sampler that sees the best and the latest trials of a long study, so that a suggestion takes bounded time.

TPE's time grows with the trials that it reads. It models at most 25 of them as good; a few hundred of the others say
well enough where not to look. Under `search.goal: ensemble` the sampler sees the trials with other values than their
scores.
"""

from __future__ import annotations

import copy
import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from workbench.search.optuna_internals import FilteredStudy

SampledObjective = Callable[[Sequence[FrozenTrial]], Mapping[int, float]]
"""Receives the complete trials of a study and returns their values by number; empty if their scores apply."""
IsComparable = Callable[[FrozenTrial], bool]
"""Tells whether a trial's score can be compared with that of the trial that is sampled."""

_BEST = 100
_LATEST = 300


class BoundedHistorySampler(BaseSampler):
    """A sampler whose inner sampler sees only a part of the study."""

    def __init__(
        self,
        sampler: BaseSampler,
        objective: SampledObjective | None = None,
        is_comparable: IsComparable = lambda trial: True,
    ) -> None:
        """Wrap `sampler`, which sees comparable trials, with their scores unless there is an `objective`."""
        self.sampler = sampler
        self._objective = objective
        self._is_comparable = is_comparable

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what the inner sampler returns; it needs no values."""
        bounded = limit_history(study, is_comparable=self._is_comparable)
        return self.sampler.infer_relative_search_space(bounded, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return what the inner sampler returns."""
        bounded = limit_history(study, self._objective, self._is_comparable)
        return self.sampler.sample_relative(bounded, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return what the inner sampler returns."""
        bounded = limit_history(study, self._objective, self._is_comparable)
        return self.sampler.sample_independent(bounded, trial, param_name, param_distribution)


def limit_history(
    study: Study, objective: SampledObjective | None = None, is_comparable: IsComparable = lambda trial: True
) -> Study:
    """Return a view of a study with its best and latest trials, and the objective's values if there is one."""

    def select(trials: list[FrozenTrial]) -> list[FrozenTrial]:
        trials = [*filter(is_comparable, trials)]
        trials = _select_best_and_latest(trials, sign=1 if study.direction == StudyDirection.MINIMIZE else -1)
        complete = [t for t in trials if t.state == TrialState.COMPLETE]
        values = objective(complete) if objective and complete else {}
        return [_replace_value(t, values[t.number]) if t.number in values else t for t in trials]

    return FilteredStudy(study, select)


def _select_best_and_latest(trials: list[FrozenTrial], *, sign: int) -> list[FrozenTrial]:
    if len(trials) <= _BEST + _LATEST:
        return trials
    older, latest = trials[:-_LATEST], trials[-_LATEST:]
    complete = ((sign * (t.value or 0.0), t.number) for t in older if t.state == TrialState.COMPLETE)
    best = {number for _, number in heapq.nsmallest(_BEST, complete)}
    return [*(t for t in older if t.number in best), *latest]


def _replace_value(trial: FrozenTrial, value: float) -> FrozenTrial:
    """Return a copy of a trial with another value; the trial itself belongs to the storage."""
    changed = copy.copy(trial)
    changed.value = value
    return changed
