"""Image files -> one array: all of one size and one kind of pixel, decoded once by many threads (Pillow).

Images are stretched to the size: padding them to one shape instead was no better for either of two kinds of padding
(`clothing`, five folds, twice: histograms of gradients + SVM 0.576 stretched, 0.546 to 0.560 padded; extra trees 0.399
and 0.390 to 0.397).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple, TypeVar

import numpy as np

from workbench.array import Array
from workbench.data import memmap
from workbench.data.cache import Cache, Tell, silent
from workbench.data.image_folder import ImageFiles
from workbench.data.memmap import MemmapArray
from workbench.errors import DataError, SourceError, format_list

if TYPE_CHECKING:
    import PIL.Image

T = TypeVar("T")
Pixel = Literal["grey", "colour", "deep"]

# Grows with every change that decodes a file to other pixels.
_VERSION = 1
# The longer side of images whose size nobody set.
_LONGEST = 128
_GREY = frozenset({"1", "L", "LA", "La"})
_DEEP = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
# Of 16 bits, what the step of 8 bits is.
_STEP = 257
# What is decoded between two writes, in bytes and in images.
_BLOCK, _FEWEST = 16 * 2**20, 16
_EVERY = 5.0
_TURNED = (5, 6, 7, 8)
_ORIENTATION = 0x0112


class ImageFormat(NamedTuple):
    """How every image comes out."""

    height: int
    width: int
    pixel: Pixel
    """`grey` and `colour` are bytes, `deep` is float32: grey levels of more than 8 bits, 0 to 65535 as a rule."""

    @classmethod
    def of(cls, x: Any) -> ImageFormat:
        """Return the look that images have which came out like this."""
        height, width = x.shape[1:3]
        return cls(height, width, "colour" if x.ndim == 4 else "grey" if x.dtype == np.uint8 else "deep")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image."""
        return (self.height, self.width, 3) if self.pixel == "colour" else (self.height, self.width)

    @property
    def dtype(self) -> str:
        """The type of a pixel's values."""
        return "float32" if self.pixel == "deep" else "uint8"


class DecodedImages(NamedTuple):
    """Images in an array."""

    x: Array | MemmapArray
    look: ImageFormat
    kept: Array
    """(files,): whether each file is in the array; a broken one is not."""
    notes: tuple[str, ...]


class ImageHeader(NamedTuple):
    """What the head of a file tells."""

    height: int
    width: int
    mode: str


def decode(
    images: ImageFiles,
    cache: Cache | None,
    *,
    look: ImageFormat | None = None,
    size: tuple[int, int] | None = None,
    skip: bool = False,
) -> DecodedImages:
    """Decode images, or take what was decoded earlier.

    Args:
        images: the files; they are known again by their places, sizes and times.
        cache: where what was decoded is kept; without it the array is in memory.
        look: how the images come out; what suits them unless given.
        size: height and width, where no look is given.
        skip: whether a broken file is left out.

    Raises:
        DataError: files are broken, and are not to be left out, or none is whole; they are named.
        SourceError: a file cannot be opened.
    """
    if cache is None:
        blocks: list[Array] = []
        facts = _decode(images, look, size, skip=skip, append=blocks.append)
        return _decoded(images, np.concatenate(blocks), facts)

    def make(folder: Path) -> None:
        with memmap.NpyWriter(folder / "x.npy") as writer:
            made = _decode(images, look, size, skip=skip, append=writer.append, tell=cache.tell)
        (folder / "facts.json").write_text(json.dumps(made))

    made_from = {"images": _identity(images), "look": look, "size": size, "skip": skip, "version": _VERSION}
    folder = cache.entry(made_from, make)
    facts = json.loads((folder / "facts.json").read_text())
    return _decoded(images, MemmapArray(folder / "x.npy", digest=facts["digest"]), facts)


