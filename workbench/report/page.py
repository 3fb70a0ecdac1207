"""The report as one HTML page without external resources: it opens from a file and makes no request."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from importlib import resources

from workbench.report import figure_export, report_tables, summary
from workbench.report.formatting import count_noun, format_command, format_number
from workbench.report.recommendations import recommend
from workbench.report.render import RenderedFigure
from workbench.report.report_data import ReportData


def render_page(data: ReportData, figures: Sequence[RenderedFigure]) -> str:
    """Return the page.

    Args:
        data: the study.
        figures: its rendered figures.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    script = _read("page.js")
    # Everything that comes from a study is escaped; only the package's own files and the SVGs are inserted as they are.
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return template.from_string(_read("page.html")).render(
        data=data,
        task=summary.describe_task(data),
        key_results=summary.list_key_results(data),
        cross_fitting=summary.explain_cross_fitting(data),
        gain=summary.describe_gain(data),
        certificate=summary.explain_certificate(data),
        recommendations=recommend(data),
        tables=report_tables,
        format_number=format_number,
        count_noun=count_noun,
        format_command=format_command,
        css=Markup(figure_export.build_css() + _read("page.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        architectures=summary.introduce_architectures(data),
        diagrams=[(each, each.diagram and _to_data_url(each.diagram)) for each in data.architectures],
        figures={
            group: [(each, Markup(each.svg)) for each in figures if each.group == group]
            for group in ("ensemble", "study")
        },
        now=time.strftime("%Y-%m-%d %H:%M"),
    )


def _to_data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _read(name: str) -> str:
    return resources.files("workbench.report").joinpath(name).read_text(encoding="utf-8")
