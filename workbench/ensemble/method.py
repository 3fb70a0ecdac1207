"""A blending method: how it fits weights, and what other code must know about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from workbench.array import Array
from workbench.ensemble.aggregation import Aggregation, WeightedMean
from workbench.ensemble.budget import Budget
from workbench.ensemble.options import BlendOptions
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.ensemble.weight_search import WeightSearch


@dataclass(frozen=True, eq=False)
class Fit:
    """Weights of the members of a matrix, in its order."""

    weights: Array
    """(models,), at least 0, sum 1."""
    budget: Budget
    """The time used and the evaluations counted."""
    aggregation: Aggregation = field(default_factory=WeightedMean)
    """The aggregation of the members' predictions."""
    gap: float | None = None
    """A proven bound on how much better any weights can be, in the metric's units."""


class FitFunction(Protocol):
    """Fits shared weights."""

    def __call__(self, matrix: PredictionMatrix, options: BlendOptions, rng: np.random.Generator) -> Fit:
        """Return the weights of the members.

        Args:
            matrix: the predictions.
            options: the limits of members and time, and whether weights are shrunk.
            rng: seeded by the options.

        Raises:
            EnsembleError: the method does not suit the predictions or the metric.
        """


@dataclass(frozen=True)
class Method:
    """A method by its name in study files."""

    name: str
    fit: FitFunction
    search: Callable[[WeightSearch], Array] | None = None
    """Finds plain weights for any objective, as `minimise` needs; None where the method is more than weights."""
    aggregation: type[Aggregation] = WeightedMean
    """The class of `Fit.aggregation`, by which saved ensembles are read."""
    targets: Literal["any", "separately", "one"] = "any"
    """Whether several targets can have shared weights, only weights by target, or cannot be blended."""
    per_class: bool = False
    """Whether classes can have weights of their own."""
    refines_classes: bool = False
    """Whether these are refined by the metric itself, after the descent of log loss."""
    fitted: bool = True
    """Whether the weights depend on the rows in more than the order of the models."""
    probabilities: bool = True
    """Whether the outputs are probabilities where the members' predictions are, so that calibration curves mean
    something."""
    calibrates: bool = False
    """Whether the method itself corrects probabilities that are too high or too low."""
