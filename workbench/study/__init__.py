"""The conductor: draft, open, search, blend, submit.

checks     what a study file says, held against the rooms that own its words
facts      what a study was begun with, so that it is not gone on with as another
blending   trials of a study -> the document of an ensemble
study      the verbs of one study
evidence   what the files say that someone has who has only the data
inference  what follows from it: target, id, task, metric, families
draft      the study file that says so
"""

from workbench.study.study import Ensemble, Study, Summary, open

__all__ = ["Ensemble", "Study", "Summary", "open"]
