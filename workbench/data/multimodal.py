"""Tables with image columns and other features -> Dataset, and the reader of new tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import ColumnKind, StudyConfig
from workbench.data import (
    image_dataset,
    image_decoding,
    image_folder,
    image_paths,
    labelled_rows,
    new_data,
    table_files,
    tables,
    validation,
)
from workbench.data.cache import Cache
from workbench.data.column_types import FittedColumn
from workbench.data.csv_header import is_folder
from workbench.data.dataset import Dataset, NewData, NewRows
from workbench.data.image_column import ImageArray
from workbench.data.image_decoding import DecodedImages, ImageFormat
from workbench.data.image_folder import ImageFiles
from workbench.data.notation import Notation
from workbench.data.tables import TableReader
from workbench.errors import DataError, did_you_mean, format_list


class ImageTable(NamedTuple):
    """A table with image columns."""

    frame: pd.DataFrame
    """The table as read, with the names of images; of training rows, those with a target."""
    image_columns: tuple[str, ...]
    """The image columns."""
    names: tuple[str, ...]
    """Columns that name the same images in another form, as 7 features 7.png; they are no features."""
    name: str
    """The table's name, for messages."""
    locator: image_paths.ImageLocator
    """Looks up the images."""
    notations: Mapping[str, Notation] = MappingProxyType({})
    """The notation of each column of a text table."""
    notes: tuple[str, ...] = ()
    """Sentences on what was assumed in reading."""


class DecodedTable(NamedTuple):
    """The decoded image columns of a table."""

    columns: Mapping[str, ImageArray]
    """The image columns of the rows that are kept."""
    decoded: DecodedImages
    kept: Array
    """(rows,): whether each row is kept; a row with a broken image is not."""


@dataclass(frozen=True)
class MultimodalReader:
    """Reads new tables with image columns and other features."""

    table: TableReader
    """Reads the other features; its optional columns include those of images."""
    image_columns: tuple[str, ...]
    image_format: ImageFormat
    images: str
    """The folder of the images that the table names; files features new rows come first."""

    @property
    def id_column(self) -> str | None:
        """The column of ids."""
        return self.table.id_column

    @property
    def optional(self) -> tuple[str, ...]:
        """The columns with missing values in training."""
        return self.table.optional

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """The kind of each column."""
        images: dict[str, ColumnKind] = dict.fromkeys(self.image_columns, "image")
        return self.table.kinds | images

    def read(self, rows: NewRows, *, cache: Cache | None = None) -> NewData:
        """Read a table and decode its images; see `Reader.read`."""
        exact = [*([self.id_column] if self.id_column else []), *self.image_columns]
        name, frame, folder = new_data.open_table(
            rows, source=self.table.source, exact=exact, notations=self.table.notations
        )
        x, ids = self.table.impose(frame, name, self.image_columns)
        locator = image_paths.NearbyImages(folder, Path(self.images))
        named = ImageTable(frame, self.image_columns, (), name, locator)
        x = x.assign(**decode_columns(named, cache, look=self.image_format).columns)
        return NewData(self.table.add_lags(frame, x, name), ids)

    def document(self) -> dict[str, Any]:
        """Return the reader as JSON values."""
        table, columns = self.table.document(), dict.fromkeys(self.image_columns, FittedColumn("image"))
        return table | {"columns": table["columns"] | columns, "look": self.image_format, "images": self.images}


