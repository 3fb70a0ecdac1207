"""What there is to draft a study of images from: folders of them, beside each other or beside a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.autoconfig.profile import DataFiles, DataProfile
from workbench.data import image_folder
from workbench.data.csv_header import form, read_header
from workbench.data.image_folder import ImageFiles
from workbench.errors import DataError, format_list

if TYPE_CHECKING:
    import pandas as pd

# Folders with such names are looked into when a table may name images.
_LIKELY = re.compile(r"(?i)train|image|img|photo|pic|jpe?g|png|data|all|files")
# How many heads of files tell what size suits all.
_HEADS = 2000


def test_beside(train: Path) -> tuple[Path | None, str]:
    """Return the folder of images to predict that lies beside a folder, or why there is one that cannot be it."""
    name = re.sub("(?i)train(ing)?", "test", train.name)
    found = next((path for path in sorted(train.parent.iterdir()) if path.name.lower() == name.lower()), None)
    if found is None or found.resolve() == train.resolve() or not found.is_dir():
        return None, ""
    try:
        image_folder.list_flat(found, found.name)
    except DataError as error:
        return None, f"left {found.name} aside: {error}"
    return found, ""


def from_folder(sources: DataFiles, folder: Path, sample: pd.DataFrame | None) -> DataProfile:
    """Return what a folder with a sub-folder for each class shows."""
    import pandas as pd

    images = image_folder.list_by_class(folder, "TRAIN")
    target = _column_beside_ids(sample) or "label"
    frame = pd.DataFrame({"id": image_folder.names(images), target: images.labels}, dtype=object)
    test = None if sources.test is None else _named(image_folder.list_flat(sources.test, "--test"), "id")
    found = [f"{path.name} was found beside {sources.label}" for path in (sources.test, sources.sample) if path]
    notes = [note for path, note in zip((sources.test, sources.sample), found, strict=False) if path in sources.found]
    size, note = _size(images)
    return DataProfile(
        sources,
        "image",
        frame,
        test,
        sample,
        target,
        columnar=False,
        notes=(*notes, *images.notes, note),
        id="id",
        image_size=size,
    )


def from_table(evidence: DataProfile, table: Path) -> DataProfile:
    """Return what a table shows with the images that it names; the evidence as it is where it names none."""
    from workbench.data.image_paths import ImageIndex, name_columns
    from workbench.data.table_files import read_table

    likely = list(_likely(table.parent))
    if not likely:
        return evidence
    named = read_table(table, read_header(table).columns if form(table) == "text" else ())
    indices = (
        (folder, ImageIndex(image_folder.list_recursively(folder, f"{table.name}: data.images"))) for folder in likely
    )
    found = next(((folder, names) for folder, index in indices if (names := name_columns(named, index))), None)
    if found is None:
        return evidence
    folder, pictured = found
    sources, read, column = evidence.sources, read_table(table, pictured), pictured[0]
    frame = evidence.train.assign(**{name: read[name] for name in pictured})
    size, note = _size(image_folder.list_recursively(folder, "TRAIN"))
    notes = [note for note in evidence.notes if sources.test is None or sources.test.name not in note]
    notes.append(f"images: {folder.name}, whose files {table.name} names in {format_list(map(repr, pictured))}")
    test, rows = _test(evidence, folder, column)
    # Beside the images and the target there is something else to learn from, and to predict from.
    more = len(frame.columns) > len(pictured) + 1 and (test is None or not test.is_dir())
    return replace(
        evidence,
        sources=replace(sources, test=test, found=sources.found | ({test} if test else set())),
        kind="image",
        train=frame,
        test=rows,
        columnar=more,
        notes=(*notes, *([f"{test.name} was found beside {table.name}"] if test else []), note),
        id=None if more else column,
        images=folder,
        pictured=pictured,
        image_size=size,
    )


def _test(evidence: DataProfile, folder: Path, column: str) -> tuple[Path | None, pd.DataFrame | None]:
    """Return the images to predict of a table's study: named by a table in the same folder, or in one of their own."""
    from workbench.data.image_paths import ImageIndex, name_column

    sources = evidence.sources
    if sources.test is not None and sources.test.is_dir():
        return sources.test, _named(image_folder.list_flat(sources.test, "--test"), column)
    if sources.test is not None and evidence.test is not None:
        index = ImageIndex(image_folder.list_recursively(folder, "--test: data.images"))
        if name_column(evidence.test, index):
            return sources.test, evidence.test
    test, _ = test_beside(folder)
    return test, None if test is None else _named(image_folder.list_flat(test, "--test"), column)


def _likely(parent: Path) -> Iterator[Path]:
    """Yield the folders beside a table that may hold the images that it names, those of training first."""
    beside = [path for path in sorted(parent.iterdir()) if path.is_dir() and _LIKELY.search(path.name)]
    for path in sorted(beside, key=lambda path: "train" not in path.name.lower()):
        if any(map(image_folder.is_image, image_folder.walk_files(path))):
            yield path


def _named(images: ImageFiles, column: str) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({column: image_folder.names(images)}, dtype=object)


def _column_beside_ids(sample: pd.DataFrame | None) -> str | None:
    """Return what the sample submission calls the target, where it has one column beside the ids."""
    return str(sample.columns[1]) if sample is not None and len(sample.columns) == 2 else None


def _size(images: ImageFiles) -> tuple[tuple[int, int], str]:
    """Return height and width that suit images, and a word about it."""
    from workbench.data.image_decoding import choose_format

    step = -(-len(images.files) // _HEADS)
    look = choose_format(images._replace(files=images.files[::step]))
    kind = {"grey": "grey", "colour": "in colour", "deep": "grey, of more than 8 bits"}[look.pixel]
    size = look.height, look.width
    return size, f"images: {len(images.files):,}, {kind}; each is stretched to {size[0]} × {size[1]} pixels"
