"""Files of arrays -> arrays in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workbench.array import Array
from workbench.data import idx, npz
from workbench.data.csv_header import form


def read(path: Path) -> Mapping[str, Array]:
    """Read all arrays of an .npz file, or of an IDX file and the file of its labels.

    Raises:
        SourceError: the file cannot be opened.
        DataError: the file holds something other than plain arrays.
    """
    return idx.read(path) if form(path) == "idx" else npz.read(path)
