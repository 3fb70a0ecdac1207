"""The JSON that the command line prints for other programs."""

from __future__ import annotations

import json
import math
from typing import Any


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return `value` as JSON; NaN and infinity become null, because JSON has no such numbers."""
    return json.dumps(_replace_non_finite(value), indent=indent, ensure_ascii=False)


def _replace_non_finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replace_non_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replace_non_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
