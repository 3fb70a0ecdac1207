"""What the command line says to programs: JSON."""

from __future__ import annotations

import json
import math
from typing import Any


def text(value: Any, *, indent: int | None = None) -> str:
    """Return `value` as JSON, with null for what JSON has no word for, as NaN."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
