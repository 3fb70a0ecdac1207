"""The specifications of a search in one file, which workers map into memory instead of receiving copies.

Pickle's protocol 5 puts arrays into buffers of their own, which lie behind one another in the file. A worker's arrays
are views of its private mapping: the workers share the pages that none of them writes to, and a write changes nothing
for the others.
"""

from __future__ import annotations

import io
import mmap
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from workbench.files import stage_file
from workbench.trial import TrialSpec

# The file begins with the number of buffers and the size of the pickle; the sizes of the buffers follow.
_HEAD = struct.Struct("<QQ")
_SIZE = struct.Struct("<Q")
# Each buffer begins at a multiple of this number of bytes, as arrays like it.
_ALIGNMENT = 64


@dataclass(frozen=True)
class StoredSpec:
    """The place of a specification."""

    file: Path
    family: str

    def load(self) -> TrialSpec:
        """Read the specification; its arrays are views of the file."""
        with self.file.open("rb") as stream:
            view = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY))
        count, size = _HEAD.unpack_from(view)
        sizes = [_SIZE.unpack_from(view, _HEAD.size + _SIZE.size * index)[0] for index in range(count)]
        start = _HEAD.size + _SIZE.size * count
        pickled, buffers = view[start : start + size], []
        start += size
        for length in sizes:
            start += -start % _ALIGNMENT
            buffers.append(view[start : start + length])
            start += length
        # The command that started this process has just written the file.
        specs = cast("dict[str, TrialSpec]", pickle.loads(pickled, buffers=buffers))  # noqa: S301
        return specs[self.family]


def store_specs(specs: Mapping[str, TrialSpec], file: Path) -> None:
    """Write the specifications, by family; what they have in common is written once.

    Args:
        specs: the specifications.
        file: the file, which must last as long as a worker may read it for the first time.
    """
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(dict(specs))
    pickled = stream.getbuffer()
    parts = [buffer.raw() for buffer in buffers]
    with stage_file(file, sync=False) as part, part.open("wb") as target:
        target.write(_HEAD.pack(len(parts), len(pickled)))
        target.writelines(_SIZE.pack(view.nbytes) for view in parts)
        target.write(pickled)
        for view in parts:
            target.write(bytes(-target.tell() % _ALIGNMENT))
            target.write(view)


class _Pickler(pickle.Pickler):
    """Writes a read-only array as a writable one, which it is after a pickle without buffers, too."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is np.ndarray and not value.flags.writeable and not value.dtype.hasobject:
            return value.copy(order="A").__reduce_ex__(5)
        return NotImplemented
