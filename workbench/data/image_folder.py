"""The image files of a folder and their classes, found with the standard library alone."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from workbench.errors import DataError, format_list

SUFFIXES = (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

_PART = re.compile(r"(?i)(seg_)?(train|test|val|valid|pred|eval)(ing|idation|uation)?([_-]?(set|images|data))?$")
_DEBRIS = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


class ImageFiles(NamedTuple):
    """The images of a folder, sorted by path."""

    folder: Path
    files: tuple[Path, ...]
    labels: tuple[str, ...] = ()
    """The class of each image if the folder has a sub-folder for each class."""
    notes: tuple[str, ...] = ()
    """The files that are left out, one sentence each."""


def list_by_class(folder: Path, where: str) -> ImageFiles:
    """List the images of a folder that has a sub-folder for each class; `where` starts every message.

    Raises:
        DataError: there are no images, no classes, images outside the classes, or classes that differ by case only.
    """
    loose: list[Path] = []
    others: list[Path] = []
    entries = _entries(folder)
    folders = {path.name: path for path in entries if path.is_dir()}
    if _PART.fullmatch(folder.name) is None and folders and all(map(_PART.fullmatch, folders)):
        _refuse_splits(folder, where, list(folders))
    for path in entries:
        if path.name not in folders:
            (loose if is_image(path) else others).append(path)
    by_class: dict[str, list[Path]] = {}
    for name, path in folders.items():
        files = list(walk_files(path))
        by_class[name] = [file for file in files if is_image(file)]
        others += [file for file in files if not is_image(file)]
    _check_classes(folder, where, by_class, loose)
    empty = [name for name, files in by_class.items() if not files]
    notes = [f"left out {format_list(empty)}: a folder without images"] if empty else []
    return ImageFiles(
        folder,
        tuple(file for files in by_class.values() for file in files),
        tuple(name for name, files in by_class.items() for _ in files),
        (*notes, *_note_others(others)),
    )


def list_flat(folder: Path, where: str) -> ImageFiles:
    """List the images directly in a folder, as those to predict are.

    Raises:
        DataError: there are none, or they lie in sub-folders.
    """
    entries = _entries(folder)
    files = [path for path in entries if is_image(path)]
    deeper = [path for path in entries if path.is_dir() and any(map(is_image, walk_files(path)))]
    if deeper:
        only = f" Set it to {str(deeper[0])!r}." if len(deeper) == 1 and not files else ""
        raise DataError(
            f"{where} must be a folder with the images to predict in it, and no sub-folders. Received: {str(folder)!r} "
            f"with the sub-folders {format_list((path.name for path in deeper), 5)}.{only or ' Move their images up.'}"
        )
    if not files:
        raise DataError(_no_images(folder, where))
    others = [path for path in entries if path.is_file() and not is_image(path)]
    return ImageFiles(folder, tuple(files), notes=_note_others(others))


def list_recursively(folder: Path, where: str) -> ImageFiles:
    """List the images of a folder and its sub-folders.

    Raises:
        DataError: there are none.
    """
    files = tuple(path for path in walk_files(folder) if is_image(path))
    if not files:
        raise DataError(_no_images(folder, where))
    return ImageFiles(folder, files)


def names(images: ImageFiles) -> list[str]:
    """Return the file names of the images, or their paths in the folder if a name occurs duplicates."""
    plain = [file.name for file in images.files]
    return plain if len(set(plain)) == len(plain) else paths(images)


def paths(images: ImageFiles) -> list[str]:
    """Return the paths of the images relative to the folder."""
    return [file.relative_to(images.folder).as_posix() for file in images.files]


def is_image(path: Path) -> bool:
    """Return whether a file is an image, by its suffix."""
    return path.suffix.lower() in SUFFIXES


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and its sub-folders, sorted by path, without hidden and system files."""
    for path in _entries(folder):
        if path.is_dir():
            yield from walk_files(path)
        else:
            yield path


def _entries(folder: Path) -> list[Path]:
    """Return the entries of a folder without those that operating systems keep there."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.name[0] not in ".~")
    return [folder / name for name in names if name.lower() not in _DEBRIS]


def _check_classes(folder: Path, where: str, by_class: dict[str, list[Path]], loose: Sequence[Path]) -> None:
    classes = [name for name, files in by_class.items() if files]
    if not classes and not loose:
        raise DataError(_no_images(folder, where))
    start = f"{where} must be a folder with a sub-folder for each class."
    if loose:
        few = format_list((file.name for file in loose), 3)
        came = "beside the sub-folders" if classes else "and no sub-folders"
        remedy = (
            "Move them into one of them, or away."
            if classes
            else "Where a table says which class each is of, set data.train to that and data.images to the folder."
        )
        raise DataError(f"{start} Received: {str(folder)!r} with images {came}: {few}. {remedy}")
    duplicates = [name for name, count in Counter(map(str.casefold, classes)).items() if count > 1]
    if duplicates:
        alike = [name for name in classes if name.casefold() == duplicates[0]]
        raise DataError(
            f"{start} Received: {str(folder)!r} with {format_list(map(repr, alike))}, which only case tells apart. "
            "Put their images into one folder."
        )
    if len(classes) == 1:
        below = folder / classes[0]
        nested = any(path.is_dir() for path in _entries(below))
        hint = f"Did you mean {str(below)!r}?" if nested else "Add the images of another class."
        raise DataError(f"{start} Received: {str(folder)!r} with one class, {classes[0]!r}. {hint}")


def _refuse_splits(folder: Path, where: str, splits: Sequence[str]) -> None:
    train = next((name for name in splits if "train" in name.lower()), None)
    hint = f" Did you mean {str(folder / train)!r}?" if train else ""
    raise DataError(
        f"{where} must be a folder with a sub-folder for each class. Received: {str(folder)!r} with the parts of a "
        f"data set: {format_list(splits)}.{hint or ' Name the one to learn from.'}"
    )


def _no_images(folder: Path, where: str) -> str:
    return (
        f"{where} must be a folder of images ({', '.join(SUFFIXES)}). Received: {str(folder)!r}, which holds none. "
        "Name another folder."
    )


def _note_others(files: Sequence[Path]) -> tuple[str, ...]:
    return (f"left out files that are no images: {format_list((file.name for file in files), 3)}",) if files else ()
