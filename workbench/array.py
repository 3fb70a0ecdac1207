"""The one name for NumPy arrays in annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

# A string, so that a module which only names the type does not load NumPy.
Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
