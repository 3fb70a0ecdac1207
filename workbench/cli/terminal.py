"""The output of the command line: text is printed literally, whatever names and messages hold.

Every line and every table goes through this module. Rich reads no markup and no emoji codes in it, control characters
are shown as escapes, and a terminal that cannot encode a character shows `?`.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from workbench.cli.json_output import to_json
from workbench.control_characters import escape_controls

# The width of tables where stdout is not a terminal.
_TABLE_WIDTH = 120


class LiteralConsole(Console):
    """A console that prints strings as they are; a style is given by an argument or by `style_text`."""

    def __init__(self, **options: Any) -> None:
        """Take the options of Rich's console, apart from those that interpret strings."""
        super().__init__(**options, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text of a string; Rich calls this for every string, in tables and titles too."""
        return super().render_str(escape_controls(text), **options)


def configure_streams() -> None:
    """Let stdout and stderr write `?` for characters that they cannot encode, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def create_console(*, error: bool = False) -> LiteralConsole:
    """Return a console for stdout that is wide enough for tables; with `error`, one for stderr."""
    console = LiteralConsole(stderr=error)
    return console if error or console.is_terminal else LiteralConsole(width=_TABLE_WIDTH)


def style_text(text: str, style: str) -> Text:
    """Return a text that Rich prints literally, in a style."""
    return Text(escape_controls(text), style)


def print_line(text: str) -> None:
    """Print a text on stdout, and a line end."""
    print(escape_controls(text), flush=True)


def print_message(text: str) -> None:
    """Print a text on stderr, and a line end."""
    print(escape_controls(text), file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    """Print a document as JSON on stdout; a stream that cannot encode every character gets ASCII."""
    encoding = (sys.stdout.encoding or "ascii").lower()
    print(to_json(document, indent=1, ascii_only=not encoding.startswith("utf")), flush=True)
