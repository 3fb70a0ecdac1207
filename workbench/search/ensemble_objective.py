"""The gain of the present ensemble from a trial: the sampler's objective under `search.goal: ensemble`.

The present ensemble is a greedy blend of the study's best trials. Its heaviest member of the family in question is
removed, and each trial of the family is scored in its slot, with weights and share fitted on the other folds. Lévesque,
Gagné and Sabourin search an ensemble slot by slot in this way ("Bayesian hyperparameter optimization for ensemble
learning", 2016).

While the ensemble grows, a trial's past contribution says little about its present one. Therefore Optuna stores scores,
and the sampler sees a family's trials with their present values, all against the same ensemble. The values follow from
the stored trials alone: they are the same after a restart, and the goal of a begun study may change.
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

# The shares of a trial in the blend that are tried; the score hardly differs between them.
_SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
# The best trials of a family by their own score that are evaluated; the others are taken to add nothing.
_MAX_EVALUATED = 100
# The trials whose predictions are held in memory.
_MAX_CACHED = 300
# Seconds for a greedy selection with a slow custom metric; other metrics need less than a third.
_SECONDS = 5.0
# The parts of the rows that replace the folds if there is only one.
_PARTS = 5


@dataclass
class _ReducedEnsemble:
    """The present ensemble with one slot free."""

    members: tuple[str, ...]
    blends: list[Array]
    """For each part, the blend of the members for all rows, with weights fitted on the other parts."""
    score: float
    """The score of these blends, each on its own part."""
    trial_scores: dict[str, float] = field(default_factory=dict)
    """The score with a trial in the free slot, by run."""


class EnsembleObjective:
    """Values trials by the score of the ensemble that has them."""

    def __init__(self, metric: Metric, y: NDArray[Any], folds: NDArray[Any], oof: Callable[[str], Array]) -> None:
        """Set the rows on which trials are evaluated.

        Args:
            metric: the study's metric.
            y: (rows,) the targets.
            folds: (rows,) the fold in which each row is validated.
            oof: returns a run's out-of-fold predictions for these rows.
        """
        self._metric = metric
        self._y = y
        parts = folds if len(np.unique(folds)) > 1 else np.arange(len(y)) % _PARTS
        self._parts = [parts == part for part in np.unique(parts)]
        self._oof = lru_cache(_MAX_CACHED)(lambda run_id: oof(run_id).astype(np.float32))
        self._present: tuple[tuple[str, ...], Array] = ((), np.empty(0))
        self._reduced: dict[str, _ReducedEnsemble] = {}

    def evaluate(self, trials: Sequence[TrialRecord], candidates: Sequence[TrialRecord]) -> dict[int, float]:
        """Return, by number, the score of the ensemble with each of a family's trials in the family's slot.

        The result is empty if only the trials' own scores distinguish them: the reduced ensemble has no member, or
        the metric is not defined on these rows.

        Args:
            trials: complete trials of one family.
            candidates: the trials from which the present ensemble is chosen.
        """
        try:
            reduced = self._reduce(trials[0].family, candidates)
        except EnsembleError:
            return {}
        if not reduced.members or not math.isfinite(reduced.score):
            return {}
        ranked = sorted(trials, key=lambda trial: self._metric.loss_of(trial.score or 0.0))
        for trial in ranked[:_MAX_EVALUATED]:
            if trial.run_id not in reduced.trial_scores:
                score = self._score_with(reduced, trial.run_id)
                reduced.trial_scores[trial.run_id] = score if math.isfinite(score) else reduced.score
        return {trial.number: reduced.trial_scores.get(trial.run_id, reduced.score) for trial in trials}

    def _reduce(self, family: str, candidates: Sequence[TrialRecord]) -> _ReducedEnsemble:
        """Return the present ensemble without its heaviest member of the family."""
        run_ids = tuple(trial.run_id for trial in candidates)
        if run_ids != self._present[0]:
            self._present = run_ids, self._fit_weights(run_ids, np.ones(len(self._y), dtype=bool))
        weights = dict(zip(run_ids, self._present[1], strict=True))
        own = [trial.run_id for trial in candidates if trial.family == family]
        removed = max(own, key=weights.__getitem__, default=None)
        members = tuple(sorted(run_id for run_id, weight in weights.items() if weight > 0 and run_id != removed))
        reduced = self._reduced.get(family)
        if reduced is None or reduced.members != members:
            reduced = self._reduced[family] = self._blend(members)
        return reduced

    def _blend(self, members: tuple[str, ...]) -> _ReducedEnsemble:
        if not members:
            return _ReducedEnsemble(members, [], math.nan)
        oof = np.stack([self._oof(run_id) for run_id in members])
        blends = [np.tensordot(self._fit_weights(members, ~part), oof, axes=1) for part in self._parts]
        return _ReducedEnsemble(members, blends, self._score(blends))

    def _fit_weights(self, run_ids: Sequence[str], rows: NDArray[np.bool_]) -> Array:
        """Return the weights of a greedy blend on some of the rows."""
        predictions = [self._oof(run_id)[rows] for run_id in run_ids]
        return ensemble.blend(predictions, self._y[rows], self._metric, method="greedy", seconds=_SECONDS).weights

    def _score_with(self, reduced: _ReducedEnsemble, run_id: str) -> float:
        """Return the score with a trial in the free slot; its share in each part is fitted on the other parts."""
        trial = self._oof(run_id)
        chosen = []
        for part, blend in zip(self._parts, reduced.blends, strict=True):
            blends = [(1 - share) * blend + share * trial for share in _SHARES]
            chosen.append(min(blends, key=partial(self._loss, rows=~part)))
        return self._score(chosen)

    def _score(self, blends: Sequence[Array]) -> float:
        """Return the score of blends, each on its own part."""
        predictions = np.empty_like(blends[0])
        for part, blend in zip(self._parts, blends, strict=True):
            predictions[part] = blend[part]
        return self._metric.score(self._y, predictions)

    def _loss(self, blend: Array, rows: NDArray[np.bool_]) -> float:
        """Return the loss on some of the rows; infinite if the metric is not defined there."""
        loss = self._metric.loss_of(self._metric.score(self._y[rows], blend[rows]))
        return loss if math.isfinite(loss) else math.inf
