"""The sampler of a family's first trial: it suggests the family's defaults, which are known to be good."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class DefaultSampler(BaseSampler):
    """A sampler that suggests from `defaults`, which the caller fills before each suggestion."""

    def __init__(self) -> None:
        """Begin without defaults."""
        self.defaults: dict[str, Any] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return nothing: every hyperparameter is suggested independently."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing: every hyperparameter is suggested independently."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the default."""
        return self.defaults[param_name]
