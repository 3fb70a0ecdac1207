"""The report of a study: figures and one page, HTML or Markdown. The only package that plots.

report_data      the input: numbers and text, gathered by `study`, nothing drawn
figures          one file a figure: numbers first, drawing second
render           figures as SVG for a page and as PNG for a file
summary          the task, the key results and what is proven about them, in sentences
recommendations  what to do next, each with its reason
report_tables    the tables, whatever the format
trial_columns    columns of the leaderboard, shared with the console
page             the report as one self-contained HTML page
markdown         the report for a repository
formatting       numbers, durations and lists as text
captions         sentences on what a figure leaves out
plot_style       sizes, colours, markers and other parts that figures share
figure_export    SVG, PNG and the style sheet of the colours
axis_limits      axis limits for scores
density_scatter  many rows as points or as counts
ranking          ROC and precision–recall curves from predicted probabilities
"""

from __future__ import annotations

from workbench.report.report_data import Architecture, Curves, Recipe, ReportData, StudyDescription

__all__ = ["Architecture", "Curves", "Recipe", "ReportData", "StudyDescription"]
