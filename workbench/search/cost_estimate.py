"""The expected cost of each family's first trial: the prior, corrected by what measured folds show."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log

from workbench import models
from workbench.search.allocation import FamilyProgress
from workbench.search.family_costs import estimate, measure_size
from workbench.trial import TrialSpec

# A fold corrects the prior by this factor at most, since a short one tells little.
_MOST_CORRECTION = 4.0
# The number of families on the prior's side when measured ones tell the speed of the machine. The cost of a single
# family may be wrong for reasons of its own, such as a column of many levels.
_PRIOR_FAMILIES = 2


class CostEstimate:
    """The costs of the families of one search."""

    def __init__(self, specs: Mapping[str, TrialSpec]) -> None:
        """Estimate the prior costs; no specs, no estimates."""
        self._specs = specs
        size = measure_size(next(iter(specs.values()))) if specs else None
        self._priors = {} if size is None else {family: estimate(spec, size) for family, spec in specs.items()}
        self._ratios: dict[str, float] = {}
        """The seconds of a family's first measured fold in relation to the prior."""

    def measure(self, family: str, seconds: float) -> bool:
        """Take into account a fold whose training ended by itself; return whether it changes the estimates."""
        if family not in self._specs or family in self._ratios:
            return False
        ratio = seconds * len(self._specs[family].folds) / self._priors[family].seconds
        self._ratios[family] = min(max(ratio, 1 / _MOST_CORRECTION), _MOST_CORRECTION)
        return True

    def update(self, progress: Mapping[str, FamilyProgress]) -> None:
        """Set what the families' first trials are expected to cost; the others' folds show the machine's speed."""
        speed = exp(sum(map(log, self._ratios.values())) / (len(self._ratios) + _PRIOR_FAMILIES))
        for family, prior in self._priors.items():
            ratio = self._ratios.get(family, speed)
            each = progress[family]
            each.gain, each.prior_seconds, each.least_seconds = prior.gain, ratio * prior.seconds, ratio * prior.least
            each.keeps_deadline = models.get_entry(self._specs[family].resolved_family).keeps_deadline
