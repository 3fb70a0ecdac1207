"""What a blend is worth on rows that its weights have not seen, and whether a simpler one would do."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.array import Array
from workbench.ensemble.blend import check_weights, target_counts, weigh
from workbench.ensemble.methods import Blend, Whose, check
from workbench.ensemble.prediction_matrix import PredictionMatrix, Predictions, gather
from workbench.ensemble.regularization import MANY_ROWS
from workbench.ensemble.resampling import BootstrapSample, Labels, assign_folds, bootstrap, encode_labels
from workbench.ensemble.scorer import apply_threshold
from workbench.errors import EnsembleError

if TYPE_CHECKING:
    from workbench.evaluation import Metric

SECONDS = 60.0
# On fewer rows a simpler blend is taken where the gain is in doubt. On 300 a blend was the better one all the same.
TINY = 200

# A method, and the kind of weights that it finds.
_Key = tuple[str, Whose]

_SHARED: Whose = "shared"
_SIMPLER = ("uniform", "best")
_RIVALS = (*_SIMPLER, "greedy")
_MOST_FOLDS = 10
_RESAMPLES = 200
_LEAST_RESAMPLES = 30
# The share of the time that is left for scoring them.
_TO_RESAMPLE = 0.5
_RESAMPLED_ROWS = 10_000
# Blends of resamples, and the rows of each; more would say little more.
_REFITS = 20
_REFITTED_ROWS = 5_000


@dataclass(frozen=True)
class Baseline:
    """A simpler blend beside the one that was asked for."""

    score: float
    """Its metric on all rows."""
    honest_score: float
    """Its metric when it was chosen, fold by fold, on the other folds: the best single model is a choice as well."""
    gain: float
    """How much better the blend's honest score is, in the metric's units; below 0 where it is worse."""
    gain_se: float | None
    """The standard error of `gain`, as rows are drawn anew."""

    @property
    def close(self) -> bool:
        """Whether the blend's gain is not above one standard error."""
        return self.gain <= (self.gain_se or 0.0)


@dataclass(frozen=True)
class Alternative:
    """The blend with weights that are shared, or each target's or class's own."""

    score: float
    """Its metric on all rows."""
    honest_score: float
    """Its metric when it was fitted, fold by fold, on the other folds."""
    honest_se: float | None
    """The standard error of `honest_score`, as rows are drawn anew."""


@dataclass(frozen=True)
class Assessment:
    """A blend over all rows, its honest score, and the simpler blends beside it."""

    blend: Blend
    """The blend over all rows that is to be used; its own score is as optimistic as the rows are few."""
    asked: str
    """The method that was asked for; `blend` is a simpler one where that is as good on few rows."""
    honest_score: float
    """The metric of predictions that were blended, fold by fold, with weights fitted on the other folds."""
    honest_se: float | None
    """The standard error of `honest_score`: how it varies as rows are drawn anew. None where the metric is not
    defined on most resamples."""
    optimism: float
    """How much better the blend's own score looks than the honest one, in the metric's units."""
    weights_se: Array | None
    """(models,) how each weight varies as rows are drawn anew and the members weighed again, where a model has several
    their mean; None where nothing is fitted."""
    best_single: int
    """The best model by itself: its index in the predictions."""
    rivals: Mapping[str, Baseline]
    """The best single model, the plain mean of all models (of the best where `members` limits them), and greedy forward
    selection, by the names of their methods."""
    remark: str | None
    """What is to be said of the gain, where it is not above one standard error."""
    seconds: float
    alternatives: Mapping[Whose, Alternative] = field(default_factory=dict)
    """Shared weights and those by target or class beside each other, where both were found."""


