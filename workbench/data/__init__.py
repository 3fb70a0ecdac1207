"""Sources -> Dataset. The checks here import nothing heavy; the rest loads when it is first asked for.

dataset     the frozen Dataset that every source becomes
header      the first line of a text table, read with the standard library
checks      `peek`: what a study file says against the files it names
columns     what a column holds, learnt on the training rows and imposed on the rows to predict
clock       the columns of data.time -> moments, and steps of time between them
windows     what rows are shown of their past
target      raw target values -> task, classes, encoded y
tables      tables on disk -> frames -> Dataset
arrays      .npz and IDX -> Dataset
npz, idx    files of arrays -> arrays, the large ones on disk
padding     sequences of unequal lengths in one array
long        a table with a row for each step of a sequence -> Dataset
pixels      a table of pixels -> arrays
folders     which files of a folder are images, and of which class
decoding    image files -> one array, kept
named       which images the values of a table's column name
images      images in files -> Dataset
pictures    a column of images in a frame
mixed       a table that names images and has other columns beside them -> Dataset
stored      an array that lies on disk
cache       what was made of the data once
remote      openml: and kaggle: -> frames and files
sources     `load` and `truth`: one door for every source
reader      rows to predict, read as the training rows were
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from workbench.data.dataset import Dataset
from workbench.data.validation import peek

if TYPE_CHECKING:
    from workbench.data.column_types import kinds
    from workbench.data.new_data import NewRows, Reader
    from workbench.data.sources import load, load_answers
    from workbench.data.tables import read_table
    from workbench.data.target import infer_task

__all__ = ["Dataset", "NewRows", "Reader", "infer_task", "kinds", "load", "load_answers", "peek", "read_table"]

_HEAVY = {
    "NewRows": "new_data",
    "Reader": "new_data",
    "infer_task": "target",
    "kinds": "column_types",
    "load": "sources",
    "read_table": "tables",
    "load_answers": "sources",
}


def __getattr__(name: str) -> Any:
    """Import what needs pandas when it is first asked for (PEP 562)."""
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HEAVY[name]}"), name)
