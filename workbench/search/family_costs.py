"""The prior cost of a trial: the seconds that a family's defaults take, before any of its folds has been measured.

The seconds of a fold are `start + rate × rows × columns × outputs / 10⁶`, with the constants of `_COSTS`. They are
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
    """What a trial costs and what it is worth."""

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
    """Microseconds for each value of the training rows and each output."""
    by_output: bool = True
    """Whether the seconds grow with the number of outputs."""


# The least share of a training that gives a usable model, beside its start.
_LEAST_SHARE = 0.1
# A family that is not in the table, such as a user's own.
_UNKNOWN = _Cost(0.5, 1.0, 20.0, by_output=False)
_COSTS = {
    "linear": _Cost(0.5, 0.1, 0.6),
    "xgboost": _Cost(1.0, 0.2, 4.0),
    "lightgbm": _Cost(1.0, 0.2, 5.0),
    "catboost": _Cost(1.0, 0.3, 16.0),
    "extra_trees": _Cost(0.4, 0.3, 12.0, by_output=False),
    "random_forest": _Cost(0.4, 0.3, 15.0, by_output=False),
    "mlp": _Cost(0.5, 5.0, 50.0, by_output=False),
    "wide_and_deep": _Cost(0.5, 6.0, 100.0, by_output=False),
    "tabm": _Cost(0.6, 8.0, 150.0, by_output=False),
}


def measure_size(spec: TrialSpec) -> TrainingSize:
    """Return the size of the training of a spec's first fold."""
    train, _ = spec.folds.split(*next(iter(spec.folds.pairs())))
    return TrainingSize(len(train), prod(spec.dataset.x.shape[1:]), spec.problem.outputs)


def estimate(spec: TrialSpec) -> TrialCost:
    """Return the prior cost of a trial of a family; a family that is not in the table may always start."""
    cost, size = _COSTS.get(spec.family, _UNKNOWN), measure_size(spec)
    variable = 1e-6 * cost.rate * size.rows * size.columns * (size.outputs if cost.by_output else 1)
    folds = len(spec.folds)
    seconds = folds * (cost.start + variable)
    if spec.family not in _COSTS:
        return TrialCost(seconds, 0.0, cost.gain)
    keeps_deadline = models.get_entry(spec.resolved_family).keeps_deadline
    least = folds * (cost.start + _LEAST_SHARE * variable) if keeps_deadline else seconds
    return TrialCost(seconds, least, cost.gain)
