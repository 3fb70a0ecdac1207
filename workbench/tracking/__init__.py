"""Results <-> MLflow: predictions, checkpoints, provenance, model registry. Only this package imports MLflow.

tracker            the experiment of a study: a run for every trial, ensemble and import
run_artifacts      the files of a run: predictions, curves
run_metrics        the metrics of a run: scores, curves, resource usage
run_text           the names and notes of runs
run_view           the view of a study's runs that MLflow's page opens with
prediction_schema  the layout of a study's predictions
provenance         where a study comes from: its file, its commit, its data
datasets           the data as MLflow's datasets
checkpoints        the fold models of the best trials
model_registry     ensembles and members as MLflow models, logged and registered
mlflow_store       MLflow's database in a home
relocate           update the paths in the database after the home has moved
home_index         studies and trials, read from the database without MLflow
mlflow_ui          MLflow's pages
tensorboard        the curves of trials in TensorBoard
"""

from __future__ import annotations

from workbench.tracking.checkpoints import Checkpoints
from workbench.tracking.prediction_schema import ImportedPredictions, Predictions, PredictionSchema
from workbench.tracking.provenance import DataOrigin, Provenance
from workbench.tracking.tracker import Tracker

__all__ = [
    "Checkpoints",
    "DataOrigin",
    "ImportedPredictions",
    "PredictionSchema",
    "Predictions",
    "Provenance",
    "Tracker",
]
