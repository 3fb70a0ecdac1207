"""The prior cost of a trial: the seconds that a family's defaults take, before any of its folds has been measured.

The seconds of a fold are `start + rate × rows × columns / 10⁶`. For boosted trees the second term is multiplied by
`√(rows / 10⁴) × √outputs`, because the rounds until the early stop grow with both. The constants of `_COSTS` are
seconds of one core of a server of 2026, measured by `python benchmarks/costs.py --data DIR NAME …`. The search
multiplies them by the speed that measured folds show.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from workbench import models
from workbench.trial import TrialSpec


class TrainingSize(NamedTuple):
    """The size of a fold's training."""

    rows: int
    """Training rows of the first fold."""
    columns: int
    """Columns of a table, or values of a row of an array."""
    outputs: int
    """Columns of the predictions."""


@dataclass(frozen=True)
class TrialCost:
    """The cost of a trial, and its worth."""

    seconds: float
    """Seconds of a trial whose trainings end by themselves."""
    least: float
    """Seconds of the shortest trial with a usable model: less than `seconds` if the family keeps deadlines."""
    gain: float
    """The expected gain for the ensemble, from 0 to 1, from the blends of `benchmarks/competitions.py`."""


class _Cost(NamedTuple):
    """The constants of a family."""

    gain: float
    start: float
    """Seconds of a fold without rows."""
    rate: float
    """Microseconds for each value of the training rows."""
    boosts: bool = False
    """Whether it trains rounds until they stop early."""


# The least share of a training that gives a usable model, beside its start.
_LEAST_SHARE = 0.1
# A family that is not in the table, such as a user's own.
_UNKNOWN = _Cost(0.5, 1.0, 20.0)
_COSTS = {
    "linear": _Cost(0.5, 0.1, 0.8),
    "xgboost": _Cost(1.0, 0.2, 8.0, boosts=True),
    "lightgbm": _Cost(1.0, 0.2, 6.0, boosts=True),
    "catboost": _Cost(1.0, 0.3, 45.0, boosts=True),
    "extra_trees": _Cost(0.4, 0.5, 20.0),
    "random_forest": _Cost(0.4, 0.8, 22.0),
    "mlp": _Cost(0.5, 5.5, 24.0),
    "wide_and_deep": _Cost(0.5, 7.0, 60.0),
    "tabm": _Cost(0.6, 7.0, 220.0),
    "hog_svm": _Cost(0.4, 0.2, 2.7),
    "hog_trees": _Cost(0.3, 0.3, 3.0),
}


def measure_size(spec: TrialSpec) -> TrainingSize:
    """Return the size of the training of a spec's first fold."""
    train, _ = spec.folds.split(*next(iter(spec.folds.pairs())))
    return TrainingSize(len(train), prod(spec.dataset.x.shape[1:]), spec.problem.outputs)


def estimate(spec: TrialSpec) -> TrialCost:
    """Return the prior cost of a trial of a family; a family that is not in the table may always start."""
    cost, size = _COSTS.get(spec.family, _UNKNOWN), measure_size(spec)
    variable = 1e-6 * cost.rate * size.rows * size.columns
    if cost.boosts:
        variable *= (size.rows / 1e4 * size.outputs) ** 0.5
    folds = len(spec.folds)
    seconds = folds * (cost.start + variable)
    if spec.family not in _COSTS:
        return TrialCost(seconds, 0.0, cost.gain)
    keeps_deadline = models.get_entry(spec.resolved_family).keeps_deadline
    least = folds * (cost.start + _LEAST_SHARE * variable) if keeps_deadline else seconds
    return TrialCost(seconds, least, cost.gain)
