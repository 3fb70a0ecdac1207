"""What a trial adds to the present ensemble: what the sampler learns from under `search.goal: ensemble`.

The present ensemble is a greedy blend of the record's best. Its heaviest member of the family in question gives up its
place, and every trial of the family is tried in it: with weights and share fitted on the other folds, what would the
blend score? So Lévesque, Gagné and Sabourin search an ensemble place by place ("Bayesian hyperparameter optimization
for ensemble learning", 2016).

As the ensemble grows, what a trial added once says little about what it would add now. Therefore Optuna is told scores,
and the sampler is shown a family's trials as they are judged at that moment, all against the same blend. The judgement
follows from the record alone: it is the same after a restart, and the goal may change under a running study.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench import ensemble
from workbench.array import Array
from workbench.errors import EnsembleError
from workbench.evaluation import Metric
from workbench.search.storage import TrialRecord

# What a trial may weigh in the blend; between these the score hardly differs.
_SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
# Of a family's trials so many, the best by their own score, are judged; the others are taken to add nothing.
_MOST_JUDGED = 100
# How many trials' predictions are held in memory.
_MOST_HELD = 300
# A custom metric may be slow; greedy selection ends after a third of this.
_SECONDS = 5.0
# How many parts stand for folds where there is only one.
_PARTS = 5


@dataclass
class _Rest:
    """The present ensemble with a place free."""

    members: tuple[str, ...]
    mixtures: list[Array]
    """For each part, what the members say of all rows, with weights fitted to the other parts."""
    score: float
    """Of these mixtures, each on its own part."""
    judged: dict[str, float] = field(default_factory=dict)
    """The score with a trial in the free place, by run."""


class EnsembleObjective:
    """Judges trials by the ensemble that there is."""

    def __init__(self, metric: Metric, y: NDArray[Any], folds: NDArray[Any], oof: Callable[[str], Array]) -> None:
        """Hold the rows that trials are judged on.

        Args:
            metric: what is optimised.
            y: (rows,) the targets.
            folds: (rows,) which fold each row is validated in.
            oof: returns a run's out-of-fold predictions for these rows.
        """
        self._metric = metric
        self._y = y
        parts = folds if len(np.unique(folds)) > 1 else np.arange(len(y)) % _PARTS
        self._parts = [parts == part for part in np.unique(parts)]
        self._oof = lru_cache(_MOST_HELD)(lambda run_id: oof(run_id).astype(np.float32))
        self._present: tuple[tuple[str, ...], Array] = ((), np.empty(0))
        self._rests: dict[str, _Rest] = {}

    def values(self, trials: Sequence[TrialRecord], candidates: Sequence[TrialRecord]) -> dict[int, float]:
        """Return, by number, what the ensemble would score with each of a family's trials in the family's place.

        Empty where trials can be told apart by their own score only: the rest of the ensemble has no member, or the
        metric has no meaning on these rows.

        Args:
            trials: complete trials of one family.
            candidates: the trials that the present ensemble is chosen from.
        """
        try:
            rest = self._rest_for(trials[0].family, candidates)
        except EnsembleError:
            return {}
        if not rest.members or not math.isfinite(rest.score):
            return {}
        ranked = sorted(trials, key=lambda row: self._metric.loss_of(row.score or 0.0))
        for row in ranked[:_MOST_JUDGED]:
            if row.run_id not in rest.judged:
                score = self._score_with(rest, row.run_id)
                rest.judged[row.run_id] = score if math.isfinite(score) else rest.score
        return {row.number: rest.judged.get(row.run_id, rest.score) for row in trials}

    def _rest_for(self, family: str, candidates: Sequence[TrialRecord]) -> _Rest:
        """Return the present ensemble without its heaviest member of the family."""
        names = tuple(row.run_id for row in candidates)
        if names != self._present[0]:
            self._present = names, self._weights(names, np.ones(len(self._y), dtype=bool))
        weights = dict(zip(names, self._present[1], strict=True))
        own = [row.run_id for row in candidates if row.family == family]
        free = max(own, key=weights.__getitem__, default=None)
        members = tuple(sorted(name for name, weight in weights.items() if weight > 0 and name != free))
        known = self._rests.get(family)
        if known is None or known.members != members:
            known = self._rests[family] = self._rest(members)
        return known

    def _rest(self, members: tuple[str, ...]) -> _Rest:
        if not members:
            return _Rest(members, [], math.nan)
        oof = np.stack([self._oof(name) for name in members])
        mixtures = [np.tensordot(self._weights(members, ~part), oof, axes=1) for part in self._parts]
        return _Rest(members, mixtures, self._score_of(mixtures))

    def _weights(self, names: Sequence[str], rows: NDArray[np.bool_]) -> Array:
        """Return the weights of a greedy blend on some of the rows."""
        predictions = [self._oof(name)[rows] for name in names]
        return ensemble.blend(predictions, self._y[rows], self._metric, method="greedy", seconds=_SECONDS).weights

    def _score_with(self, rest: _Rest, run_id: str) -> float:
        """Return the score with a trial in the free place, its share in each part fitted to the other parts."""
        trial = self._oof(run_id)
        joined = []
        for part, mixture in zip(self._parts, rest.mixtures, strict=True):
            mixtures = [(1 - share) * mixture + share * trial for share in _SHARES]
            joined.append(min(mixtures, key=partial(self._loss, rows=~part)))
        return self._score_of(joined)

    def _score_of(self, mixtures: Sequence[Array]) -> float:
        """Return the score of mixtures, each on its own part."""
        joined = np.empty_like(mixtures[0])
        for part, mixture in zip(self._parts, mixtures, strict=True):
            joined[part] = mixture[part]
        return self._metric.score(self._y, joined)

    def _loss(self, mixture: Array, rows: NDArray[np.bool_]) -> float:
        """Return the loss on some of the rows; infinite where the metric has no meaning."""
        loss = self._metric.loss_of(self._metric.score(self._y[rows], mixture[rows]))
        return loss if math.isfinite(loss) else math.inf
