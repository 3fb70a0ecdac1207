"""Characters that change how the text around them is shown, and the escapes that make them visible."""

from __future__ import annotations

import re

# Controls other than tab and line feed, separators of lines, embeddings and overrides of the writing direction, and
# halves of surrogate pairs, which stand for the bytes of a file's name that are not UTF-8.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def escape_controls(text: str) -> str:
    r"""Return a text with its control characters as escapes, as `repr` writes them; tab and line feed stay.

    Examples:
        >>> print(escape_controls("a\x1b[31mb"))
        a\x1b[31mb
    """
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def escape_controls_in_json(document: str) -> str:
    r"""Return a JSON document with control characters in the escapes of JSON; it means the same.

    Examples:
        >>> print(escape_controls_in_json('"a\x9bb"'))
        "a\u009bb"
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
