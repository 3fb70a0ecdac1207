"""The prior cost of a trial: the seconds that a family's defaults take, before any of its folds has been measured.

The seconds of a fold are `start + rate × rows × columns / 10⁶`. For boosted trees the second term is multiplied by
`(rows / 10⁴)^0.75 × √outputs`, because the rounds until the early stop grow with both. The constants of `_COSTS` are
seconds of one core of a server of 2026, measured by `python benchmarks/costs.py --data DIR NAME …`. The search
multiplies them by the speed that measured folds show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, NamedTuple, cast

from workbench import models
from workbench.search.first_turns import gain_per_second
from workbench.trial import TrialSpec

if TYPE_CHECKING:
    import pandas as pd


class TrainingSize(NamedTuple):
    """The size of a fold's training."""

    rows: int
    """Training rows of the first fold."""
    columns: int
    """Columns of a table, a text being many, or values of a row of an array, where large images are shrunk."""
    indicators: int
    """The same with a column for each of the levels of a category, up to the number that linear models use."""
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
    one_hot: bool = False
    """Whether a category has a column for each level."""


# The least share of a training that gives a usable model, beside its start. On 183,000 rows, nets that had a fifth of
# their time were hardly better than a linear model, and trees that had a tenth were members of the ensemble.
_LEAST_SHARE, _LEAST_SHARE_OF_NETS = 0.1, 0.4
# The families that a budget should have time for at a fidelity, and the share of the time that they may take.
_WANTED = 4
_AFFORDABLE = 0.6
# Levels of a category that linear models tell apart, at most.
_MOST_LEVELS = 50
# Columns of a text, and the most values of an image, as most families see them.
_TEXT_COLUMNS = 64
_MOST_PIXELS = 3072
# The rows in which the levels of categories are counted.
_COUNTED_ROWS = 10_000
# A family that is not in the table, such as a user's own.
_UNKNOWN = _Cost(0.5, 1.0, 20.0)
_COSTS = {
    "linear": _Cost(0.5, 0.1, 0.8, one_hot=True),
    "xgboost": _Cost(1.0, 0.2, 8.0, boosts=True),
    "lightgbm": _Cost(1.0, 0.2, 6.0, boosts=True),
    "catboost": _Cost(1.0, 0.3, 45.0, boosts=True),
    "extra_trees": _Cost(0.5, 0.5, 20.0),
    "random_forest": _Cost(0.4, 0.8, 22.0),
    "mlp": _Cost(0.5, 5.5, 24.0),
    "wide_and_deep": _Cost(0.5, 7.0, 60.0),
    "tabm": _Cost(0.6, 7.0, 220.0),
    "multi_input": _Cost(0.6, 7.0, 60.0),
    "tfidf_linear": _Cost(1.0, 0.2, 10.0),
    "tfidf_xgboost": _Cost(0.6, 0.5, 80.0, boosts=True),
    "hog_svm": _Cost(0.4, 0.2, 2.7),
    "hog_trees": _Cost(0.3, 0.3, 3.0),
    "rocket": _Cost(1.0, 0.2, 10.0),
    "sequence_trees": _Cost(0.5, 0.3, 5.0),
    "sequence_xgboost": _Cost(0.7, 0.3, 33.0, boosts=True),
    "conv1d": _Cost(0.8, 7.0, 200.0),
    "conv1d_gru": _Cost(0.8, 8.0, 250.0),
    "gru": _Cost(0.8, 8.0, 350.0),
    "lstm": _Cost(0.8, 8.0, 350.0),
    **dict.fromkeys(("cnn", "resnet", "inception", "mobilenet", "xception"), _Cost(0.8, 9.0, 30.0)),
}


def can_afford(specs: Sequence[TrialSpec], seconds: float) -> bool:
    """Return whether there is time for the first trials of the families with the highest gain per second.

    Where trials have several folds, their trainings must end by themselves, since a hold-out is worth more than five
    trainings that are cut short. A single training may be cut short: on 183,000 rows, boosted trees that had a tenth of
    their time were as good as those that ended on a quarter of the rows.

    Args:
        specs: the specifications of the families, all of the same fidelity.
        seconds: the seconds of all workers.
    """
    size = measure_size(specs[0])
    costs = sorted((estimate(spec, size) for spec in specs), key=lambda cost: -gain_per_second(cost.gain, cost.seconds))
    several = len(specs[0].folds) > 1
    needed = sum(cost.seconds if several else cost.least for cost in costs[:_WANTED])
    return needed <= _AFFORDABLE * seconds


def measure_size(spec: TrialSpec) -> TrainingSize:
    """Return the size of the training of a spec's first fold."""
    train, _ = spec.folds.split(*next(iter(spec.folds.pairs())))
    data = spec.dataset
    if not data.columns:
        values = prod(data.x.shape[1:])
        values = min(values, _MOST_PIXELS) if data.kind == "image" else values
        return TrainingSize(len(train), values, values, spec.problem.outputs)
    some = cast("pd.DataFrame", data.x).head(_COUNTED_ROWS)
    widths = {"text": _TEXT_COLUMNS, "image": _MOST_PIXELS}
    width = sum(widths.get(kind, 1) for kind in data.columns.values())
    levels = [some[name].nunique() for name, kind in data.columns.items() if kind == "category"]
    indicators = width + sum(min(count, _MOST_LEVELS) - 1 for count in levels)
    return TrainingSize(len(train), width, indicators, spec.problem.outputs)


def estimate(spec: TrialSpec, size: TrainingSize) -> TrialCost:
    """Return the prior cost of a trial of a family; a family that is not in the table may always start.

    Args:
        spec: the specification of its trials.
        size: the size of the training of the first fold, which is the same for all families.
    """
    cost = _COSTS.get(spec.family, _UNKNOWN)
    variable = 1e-6 * cost.rate * size.rows * (size.indicators if cost.one_hot else size.columns)
    if cost.boosts:
        variable *= (size.rows / 1e4) ** 0.75 * size.outputs**0.5
    folds = len(spec.folds)
    seconds = folds * (cost.start + variable)
    if spec.family not in _COSTS:
        return TrialCost(seconds, 0.0, cost.gain)
    entry = models.get_entry(spec.resolved_family)
    share = (_LEAST_SHARE_OF_NETS if entry.keras else _LEAST_SHARE) if entry.keeps_deadline else 1.0
    least = folds * (cost.start + share * variable)
    return TrialCost(seconds, least, cost.gain)
