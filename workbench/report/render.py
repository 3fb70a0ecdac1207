"""The figures of a story, drawn: for a page and for a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from workbench.report import figures, plot_style
from workbench.report.figures import Group
from workbench.report.report_data import ReportData


@dataclass(frozen=True)
class RenderedFigure:
    """A figure in both its forms."""

    name: str
    title: str
    caption: str
    group: Group
    svg: str
    """To be put into a page."""
    png: bytes


def render_figures(
    story: ReportData, group: Group | None = None, *, until: float | None = None
) -> Iterator[RenderedFigure]:
    """Yield the figures that have something to show.

    Args:
        story: what to tell.
        group: of figures, all unless given.
        until: when to begin no further one, in seconds of `time.monotonic`.
    """
    for entry, figure in figures.draw_figures(story, figures.names(group)):
        svg, png = plot_style.svg(figure), plot_style.png(figure)
        yield RenderedFigure(entry.file, entry.title, entry.caption, entry.group, svg, png)
        if until is not None and time.monotonic() > until:
            return
