"""workbench: from a study file to a submission.

A question (a study file) goes in at the top; a submission and a trail in MLflow come out at the bottom.
Each line is a room; a room imports only from those above it, and `tests/test_architecture.py` sees to it.

    errors        every error of ours, the hierarchy drawn at the top
    home          the folder where everything that must last lies
    servers       pages on this machine only, that end with whoever serves them
    config        a study file -> a frozen StudyConfig; checks form only
    data          sources -> Dataset: tables, images, sequences; train, test, ids, groups, time
    evaluation    metrics, folds, and the fold hash that says which predictions may be blended
    space         KerasTuner's HyperParameters, answered by whatever can suggest
    features      raw columns -> model inputs, fitted on a fold's training rows only
    models        the model families: the one place people add to; one family, one file
    trial         one set of hyperparameters through all folds -> Result (out-of-fold, test, curves)
    tracking      Result <-> MLflow: the vault of predictions, and the only room that knows MLflow
    ensemble      predictions -> weights, with a certificate and an honest score
    search        Optuna studies, pruning, allocation, budgets, workers
    submission    the file a competition takes, checked before it is written
    report        figures and the one-page story of a study
    study         the conductor: draft, open, search, blend, submit, report
    cli           one verb, one command
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.study import Study

__version__ = "0.1.0"
__all__ = ["open"]


def open(file: str, home: str | None = None, **overrides: Any) -> Study:
    """Open the study that `file` describes; see `workbench.study.open`."""
    from workbench import study

    return study.open(file, home, **overrides)