def load_multimodal(
    config: StudyConfig,
    train: Path,
    test: Path | None,
    *,
    sample: pd.DataFrame | None = None,
    cache: Cache | None = None,
) -> Dataset:
    """Read a table with image columns; without other features it becomes a Dataset of images.

    Args:
        config: the study file.
        train: the table.
        test: a table of the same columns; or a folder of images, for which the other columns are left out.
        sample: the sample submission, for a table of nothing but images.
        cache: keeps the decoded images.

    Raises:
        ConfigError: a key names a column that is not there.
        SourceError: a file cannot be opened.
        DataError: table and files do not match, or images are broken.
    """
    table = None if test is not None and is_folder(test) else _read_train(config, train)
    features = [] if table is None else _other_features(config, table)
    rows = _read_test(config, test, table) if test is not None and table is not None and features else None
    if table is None or not features or (rows is not None and not any(name in rows.frame for name in features)):
        return image_dataset.load_images(config, train, test, sample=sample, cache=cache)
    validation.check_no_past(config, "mixed")
    if rows is not None:
        _check_image_columns(rows, table)
    table_config = _without_images(_with_image_id(config, table, rows), table)
    names = (table.name, "" if test is None else test.name)
    # Errors in the rows are raised before any image is decoded, which takes long.
    test_frame = None if rows is None else rows.frame
    options: Any = {"names": names, "notations": table.notations, "notes": table.notes}
    dataset = tables.build(table_config, table.frame, test_frame, **options)
    decoded = decode_columns(table, cache, size=config.data.image_size, skip=config.data.corrupt == "skip")
    frame = table.frame[decoded.kept].reset_index(drop=True)
    if not decoded.kept.all():
        dataset = tables.build(table_config, frame, test_frame, **options)
    test_images = None if rows is None else decode_columns(rows, cache, look=decoded.decoded.look)
    return _add_images(config, dataset, frame, decoded, test_images)


def decode_columns(
    table: ImageTable,
    cache: Cache | None,
    *,
    look: ImageFormat | None = None,
    size: tuple[int, int] | None = None,
    skip: bool = False,
) -> DecodedTable:
    """Decode the images that a table names, each once even if several rows or columns name it.

    Args:
        table: the table.
        cache: keeps the decoded images.
        look: the format to decode to. Default: chosen by the files.
        size: height and width of a chosen format.
        skip: whether rows with a broken image are left out instead of refused.

    Raises:
        DataError: a value names no image, or images are broken.
        SourceError: a file cannot be opened.
    """
    by_column = {
        name: image_paths.files(table.frame[name], table.locator, table.name, blank=True)
        for name in table.image_columns
    }
    distinct = dict.fromkeys(file for files in by_column.values() for file in files if file is not None)
    if not distinct and look is None:
        raise DataError(
            f"{table.name}: columns {format_list(table.image_columns)} must name images. Received: none. Name some."
        )
    if not distinct and look is not None:
        blank = np.zeros((0, *look.shape), look.dtype)
        decoded = DecodedImages(blank, look, np.zeros(0, dtype=bool), ())
    else:
        images = ImageFiles(table.locator.folder, tuple(distinct))
        decoded = image_decoding.decode(images, cache, look=look, size=size, skip=skip)
    # -1 is a row without an image, -2 one whose image is broken.
    index: dict[Path | None, int] = {None: -1}
    index |= dict(zip(distinct, np.where(decoded.kept, np.cumsum(decoded.kept) - 1, -2).tolist(), strict=True))
    indices = {name: np.array([index[file] for file in files], dtype=np.int64) for name, files in by_column.items()}
    kept = np.all([column != -2 for column in indices.values()], axis=0)
    return DecodedTable({name: ImageArray(decoded.x, column[kept]) for name, column in indices.items()}, decoded, kept)


def _read_train(config: StudyConfig, path: Path) -> ImageTable:
    """Read the training table and find its image columns."""
    data = config.data
    folder = validation.find_file(config, "data.images", str(data.images), folder=True)
    index = image_paths.ImageIndex(image_folder.list_recursively(folder, f"{config.file}: data.images"))
    as_text = table_files.read_as_written(path)
    targets = validation.check_columns(config, list(map(str, as_text.columns)), path.name)
    others = {*targets, data.weight, config.folds.column, *data.drop}
    others |= {name for name, kind in data.types.items() if kind != "image"}
    declared = [name for name, kind in data.types.items() if kind == "image"]
    left = as_text[[name for name in as_text.columns if name not in others]]
    image_columns = image_paths.name_columns(left, index, declared) if len(left.columns) else ()
    exact = [*image_columns, *([data.id] if data.id else [])]
    rest = [name for name in left.columns if name not in image_columns]
    names = tuple(name for name in rest if any(index.alike(left[name], left[other]) for other in image_columns))
    content = table_files.read_content(path, exact, missing=data.missing)
    rows = labelled_rows.split_table(config, content.frame, path.name)
    notes = (*content.notes, *rows.notes)
    frame = rows.labelled.reset_index(drop=True)
    return ImageTable(frame, image_columns, names, path.name, index, content.notations, notes)


