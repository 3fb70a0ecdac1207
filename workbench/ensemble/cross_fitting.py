"""The cross-fitted score of a blend: its metric on rows that its weights have not seen; and simpler blends beside it.

The whole procedure is fitted on all folds but one and scored on the one left out. Public names and JSON keys call this
the honest score.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.array import Array
from workbench.ensemble.blend import fit_blend, gather_checked
from workbench.ensemble.methods import METHODS
from workbench.ensemble.options import BlendOptions, Weighting
from workbench.ensemble.prediction_matrix import PredictionMatrix, Predictions
from workbench.ensemble.regularization import MANY_ROWS
from workbench.ensemble.resampling import BootstrapSample, Labels, assign_folds, bootstrap, encode_labels
from workbench.ensemble.scorer import apply_threshold
from workbench.ensemble.shared_weights import Blend
from workbench.errors import EnsembleError

if TYPE_CHECKING:
    from workbench.evaluation import Metric

SECONDS = 60.0
# On fewer rows a simpler blend is taken where the gain is in doubt. On 300 rows a blend was better all the same.
TINY = 200

# A method, and the kind of weights that it finds.
_Key = tuple[str, Weighting]

_SHARED: Weighting = "shared"
_SIMPLER = ("uniform", "best")
_BASELINES = (*_SIMPLER, "greedy")
_MOST_FOLDS = 10
_RESAMPLES = 200
_LEAST_RESAMPLES = 30
# The share of the time for scoring the resamples.
_RESAMPLE_SHARE = 0.5
_RESAMPLED_ROWS = 10_000
# The number of blends of resamples, and the rows of each; more would change the standard errors little.
_REFITS = 20
_REFITTED_ROWS = 5_000


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
    """The requested method; `blend` is a simpler one where that is as good on few rows."""
    honest_score: float
    """The cross-fitted score: the metric of predictions blended, fold by fold, with weights fitted on the others."""
    honest_se: float | None
    """The standard error of `honest_score` over resampled rows; None where the metric is not defined on most of the
    resamples."""
    optimism: float
    """The difference by which the blend's own score is better than the cross-fitted one, in the metric's units."""
    weights_se: Array | None
    """(models,) the standard error of each weight over blends of resampled rows, of the mean where a model has several;
    None where nothing is fitted."""
    best_single: int
    """The index of the best single model in the predictions."""
    baselines: Mapping[str, Baseline]
    """The best single model, the plain mean of all models (of the best where `members` limits them), and greedy forward
    selection, by the names of their methods."""
    remark: str | None
    """A sentence where the gain is not above one standard error."""
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
    simplify: bool | None = None,
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
        simplify: whether the uniform mean or the best single model is taken instead where the gain over it is within
            one standard error; on fewer than 200 rows unless given.
        seed: for the blends, the random folds and the resamples.
        seconds: for all blends together, each of which at least begins; 60 unless given.

    Raises:
        EnsembleError: as for `blend`; or the folds or groups cannot be used.
        EvaluationError: as for `blend`.
    """
    options = BlendOptions(method, weights, members, shrink, simplify, seed, seconds)
    return cross_fit(gather_checked(predictions, y, metric, options, classes, sample_weight, groups), options, fold)


def cross_fit(matrix: PredictionMatrix, options: BlendOptions, fold: ArrayLike | None = None) -> Assessment:
    """Do what `assess` does with predictions and options that have been checked.

    Args:
        matrix: the predictions, with the groups of their rows.
        options: how weights are found.
        fold: as for `assess`.

    Raises:
        EnsembleError: the folds cannot be used, or the metric is not defined on the rows.
    """
    began, method = time.monotonic(), options.method
    rng = np.random.default_rng(options.seed)
    end = began + (SECONDS if options.seconds is None else options.seconds)
    run = _CrossFitting(matrix, _choose_folds(matrix, fold, rng), end)
    fits = run.fit_all(options)
    first = next(iter(fits.values()))
    resamples = list(bootstrap(matrix.clusters, rng, run.affordable(first.predictions), _RESAMPLED_ROWS))
    scores = {key: _Scores.of(matrix, fit.predictions, resamples) for key, fit in fits.items()}
    used = _choose_weighting(options, scores)
    baselines = {name: _baseline(fits[name, _SHARED], scores[name, _SHARED], scores[used]) for name in _BASELINES}
    compared = [] if not METHODS[used[0]].fitted or len(matrix.members) == 1 else _SIMPLER
    close = [name for name in compared if baselines[name].close]
    tiny = int(matrix.clusters.max()) + 1 < TINY if options.simplify is None else options.simplify
    taken: _Key = used
    if close and tiny:
        taken = min(close, key=lambda name: scores[name, _SHARED].loss), _SHARED
    blend = fits[taken].blend
    alternatives = {
        key[1]: Alternative(fits[key].blend.score, scores[key].score, scores[key].se)
        for key in fits
        if key[0] == method
    }
    return Assessment(
        blend=blend,
        requested_method=method,
        honest_score=scores[taken].score,
        honest_se=scores[taken].se,
        optimism=scores[taken].loss - matrix.metric.loss_of(blend.score),
        weights_se=run.weights_se(blend, options, rng) if METHODS[taken[0]].fitted else None,
        best_single=int(np.argmax(fits["best", _SHARED].blend.weights)),
        baselines=baselines,
        remark=_remark(baselines, close, method, taken[0]),
        seconds=time.monotonic() - began,
        alternatives=alternatives if len(alternatives) > 1 else {},
    )


