"""The blend with one weight a model, by any method; and the `Blend` that all kinds of weights end in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from workbench.array import Array
from workbench.ensemble.aggregation import Aggregation, WeightedMean
from workbench.ensemble.methods import METHODS
from workbench.ensemble.objectives import Indices
from workbench.ensemble.options import BlendOptions, Weighting
from workbench.ensemble.prediction_matrix import PredictionMatrix, positive_class
from workbench.ensemble.scorer import Threshold
from workbench.errors import EnsembleError


@dataclass(frozen=True, eq=False)
class Blend:
    """Weights, and what is known about them."""

    weights: Array
    """(models,), at least 0, sum 1; with weights by target or class their mean, by how much each of these counts."""
    score: float
    """The metric of the weighted mean on the rows that the weights were fitted to."""
    gap: float | None
    """A proven bound, in the metric's units, on how much better any weights of the models that took part can be; None
    where none exists. With `members` it still compares with weights on all of them.
    """
    seconds: float
    evaluations: int
    """The number of mixtures whose loss was computed."""
    method: str
    threshold: Threshold = None
    """The probability from which on a row is of class 1, where the metric looks at labels of two classes; for several
    targets, where one has such a metric, one for each column of their predictions."""
    left_out: Mapping[int, str] = field(default_factory=dict)
    """The models that took no part, by their index, with the reason."""
    aggregation: Aggregation = field(default_factory=WeightedMean)
    """The aggregation of the models' predictions."""
    order: Indices = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    """The index of each model that took part, in the order in which `aggregation` takes them."""
    weighting: Weighting = "shared"
    """Whether a model has one weight, one for each target or one for each class."""
    output_weights: Array | None = None
    """(models, targets) or (models, classes) the weights of each target or class, sum 1 each; None for shared ones."""
    multi_target: bool = False
    """Whether the predictions are of several targets."""

    @property
    def effective_weights(self) -> Array:
        """The weights that `aggregation` takes: `output_weights` where there are any, else `weights`."""
        return self.weights if self.output_weights is None else self.output_weights

    def combine(self, predictions: Sequence[ArrayLike]) -> Array:
        """Return the ensemble's predictions, (rows,) or (rows, classes); for several targets (rows, outputs).

        Args:
            predictions: of all models that were blended, in their order, for any rows.
        """
        members = [np.asarray(predictions[index]) for index in self.order]
        if not self.multi_target:
            members = [positive_class(member) for member in members]
        return self.aggregation(members, self.effective_weights[self.order])


def find_shared_weights(matrix: PredictionMatrix, options: BlendOptions) -> Blend:
    """Return one weight a model, for predictions and options that have been checked; see `blend`.

    Raises:
        EnsembleError: the metric is not defined on these rows, or the method does not suit them.
    """
    # Imports at first use must not take from the time of the search.
    import scipy.linalg
    import scipy.optimize  # noqa: F401

    fit = METHODS[options.method].fit(matrix, options, np.random.default_rng(options.seed))
    combined = fit.aggregation(matrix.members, fit.weights)
    threshold, score = _choose_threshold(matrix, combined, smoothed=options.shrink)
    if not np.isfinite(score):
        raise EnsembleError(
            f"metric {matrix.metric.name!r} is not defined on these {len(matrix.y)} rows: {score}. "
            "Blend over more rows."
        )
    return Blend(
        weights=matrix.restore_order(fit.weights),
        score=score,
        gap=fit.gap,
        seconds=fit.budget.used,
        evaluations=fit.budget.evaluations,
        method=options.method,
        threshold=threshold,
        left_out=matrix.left_out,
        aggregation=fit.aggregation,
        order=matrix.order,
        multi_target=matrix.multi_target_metric is not None,
    )


def _choose_threshold(matrix: PredictionMatrix, combined: Array, *, smoothed: bool) -> tuple[Threshold, float]:
    """Return the threshold and its score; a smoothed one where it is no worse than the best member at its own."""
    scorer = matrix.scorer
    best = scorer.threshold(combined)
    if smoothed and best is not None:
        least = min(scorer.loss(member) for member in matrix.members)
        threshold = scorer.threshold(combined, smoothed=True)
        score = scorer.score_at(combined, threshold)
        if matrix.metric.loss_of(score) <= least:
            return threshold, score
    return best, scorer.score_at(combined, best)
