"""The profile of the data: `DataFiles`, the files, and `DataProfile`, their content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.data.dataset import Kind

if TYPE_CHECKING:
    import pandas as pd


_ID = re.compile(r"(?i:^id$|[_\s.-]id$)|[a-z]I[dD]$")


@dataclass(frozen=True)
class DataFiles:
    """The files or the source of a study's data, which have not been read yet."""

    train: Path | None
    """The training file; None for a source with a scheme."""
    test: Path | None = None
    sample: Path | None = None
    scheme: str = ""
    """`sklearn`, `openml` or `kaggle`; empty for files."""
    name: str = ""
    """The name of the data set, after the scheme."""
    discovered: frozenset[Path] = frozenset()
    """The files that the user did not name; they were found beside `train`."""

    @property
    def label(self) -> str:
        """The name of the training data in messages."""
        return self.train.name if self.train else f"{self.scheme}:{self.name}"


@dataclass(frozen=True, eq=False)
class DataProfile:
    """The content of the data files, as far as the inference needs it."""

    files: DataFiles
    """The files; those of a competition are included after it was downloaded."""
    kind: Kind
    """The kind of a row."""
    train: pd.DataFrame
    """The training table; for arrays, a table of those with one value for each row."""
    test: pd.DataFrame | None = None
    """The test rows, in the same form."""
    sample: pd.DataFrame | None = None
    """The sample submission, the ids first."""
    target: str | tuple[str, ...] | None = None
    """The target or the targets, if the source defines them."""
    features_in_columns: bool = True
    """Whether the columns of `train` are the features; the features of arrays are in `x`."""
    notes: tuple[str, ...] = field(default=())
    """Notes on what was found or ignored, one line each."""
    near_names: Mapping[str, str] = field(default_factory=dict)
    """Columns that the test table has under a name that differs a little, with that name."""
    id: str | None = None
    """The id column, if the source defines it."""
    table: pd.DataFrame | None = None
    """A long table as read; `train` has one row for each id."""
    test_table: pd.DataFrame | None = None
    """The long table of the test rows."""
    steps: str | None = None
    """The column that orders the rows of an id in a long table; `train` has one row for each id."""
    labels: Path | None = None
    """The table with the targets of a long table."""
    drop: tuple[str, ...] = ()
    """The columns of a long table that cannot be features: the test rows lack them, or they are ids."""
    images: Path | None = None
    """The folder of the images that the training table names."""
    image_columns: tuple[str, ...] = ()
    """The columns that name the images."""
    image_size: tuple[int, int] | None = None
    """The height and width to which the images are resized."""
    key: str | None = None
    """The column of the test rows that holds the sample's ids."""


def looks_like_id(name: str) -> bool:
    """Return whether a column's name is that of an id: id, ID, user_id, PassengerId."""
    return _ID.search(name) is not None
