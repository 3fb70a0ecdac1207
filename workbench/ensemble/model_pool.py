"""The choice of the models to blend, by their scores on given rows and by their families."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.ensemble.candidates import rank_by_family
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.ensemble.resampling import Labels


@dataclass(frozen=True)
class ModelPool:
    """The models that a blend may choose from."""

    families: Sequence[str] = ()
    """The family of each model; needed where `most` is given."""
    most: int | None = None
    """The most models to blend; all unless given."""
    baseline: int | None = None
    """The index of the constant baseline, if it takes part."""

    def choose(self, matrix: PredictionMatrix) -> Labels:
        """Return which members of a matrix to blend: the best of each family on its rows, then the best of all."""
        models = len(matrix.members)
        if self.most is None or models <= self.most:
            return np.arange(models)
        losses = [matrix.scorer.loss(member) for member in matrix.members]
        ranked = rank_by_family(losses, [self.families[index] for index in matrix.order])
        return np.sort(np.array(ranked[: self.most] or range(self.most), dtype=np.intp))

    def find_baseline(self, matrix: PredictionMatrix) -> int | None:
        """Return the baseline's place among the members of a matrix; None where it takes no part."""
        return None if self.baseline is None else int(np.flatnonzero(matrix.order == self.baseline)[0])
