"""Result <-> MLflow: the vault of predictions. The only room that knows MLflow.

vault    how the predictions of a study are laid out
store    MLflow's database in a home
moved    the paths in it, mended when the home has moved
tracker  the experiment of a study: a run for every trial, every ensemble and what was imported
points   what is logged of a trial as metrics: scores, curves, what it used
origin   where a study comes from: its file, the commit, the data
datasets the data as MLflow's data sets
logged   what predicts, as models that MLflow serves and registers
weights  the fold models of the trials that are worth it
index    what MLflow's database says of studies and trials, asked without MLflow
view     what MLflow's page shows first
ui       MLflow's own pages
tensorboard  the curves of trials in TensorBoard
"""

from __future__ import annotations

from workbench.tracking.checkpoints import Checkpoints
from workbench.tracking.prediction_schema import Imported, Predictions, PredictionSchema
from workbench.tracking.provenance import DataOrigin, Provenance
from workbench.tracking.tracker import Tracker

__all__ = ["Checkpoints", "DataOrigin", "Imported", "PredictionSchema", "Predictions", "Provenance", "Tracker"]
