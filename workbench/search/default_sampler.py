"""The sampler of a family's first trial: it suggests values that are given, the family's defaults in general."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class DefaultSampler(BaseSampler):
    """A sampler that suggests from `values`, which the caller completes before each suggestion."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Begin with the values of another trial, or with none."""
        self.values: dict[str, Any] = dict(values)

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
        """Return the value."""
        return self.values[param_name]
