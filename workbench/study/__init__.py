"""The conductor: draft, open, search, blend, submit.

checks  what a study file says, held against the rooms that own its words
facts   what a study was begun with, so that it is not gone on with as another
study   the verbs of one study
draft   a study file for someone who has only the data
"""

from workbench.study.study import Ensemble, Study, Summary, open

__all__ = ["Ensemble", "Study", "Summary", "open"]