def _choose_folds(matrix: PredictionMatrix, fold: ArrayLike | None, rng: np.random.Generator) -> Labels:
    """Return the given folds encoded, or random ones."""
    if fold is None:
        return assign_folds(matrix.y, matrix.clusters, rng)
    folds = encode_labels("fold", fold, len(matrix.y)) % _MOST_FOLDS
    if folds.max() < 1:
        raise EnsembleError("fold must hold at least two folds. Received: one. Leave it out to deal rows at random.")
    return folds


def _weightings(options: BlendOptions, targets: int) -> list[Weighting]:
    """Return the kinds of weights to fit: the requested one, or those to choose from, with shared ones to compare."""
    requested: Weighting = options.weighting or ("target" if targets else _SHARED)
    only = requested == _SHARED or (targets and METHODS[options.method].targets == "separately")
    return [requested] if only else [_SHARED, requested]


def _choose_weighting(options: BlendOptions, scores: Mapping[_Key, _Scores]) -> _Key:
    """Return the requested kind of weights, or the one with the best cross-fitted score; shared ones in a tie."""
    method = options.method
    if options.weighting is not None:
        return method, options.weighting
    shared, others = (method, _SHARED), [key for key in scores if key[0] == method and key[1] != _SHARED]
    return next((key for key in others if shared not in scores or scores[key].loss < scores[shared].loss), shared)


@dataclass(frozen=True, eq=False)
class _CrossFit:
    """A blend of all rows, and the cross-fitted predictions of the same procedure."""

    blend: Blend
    predictions: Array
    """Shaped as a member's predictions; labels where a threshold decides."""


@dataclass(frozen=True, eq=False)
class _Scores:
    """The score of cross-fitted predictions, on all rows and on resamples."""

    score: float
    loss: float
    """The score as a number to minimise."""
    resampled: Array
    share: float
    """The rows of a resample over all rows, by which its spread is scaled."""

    @classmethod
    def of(cls, matrix: PredictionMatrix, predictions: Array, resamples: Sequence[BootstrapSample]) -> _Scores:
        """Return the scores of predictions."""
        score, scorer = _score(matrix, predictions), matrix.plain_scorer
        resampled = [scorer.subset(each.rows).score(predictions[each.rows]) for each in resamples]
        return cls(score, matrix.metric.loss_of(score), np.array(resampled), resamples[0].share)

    @property
    def se(self) -> float | None:
        """The standard error of the score."""
        return _standard_error(self.resampled, self.share)

    def gain_se(self, other: _Scores) -> float | None:
        """Return the standard error of the difference of two scores."""
        return _standard_error(self.resampled - other.resampled, self.share)


def _baseline(fit: _CrossFit, own: _Scores, blend: _Scores) -> Baseline:
    return Baseline(fit.blend.score, own.score, gain=own.loss - blend.loss, gain_se=blend.gain_se(own))


