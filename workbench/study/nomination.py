"""The choice of trials to load for a blend, and quick weights of a few."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Protocol, TypeVar

import numpy as np

from workbench import ensemble
from workbench.errors import EnsembleError
from workbench.evaluation import Metric
from workbench.models import BASELINE

MOST_BLENDED = 60
"""The most models among which weights are found."""

# Enough rows to rank families by; the final blend uses all rows.
_WEIGHT_ROWS = 4000


class _Nominee(Protocol):
    @property
    def run_id(self) -> str: ...

    @property
    def family(self) -> str: ...


Nominee = TypeVar("Nominee", bound=_Nominee)


def nominate(ranked: Sequence[Sequence[Nominee]], most: int, *, baseline: bool = False) -> list[Nominee]:
    """Return the candidates to load: of each study the best of each family, then the best of all, studies in turn.

    Args:
        ranked: the candidates of each study, best first.
        most: the most that are returned.
        baseline: whether the constant baseline is a candidate. Without it, it is left out unless it is alone: its
            predictions differ by fold only, which a metric of ranks such as ROC AUC takes for information.
    """
    informed = [[each for each in study if baseline or each.family != BASELINE] for study in ranked]
    turns = []
    for study in informed if any(informed) else ranked:
        leaders = {each.family: each for each in reversed(study)}
        turns.append({each.run_id: each for each in [*leaders.values(), *study]}.values())
    return [each for turn in zip_longest(*turns) for each in turn if each is not None][:most]


def greedy_weights(oof: Sequence[np.ndarray], y: np.ndarray, metric: Metric) -> list[float]:
    """Return each model's weight by greedy selection, on some thousand of the rows; 0 where they cannot be scored."""
    some = slice(None, None, -(-len(y) // _WEIGHT_ROWS))
    try:
        found = ensemble.blend([p[some] for p in oof], y[some], metric, method="greedy", seconds=5)
    except EnsembleError:
        # The metric may not be defined on these rows, as without all classes.
        return [0.0] * len(oof)
    return [float(weight) for weight in found.weights]
