"""Training rows without a target: left out with a note, or refused."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import StudyConfig
from workbench.data import column_types
from workbench.errors import DataError, format_list


class LabelledRows(NamedTuple):
    """The training rows that have a target."""

    known: Array
    """(rows,): whether a row has every target."""
    notes: tuple[str, ...]
    """A note on the rows that are left out, if there are some."""

    def select(self, rows: Any) -> Any:
        """Return those of (rows, …) that have a target; the same object if all have one."""
        return rows if self.known.all() else rows[self.known]


class LabelledTable(NamedTuple):
    """A training table without the rows that lack a target."""

    labelled: pd.DataFrame
    """The rows with every target. Their index is the row number in the file."""
    unlabelled: pd.DataFrame | None
    """The other rows; None if there are none."""
    notes: tuple[str, ...]
    """A note on the rows that are left out, if there are some."""


def find_labelled(config: StudyConfig, frame: pd.DataFrame, name: str, *, unit: str = "rows") -> LabelledRows:
    """Find the rows that have every target; a blank text is no target.

    Args:
        config: the study file.
        frame: (rows,) the columns of the targets.
        name: the name of the data, for messages.
        unit: what a row is called in messages.

    Raises:
        DataError: no row has every target, or `data.unlabelled` is `refuse` and a row lacks one.
    """
    missing = {target: _is_missing(frame[target]) for target in config.data.targets}
    known = ~np.any(list(missing.values()), axis=0)
    rows, lacking = len(known), int((~known).sum())
    if not lacking:
        return LabelledRows(known, ())
    counts = {target: int(each.sum()) for target, each in missing.items() if each.any()}
    what = _describe_targets(counts, several=len(missing) > 1)
    if lacking == rows:
        raise DataError(f"{name}: {unit} must have {what[0]}. Received: none of {rows:,} has. Check data.target.")
    if config.data.unlabelled == "refuse":
        raise DataError(
            f"{name}: {unit} must have {what[0]}, because data.unlabelled is 'refuse'. Received: {lacking:,} of "
            f"{rows:,} {unit} without, the first is row {int(known.argmin())}. Fill or remove them, or set "
            "data.unlabelled to drop."
        )
    note = f"left out {lacking:,} of {rows:,} {unit} of {name} without {what[1]}"
    if lacking > rows / 2:
        note = f"WARNING: {note}, {lacking / rows:.0%} of all. Check data.target and the file"
    return LabelledRows(known, (note,))


def split_table(config: StudyConfig, train: pd.DataFrame, name: str) -> LabelledTable:
    """Split a training table into rows with and without a target; `name` is the table's name, for messages.

    Raises:
        DataError: as for `find_labelled`.
    """
    train = train.reset_index(drop=True)
    known, notes = find_labelled(config, train, name)
    return LabelledTable(train, None, ()) if known.all() else LabelledTable(train[known], train[~known], notes)


def _describe_targets(counts: dict[str, int], *, several: bool) -> tuple[str, str]:
    """Return what a row must have, and what the other rows lack; `counts` are the rows without each target."""
    if not several:
        target = f"the target {next(iter(counts))!r}"
        return target, target
    listed = format_list((f"{name!r} in {count:,}" for name, count in counts.items()), 6)
    return f"every target (missing: {listed})", f"one of the targets (missing: {listed})"


def _is_missing(series: pd.Series[Any]) -> Array:
    """Return (rows,) whether a value is missing or a blank text."""
    is_text = not pd.api.types.is_numeric_dtype(series.dtype) and series.dtype.kind not in "mM"
    return np.asarray((column_types.texts(series) if is_text else series).isna())
