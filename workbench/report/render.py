"""Figures as SVG for a page and as PNG for a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from workbench.report import figure_export, figures
from workbench.report.figures import Group
from workbench.report.report_data import ReportData


@dataclass(frozen=True)
class RenderedFigure:
    """A figure as SVG and as PNG."""

    name: str
    """The stem of its file; unique in a report."""
    title: str
    caption: str
    group: Group
    svg: str
    """An element to put into a page."""
    png: bytes


def render_figures(
    data: ReportData, group: Group | None = None, *, until: float | None = None
) -> Iterator[RenderedFigure]:
    """Yield the figures that have something to show.

    Args:
        data: the study.
        group: restricts the figures to those of a group.
        until: the time after which no further figure begins, in seconds of `time.monotonic`.
    """
    for entry, figure in figures.draw_figures(data, figures.list_names(group)):
        svg, png = figure_export.to_svg(figure), figure_export.to_png(figure)
        yield RenderedFigure(entry.file_name, entry.title, entry.caption, entry.group, svg, png)
        if until is not None and time.monotonic() > until:
            return
