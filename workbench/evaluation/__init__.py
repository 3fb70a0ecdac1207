"""Metrics, and the folds on which predictions are scored.

metrics           the table of metrics, and `Metric`, which scores predictions
metric_functions  the formulas of the metrics
multi_target      metrics of several targets
folds             `Folds`, the assignment of rows to folds, its hash and its file
fidelity          how much of the data trials use where a budget does not buy all folds
splitters         the strategies that assign rows to folds

Importing this package loads the names of the metrics but no numerical library, so that a study file is checked before
anything heavy is imported. Folds are made by `folds.make`, after `from workbench.evaluation import folds`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from workbench.evaluation.metrics import Metric, check, default, describe, metric, names

if TYPE_CHECKING:
    from workbench.evaluation import folds
    from workbench.evaluation.folds import Folds

__all__ = ["Folds", "Metric", "check", "default", "describe", "folds", "metric", "names"]


def __getattr__(name: str) -> object:
    """Import the folds, and pandas with them, on first use."""
    if name not in ("Folds", "folds"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module("workbench.evaluation.folds")
    return module if name == "folds" else module.Folds
