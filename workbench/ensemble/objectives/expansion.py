"""The second-order expansion of a loss: what it costs to ask does not depend on the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workbench.array import Array


@dataclass(frozen=True, eq=False)
class QuadraticExpansion:
    """How a loss changes around some weights, to second order; all (models,) or (models, models)."""

    at: Array
    """The weights around which it is expanded."""
    falling: Array
    """The slopes there."""
    bend: Array
    """The curvature there."""

    def change_from(self, weights: Array) -> Callable[[Array], float]:
        """Return a function of other weights: how much their loss is above that of `weights`."""
        slopes = self.slopes(weights)

        def change(others: Array) -> float:
            move = others - weights
            return float(move @ (slopes + 0.5 * (self.bend @ move)))

        return change

    def slopes(self, weights: Array) -> Array:
        """Return the gradient at some weights."""
        slopes: Array = self.falling + self.bend @ (weights - self.at)
        return slopes

    def curvature(self, weights: Array) -> Array:
        """Return the Hessian, the same everywhere."""
        return self.bend
