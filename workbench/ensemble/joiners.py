"""How members' predictions become one: their weighted mean, the mean of their ranks, or a model stacked on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LEAST = 1e-6


class Joiner(Protocol):
    """Joins the predictions of the models that were blended, each (rows,) or (rows, classes)."""

    def __call__(self, members: Sequence[NDArray[Any]], weights: Array) -> Array:
        """Return the ensemble's predictions, shaped as a member's."""

    def document(self) -> dict[str, Any]:
        """Return what there is to know beside the weights, for JSON."""


@dataclass(frozen=True)
class Mean:
    """The weighted mean."""

    def __call__(self, members: Sequence[NDArray[Any]], weights: Array) -> Array:
        """Return the mean, touching only members that have weight."""
        joined = np.zeros(members[0].shape)
        for index in np.flatnonzero(weights).tolist():
            joined += weights[index] * members[index]
        return joined

    def document(self) -> dict[str, Any]:
        """Return nothing: the weights say it all."""
        return {}


@dataclass(frozen=True, eq=False)
class Ranks:
    """The weighted mean of ranks, for models whose scales differ; a rank is the share of fitted rows below."""

    scales: tuple[Array, ...]
    """The predictions of each model on the rows that were fitted, ascending."""

    @classmethod
    def of(cls, members: Sequence[NDArray[Any]]) -> "Ranks":
        """Return the scales of some models' predictions, (rows,) each."""
        return cls(tuple(np.sort(member).astype(np.float64) for member in members))

    def __call__(self, members: Sequence[NDArray[Any]], weights: Array) -> Array:
        """Return the mean rank, between 0 and 1."""
        return Mean()([self.rank(index, member) for index, member in enumerate(members)], weights)

    def rank(self, index: int, predictions: NDArray[Any]) -> Array:
        """Return the share of one model's fitted predictions below each of these, equal ones counting half."""
        scale = self.scales[index]
        below, upto = np.searchsorted(scale, predictions), np.searchsorted(scale, predictions, side="right")
        ranks: Array = (below + upto) / (2 * len(scale))
        return ranks

    def document(self) -> dict[str, Any]:
        """Return nothing: the scales are the members' out-of-fold predictions."""
        return {}


@dataclass(frozen=True, eq=False)
class Stack:
    """A linear model on values, or on the log odds of probabilities; its coefficients are `slope` times the weights."""

    slope: float
    intercepts: Array
    """(1,) or (classes,)."""
    classified: bool

    def __call__(self, members: Sequence[NDArray[Any]], weights: Array) -> Array:
        """Return values, or probabilities."""
        total = self.slope * Mean()([logits(m) if self.classified else m for m in members], weights)
        return linked(total + (self.intercepts if total.ndim == 2 else self.intercepts[0]), classified=self.classified)

    def document(self) -> dict[str, Any]:
        """Return slope and intercepts."""
        return {"slope": self.slope, "intercepts": self.intercepts.tolist(), "classified": self.classified}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Stack":
        """Return what `document` wrote."""
        return cls(document["slope"], np.array(document["intercepts"]), document["classified"])


def logits(probabilities: NDArray[Any]) -> Array:
    """Return log odds of (rows,) probabilities, or logs of (rows, classes) less their mean; never infinite."""
    clipped = np.clip(probabilities.astype(np.float64), _LEAST, 1 - _LEAST)
    if clipped.ndim == 1:
        odds: Array = np.log(clipped) - np.log1p(-clipped)
        return odds
    logs = np.log(clipped)
    centred: Array = logs - logs.mean(axis=1, keepdims=True)
    return centred


def linked(total: Array, *, classified: bool) -> Array:
    """Return what a linear model's output says: itself, or the probabilities of which it is the log odds."""
    if not classified:
        return total
    if total.ndim == 1:
        odds: Array = 1 / (1 + np.exp(-total))
        return odds
    shares = np.exp(total - total.max(axis=1, keepdims=True))
    probabilities: Array = shares / shares.sum(axis=1, keepdims=True)
    return probabilities
