"""workbench: from a study file to a submission.

A study file goes in at the top; a submission and a trail in MLflow come out at the bottom.
Each line is a package or a module. It imports only from those above it; `tests/test_architecture.py` enforces this.

    errors        every exception, the hierarchy drawn at the top
    control_characters  escapes that make control characters of foreign text visible
    files         atomic writes: temporary file, fsync, rename
    array         the array type that annotations use
    home          the folder of all studies, its files and locks
    servers       local web servers that end with their parent
    config        study file -> frozen StudyConfig: schema, study_file, messages, secrets
    data          sources -> Dataset, each with the reader of new rows
    evaluation    metrics, folds, and the hash of the folds
    space         hyperparameter spaces (KerasTuner's), independent of the sampler
    features      preprocessors and encoders, fitted on a fold's training rows only
    models        the model families: one family, one file
    trial         one set of hyperparameters through all folds -> TrialResult
    ensemble      predictions -> weights, with a certificate and a cross-fitted score
    tracking      results <-> MLflow: predictions, checkpoints, provenance, model registry
    search        Optuna: scheduler, storage, samplers, pruners, allocation, workers
    submission    the file a competition takes, checked before it is written
    report        report data, figures, recommendations, rendering
    inference     a saved ensemble that predicts new rows; needs no training data
    study         the conductor: search, blend, submit, report
    autoconfig    `init`: profile the files, infer the settings, write a study file
    cli           one verb, one command
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from workbench.study import Study

__version__ = "0.1.0"
__all__ = ["open"]


def open(file: str | os.PathLike[str], home: str | os.PathLike[str] | None = None, **overrides: Any) -> Study:
    """Open the study that `file` describes; see `workbench.study.open`."""
    from workbench import study

    return study.open(file, home, **overrides)
