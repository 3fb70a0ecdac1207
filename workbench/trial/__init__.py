"""A trial: one set of hyperparameters, trained and scored through all folds.

spec      what every trial of a family has in common, and the hyperparameter space of a trial
fit       train a fold, all folds, or all rows; predict; save a model
training_lengths  which number of boosting rounds or epochs predicts
result    the result of a fold and of a trial

The processes of a search preload this package, so it imports all that a worker needs whatever the family.
"""

from __future__ import annotations

from workbench.trial.fit import (
    KeepModel,
    ReportProgress,
    StoppedFold,
    collect_unlabeled_features,
    fit_fold,
    fit_folds,
    fit_full,
    predict,
    save_model,
)
from workbench.trial.result import FoldResult, InterruptedFold, State, TrialResult, join_folds
from workbench.trial.spec import Transform, Transforms, TrialSpec, build_space, output_transforms, restore_space
from workbench.trial.training_lengths import extrapolate_length, read_length, truncate

__all__ = [
    "FoldResult",
    "InterruptedFold",
    "KeepModel",
    "ReportProgress",
    "State",
    "StoppedFold",
    "Transform",
    "Transforms",
    "TrialResult",
    "TrialSpec",
    "build_space",
    "collect_unlabeled_features",
    "extrapolate_length",
    "fit_fold",
    "fit_folds",
    "fit_full",
    "join_folds",
    "output_transforms",
    "predict",
    "read_length",
    "restore_space",
    "save_model",
    "truncate",
]