def choose_format(images: ImageFiles, size: tuple[int, int] | None = None) -> ImageFormat:
    """Return the look that suits images, by the heads of the files alone.

    Raises:
        DataError: none of them is whole.
        SourceError: a file cannot be opened.
    """
    with ThreadPoolExecutor(_threads()) as pool:
        return _suiting([seen for seen in pool.map(_head, images.files) if isinstance(seen, ImageHeader)], size, images)


def _decode(
    images: ImageFiles,
    look: ImageFormat | None,
    size: tuple[int, int] | None,
    *,
    skip: bool,
    append: Callable[[Array], None],
    tell: Tell = silent,
) -> dict[str, Any]:
    """Give the pixels of all whole images to `append`, block by block; return what is to be known of them."""
    broken: dict[str, str] = {}
    remedy = (
        "Mend or remove them, or set data.corrupt: skip to learn from the others."
        if look is None
        else "Mend them: each image to predict needs its prediction."
    )
    progress = _Progress(images, tell)
    with ThreadPoolExecutor(_threads()) as pool:
        seen = [] if look else _sorted_out(images.files, pool.map(_head, images.files), broken)
        _check_whole(images, broken, remedy, skip=skip)
        look = look or _suiting([head for _, head in seen], size, images)
        words = hashlib.sha256(str(look).encode())
        files = [file for file in images.files if str(file) not in broken]
        step = max(_FEWEST, _BLOCK // (int(np.prod(look.shape)) * np.dtype(look.dtype).itemsize))
        for start in range(0, len(files), step):
            part = files[start : start + step]
            whole = _sorted_out(part, pool.map(partial(_read, look=look), part), broken)
            for _, each in whole:
                words.update(each.digest)
            if whole:
                append(np.stack([each.pixels for _, each in whole]))
            progress(start + len(part))
    _check_whole(images, broken, remedy, skip=skip)
    sizes = len({(head.height, head.width) for _, head in seen})
    return {"look": look, "broken": list(broken), "digest": words.hexdigest()[:16], "sizes": sizes}


def _decoded(images: ImageFiles, x: Array | MemmapArray, facts: Mapping[str, Any]) -> DecodedImages:
    """Return what was decoded, and say what was done to it."""
    look, broken = ImageFormat(*facts["look"]), set(facts["broken"])
    notes = []
    if broken:
        few = format_list((Path(file).name for file in facts["broken"]), 5)
        notes.append(f"left out images that cannot be decoded: {few}")
    if facts["sizes"] > 1:
        notes.append(f"images of {facts['sizes']} sizes are stretched to {look.height} × {look.width} pixels")
    kept = np.array([str(file) not in broken for file in images.files])
    return DecodedImages(x, look, kept, tuple(notes))


def _sorted_out(files: Sequence[Path], results: Iterable[T | str], broken: dict[str, str]) -> list[tuple[Path, T]]:
    """Return what is there of each file; a reason instead goes to `broken`."""
    whole = []
    for file, result in zip(files, results, strict=True):
        if isinstance(result, str):
            broken[str(file)] = result
        else:
            whole.append((file, result))
    return whole


def _check_whole(images: ImageFiles, broken: Mapping[str, str], remedy: str, *, skip: bool) -> None:
    if len(broken) == len(images.files) or (broken and not skip):
        few = format_list((f"{_seen_from(images.folder, Path(f))} ({reason})" for f, reason in broken.items()), 5)
        raise DataError(f"{images.folder}: images must be whole. Received broken ones: {few}. {remedy}")


def _suiting(seen: Sequence[ImageHeader], size: tuple[int, int] | None, images: ImageFiles) -> ImageFormat:
    """Return the look that suits images: of the median height and width, both shrunk where one is long."""
    if not seen:
        raise DataError(f"{images.folder}: images must be whole. Received: none of {len(images.files)} is. Mend them.")
    modes = {head.mode for head in seen}
    pixel: Pixel = "grey" if modes <= _GREY else "deep" if modes <= _GREY | _DEEP else "colour"
    if size is None:
        height, width = np.median([(head.height, head.width) for head in seen], axis=0)
        shrink = min(1.0, _LONGEST / max(height, width))
        size = max(1, round(height * shrink)), max(1, round(width * shrink))
    return ImageFormat(*size, pixel)


def _head(file: Path) -> ImageHeader | str:
    """Return what the head of a file tells, or why it cannot be read."""
    import PIL.Image

    with _opened(file) as stream:
        try:
            with PIL.Image.open(stream) as image:
                width, height = image.size
                if image.getexif().get(_ORIENTATION) in _TURNED:
                    width, height = height, width
                return ImageHeader(height, width, image.mode)
        except _broken() as error:
            return _reason(error)


class _Pixels(NamedTuple):
    pixels: Array
    digest: bytes
    """Of the file, not of the pixels: another version of Pillow may round otherwise."""


def _read(file: Path, look: ImageFormat) -> _Pixels | str:
    """Decode one image, or say why it cannot be decoded."""
    import PIL.Image

    with _opened(file) as stream:
        content = stream.read()
    try:
        with PIL.Image.open(io.BytesIO(content)) as image:
            return _Pixels(_pixels(image, look), hashlib.sha256(content).digest())
    except _broken() as error:
        return _reason(error)


def _pixels(image: PIL.Image.Image, look: ImageFormat) -> Array:
    """Return an image upright, opaque and stretched."""
    import PIL.Image
    import PIL.ImageOps

    if look.pixel != "deep":
        # A JPEG can be decoded at an eighth, a quarter or a half of its size, many times faster.
        image.draft(None, (2 * max(look[:2]), 2 * max(look[:2])))
    image = PIL.ImageOps.exif_transpose(image)
    if look.pixel == "deep":
        image = PIL.Image.fromarray(_levels(image))
    elif image.mode in _DEEP:
        image = PIL.Image.fromarray((_levels(image) / _STEP).clip(0, 255).astype("uint8"))
    else:
        image = _opaque(image)
    image = image if look.pixel == "deep" else image.convert("RGB" if look.pixel == "colour" else "L")
    if image.size != (look.width, look.height):
        image = image.resize((look.width, look.height), PIL.Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    if look.pixel == "deep" and not np.isfinite(pixels).all():
        raise ValueError("values that are not finite")
    return pixels


def _levels(image: PIL.Image.Image) -> Array:
    """Return grey levels as float32, those of 8 bits on the scale of 16."""
    if image.mode in _DEEP:
        return np.asarray(image).astype("float32")
    return np.asarray(_opaque(image).convert("L")).astype("float32") * _STEP


def _opaque(image: PIL.Image.Image) -> PIL.Image.Image:
    """Return an image on white where it is transparent."""
    import PIL.Image

    if not image.has_transparency_data:
        return image
    rgba = image.convert("RGBA")
    return PIL.Image.alpha_composite(PIL.Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise SourceError(f"{file}: cannot be read ({error.strerror}). Check that it is there, and who may.") from error


def _broken() -> tuple[type[Exception], ...]:
    """Return what Pillow raises where a file is not what it must be."""
    import PIL.Image

    shapeless = (SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error, zlib.error)
    return (OSError, *shapeless, PIL.Image.DecompressionBombError)


def _reason(error: Exception) -> str:
    sentence = str(error).partition("<_io")[0].strip().rstrip(".:")
    return sentence or type(error).__name__


def _identity(images: ImageFiles) -> list[Any]:
    """Return what files are known again by without reading them."""
    stats = ((file, file.stat()) for file in images.files)
    return [(_seen_from(images.folder, file), stat.st_size, stat.st_mtime_ns) for file, stat in stats]


def _seen_from(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.as_posix()


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Progress:
    """Tells now and then how many images are decoded."""

    def __init__(self, images: ImageFiles, tell: Tell) -> None:
        self._images, self._tell, self._told = images, tell, time.monotonic()

    def __call__(self, done: int) -> None:
        if time.monotonic() - self._told > _EVERY:
            self._told = time.monotonic()
            self._tell(f"Decoding {self._images.folder.name}: {done:,} of {len(self._images.files):,} images")
