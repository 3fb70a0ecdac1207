"""Sphinx directives that put the generated reference into a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import reference
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import workbench

_GENERATED: dict[str, Callable[[], str]] = {
    "study-file": reference.study_file,
    "command-line": reference.command_line,
    "families": reference.families,
    "metrics": reference.metrics,
    "packages": lambda: reference.packages(Path(workbench.__file__).parent),
    "source-files": lambda: reference.files(Path(workbench.__file__).parent),
}


class Generated(SphinxDirective):
    """Parse the Markdown that a function of `reference` returns."""

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the generated Markdown, headings included."""
        return self.parse_text_to_nodes(_GENERATED[self.name](), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Add a directive for each generated reference."""
    for name in _GENERATED:
        app.add_directive(name, Generated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
