"""What a sampler sees of a long history: the best trials and the latest, so that a suggestion costs no more in time.

The time that TPE takes grows with the trials it looks at, while those it models as good are 25 at most; of the others a
few hundred tell as well where not to look.
"""

import heapq
from collections.abc import Container
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

_BEST = 100
_LATEST = 300


class Horizon(BaseSampler):
    """A sampler that is shown a part of its study."""

    def __init__(self, sampler: BaseSampler) -> None:
        """Stand before `sampler`."""
        self.sampler = sampler

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what the sampler says."""
        return self.sampler.infer_relative_search_space(_Part(study), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return what the sampler says."""
        return self.sampler.sample_relative(_Part(study), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return what the sampler says."""
        return self.sampler.sample_independent(_Part(study), trial, param_name, param_distribution)


class _Part(Study):
    """A study that shows the best and the latest of its trials."""

    def __init__(self, study: Study) -> None:
        super().__init__(study.study_name, study._storage, sampler=study.sampler, pruner=study.pruner)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = super()._get_trials(deepcopy, states, use_cache)
        if len(trials) <= _BEST + _LATEST:
            return trials
        sign = 1 if self.direction == StudyDirection.MINIMIZE else -1
        older, latest = trials[:-_LATEST], trials[-_LATEST:]
        complete = ((sign * (t.value or 0.0), t.number) for t in older if t.state == TrialState.COMPLETE)
        best = {number for _, number in heapq.nsmallest(_BEST, complete)}
        return [*(t for t in older if t.number in best), *latest]
