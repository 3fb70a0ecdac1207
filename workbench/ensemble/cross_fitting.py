"""The cross-fitted score of a blend: its metric on rows that its weights have not seen; and simpler blends beside it.

The whole procedure, from the choice of models to the decision threshold, is fitted on all folds but one and scored on
the one left out. Public names and JSON keys call this the honest score.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from workbench.array import Array
from workbench.ensemble.blend import gather_checked
from workbench.ensemble.cross_fitted_scores import CrossFittedScores, score_predictions
from workbench.ensemble.decision import CLEAR, CONSTANT, BlendKey, Decision, decide, explain_request
from workbench.ensemble.fold_fits import CrossFit, fit_all
from workbench.ensemble.methods import METHODS
from workbench.ensemble.model_pool import ModelPool
from workbench.ensemble.options import BlendOptions, Weighting
from workbench.ensemble.prediction_matrix import PredictionMatrix, Predictions
from workbench.ensemble.resampling import Labels, assign_folds, bootstrap, encode_labels
from workbench.ensemble.shared_weights import Blend
from workbench.errors import EnsembleError

if TYPE_CHECKING:
    from workbench.evaluation import Metric

SECONDS = 60.0
# On fewer rows a simpler blend is taken unless the gain over it is above a standard error.
FEW_ROWS = 200
_CLEAR_WITH_FEW_ROWS = -1.0

_SHARED: Weighting = "shared"
# The simplest first.
_SIMPLER: tuple[BlendKey, ...] = (("best", _SHARED), ("uniform", _SHARED), ("greedy", _SHARED))
_MOST_FOLDS = 10
_RESAMPLES = 200
_LEAST_RESAMPLES = 30
# The share of the time for scoring the resamples.
_RESAMPLE_SHARE = 0.5
_RESAMPLED_ROWS = 10_000
# The share of the time for the fits.
_FIT_SHARE = 0.8


@dataclass(frozen=True)
class Baseline:
    """A simpler blend, to compare with the requested one."""

    score: float
    """Its metric on all rows."""
    honest_score: float
    """Its cross-fitted score. Choosing the best single model is a fit as well."""
    gain: float
    """The gain of the blend's cross-fitted score, in the metric's units; negative if it is worse."""
    gain_se: float | None
    """The standard error of `gain` over resampled rows."""

    @property
    def close(self) -> bool:
        """Whether the blend's gain is not above one standard error."""
        return self.gain <= (self.gain_se or 0.0)


@dataclass(frozen=True)
class Alternative:
    """The blend with one kind of weights: shared, by target or by class."""

    score: float
    """Its metric on all rows."""
    honest_score: float
    """Its cross-fitted score."""
    honest_se: float | None
    """The standard error of `honest_score` over resampled rows."""


@dataclass(frozen=True)
class Assessment:
    """A blend over all rows, its cross-fitted score, and simpler blends to compare with."""

    blend: Blend
    """The blend over all rows that is to be used; its own score is optimistic, the more so the fewer the rows."""
    requested_method: str
    """The requested method; `blend` is a simpler one where that has a better cross-fitted score."""
    honest_score: float
    """The cross-fitted score: the metric of predictions blended, fold by fold, with weights fitted on the others.
    Where it decided between blends, it is corrected for that; see `decision`."""
    honest_se: float | None
    """The standard error of `honest_score` over resampled rows; None where the metric is not defined on most of the
    resamples."""
    optimism: float
    """The difference by which the blend's own score is better than the cross-fitted one, in the metric's units."""
    weights_se: Array | None
    """(models,) the standard error of each weight, by the weights without each of the folds; of the mean where a model
    has several; None where nothing is fitted."""
    best_single: int
    """The index of the best single model in the predictions."""
    baselines: Mapping[str, Baseline]
    """The best single model, the plain mean of all models (of the best where `members` limits them), greedy forward
    selection where something is fitted, and the constant baseline where it takes part: `best`, `uniform`, `greedy` and
    `constant`."""
    remark: str | None
    """A sentence on what is taken and why; None for a single model."""
    seconds: float
    alternatives: Mapping[Weighting, Alternative] = field(default_factory=dict)
    """Shared weights and those by target or class, where both were fitted."""


