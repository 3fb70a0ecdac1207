"""Sequences of unequal lengths in one array: at their ends, steps that are NaN in all channels."""

from __future__ import annotations

import numpy as np

from workbench.array import Array
from workbench.errors import DataError


def lengths(found: Array, shape: tuple[int, ...], name: str) -> Array:
    """Return how many steps each row has, held against the shape of x.

    Args:
        found: the array that says so.
        shape: (rows, steps, …) of x.
        name: the file's, for messages.

    Raises:
        DataError: it does not have one whole number for each row, from 1 to the steps of x.
    """
    rows, steps = shape[:2]
    sentence = f"{name}: lengths must have one whole number for each of the {rows} rows of x, from 1 to {steps}."
    if found.dtype.kind not in "iuf" or found.size != rows or len(found) != rows:
        raise DataError(f"{sentence} Received: {found.dtype} of the shape {found.shape}. Make them fit.")
    flat = found.reshape(rows)
    unfit = ~((flat >= 1) & (flat <= steps) & (flat % 1 == 0))
    if unfit.any():
        first = int(unfit.argmax())
        raise DataError(f"{sentence} Received: {flat[first]} in row {first}. Correct it.")
    return flat.astype("int64")


def real_steps(steps: int, lengths: Array) -> Array:
    """Return a mask (rows, steps) of what is not padding."""
    return np.asarray(np.arange(steps) < lengths[:, np.newaxis])


def to_padded(x: Array, *, lengths: Array | None = None, steps: int | None = None) -> Array:
    """Return sequences as (rows, steps, channels): uint8 as they are, float32 where they are padded or others.

    Args:
        x: (rows, steps) or (rows, steps, channels).
        lengths: (rows,) how many steps of each row are real; all unless given.
        steps: how many steps there are to be; what is more is cut off at the end, what is less is padded.
    """
    x = x[..., np.newaxis] if x.ndim == 2 else x
    if lengths is not None or x.dtype != np.uint8:
        x = x.astype("float32")
    if lengths is not None:
        x[~real_steps(x.shape[1], lengths)] = np.nan
    if steps is not None and steps > x.shape[1]:
        more = np.full((len(x), steps - x.shape[1], x.shape[2]), np.nan, "float32")
        return np.concatenate([x.astype("float32"), more], axis=1)
    return x[:, :steps]
