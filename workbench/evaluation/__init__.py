"""How good a prediction is (metrics), and on which rows that is asked (folds).

The metrics' names are light: a study file is checked against them before anything heavy is imported.
What makes folds is read with its module: `from workbench.evaluation import folds`, then `folds.make(…)`.
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
    """Import folds, and pandas with them, when they are first asked for."""
    if name not in ("Folds", "folds"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module("workbench.evaluation.folds")
    return module if name == "folds" else module.Folds
