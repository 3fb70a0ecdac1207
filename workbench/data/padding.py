"""Sequences of unequal lengths in one array, padded at their ends with steps that are NaN in all channels."""

from __future__ import annotations

import numpy as np

from workbench.array import Array
from workbench.errors import DataError


def lengths(values: Array, shape: tuple[int, ...], name: str) -> Array:
    """Return the number of steps of each row, checked against the shape of x.

    Args:
        values: the array of lengths.
        shape: (rows, steps, …) of x.
        name: the file's name, for messages.

    Raises:
        DataError: the array does not have one whole number for each row, from 1 to the steps of x.
    """
    rows, steps = shape[:2]
    rule = f"{name}: lengths must have one whole number for each of the {rows} rows of x, from 1 to {steps}."
    if values.dtype.kind not in "iuf" or values.size != rows or len(values) != rows:
        raise DataError(f"{rule} Received: {values.dtype} of the shape {values.shape}. Make them fit.")
    flat = values.reshape(rows)
    unfit = ~((flat >= 1) & (flat <= steps) & (flat % 1 == 0))
    if unfit.any():
        first = int(unfit.argmax())
        raise DataError(f"{rule} Received: {flat[first]} in row {first}. Correct it.")
    return flat.astype("int64")


def real_steps(steps: int, lengths: Array) -> Array:
    """Return a mask (rows, steps) of the steps that are not padding."""
    return np.asarray(np.arange(steps) < lengths[:, np.newaxis])


def to_padded(x: Array, *, lengths: Array | None = None, steps: int | None = None) -> Array:
    """Return sequences as (rows, steps, channels); uint8 stays unless padded, everything else becomes float32.

    Args:
        x: (rows, steps) or (rows, steps, channels).
        lengths: (rows,) number of real steps of each row. Default: all.
        steps: number of steps that longer sequences are cut at and shorter ones padded to. Default: unchanged.
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
