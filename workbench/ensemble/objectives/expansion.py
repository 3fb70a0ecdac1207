"""The second-order expansion of a loss: what it costs to ask does not depend on the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workbench.array import Array


@dataclass(frozen=True, eq=False)
class QuadraticExpansion:
    """The second-order expansion of a loss around some weights; all (models,) or (models, models)."""

    at: Array
    """The weights around which it is expanded."""
    falling: Array
    """The gradient there."""
    bend: Array
    """The Hessian there."""

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return a function of other weights: how much their loss is above that of `weights`."""
        gradient = self.gradient(weights)

        def change(others: Array) -> float:
            move = others - weights
            return float(move @ (gradient + 0.5 * (self.bend @ move)))

        return change

    def gradient(self, weights: Array) -> Array:
        """Return the gradient at some weights."""
        gradient: Array = self.falling + self.bend @ (weights - self.at)
        return gradient

    def hessian(self, weights: Array) -> Array:
        """Return the Hessian, the same everywhere."""
        return self.bend
