"""Image files -> Dataset: a folder for each class, or a table that names files; and the reader of new images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workbench.config import ColumnKind, StudyConfig
from workbench.data import (
    column_types,
    image_decoding,
    image_folder,
    image_paths,
    labelled_rows,
    new_data,
    table_files,
    tables,
    target,
    validation,
)
from workbench.data.arrays import ArrayReader
from workbench.data.cache import Cache
from workbench.data.dataset import Dataset, NewData, NewRows
from workbench.data.image_decoding import ImageFormat
from workbench.data.image_folder import ImageFiles
from workbench.data.new_data import Form, RawArrays, RawTable
from workbench.errors import DataError, format_list


@dataclass(frozen=True)
class ImageReader:
    """Reads new images: a folder, a table that names files, or an array of decoded images."""

    source: str
    """The name of the training data, for messages."""
    id_column: str | None
    image_format: ImageFormat
    images: str | None = None
    """The folder of the images that a table names; None if the training images lie in class folders."""
    optional = ()

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """Images have no columns."""
        return {}

    def read(self, rows: NewRows, *, cache: Cache | None = None) -> NewData:
        """Read a folder, an array, or a table if the training images are named by one; see `Reader.read`."""
        forms: tuple[Form, ...] = ("folder", "arrays") if self.images is None else ("folder", "arrays", "table")
        exact = [self.id_column] if self.id_column else []
        raw = new_data.open_rows(rows, forms, source=self.source, exact=exact)
        if isinstance(raw, RawArrays):
            arrays = ArrayReader("image", self.source, self.id_column, self.image_format.shape)
            return arrays.read_arrays(raw.arrays, raw.name)
        if isinstance(raw, RawTable):
            return self._read_table(raw, cache)
        images = image_folder.list_flat(raw.path, raw.path.name)
        return NewData(self._decode(images, cache), np.array(image_folder.names(images), dtype=object))

    def document(self) -> dict[str, Any]:
        """Return the reader as JSON values."""
        return new_data.make_document(
            kind="image",
            source=self.source,
            npz=True,
            id_column=self.id_column,
            shape=self.image_format.shape,
            look=self.image_format,
            images=self.images,
        )

    def _read_table(self, raw: RawTable, cache: Cache | None) -> NewData:
        """Decode the images that a column of a table names: the id column if possible, else another."""
        new_data.check_has_rows(raw.frame, raw.name)
        locator = image_paths.NearbyImages(raw.folder, Path(str(self.images)))
        texts = {name: column_types.texts(raw.frame[name]).fillna("") for name in map(str, raw.frame.columns)}
        candidates = [name for name in (self.id_column, *texts) if name in texts]
        column = next((n for n in candidates if all(text and locator.find(text) for text in texts[n].unique())), None)
        if column is None:
            raise DataError(
                f"{raw.name} must have a column that names an image of {locator.folder} in every row. Received: "
                f"columns {format_list(raw.frame.columns)}. Correct its values, or name a folder of images."
            )
        ids = tables.ids(raw.frame, self.id_column if self.id_column in raw.frame else None, raw.name)
        files = image_paths.files(raw.frame[column], locator, raw.name)
        images = ImageFiles(locator.folder, tuple(file for file in files if file is not None))
        return NewData(self._decode(images, cache), ids)

    def _decode(self, images: ImageFiles, cache: Cache | None) -> Any:
        return image_decoding.decode(images, cache, look=self.image_format).x


class ImageSet(NamedTuple):
    """Image files with their ids and targets."""

    images: ImageFiles
    frame: pd.DataFrame
    """(files,): the ids; for training images also the target and the other columns that the study file names."""
    name: str
    """The name for messages."""
    notes: tuple[str, ...] = ()


def load_images(
    config: StudyConfig,
    train: Path,
    test: Path | None,
    *,
    sample: pd.DataFrame | None = None,
    cache: Cache | None = None,
) -> Dataset:
    """Find the images of a study, decode them unless the cache has them, and build its Dataset.

    Args:
        config: the study file.
        train: a folder with a sub-folder for each class, or a table that names files in `data.images`.
        test: a folder of images, or a table that names files as `train` does.
        sample: the sample submission, whose ids show whether ids of test images have suffixes.
        cache: keeps the decoded images.

    Raises:
        ConfigError: a key names a column that is not there.
        SourceError: a file cannot be opened.
        DataError: folder, table and files do not match, or images are broken.
    """
    validation.check_no_past(config, "image")
    config, training = _list_folder(config, train) if train.is_dir() else _list_table(config, train)
    id_name = str(config.data.id)
    new = None if test is None else _to_predict(config, test, training, sample)
    # Errors in the target are raised before any image is decoded, which takes long.
    training = _keep_labelled(config, training)
    target.encode_targets(config, training.frame)
    ids = tables.ids(training.frame, id_name, training.name)
    test_ids = None if new is None else tables.ids(new.frame, id_name, new.name)
    skip = config.data.corrupt == "skip"
    decoded = image_decoding.decode(training.images, cache, size=config.data.image_size, skip=skip)
    test_images = None if new is None else image_decoding.decode(new.images, cache, look=decoded.look)
    frame = training.frame[decoded.kept]
    return Dataset(
        kind="image",
        x=decoded.x,
        ids=ids[decoded.kept],
        x_test=None if test_images is None else test_images.x,
        test_ids=test_ids,
        id_name=id_name,
        reader=ImageReader(
            Path(config.data.train).name,
            id_name,
            decoded.look,
            str(config.resolve(config.data.images)) if config.data.images else None,
        ),
        example=decoded.x[:1],
        notes=(*training.images.notes, *training.notes, *decoded.notes, *(new.images.notes if new else ())),
        **target.encode_targets(config, frame)._asdict(),
        **tables.roles(config, frame, training.name),
    )


def _list_folder(config: StudyConfig, folder: Path) -> tuple[StudyConfig, ImageSet]:
    """List the images of a folder of classes; return the study with the default names of target and id."""
    images = image_folder.list_by_class(folder, f"{config.file}: data.train")
    if isinstance(config.data.target, tuple):
        hint = " A folder is a class; name a table with a column for each target, and set data.images."
        raise config.error("data.target", "must be one target for images in folders", config.data.target, hint)
    config = _with_data(config, target=config.data.target or "label", id=config.data.id or "id")
    label, id_name = str(config.data.target), str(config.data.id)
    frame = pd.DataFrame({id_name: image_folder.names(images), label: images.labels}, dtype=object)
    validation.check_columns(config, list(frame.columns), folder.name)
    return config, ImageSet(images, frame, folder.name)


def _list_table(config: StudyConfig, table: Path) -> tuple[StudyConfig, ImageSet]:
    """List the images that a table names; return the study with the default name of the id."""
    images, frame, column = _find_named(config, table)
    config = _with_data(config, id=config.data.id or column)
    targets = validation.check_columns(config, list(map(str, frame.columns)), table.name)
    used = {*targets, column, *validation.not_features(config), *config.data.time}
    unused = [name for name in map(str, frame.columns) if name not in used]
    notes = (f"left out {format_list(map(repr, unused), 5)}: columns beside the images",) if unused else ()
    return config, ImageSet(images, frame, table.name, notes)


def _keep_labelled(config: StudyConfig, training: ImageSet) -> ImageSet:
    """Return the training images without those that lack a target."""
    known, notes = labelled_rows.find_labelled(config, training.frame, training.name)
    if known.all():
        return training
    files = tuple(file for file, each in zip(training.images.files, known, strict=True) if each)
    images, frame = training.images._replace(files=files), training.frame[known].reset_index(drop=True)
    return training._replace(images=images, frame=frame, notes=(*training.notes, *notes))


def _to_predict(config: StudyConfig, test: Path, train: ImageSet, sample: pd.DataFrame | None) -> ImageSet:
    """List the images to predict, from a folder or a table."""
    id_name = str(config.data.id)
    if test.is_dir():
        images = image_folder.list_flat(test, f"{config.file}: data.test")
        stems = {file.stem for file in train.images.files}
        plain = train.frame[id_name].astype(str).isin(stems).mean() > image_paths.SHARE
        ids = table_files.as_written(pd.Series(_image_ids(images, sample, plain=bool(plain)), dtype="str"))
        return ImageSet(images, pd.DataFrame({id_name: ids}), test.name)
    if config.data.images is None:
        raise DataError(
            f"{test.name} must be a folder of images, as {train.name} is. Received: a table. Name a folder."
        )
    images, frame, _ = _find_named(config, test)
    if id_name not in frame:
        raise DataError(
            f"{test.name} must have the column {id_name!r} that {train.name} has. Received: "
            f"{format_list(frame.columns)}. Add it."
        )
    return ImageSet(images, frame, test.name)


def _find_named(config: StudyConfig, table: Path) -> tuple[ImageFiles, pd.DataFrame, str]:
    """Return the images that a table names, the table, and the column that names them."""
    folder = validation.find_file(config, "data.images", str(config.data.images), folder=True)
    images = image_folder.list_recursively(folder, f"{config.file}: data.images")
    as_text = table_files.read_as_written(table)
    index = image_paths.ImageIndex(images)
    column = image_paths.name_column(as_text, index)
    if column is None:
        raise DataError(
            f"{table.name} must have a column that names the images of {folder}. Received: columns "
            f"{format_list(as_text.columns)}; an image there is {images.files[0].name!r}. Set data.images to their "
            "folder."
        )
    frame = table_files.read_table(table, [column, str(config.data.id)])
    files = image_paths.files(frame[column], index, table.name)
    return ImageFiles(folder, tuple(file for file in files if file is not None)), frame, column


def _image_ids(images: ImageFiles, sample: pd.DataFrame | None, *, plain: bool) -> list[str]:
    """Return the ids of the images to predict, as in the sample, else as in training; `plain` ids have no suffix."""
    names = image_folder.names(images)
    stems = [PurePosixPath(name).stem for name in names]
    styles = [stems, names] if plain else [names, stems]
    if sample is not None:
        columns = [set(sample[name].astype(str)) for name in sample.columns]
        return next((style for style in styles if any(wanted <= set(style) for wanted in columns)), styles[0])
    return styles[0]


def _with_data(config: StudyConfig, **keys: str | tuple[str, ...] | None) -> StudyConfig:
    """Return the study with these keys of `data` replaced."""
    return config.model_copy(update={"data": config.data.model_copy(update=keys)})
