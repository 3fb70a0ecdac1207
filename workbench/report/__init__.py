"""Figures and the one-page story of a study. The only room that plots.

story    what a report tells, gathered by the conductor: numbers and words, nothing drawn
figures  one file a figure: computed from the story first, drawn second
drawing  how every figure looks: sizes, inks that read in grey, SVG and PNG
page     the story as one self-contained HTML page
markdown the story for a repository
"""

from workbench.report.story import Curves, Question, Recipe, Story

__all__ = ["Curves", "Question", "Recipe", "Story"]
