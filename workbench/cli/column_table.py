"""The table of columns that `init` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from workbench.autoconfig.column_summary import ColumnSummary

# The most columns that are shown; --json has all.
_MAX_COLUMNS = 40
_MAX_NAME = 40


def show_columns(columns: Sequence[ColumnSummary]) -> Table:
    """Return the columns of the data, one a row; of a wide table the first, and a count of the others."""
    has_test = any(column.missing_test is not None for column in columns)
    table = Table(title="Columns", caption=_caption(columns), title_justify="left", caption_justify="left")
    for heading in ("column", "kind", "use"):
        table.add_column(heading, overflow="fold")
    for heading in ("missing", *(["in test"] if has_test else []), "levels"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("example", overflow="ellipsis", no_wrap=True)
    for column in columns[:_MAX_COLUMNS]:
        shares = [column.missing, *([column.missing_test] if has_test else [])]
        table.add_row(
            column.name if len(column.name) <= _MAX_NAME else f"{column.name[: _MAX_NAME - 1]}…",
            column.kind,
            column.use if column.reason is None else f"{column.use}: {column.reason}",
            *(_format_share(share) for share in shares),
            "–" if column.missing is None else f"{column.levels:,}",
            column.example or "",
            style="dim" if column.use == "dropped" else "bold" if column.use == "target" else None,
        )
    return table


def _caption(columns: Sequence[ColumnSummary]) -> str | None:
    """Return the numbers of columns that are not shown, and of those among them that are dropped."""
    hidden = columns[_MAX_COLUMNS:]
    if not hidden:
        return None
    dropped = sum(column.use == "dropped" for column in hidden)
    return f"{len(hidden):,} more columns{f', {dropped:,} of them dropped' if dropped else ''}: workbench init --json"


def _format_share(share: float | None) -> str:
    """Return a share in percent; a share above 0 is never shown as 0."""
    if share is None:
        return "–"
    return "0 %" if share == 0 else "< 1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %")
