"""Weights of the members' ranks, for models whose scales differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench.ensemble.aggregation import RankAverage
from workbench.ensemble.method import Fit, Method
from workbench.ensemble.options import BlendOptions
from workbench.ensemble.plain_methods import fit_weights, search_nelder_mead
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.errors import EnsembleError
from workbench.evaluation.metrics import METRICS


def fit_ranks(matrix: PredictionMatrix, options: BlendOptions, rng: np.random.Generator) -> Fit:
    """Return the weights that Nelder-Mead finds for the members' ranks.

    Args:
        matrix: the predictions.
        options: as for `fit_weights`.
        rng: seeded by the options.

    Raises:
        EnsembleError: the metric depends on more than the order of the rows, or there are more than two classes.
    """
    if not matrix.metric.ranks or matrix.members[0].ndim == 2:
        able = " or ".join(name for name, entry in METRICS.items() if entry.ranks)
        raise EnsembleError(
            f"method 'rank' needs a metric of the order of rows: {able}, of two classes. "
            f"Received: {matrix.metric.name!r}. Use nelder_mead."
        )
    ranks = RankAverage.of(matrix.members)
    members = tuple(ranks.rank(index, member) for index, member in enumerate(matrix.members))
    fit = fit_weights(replace(matrix, members=members), options, rng, search=search_nelder_mead, shrinks=True)
    return replace(fit, aggregation=ranks)


RANK = Method("rank", fit_ranks, aggregation=RankAverage, targets="one", probabilities=False)