def assess(
    predictions: Predictions,
    y: ArrayLike,
    metric: str | Metric,
    *,
    fold: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    method: str = "nelder_mead",
    weights: Weighting | None = None,
    members: int | None = None,
    classes: Sequence[object] | None = None,
    sample_weight: ArrayLike | None = None,
    shrink: bool = False,
    simplify: bool = True,
    baseline: int | None = None,
    seed: int = 0,
    seconds: float | None = None,
) -> Assessment:
    """Blend over all rows, and score the same procedure by cross-fitting.

    Args:
        predictions: as for `blend`.
        y: as for `blend`.
        metric: as for `blend`.
        fold: (rows,) labels of the folds to cross-fit over, more than ten merged into ten; five random folds,
            each with some of every class that has enough rows, unless given.
        groups: (rows,) labels; rows of a group stay together in random folds and in resamples, as rows that repeated
            folds predict several times must. Given folds are not changed.
        method: as for `blend`.
        weights: as for `blend`; unless given, those of each target where their cross-fitted score is better than that
            of shared ones, and shared ones for a single target.
        members: as for `blend`.
        classes: as for `blend`.
        sample_weight: as for `blend`.
        shrink: as for `blend`.
        simplify: whether a simpler blend is taken in place of a fitted one where its cross-fitted score is better by
            two standard errors, on fewer than 200 rows where it is not worse by one: the constant baseline, the best
            single model, the uniform mean or greedy selection.
        baseline: the index of a model that predicts the same for all rows of a fold. It is not part of the uniform
            mean, and what is taken in place of a fitted blend never has a worse cross-fitted score.
        seed: for the blends, the random folds and the resamples.
        seconds: for all blends together, each of which at least begins; 60 unless given.

    Raises:
        EnsembleError: as for `blend`; or the folds or groups cannot be used.
        EvaluationError: as for `blend`.
    """
    options = BlendOptions(method, weights, members, shrink, simplify, seed, seconds)
    matrix = gather_checked(predictions, y, metric, options, classes, sample_weight, groups, baseline)
    return cross_fit(matrix, options, fold, ModelPool(baseline=baseline))


def cross_fit(
    matrix: PredictionMatrix, options: BlendOptions, fold: ArrayLike | None = None, pool: ModelPool | None = None
) -> Assessment:
    """Do what `assess` does with predictions and options that have been checked.

    Args:
        matrix: the predictions, with the groups of their rows.
        options: how weights are found.
        fold: as for `assess`.
        pool: the models to choose from. The choice is part of what is cross-fitted.

    Raises:
        EnsembleError: the folds cannot be used, or the metric is not defined on the rows.
    """
    began, pool = time.monotonic(), pool or ModelPool()
    rng = np.random.default_rng(options.seed)
    end = began + (SECONDS if options.seconds is None else options.seconds)
    kinds, simpler = _list_kinds(options, len(matrix.parts)), _list_simpler(options, pool)
    keys = list(dict.fromkeys([*kinds, *simpler]))
    fits = fit_all(matrix, _choose_folds(matrix, fold, rng), pool, options, keys, began + _FIT_SHARE * (end - began))
    resamples = list(bootstrap(matrix.clusters, rng, _affordable(matrix, len(fits), end), _RESAMPLED_ROWS))
    scores = {key: CrossFittedScores.of(matrix, fit.predictions, resamples) for key, fit in fits.items()}
    decision = _decide(matrix, options, kinds, scores, simpler)
    fit, loss_of = fits[decision.key], matrix.metric.loss_of
    return Assessment(
        blend=fit.blend,
        requested_method=options.method,
        honest_score=loss_of(decision.loss),
        honest_se=scores[decision.key].se,
        optimism=decision.loss - loss_of(fit.blend.score),
        weights_se=fit.weights_se if METHODS[fit.blend.method].fitted else None,
        best_single=int(np.argmax(fits["best", _SHARED].blend.weights)),
        baselines=_compare(fits, scores, simpler, decide(_list_takeable(options, kinds), scores).key),
        remark=None if len(matrix.members) == 1 else decision.sentence,
        seconds=time.monotonic() - began,
        alternatives=_list_alternatives(kinds, fits, scores),
    )


