"""The options of a blend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Weighting = Literal["shared", "target", "class"]
"""Whether a model has one weight, one for each of several targets, or one for each class."""

SECONDS = 20.0


@dataclass(frozen=True)
class BlendOptions:
    """The options of a blend."""

    method: str = "nelder_mead"
    weighting: Weighting | None = "shared"
    """None leaves the choice to the cross-fitted score."""
    members: int | None = None
    """The most models that may have weight; None allows all."""
    shrink: bool = False
    """Whether weights are shrunk towards safer ones; see `regularization`."""
    simplify: bool = True
    """Whether a cross-fitted blend gives way to a simpler one; see `decision`."""
    seed: int = 0
    seconds: float | None = None
    """The time limit; None is a default of the function that takes the options."""