@dataclass(frozen=True, eq=False)
class _CrossFitting:
    """The fits of one assessment, which share its time."""

    matrix: PredictionMatrix
    folds: Labels
    end: float

    def fit_all(self, options: BlendOptions) -> dict[_Key, _CrossFit]:
        """Return the method's blends with each kind of weights, and the baselines."""
        options = replace(options, shrink=options.shrink and len(self.matrix.y) <= MANY_ROWS)
        kinds = _weightings(options, len(self.matrix.parts))
        keys = dict.fromkeys([*((options.method, kind) for kind in kinds), *((name, _SHARED) for name in _BASELINES)])
        # The kinds of weights have about the same time each; what follows needs time as well.
        return {
            (name, kind): self._cross_fit(
                replace(options, method=name, weighting=kind), 0.6 if place else 0.6 / len(kinds)
            )
            for place, (name, kind) in enumerate(keys)
        }

    def _cross_fit(self, options: BlendOptions, share: float) -> _CrossFit:
        """Fit in a share of the time that is left."""
        fits = int(self.folds.max()) + 2
        end = time.monotonic() + share * (self.end - time.monotonic())
        whole = fit_blend(self.matrix, replace(options, seconds=_time_for_one(end, fits)))
        predictions = np.empty(self.matrix.members[0].shape)
        for number in range(fits - 1):
            held = self.folds == number
            fitted = self._fit_rows(self.matrix, ~held, options, _time_for_one(end, fits - 1 - number))
            members = [member[held] for member in self.matrix.members]
            combined = fitted.aggregation(members, fitted.effective_weights[self.matrix.order])
            predictions[held] = apply_threshold(combined, fitted.threshold)
        return _CrossFit(whole, predictions)

    def affordable(self, predictions: Array) -> int:
        """Return the number of resamples that there is time to score."""
        began = time.monotonic()
        _score(self.matrix, predictions)
        seconds = (time.monotonic() - began) * min(1.0, _RESAMPLED_ROWS / len(predictions)) * (1 + len(_BASELINES))
        left = _RESAMPLE_SHARE * (self.end - began)
        return int(np.clip(left / max(seconds, 1e-9), _LEAST_RESAMPLES, _RESAMPLES))

    def weights_se(self, blend: Blend, options: BlendOptions, rng: np.random.Generator) -> Array:
        """Return the standard errors of the members' weights over blends of them on resampled rows."""
        options = replace(options, method=blend.method, weighting=blend.weighting, members=None)
        chosen = np.flatnonzero(blend.weights[self.matrix.order])
        matrix = self.matrix.select_models(chosen)
        found: list[Array] = []
        for number, resample in enumerate(bootstrap(self.matrix.clusters, rng, _REFITS, _REFITTED_ROWS)):
            if len(found) > 1 and time.monotonic() > self.end:
                break
            try:
                fit = self._fit_rows(matrix, resample.rows, options, _time_for_one(self.end, _REFITS - number))
            except EnsembleError:
                # The metric may not be defined on the resampled rows.
                continue
            found.append(fit.weights)
        spread = np.zeros(len(blend.weights))
        if len(found) > 1:
            spread[self.matrix.order[chosen]] = np.std(found, axis=0, ddof=1) * np.sqrt(resample.share)
        return spread

    @staticmethod
    def _fit_rows(matrix: PredictionMatrix, rows: NDArray[np.generic], options: BlendOptions, seconds: float) -> Blend:
        return fit_blend(matrix.select_rows(rows), replace(options, seconds=seconds))


def _time_for_one(end: float, fits: int) -> float:
    """Return the seconds for the next of the remaining fits; above 0, so that each at least begins."""
    return max(1e-3, (end - time.monotonic()) / fits)


def _score(matrix: PredictionMatrix, predictions: Array) -> float:
    return matrix.metric.score(matrix.y, predictions, matrix.sample_weight)


def _standard_error(values: Array, share: float) -> float | None:
    """Return the standard error from values on resamples; None where most are not defined."""
    defined = values[np.isfinite(values)]
    return None if len(defined) < len(values) / 2 else float(defined.std(ddof=1) * np.sqrt(share))


def _remark(baselines: Mapping[str, Baseline], close: Sequence[str], method: str, taken: str) -> str | None:
    """Return a sentence where there is no clear gain, and what follows."""
    names = {"best": "the best single model", "uniform": "the uniform mean"}
    if not close:
        return None
    parts = [f"{names[n]} ({baselines[n].gain:+.2g} ± {baselines[n].gain_se or 0:.2g})" for n in close]
    sentence = f"No clear gain over {' and '.join(parts)}: not above one standard error"
    return f"{sentence}." if taken == method else f"{sentence}, so {names[taken]} is taken in place of {method}."
