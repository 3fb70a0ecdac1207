"""The first layers of nets that process sequences or texts step by step, and their padding mask."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras


class SequenceStem(NamedTuple):
    """The first layers of a net for sequences or texts."""

    inputs: list[Any]
    """The net's inputs, in the order of the preprocessor's matrices."""
    steps: Any
    """(rows, steps, values): time steps or embedded tokens, 0 where a row is padded."""
    mask: Any
    """(rows, steps) of True for steps that are not padding; each row's first step is one."""
    other_columns: Any | None
    """(rows, values): the table's other columns, scaled, to be concatenated after the steps are pooled; None if there
    are none."""


class MaskedSteps(NamedTuple):
    """Steps and their padding mask."""

    steps: Any
    """(rows, steps, values)."""
    mask: Any
    """(rows, steps) of True for steps that are not padding."""


def mask_padding(steps: Any, mask: Any) -> Any:
    """Return steps with 0 for padding, so that no convolution mixes padding into its neighbours."""
    return steps * keras.ops.cast(mask, steps.dtype)[:, :, None]
