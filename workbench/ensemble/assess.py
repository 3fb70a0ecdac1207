"""What a blend is worth on rows that its weights have not seen, and what simpler blends would give."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.ensemble.bank import Array, Bank, Predictions, gather
from workbench.ensemble.blend import Blend, blend_bank, check
from workbench.errors import EnsembleError

if TYPE_CHECKING:
    from workbench.evaluation import Metric

SECONDS = 60.0

_FOLDS = 5
_MOST_FOLDS = 10
_RESAMPLES = 200
_RESAMPLED_ROWS = 20_000

Labels = NDArray[np.intp]


@dataclass(frozen=True)
class Single:
    """One model: its index in the predictions, and its score."""

    index: int
    score: float


@dataclass(frozen=True)
class Assessment:
    """A blend over all rows, its honest score, and the simpler blends beside it."""

    blend: Blend
    """The blend over all rows; its own score is as optimistic as the rows are few."""
    honest_score: float
    """The metric of predictions that were blended, fold by fold, with weights fitted on the other folds."""
    honest_se: float | None
    """The standard error of `honest_score`: how it varies as rows are drawn anew. None where the metric is not
    defined on most resamples."""
    best_single: Single
    """The best model by itself, on all rows."""
    uniform: float
    """The score of the plain mean of all models (of the best where `members` limits them), on all rows."""
    greedy: float
    """The score of greedy forward selection, on all rows."""
    seconds: float


def assess(
    predictions: Predictions,
    y: ArrayLike,
    metric: "str | Metric",
    *,
    fold: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    method: str = "nelder_mead",
    members: int | None = None,
    classes: Sequence[object] | None = None,
    seed: int = 0,
    seconds: float | None = None,
) -> Assessment:
    """Blend over all rows, and score the same procedure by cross-fitting.

    Args:
        predictions: as for `blend`.
        y: as for `blend`.
        metric: as for `blend`.
        fold: (rows,) labels of the folds to cross-fit over, more than ten merged into ten; five random folds,
            with every class in each, unless given.
        groups: (rows,) labels; rows of a group stay together when folds are dealt and rows drawn anew, as rows
            that repeated folds predict several times must. With `fold`, the folds are the caller's to keep whole.
        method: as for `blend`.
        members: as for `blend`.
        classes: as for `blend`.
        seed: for the blends, the random folds and the resamples.
        seconds: for all blends together; 60 unless given.

    Raises:
        EnsembleError: as for `blend`; or the folds or groups cannot be used.
        EvaluationError: as for `blend`.
    """
    began = time.monotonic()
    check(method, members, seconds)
    bank = gather(predictions, y, metric, classes)
    rows, rng = len(bank.y), np.random.default_rng(seed)
    clusters = np.arange(rows) if groups is None else _labels("groups", groups, rows)
    folds = _dealt(bank.y, clusters, rng) if fold is None else _labels("fold", fold, rows) % _MOST_FOLDS
    if folds.max() < 1:
        raise EnsembleError("fold must hold at least two folds. Received: one. Leave it out to deal rows at random.")
    end = began + (SECONDS if seconds is None else seconds)
    fits = int(folds.max()) + 2
    options: dict[str, Any] = {"method": method, "members": members, "seed": seed}
    whole = blend_bank(bank, **options, seconds=_share(end, fits))
    honest = np.empty(bank.members[0].shape)
    for number in range(fits - 1):
        held = folds == number
        fitted = blend_bank(bank.rows(~held), **options, seconds=_share(end, fits - 1 - number))
        honest[held] = bank.rows(held).mixture(fitted.weights[bank.order])
    best, uniform, greedy = (
        whole if name == method else blend_bank(bank, **(options | {"method": name}), seconds=_share(end, 1))
        for name in ("best", "uniform", "greedy")
    )
    return Assessment(
        blend=whole,
        honest_score=bank.metric.score(bank.y, honest),
        honest_se=_standard_error(bank, honest, clusters, rng),
        best_single=Single(int(np.argmax(best.weights)), best.score),
        uniform=uniform.score,
        greedy=greedy.score,
        seconds=time.monotonic() - began,
    )


def _share(end: float, fits: int) -> float:
    """Return the seconds of the next of so many fits; never none, so that each at least begins."""
    return max(1e-3, (end - time.monotonic()) / fits)


def _labels(name: str, given: ArrayLike, rows: int) -> Labels:
    """Return labels as numbers from 0."""
    labels = np.asarray(given)
    if labels.shape != (rows,):
        raise EnsembleError(
            f"{name} must hold a label for each of the {rows} rows. Received: an array of shape {labels.shape}."
        )
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)


def _dealt(y: NDArray[Any], clusters: Labels, rng: np.random.Generator) -> Labels:
    """Deal clusters of rows into random folds, in the target's order so that each fold gets some of everything."""
    count = int(clusters.max()) + 1
    if count < 2:
        raise EnsembleError("y must hold at least two rows (or groups) to cross-fit. Received: one.")
    first = np.unique(clusters, return_index=True)[1]
    order = np.lexsort((rng.permutation(count), y[first]))
    folds = np.empty(count, dtype=np.intp)
    folds[order] = np.arange(count) % min(_FOLDS, count)
    return folds[clusters]


def _standard_error(bank: Bank, honest: Array, clusters: Labels, rng: np.random.Generator) -> float | None:
    """Return the bootstrap's standard error over rows (Efron, 1979), a group of rows at a time.

    Folds are too few, and their scores too dependent, for their spread to say much. Of many rows only some are
    drawn and the error is scaled (the m out of n bootstrap).
    """
    order = np.argsort(clusters, kind="stable")
    ends = np.cumsum(np.bincount(clusters))
    parts = np.split(order, ends[:-1])
    alone = len(parts) == len(order)
    size = max(1, min(len(parts), int(_RESAMPLED_ROWS * len(parts) / len(order))))
    scores = []
    for _ in range(_RESAMPLES):
        drawn = rng.integers(len(parts), size=size)
        rows = order[drawn] if alone else np.concatenate([parts[part] for part in drawn])
        scores.append(bank.metric.score(bank.y[rows], honest[rows]))
    defined = np.array(scores)[np.isfinite(scores)]
    if len(defined) < _RESAMPLES / 2:
        return None
    return float(defined.std(ddof=1) * np.sqrt(size / len(parts)))
