"""The conductor: draft, open, search, blend, submit, report.

competition  what a study is about: data, metric, folds
archive    what it has written down: books, vault, weights
checks     what a study file says, held against the rooms that own its words
facts      what a study was begun with, so that it is not gone on with as another
alignment  whether another study's predictions are for the same rows, target and folds
candidates the models that a blend may choose from, of this study and of others
blending   candidates -> the document of an ensemble
imports    predictions made elsewhere, held against the folds
ensemble   what `Study.ensemble` returns
bundle     all that it takes to predict, in one folder
exporting  a bundle -> models that MLflow can serve
served     the script that MLflow runs to serve one
predicting an ensemble's document -> what predicts new rows
telling    everything a report tells, read from what is written down
publishing the report as a file, and in MLflow
study      the verbs of one study
evidence   what the files say that someone has who has only the data
inference  what follows from it: target, id, task, metric, families
draft      the study file that says so
"""

from __future__ import annotations

from workbench.study.ensemble import Ensemble
from workbench.study.study import Study, Summary, open

__all__ = ["Ensemble", "Study", "Summary", "open"]
