"""`booster.json`, which a saved booster has beside its trees: above all the number of rounds that predict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FILE = "booster.json"


def write_facts(folder: Path, **facts: int) -> None:
    """Write facts by name."""
    (folder / _FILE).write_text(json.dumps(facts))


def read_facts(folder: Path, *, rounds: int) -> dict[str, Any]:
    """Read the facts; `length` is the number of all rounds in folders of the first versions, which do not name it."""
    file = folder / _FILE
    written: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return {"length": rounds, **written}
