"""Sources -> Dataset. `Dataset` and `peek` import nothing heavy; the rest loads on first use.

dataset          the frozen Dataset that every source becomes, and the Reader protocol
dialect          the encoding, separator, quotation and column names of a text
csv_header       the header of a text table's file, read with the standard library
validation       `peek`: the study file checked against the files that it names
source_digest    digests that say whether the sources are unchanged
notation         how the values of a text table's columns are written
date_formats     dates as text or serial numbers
column_types     the kinds of columns, learnt on training rows and imposed on new rows
timestamps       the columns of data.time -> moments and time steps
lags             lag features: lags and window means of earlier rows
target           raw target values -> task, classes, encoded y
text_files       text tables -> columns of strings
typed_tables     Parquet, Feather, Excel, JSON lines -> frames
table_files      table files of any form -> frames
tables           frames -> Dataset, TableReader
row_matching     the rows of two tables matched by a column with the same values
sample_submission  the sample submission as written -> the test row of each of its rows
npz, idx         files of arrays -> arrays, large ones on disk
array_files      a file of arrays of either form -> arrays in memory
padding          sequences of unequal lengths in one array
arrays           arrays -> Dataset, ArrayReader, ArrayTableReader
pixel_table      tables of pixels -> Dataset, PixelReader
long_reader      the layout of a long table's sequences, LongReader
long_format      long tables (a row for each step of a sequence) -> Dataset
image_folder     the image files of a folder, and their classes
image_paths      the images that the values of a column name
image_decoding   image files -> one array, cached
image_dataset    image files -> Dataset, ImageReader
image_column     a column of images in a frame
multimodal       tables with image columns -> Dataset, MultimodalReader
memmap           arrays on disk
cache            derived data on disk
remote           openml: and kaggle: -> frames and files
sources          `load` and `load_answers`: the door to every source
new_data         new rows of any form, opened for a reader
reader_document  the stored document of a reader -> the reader
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from workbench.data.dataset import Dataset, NewRows, Reader
from workbench.data.validation import peek

if TYPE_CHECKING:
    from workbench.data.column_types import kinds
    from workbench.data.reader_document import reader_from_document
    from workbench.data.sources import load, load_answers
    from workbench.data.table_files import read_table
    from workbench.data.target import infer_task

__all__ = [
    "Dataset",
    "NewRows",
    "Reader",
    "infer_task",
    "kinds",
    "load",
    "load_answers",
    "peek",
    "read_table",
    "reader_from_document",
]

_HEAVY = {
    "infer_task": "target",
    "kinds": "column_types",
    "load": "sources",
    "load_answers": "sources",
    "read_table": "table_files",
    "reader_from_document": "reader_document",
}


def __getattr__(name: str) -> Any:
    """Import modules that need pandas on first use (PEP 562)."""
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HEAVY[name]}"), name)
