"""Figures and the one-page story of a study. The only room that plots.

story    what a report tells, gathered by the conductor: numbers and words, nothing drawn
figures  one file a figure: computed from the story first, drawn second
drawing  how every figure looks: sizes, inks that read in grey, SVG and PNG
pictures the figures drawn, for a page and for a file
answer   what is asked, and what the answer is worth, in sentences
tables   the report's tables, whatever form it takes
advice   what to do next, each with its reason
words    how numbers are said
ranking  rows by falling probability, for ROC and precision–recall curves
cloud    many rows as points, or counted in cells
window   which stretch of the scores is shown
notes    what a figure leaves out, in words
page     the story as one self-contained HTML page
markdown the story for a repository
"""

from __future__ import annotations

from workbench.report.report_data import Architecture, Curves, Recipe, ReportData, StudyFacts

__all__ = ["Architecture", "Curves", "Recipe", "ReportData", "StudyFacts"]
