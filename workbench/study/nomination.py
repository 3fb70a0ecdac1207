"""Which trials are worth a look, and what they are worth at a first one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Protocol, TypeVar

import numpy as np

from workbench import ensemble
from workbench.errors import EnsembleError
from workbench.evaluation import Metric
from workbench.models import BASELINE

# Enough to tell families apart by; the blend that counts sees all rows.
_ROWS_TO_WEIGH = 4000


class _Nominee(Protocol):
    @property
    def run_id(self) -> str: ...

    @property
    def family(self) -> str: ...


Nominee = TypeVar("Nominee", bound=_Nominee)


def nominate(ranked: Sequence[Sequence[Nominee]], most: int) -> list[Nominee]:
    """Return the candidates worth loading: of each study the best of each family, then the best of all, in turns.

    The baseline is left out unless it stands alone: it tells rows apart by their fold only, which a metric of ranks
    such as the ROC AUC mistakes for knowledge.

    Args:
        ranked: the candidates of each study, best first.
        most: how many to return at most.
    """
    informed = [[each for each in study if each.family != BASELINE] for study in ranked]
    turns = []
    for study in informed if any(informed) else ranked:
        leaders = {each.family: each for each in reversed(study)}
        turns.append({each.run_id: each for each in [*leaders.values(), *study]}.values())
    return [each for turn in zip_longest(*turns) for each in turn if each is not None][:most]


def weights(oof: Sequence[np.ndarray], y: np.ndarray, metric: Metric) -> list[float]:
    """Return what each model adds to the others: its weight by greedy selection, on some thousand of the rows."""
    some = slice(None, None, -(-len(y) // _ROWS_TO_WEIGH))
    try:
        found = ensemble.blend([p[some] for p in oof], y[some], metric, method="greedy", seconds=5)
    except EnsembleError:
        # Some rows may not have what the metric needs, as all classes.
        return [0.0] * len(oof)
    return [float(weight) for weight in found.weights]