def _other_features(config: StudyConfig, table: ImageTable) -> list[str]:
    """Return the features beside the images: columns that vary and have no other use."""
    used = {*config.data.targets, *config.data.time, *validation.not_features(config)}
    used |= {*table.image_columns, *table.names}
    names = [name for name in map(str, table.frame.columns) if name not in used and not validation.is_unnamed(name)]
    return [name for name in names if table.image_columns and table.frame[name].nunique(dropna=False) > 1]


def _read_test(config: StudyConfig, test: Path, train: ImageTable) -> ImageTable:
    """Read the table of rows to predict."""
    exact = [*train.image_columns, *([config.data.id] if config.data.id else [])]
    frame = table_files.read_table(test, exact, notations=train.notations)
    return ImageTable(frame, train.image_columns, train.names, test.name, train.locator)


def _with_image_id(config: StudyConfig, train: ImageTable, test: ImageTable | None) -> StudyConfig:
    """Return the study with an image column as its id if it names none and the column is unique."""
    frames = [train.frame, *([] if test is None else [test.frame])]
    naming = [name for name in train.image_columns if all(f[name].notna().all() and f[name].is_unique for f in frames)]
    if config.data.id is not None or not naming:
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"id": naming[0]})})


def _check_image_columns(rows: ImageTable, train: ImageTable) -> None:
    """Refuse rows to predict that lack an image column of the training rows."""
    lacks = [column for column in train.image_columns if column not in rows.frame]
    if lacks:
        hint = did_you_mean(lacks[0], list(map(str, rows.frame.columns)))
        raise DataError(
            f"{rows.name} must have the columns of images of {train.name}. It lacks "
            f"{format_list(map(repr, lacks))}.{hint} Add them."
        )


def _without_images(config: StudyConfig, table: ImageTable) -> StudyConfig:
    """Return the study without the image columns."""
    data, unused = config.data, validation.not_features(config)
    drop = (*data.drop, *(name for name in (*table.image_columns, *table.names) if name not in unused))
    types = {name: kind for name, kind in data.types.items() if kind != "image"}
    return config.model_copy(update={"data": data.model_copy(update={"drop": drop, "types": types})})


def _add_images(
    config: StudyConfig, dataset: Dataset, frame: pd.DataFrame, train: DecodedTable, test: DecodedTable | None
) -> Dataset:
    """Append the image columns to the dataset of the other columns."""
    x, x_test, example = (cast(pd.DataFrame, rows) for rows in (dataset.x, dataset.x_test, dataset.example))
    blanks = {name: int(column.isna().sum()) for name, column in train.columns.items()}
    notes = [f"{count} rows name no image in {name!r}: theirs is blank" for name, count in blanks.items() if count]
    missing = [name for name in train.columns if name not in example]
    example = example.assign(**{name: frame[name].head(len(example)) for name in missing})
    table = cast(TableReader, dataset.reader)
    optional = (*table.optional, *(name for name, count in blanks.items() if count))
    id_column = dataset.id_name if dataset.id_name in example else None
    reader = MultimodalReader(
        replace(table, kind="mixed", optional=optional, id_column=id_column),
        tuple(train.columns),
        train.decoded.look,
        str(config.resolve(str(config.data.images))),
    )
    return replace(
        dataset,
        kind="mixed",
        x=x.assign(**train.columns),
        x_test=None if test is None else x_test.assign(**test.columns),
        columns={**dataset.columns, **dict.fromkeys(train.columns, "image")},
        reader=reader,
        example=example,
        notes=(*dataset.notes, *train.decoded.notes, *notes),
    )
