"""A table of results in docs/benchmarks.md, replaced whole each time its benchmark runs."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def write(name: str, rows: Sequence[Mapping[str, object]], *, note: str) -> None:
    """Put `rows` between the markers of `name`, with the command, the machine and the day."""
    heads = list(rows[0])
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    lines += [f"| {' | '.join(str(row[head]) for head in heads)} |" for row in rows]
    day = f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {_cores()} cores. {note}"
    text = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n\n{chr(10).join(lines)}\n\n{day}\n\n{end}{after}", encoding="utf-8")


def _cores() -> int:
    from workbench.search.fork_server import cores

    return cores()
