"""A story as one HTML page that needs nothing beside it: no request, no server, no script to be read."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from importlib import resources

from workbench.report import plot_style, report_tables, summary
from workbench.report.formatting import command, count_noun, number
from workbench.report.recommendations import recommend
from workbench.report.render import RenderedFigure
from workbench.report.report_data import ReportData


def html(story: ReportData, pictures: Sequence[RenderedFigure]) -> str:
    """Return the page.

    Args:
        story: what to tell.
        pictures: its figures, drawn.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    script = _read("page.js")
    # What comes out of a study is escaped; what lies beside this file, and the drawings, are taken as they are.
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return page.from_string(_read("page.html")).render(
        story=story,
        question=summary.question(story),
        facts=summary.facts(story),
        honesty=summary.honesty(story),
        gain=summary.gain(story),
        certificate=summary.certificate(story),
        advice=recommend(story),
        tables=report_tables,
        number=number,
        counted=count_noun,
        command=command,
        css=Markup(plot_style.css() + _read("page.css")),
        script=Markup(script),
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        architectures=summary.architectures(story),
        diagrams=[(each, each.diagram and _inline(each.diagram)) for each in story.architectures],
        figures={
            group: [(each, Markup(each.svg)) for each in pictures if each.group == group]
            for group in ("ensemble", "study")
        },
        now=time.strftime("%Y-%m-%d %H:%M"),
    )


def _inline(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _read(name: str) -> str:
    return resources.files("workbench.report").joinpath(name).read_text(encoding="utf-8")
