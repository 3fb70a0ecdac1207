"""Profiles of images: folders of images, and tables that name image files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.autoconfig.profile import DataFiles, DataProfile, looks_like_id
from workbench.data import image_folder
from workbench.data.image_folder import ImageFiles
from workbench.errors import DataError, format_list

if TYPE_CHECKING:
    import pandas as pd

# Names of folders that are searched for the images that a table names.
_FOLDER_NAMES = re.compile(r"(?i)train|image|img|photo|pic|jpe?g|png|data|all|files")
# Image files whose headers are read to choose a common size.
_MAX_HEADERS = 2000


def find_test_folder(train: Path) -> tuple[Path | None, str]:
    """Return the folder of test images beside a folder of training images, or the reason why it cannot be used."""
    name = re.sub("(?i)train(ing)?", "test", train.name)
    folder = next((path for path in sorted(train.parent.iterdir()) if path.name.lower() == name.lower()), None)
    if folder is None or folder.resolve() == train.resolve() or not folder.is_dir():
        return None, ""
    try:
        image_folder.list_flat(folder, folder.name)
    except DataError as error:
        return None, f"left {folder.name} aside: {error}"
    return folder, ""


def from_folder(files: DataFiles, folder: Path, sample: pd.DataFrame | None) -> DataProfile:
    """Return the profile of a folder with a sub-folder for each class."""
    import pandas as pd

    images = image_folder.list_by_class(folder, "TRAIN")
    target = _target_in_sample(sample) or "label"
    frame = pd.DataFrame({"id": image_folder.names(images), target: images.labels}, dtype=object)
    test = None if files.test is None else _names_frame(image_folder.list_flat(files.test, "--test"), "id")
    found = [f"{path.name} was found beside {files.label}" for path in (files.test, files.sample) if path]
    notes = [note for path, note in zip((files.test, files.sample), found, strict=False) if path in files.discovered]
    size, note = _choose_size(images)
    return DataProfile(
        files,
        "image",
        frame,
        test,
        sample,
        target,
        features_in_columns=False,
        notes=(*notes, *images.notes, note),
        id="id",
        image_size=size,
    )


def from_table(profile: DataProfile, table: Path) -> DataProfile:
    """Return the profile of a table and the images that it names, or `profile` if it names none."""
    from workbench.data.image_paths import ImageIndex, name_columns
    from workbench.data.table_files import read_as_written, read_table

    folders = list(_image_folders(table.parent))
    if not folders:
        return profile
    texts = read_as_written(table)
    indices = (
        (folder, ImageIndex(image_folder.list_recursively(folder, f"{table.name}: data.images"))) for folder in folders
    )
    match = next(((folder, names) for folder, index in indices if (names := name_columns(texts, index))), None)
    if match is None:
        return profile
    folder, columns = match
    files, read, column = profile.files, read_table(table, columns), columns[0]
    frame = profile.train.assign(**{name: read[name] for name in columns})
    size, note = _choose_size(image_folder.list_recursively(folder, "TRAIN"))
    notes = [note for note in profile.notes if files.test is None or files.test.name not in note]
    notes.append(f"images: {folder.name}, whose files {table.name} names in {format_list(map(repr, columns))}")
    test, rows = _find_test(profile, folder, column)
    # Whether there are features besides the images, in the training rows and in the test rows.
    more = len(frame.columns) > len(columns) + 1 and (test is None or not test.is_dir())
    return replace(
        profile,
        files=replace(files, test=test, discovered=files.discovered | ({test} if test else set())),
        kind="image",
        train=frame,
        test=rows,
        features_in_columns=more,
        notes=(*notes, *([f"{test.name} was found beside {table.name}"] if test else []), note),
        id=None if more else column,
        images=folder,
        image_columns=columns,
        image_size=size,
    )


def _find_test(profile: DataProfile, folder: Path, column: str) -> tuple[Path | None, pd.DataFrame | None]:
    """Return the test file and its rows: a table that names images, or a folder of test images."""
    from workbench.data.image_paths import ImageIndex, name_column

    files = profile.files
    if files.test is not None and files.test.is_dir():
        return files.test, _names_frame(image_folder.list_flat(files.test, "--test"), column)
    if files.test is not None and profile.test is not None:
        index = ImageIndex(image_folder.list_recursively(folder, "--test: data.images"))
        if name_column(profile.test, index):
            return files.test, profile.test
    test, _ = find_test_folder(folder)
    return test, None if test is None else _names_frame(image_folder.list_flat(test, "--test"), column)


def _image_folders(parent: Path) -> Iterator[Path]:
    """Yield the folders beside a table that may hold the images that it names, those of training images first."""
    beside = [path for path in sorted(parent.iterdir()) if path.is_dir() and _FOLDER_NAMES.search(path.name)]
    for path in sorted(beside, key=lambda path: "train" not in path.name.lower()):
        if any(map(image_folder.is_image, image_folder.walk_files(path))):
            yield path


def _names_frame(images: ImageFiles, column: str) -> pd.DataFrame:
    """Return the names of images as a table of one column."""
    import pandas as pd

    return pd.DataFrame({column: image_folder.names(images)}, dtype=object)


def _target_in_sample(sample: pd.DataFrame | None) -> str | None:
    """Return the target's name in the sample submission, if this has one column besides the ids."""
    if sample is None or len(sample.columns) != 2:
        return None
    first, second = map(str, sample.columns)
    return first if looks_like_id(second) and not looks_like_id(first) else second


def _choose_size(images: ImageFiles) -> tuple[tuple[int, int], str]:
    """Return a height and width for all images, and a note about it."""
    from workbench.data.image_decoding import choose_format

    step = -(-len(images.files) // _MAX_HEADERS)
    chosen = choose_format(images._replace(files=images.files[::step]))
    kind = {"grey": "grey", "colour": "in colour", "deep": "grey, of more than 8 bits"}[chosen.pixel]
    size = chosen.height, chosen.width
    return size, f"images: {len(images.files):,}, {kind}; each is stretched to {size[0]} × {size[1]} pixels"
