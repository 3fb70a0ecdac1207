"""Result <-> MLflow: the vault of predictions. The only room that knows MLflow.

vault    how the predictions of a study are laid out
store    MLflow's database in a home
moved    the paths in it, mended when the home has moved
tracker  the experiment of a study: a run for every trial, every ensemble and what was imported
logged   what predicts, as models that MLflow serves and registers
weights  the fold models of the trials that are worth it
view     what MLflow's page shows first
ui       MLflow's own pages, on this machine only
"""

from workbench.tracking.tracker import Tracker
from workbench.tracking.vault import Imported, Predictions, Vault
from workbench.tracking.weights import Weights

__all__ = ["Imported", "Predictions", "Tracker", "Vault", "Weights"]
