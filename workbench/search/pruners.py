"""Who ends a trial after a poor fold: Optuna's pruners by name, asked once a fold."""

import warnings
from typing import TYPE_CHECKING

from workbench.errors import SearchError, did_you_mean, listed

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

_PRUNERS = ("median", "percentile", "halving", "hyperband", "wilcoxon", "none")


def pruners() -> tuple[str, ...]:
    """Return the names of all pruners."""
    return _PRUNERS


def check_pruner(name: str) -> None:
    """Refuse a pruner that is not known.

    Raises:
        SearchError: says which are known.
    """
    if name not in _PRUNERS:
        hint = did_you_mean(name, _PRUNERS) or f" Known: {listed(_PRUNERS)}."
        raise SearchError(f"must be a known pruner. Received: {name!r}.{hint}")


def make_pruner(name: str, folds: int) -> "BasePruner":
    """Return the pruner for trials of `folds` folds.

    It is told the mean score over the folds so far; `wilcoxon`, a paired test, is told each fold's own.
    """
    from optuna import exceptions
    from optuna import pruners as optuna_pruners

    match name:
        case "median":
            return optuna_pruners.MedianPruner(n_startup_trials=4)
        case "percentile":
            return optuna_pruners.PercentilePruner(25.0, n_startup_trials=4)
        case "halving":
            return optuna_pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
        case "hyperband":
            return optuna_pruners.HyperbandPruner(min_resource=1, max_resource=folds, reduction_factor=3)
        case "wilcoxon":
            with warnings.catch_warnings():
                # It is experimental by Optuna's word; whoever names it wants it.
                warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
                return optuna_pruners.WilcoxonPruner()
    return optuna_pruners.NopPruner()
