"""The JSON that the command line prints for other programs."""

from __future__ import annotations

import json
import math
from typing import Any

from workbench.control_characters import escape_controls_in_json


def to_json(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """Return `value` as JSON; NaN and infinity become null, because JSON has no such numbers.

    Args:
        value: the document.
        indent: spaces of an indented level; all in one line unless given.
        ascii_only: whether every character beyond ASCII is escaped; otherwise only control characters are.
    """
    text = json.dumps(_replace_non_finite(value), indent=indent, ensure_ascii=ascii_only)
    return escape_controls_in_json(text)


def _replace_non_finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replace_non_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replace_non_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
