"""How members' predictions become one: their mean, the mean of their ranks, a model stacked on them, or part by part.

A member has one weight, or where targets or classes are joined apart one for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array

if TYPE_CHECKING:
    from workbench.evaluation.multi_target import MultiTargetMetric


_LEAST = 1e-6


class Aggregation(Protocol):
    """Joins the predictions of the models that were blended, each (rows,), (rows, classes) or (rows, outputs)."""

    def __call__(self, members: Sequence[NDArray[Any]], weights: Array) -> Array:
        """Return the ensemble's predictions, shaped as a member's; weights are (models,), or (models, parts)."""

    def document(self) -> dict[str, Any]:
        """Return what there is to know beside the weights, for JSON."""


@dataclass(frozen=True)
class WeightedMean:
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
class RankAverage:
    """The weighted mean of ranks, for models whose scales differ; a rank is the share of fitted rows below."""

    scales: tuple[Array, ...]
    """The predictions of each model on the rows that were fitted, ascending."""

    @classmethod
    def of(cls, members: Sequence[NDArray[Any]]) -> RankAverage:
        """Return the scales of some models' predictions, (rows,) each."""
        return cls(tuple(np.sort(member).astype(np.float64) for member in members))

    def __call__(self, members: Sequence[NDArray[Any]], weights: Array) -> Array:
        """Return the mean rank, between 0 and 1."""
        return WeightedMean()([self.rank(index, member) for index, member in enumerate(members)], weights)

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
class LinearStack:
    """A linear model on values, or on the log odds of probabilities; its coefficients are `slope` times the weights."""

    slope: float
    intercepts: Array
    """(1,) or (classes,)."""
    classified: bool

    def __call__(self, members: Sequence[NDArray[Any]], weights: Array) -> Array:
        """Return values, or probabilities."""
        total = self.slope * WeightedMean()([logits(m) if self.classified else m for m in members], weights)
        return inverse_link(
            total + (self.intercepts if total.ndim == 2 else self.intercepts[0]), classified=self.classified
        )

    def document(self) -> dict[str, Any]:
        """Return slope and intercepts."""
        return {"slope": self.slope, "intercepts": self.intercepts.tolist(), "classified": self.classified}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> LinearStack:
        """Return what `document` wrote."""
        return cls(document["slope"], np.array(document["intercepts"]), document["classified"])


@dataclass(frozen=True, eq=False)
class PerOutput:
    """The columns of each target, or of each class, joined by themselves with weights of their own."""

    slices: tuple[tuple[int, int], ...]
    """The columns of each part, from the first up to, without, the last; together all columns, in order."""
    joiners: tuple[Aggregation, ...]
    """How each part is joined."""
    normalised: bool = False
    """Whether the columns are the probabilities of classes, which then are scaled to sum 1."""

    @classmethod
    def of_targets(cls, metric: MultiTargetMetric, joiners: Sequence[Aggregation]) -> PerOutput:
        """Return what joins each of several targets in its own way."""
        return cls(tuple((part.start, part.stop) for part in metric.parts), tuple(joiners))

    @classmethod
    def of_classes(cls, classes: int) -> PerOutput:
        """Return what weighs each of some classes by itself."""
        return cls(tuple((k, k + 1) for k in range(classes)), (WeightedMean(),) * classes, normalised=True)

    def __call__(self, members: Sequence[NDArray[Any]], weights: Array) -> Array:
        """Return (rows, columns); weights are (models, parts)."""
        parts = [
            joiner([_columns(member, *place) for member in members], own)
            for place, joiner, own in zip(self.slices, self.joiners, weights.T, strict=True)
        ]
        joined = np.column_stack(parts)
        return normalize_rows(joined) if self.normalised else joined

    def document(self) -> dict[str, Any]:
        """Return the slices, and how each is joined; the weights are the members'."""
        joiners = [{"kind": type(joiner).__name__, **joiner.document()} for joiner in self.joiners]
        return {"slices": [list(place) for place in self.slices], "joiners": joiners, "normalised": self.normalised}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> PerOutput:
        """Return what `document` wrote."""
        slices = tuple((int(start), int(stop)) for start, stop in document["slices"])
        joiners = tuple(
            LinearStack.read(each) if each["kind"] == "Stack" else WeightedMean() for each in document["joiners"]
        )
        return cls(slices, joiners, bool(document["normalised"]))


def normalize_rows(totals: Array) -> Array:
    """Return each row scaled to sum 1; alike where all of it is 0."""
    sums = totals.sum(axis=1, keepdims=True)
    probabilities: Array = np.divide(totals, sums, out=np.full_like(totals, 1 / totals.shape[1]), where=sums > 0)
    return probabilities


def _columns(member: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
    """Return (rows,) of one column, (rows, columns) of several."""
    return member[:, start] if stop - start == 1 else member[:, start:stop]


def logits(probabilities: NDArray[Any]) -> Array:
    """Return log odds of (rows,) probabilities, or logs of (rows, classes) less their mean; never infinite."""
    clipped = np.clip(probabilities.astype(np.float64), _LEAST, 1 - _LEAST)
    if clipped.ndim == 1:
        odds: Array = np.log(clipped) - np.log1p(-clipped)
        return odds
    logs = np.log(clipped)
    centred: Array = logs - logs.mean(axis=1, keepdims=True)
    return centred


def inverse_link(total: Array, *, classified: bool) -> Array:
    """Return what a linear model's output says: itself, or the probabilities of which it is the log odds."""
    if not classified:
        return total
    if total.ndim == 1:
        odds: Array = 1 / (1 + np.exp(-total))
        return odds
    shares = np.exp(total - total.max(axis=1, keepdims=True))
    probabilities: Array = shares / shares.sum(axis=1, keepdims=True)
    return probabilities