def _choose_folds(matrix: PredictionMatrix, fold: ArrayLike | None, rng: np.random.Generator) -> Labels:
    """Return the given folds encoded, or random ones."""
    if fold is None:
        return assign_folds(matrix.y, matrix.clusters, rng)
    folds = encode_labels("fold", fold, len(matrix.y)) % _MOST_FOLDS
    if folds.max() < 1:
        raise EnsembleError("fold must hold at least two folds. Received: one. Leave it out to deal rows at random.")
    return folds


def _list_kinds(options: BlendOptions, targets: int) -> list[BlendKey]:
    """Return the requested method with each kind of weights to fit: those to choose from, shared ones to compare."""
    requested: Weighting = options.weighting or ("target" if targets else _SHARED)
    only = requested == _SHARED or (targets and METHODS[options.method].targets == "separately")
    kinds: list[Weighting] = [requested] if only else [_SHARED, requested]
    return [(options.method, kind) for kind in kinds]


def _list_takeable(options: BlendOptions, kinds: Sequence[BlendKey]) -> list[BlendKey]:
    """Return those of the kinds of weights that may be taken: a requested one alone."""
    return [key for key in kinds if options.weighting in (None, key[1])]


def _list_simpler(options: BlendOptions, pool: ModelPool) -> list[BlendKey]:
    """Return the blends to compare with, the simplest first; what is not fitted is not compared with what is."""
    fitted = METHODS[options.method].fitted
    return [*([] if pool.baseline is None else [CONSTANT]), *(_SIMPLER if fitted else _SIMPLER[:-1])]


def _decide(
    matrix: PredictionMatrix,
    options: BlendOptions,
    kinds: Sequence[BlendKey],
    scores: Mapping[BlendKey, CrossFittedScores],
    simpler: Sequence[BlendKey],
) -> Decision:
    """Return the blend to take, among those that the options allow."""
    takeable = _list_takeable(options, kinds)
    if options.simplify and METHODS[options.method].fitted:
        clear = _CLEAR_WITH_FEW_ROWS if int(matrix.clusters.max()) + 1 < FEW_ROWS else CLEAR
        return decide(takeable, scores, [key for key in simpler if key not in takeable], clear)
    decision = decide(takeable, scores)
    return replace(decision, sentence=explain_request(decision.key, simpler, scores))


def _compare(
    fits: Mapping[BlendKey, CrossFit],
    scores: Mapping[BlendKey, CrossFittedScores],
    simpler: Sequence[BlendKey],
    weighted: BlendKey,
) -> dict[str, Baseline]:
    """Return the simpler blends beside the weighted one, by their method."""
    blend = scores[weighted]
    return {
        key[0]: Baseline(fits[key].blend.score, own.score, own.loss - blend.loss, blend.gain_se(own))
        for key, own in ((key, scores[key]) for key in simpler)
    }


def _list_alternatives(
    kinds: Sequence[BlendKey], fits: Mapping[BlendKey, CrossFit], scores: Mapping[BlendKey, CrossFittedScores]
) -> dict[Weighting, Alternative]:
    """Return the kinds of weights, where there are several."""
    if len(kinds) < 2:
        return {}
    return {key[1]: Alternative(fits[key].blend.score, scores[key].score, scores[key].se) for key in kinds}


def _affordable(matrix: PredictionMatrix, blends: int, end: float) -> int:
    """Return the number of resamples that there is time to score."""
    began = time.monotonic()
    score_predictions(matrix, matrix.members[0])
    seconds = (time.monotonic() - began) * min(1.0, _RESAMPLED_ROWS / len(matrix.y)) * blends
    left = _RESAMPLE_SHARE * (end - began)
    return int(np.clip(left / max(seconds, 1e-9), _LEAST_RESAMPLES, _RESAMPLES))
