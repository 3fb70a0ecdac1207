"""The sampler of a family's first trial: it suggests what the family says is known to be good."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class DefaultSampler(BaseSampler):
    """Suggests from `answers`, which is filled just before each question is asked."""

    def __init__(self) -> None:
        """Begin without answers."""
        self.answers: dict[str, Any] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return nothing: every hyperparameter is suggested by itself."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing: every hyperparameter is suggested by itself."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the default."""
        return self.answers[param_name]
