"""Paths as the user gave them, and atomic writes: a reader finds a file or a folder whole, or does not find it.

The content is written under a temporary name in the same folder, which is renamed at the end. A process that is killed
while it writes leaves at most the temporary file behind.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import ConfigError, WorkbenchError


def make_absolute(path: str | os.PathLike[str]) -> Path:
    """Return an absolute path that goes through the links that the user named; `..` is resolved where that is safe."""
    absolute = Path(path).absolute()
    plain = Path(os.path.normpath(absolute))
    # Behind a link to a folder, `..` is the parent of the link's target.
    return plain if os.path.realpath(plain) == os.path.realpath(absolute) else absolute


def describe_broken_link(path: Path) -> str:
    """Return sentences on the link in a path whose target is missing; empty if there is none."""
    broken = next((each for each in (path, *path.parents) if each.is_symlink() and not each.exists()), None)
    return (
        "" if broken is None else f" {broken} is a link to {os.path.realpath(broken)}, which is missing. Mend the link."
    )


@contextmanager
def stage_file(path: Path, *, concurrent: bool = False, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path to write to, and rename it to `path` at the end of the block.

    If the block raises, the temporary file is removed and `path` stays as it was.

    Args:
        path: the file to write; its folder is made if it is missing.
        concurrent: whether other processes may write the same file at the same time. The temporary name is then
            unique; otherwise a leftover of a killed process is replaced.
        sync: whether to force the content to the disk before the rename, so that a power failure cannot leave an empty
            file under the final name. It takes milliseconds.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{_temporary_name(path, concurrent=concurrent)}")
    try:
        part.unlink(missing_ok=True)
        yield part
        if sync:
            _sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def stage_folder(path: Path, *, concurrent: bool = False) -> Iterator[Path]:
    """Yield a new temporary folder to fill, and rename it to `path` at the end of the block.

    If the block raises, the temporary folder is removed.

    Args:
        path: the folder to make; an empty folder of this name is replaced.
        concurrent: as for `stage_file`.

    Raises:
        OSError: the folder cannot be made, or `path` is there already and is not empty.
    """
    part = path.with_name(_temporary_name(path, concurrent=concurrent))
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def explain_write_errors(path: Path, kind: type[WorkbenchError] = ConfigError) -> Iterator[None]:
    """Raise an error of a `kind` that names the file where the block cannot write it."""
    try:
        yield
    except WorkbenchError:
        raise
    except OSError as error:
        raise kind(f"{path}: cannot be written ({error.strerror}). Name another file with -o.") from error


def write_text(path: Path, text: str, *, sync: bool = True) -> None:
    """Write text in UTF-8 to a file; see `stage_file`."""
    with stage_file(path, sync=sync) as part:
        part.write_text(text, encoding="utf-8")


def check_file(path: Path) -> None:
    """Check that `stage_file` can write a file, without making or changing anything that stays.

    Raises:
        OSError: the file cannot be written, or is a folder or a device.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    if path.parent.is_dir():
        _touch(path.with_name(f".{_temporary_name(path, concurrent=True)}"))
    else:
        check_folder(path.parent)


def check_folder(path: Path) -> None:
    """Check that a folder is there or can be made, and that files can be written to it.

    Raises:
        OSError: files cannot be written to it.
    """
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(existing))
    _touch(existing / f".{uuid.uuid4().hex}.part")


def _touch(path: Path) -> None:
    """Make an empty file and remove it."""
    try:
        path.touch(exist_ok=False)
    finally:
        path.unlink(missing_ok=True)


def replace_folder(source: Path, path: Path) -> None:
    """Move a folder to `path` and remove the folder that was there."""
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    source.replace(path)


def _temporary_name(path: Path, *, concurrent: bool) -> str:
    return f"{path.name}-{uuid.uuid4().hex[:8]}.part" if concurrent else f"{path.name}.part"


def _sync(path: Path) -> None:
    # Opened for writing because Windows refuses to flush a file that is open for reading only.
    with path.open("rb+") as file:
        os.fsync(file.fileno())