def assess(
    predictions: Predictions,
    y: ArrayLike,
    metric: str | Metric,
    *,
    fold: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    method: str = "nelder_mead",
    weights: Whose | None = None,
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
        groups: (rows,) labels; rows of a group stay together when folds are dealt and rows drawn anew, as rows
            that repeated folds predict several times must. With `fold`, the folds are the caller's to keep whole.
        method: as for `blend`.
        weights: as for `blend`; unless given, those of each target where their honest score is better than that of
            shared ones, and shared ones of a single target.
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
    began = time.monotonic()
    check(method, members, seconds)
    bank = gather(predictions, y, metric, classes, sample_weight)
    check(method, targets=len(bank.parts))
    check_weights(weights, method, **target_counts(bank))
    rows, rng = len(bank.y), np.random.default_rng(seed)
    clusters = np.arange(rows) if groups is None else encode_labels("groups", groups, rows)
    folds = assign_folds(bank.y, clusters, rng) if fold is None else encode_labels("fold", fold, rows) % _MOST_FOLDS
    if folds.max() < 1:
        raise EnsembleError("fold must hold at least two folds. Received: one. Leave it out to deal rows at random.")
    run = _Run(bank, folds, clusters, began + (SECONDS if seconds is None else seconds))
    options: dict[str, Any] = {"members": members, "seed": seed, "shrink": shrink and rows <= MANY_ROWS}
    fits = run.fitted(method, _ways(weights, method, len(bank.parts)), options)
    drawn = list(bootstrap(clusters, rng, run.affordable(next(iter(fits.values())).honest), _RESAMPLED_ROWS))
    samples = {key: _scores(bank, fit.honest, drawn) for key, fit in fits.items()}
    scores = {key: _score(bank, fit.honest) for key, fit in fits.items()}
    losses = {key: bank.metric.loss_of(score) for key, score in scores.items()}
    errors = {key: _spread(sample, drawn[0].share) for key, sample in samples.items()}
    used = _used(weights, method, losses)
    rivals = {
        name: Baseline(
            score=fits[key].blend.score,
            honest_score=scores[key],
            gain=losses[key] - losses[used],
            gain_se=_spread(samples[used] - samples[key], drawn[0].share),
        )
        for name, key in ((name, (name, _SHARED)) for name in _RIVALS)
    }
    close = [] if used[0] in _SIMPLER or len(bank.members) == 1 else [name for name in _SIMPLER if rivals[name].close]
    fewest = int(clusters.max()) + 1 < TINY if simplify is None else simplify
    taken = used
    if close and fewest:
        taken = min(close, key=lambda name: losses[name, _SHARED]), _SHARED
    blend = fits[taken].blend
    ways = [key for key in fits if key[0] == method]
    alternatives = {key[1]: Alternative(fits[key].blend.score, scores[key], errors[key]) for key in ways}
    return Assessment(
        blend=blend,
        asked=method,
        honest_score=scores[taken],
        honest_se=errors[taken],
        optimism=losses[taken] - bank.metric.loss_of(blend.score),
        weights_se=None if taken[0] in _SIMPLER else run.weights_se(blend, rng, seed=seed, shrink=shrink),
        best_single=int(np.argmax(fits["best", _SHARED].blend.weights)),
        rivals=rivals,
        remark=_remark(rivals, close, method, taken[0]),
        seconds=time.monotonic() - began,
        alternatives=alternatives if len(ways) > 1 else {},
    )


def _ways(weights: Whose | None, method: str, targets: int) -> list[Whose]:
    """Return the kinds of weights to find: those that are asked for, or to choose from, and shared ones beside."""
    own: Whose = weights or ("target" if targets else _SHARED)
    # A model stacked on several targets is one for each.
    return [own] if own == _SHARED or (targets and method == "stack") else [_SHARED, own]


def _used(weights: Whose | None, method: str, losses: Mapping[_Key, float]) -> _Key:
    """Return the kind of weights that is asked for, or whose honest score is best, shared ones where both are alike."""
    if weights is not None:
        return method, weights
    shared, others = (method, _SHARED), [key for key in losses if key[0] == method and key[1] != _SHARED]
    return next((key for key in others if shared not in losses or losses[key] < losses[shared]), shared)


@dataclass(frozen=True, eq=False)
class _Crossfitted:
    """A blend of all rows, and what blends of the other folds predict."""

    blend: Blend
    honest: Array
    """Shaped as a member's predictions; labels where a threshold decides."""


@dataclass(frozen=True, eq=False)
class _Run:
    """The fits of one assessment, which share its time."""

    bank: PredictionMatrix
    folds: Labels
    clusters: Labels
    end: float

    def fitted(self, method: str, ways: Sequence[Whose], options: dict[str, Any]) -> dict[_Key, _Crossfitted]:
        """Return a method's blends with each kind of weights, and the simpler blends."""
        keys = dict.fromkeys([*((method, way) for way in ways), *((name, _SHARED) for name in _RIVALS)])
        # Kinds of weights have about as much time each; what comes after them needs its time too.
        return {
            (name, way): self._crossfitted({"method": name, "whose": way, **options}, 0.6 if place else 0.6 / len(ways))
            for place, (name, way) in enumerate(keys)
        }

    def _crossfitted(self, options: dict[str, Any], share: float) -> _Crossfitted:
        """Fit in a share of the time that is left."""
        fits = int(self.folds.max()) + 2
        end = time.monotonic() + share * (self.end - time.monotonic())
        whole = weigh(self.bank, **options, clusters=self.clusters, seconds=_share(end, fits))
        honest = np.empty(self.bank.members[0].shape)
        for number in range(fits - 1):
            held = self.folds == number
            fitted = self._fitted(self.bank, ~held, options, _share(end, fits - 1 - number))
            held_members = [member[held] for member in self.bank.members]
            weights = fitted.weights if fitted.apart is None else fitted.apart
            joined = fitted.joiner(held_members, weights[self.bank.order])
            honest[held] = apply_threshold(joined, fitted.threshold)
        return _Crossfitted(whole, honest)

    def affordable(self, honest: Array) -> int:
        """Return how many resamples there is time to score, if few."""
        began = time.monotonic()
        _score(self.bank, honest)
        seconds = (time.monotonic() - began) * min(1.0, _RESAMPLED_ROWS / len(honest)) * (1 + len(_RIVALS))
        left = _TO_RESAMPLE * (self.end - began)
        return int(np.clip(left / max(seconds, 1e-9), _LEAST_RESAMPLES, _RESAMPLES))

    def weights_se(self, blend: Blend, rng: np.random.Generator, **options: Any) -> Array:
        """Return how the members' weights vary over blends of them on rows drawn anew."""
        options |= {"method": blend.method, "whose": blend.whose}
        chosen = np.flatnonzero(blend.weights[self.bank.order])
        bank = self.bank.only(chosen)
        found: list[Array] = []
        for number, drawn in enumerate(bootstrap(self.clusters, rng, _REFITS, _REFITTED_ROWS)):
            if len(found) > 1 and time.monotonic() > self.end:
                break
            try:
                fit = self._fitted(bank, drawn.rows, options, _share(self.end, _REFITS - number))
            except EnsembleError:
                # The metric may not be defined on the rows drawn.
                continue
            found.append(fit.weights)
        spread = np.zeros(len(blend.weights))
        if len(found) > 1:
            spread[self.bank.order[chosen]] = np.std(found, axis=0, ddof=1) * np.sqrt(drawn.share)
        return spread

    def _fitted(self, bank: PredictionMatrix, rows: NDArray[Any], options: dict[str, Any], seconds: float) -> Blend:
        """Return a blend of some of the rows, whose clusters are numbered anew."""
        clusters = self.clusters[rows]
        numbered = encode_labels("groups", clusters, len(clusters))
        return weigh(bank.rows(rows), **options, clusters=numbered, seconds=seconds)


def _share(end: float, fits: int) -> float:
    """Return the seconds of the next of so many fits; never none, so that each at least begins."""
    return max(1e-3, (end - time.monotonic()) / fits)


def _score(bank: PredictionMatrix, predictions: Array) -> float:
    return bank.metric.score(bank.y, predictions, bank.weight)


def _scores(bank: PredictionMatrix, predictions: Array, drawn: Sequence[BootstrapSample]) -> Array:
    """Return the metric on each resample."""
    judge = bank.scorer
    return np.array([judge.only(each.rows).score(predictions[each.rows]) for each in drawn])


def _spread(values: Array, share: float) -> float | None:
    """Return the standard error that resamples show, None where most are not defined."""
    defined = values[np.isfinite(values)]
    return None if len(defined) < len(values) / 2 else float(defined.std(ddof=1) * np.sqrt(share))


def _remark(rivals: Mapping[str, Baseline], close: Sequence[str], method: str, taken: str) -> str | None:
    """Say where there is no clear gain, and what follows."""
    names = {"best": "the best single model", "uniform": "the uniform mean"}
    if not close:
        return None
    parts = [f"{names[n]} ({rivals[n].gain:+.2g} ± {rivals[n].gain_se or 0:.2g})" for n in close]
    said = f"No clear gain over {' and '.join(parts)}: not above one standard error"
    return f"{said}." if taken == method else f"{said}, so {names[taken]} is taken in place of {method}."
