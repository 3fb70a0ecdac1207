"""The conductor: open, search, blend, submit, predict, export, report.

task                 the study file's data, metric and folds
target_metrics       the metrics and transforms of several targets
study_store          what a study keeps in the home: trials, runs, checkpoints
study_validation     the values of a study file, checked by the packages that own them
recorded_settings    the settings that a study began with, and in words what has changed
fingerprint          what must not change while a study keeps its name
rescoring            the scores of finished trials by another metric
alignment            whether another study has the same rows, target and folds
nomination           the choice of trials to load for a blend
candidate_pool       the models that a blend may choose from, of this study and of others
external_predictions predictions made elsewhere, checked against the folds
blending             candidates -> an ensemble and its predictions
ensemble             what `Study.ensemble` returns
assemble             an ensemble -> a predictor for new rows
export               a predictor -> models that MLflow serves
submission_file      the submission of the newest ensemble
trial_search         the search for hyperparameters
run_budget           the budget of one `run`
run_summary          the result of one `run`
description          the description of a study in MLflow
net_images           the architectures and image inspections of a report's nets
report_inputs        the data of a report
publishing           the report as a file and in MLflow
study                the verbs of a study
"""

from __future__ import annotations

from workbench.study.ensemble import Ensemble
from workbench.study.run_result import Summary
from workbench.study.study import Study, open

__all__ = ["Ensemble", "Study", "Summary", "open"]
