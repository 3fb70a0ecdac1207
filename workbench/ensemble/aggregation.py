"""Aggregations of the members' predictions: weighted mean, mean of ranks, linear stack, or one of these per output.

`AGGREGATIONS` lists the classes by the name under which saved documents hold them. A document holds what its
`document` method returns; `arrays` holds what is too large for JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array

if TYPE_CHECKING:
    from workbench.evaluation.multi_target import MultiTargetMetric

# Probabilities are clipped to this distance from 0 and 1 before their log odds are taken.
_CLIP = 1e-6


class Aggregation(Protocol):
    """Combines the predictions of the models that were blended, each (rows,), (rows, classes) or (rows, outputs)."""

    kind: ClassVar[str]
    """The name in saved documents. It never changes, whatever the class is called."""

    def __call__(self, members: Sequence[NDArray[Any]], weights: Array) -> Array:
        """Return the ensemble's predictions, shaped as a member's; weights are (models,), or (models, outputs)."""

    def document(self) -> dict[str, Any]:
        """Return the parameters that JSON can hold, without the weights."""

    def arrays(self) -> tuple[Array, ...]:
        """Return the parameters that JSON cannot hold."""

    @classmethod
    def from_document(cls, document: Mapping[str, Any], arrays: Sequence[Array] = ()) -> Self:
        """Return the aggregation that `document` and `arrays` describe."""

    def restore(self, load: Callable[[], Sequence[NDArray[Any]]]) -> Aggregation:
        """Return the aggregation with the arrays that a document alone leaves out.

        Args:
            load: returns the members' out-of-fold predictions; called only where they are needed.
        """


@dataclass(frozen=True)
class WeightedMean:
    """The weighted mean."""

    kind: ClassVar[str] = "Mean"

    def __call__(self, members: Sequence[NDArray[Any]], weights: Array) -> Array:
        """Return the mean; members without weight are not read."""
        combined = np.zeros(members[0].shape)
        for index in np.flatnonzero(weights).tolist():
            combined += weights[index] * members[index]
        return combined

    def document(self) -> dict[str, Any]:
        """Return nothing: there are no parameters beside the weights."""
        return {}

    def arrays(self) -> tuple[Array, ...]:
        """Return nothing."""
        return ()

    @classmethod
    def from_document(cls, document: Mapping[str, Any], arrays: Sequence[Array] = ()) -> Self:
        """Return the mean."""
        return cls()

    def restore(self, load: Callable[[], Sequence[NDArray[Any]]]) -> WeightedMean:
        """Return the mean as it is."""
        return self


@dataclass(frozen=True, eq=False)
class RankAverage:
    """The weighted mean of ranks, for models whose scales differ; a rank is the share of fitted rows below."""

    kind: ClassVar[str] = "Ranks"

    scales: tuple[Array, ...]
    """The predictions of each model on the rows that were fitted, ascending."""

    @classmethod
    def of(cls, members: Sequence[NDArray[Any]]) -> RankAverage:
        """Return the scales of the models' predictions, (rows,) each."""
        return cls(tuple(np.sort(member).astype(np.float64) for member in members))

    def __call__(self, members: Sequence[NDArray[Any]], weights: Array) -> Array:
        """Return the mean rank, between 0 and 1."""
        return WeightedMean()([self.rank(index, member) for index, member in enumerate(members)], weights)

    def rank(self, index: int, predictions: NDArray[Any]) -> Array:
        """Return the share of one model's fitted predictions below each of these; ties count half."""
        scale = self.scales[index]
        below, upto = np.searchsorted(scale, predictions), np.searchsorted(scale, predictions, side="right")
        ranks: Array = (below + upto) / (2 * len(scale))
        return ranks

    def document(self) -> dict[str, Any]:
        """Return nothing: the scales are the members' out-of-fold predictions."""
        return {}

    def arrays(self) -> tuple[Array, ...]:
        """Return the scales."""
        return self.scales

    @classmethod
    def from_document(cls, document: Mapping[str, Any], arrays: Sequence[Array] = ()) -> Self:
        """Return the ranks by these scales; without them, `restore` finds them."""
        return cls(tuple(arrays))

    def restore(self, load: Callable[[], Sequence[NDArray[Any]]]) -> RankAverage:
        """Return the ranks by the scales of the members' out-of-fold predictions."""
        return self.of(load())


@dataclass(frozen=True, eq=False)
class LinearStack:
    """A linear model on values, or on the log odds of probabilities; its coefficients are `slope` times the weights."""

    kind: ClassVar[str] = "Stack"

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

    def arrays(self) -> tuple[Array, ...]:
        """Return nothing."""
        return ()

    @classmethod
    def from_document(cls, document: Mapping[str, Any], arrays: Sequence[Array] = ()) -> Self:
        """Return the stack with this slope and these intercepts."""
        return cls(document["slope"], np.array(document["intercepts"]), document["classified"])

    def restore(self, load: Callable[[], Sequence[NDArray[Any]]]) -> LinearStack:
        """Return the stack as it is."""
        return self


@dataclass(frozen=True, eq=False)
class PerOutput:
    """Combines the columns of each target, or of each class, separately, with weights of their own."""

    kind: ClassVar[str] = "Apart"

    slices: tuple[tuple[int, int], ...]
    """The columns of each output, first and last (exclusive); together they are all columns, in order."""
    aggregations: tuple[Aggregation, ...]
    """The aggregation of each output."""
    normalised: bool = False
    """Whether the columns are class probabilities, which then are scaled to sum 1."""

    @classmethod
    def of_targets(cls, metric: MultiTargetMetric, aggregations: Sequence[Aggregation]) -> PerOutput:
        """Return an aggregation for each of several targets."""
        return cls(tuple((part.start, part.stop) for part in metric.parts), tuple(aggregations))

    @classmethod
    def of_classes(cls, classes: int) -> PerOutput:
        """Return a weighted mean for each class."""
        return cls(tuple((k, k + 1) for k in range(classes)), (WeightedMean(),) * classes, normalised=True)

    def __call__(self, members: Sequence[NDArray[Any]], weights: Array) -> Array:
        """Return (rows, columns); weights are (models, outputs)."""
        outputs = [
            aggregation([_columns(member, *span) for member in members], column)
            for span, aggregation, column in zip(self.slices, self.aggregations, weights.T, strict=True)
        ]
        combined = np.column_stack(outputs)
        return normalize_rows(combined) if self.normalised else combined

    def document(self) -> dict[str, Any]:
        """Return the slices and the aggregation of each."""
        return {
            "slices": [list(span) for span in self.slices],
            "joiners": [to_document(aggregation) for aggregation in self.aggregations],
            "normalised": self.normalised,
        }

    def arrays(self) -> tuple[Array, ...]:
        """Return nothing: no method that ranks gives each output its own weights."""
        return ()

    @classmethod
    def from_document(cls, document: Mapping[str, Any], arrays: Sequence[Array] = ()) -> Self:
        """Return the aggregation of each output."""
        slices = tuple((int(start), int(stop)) for start, stop in document["slices"])
        return cls(slices, tuple(from_document(each) for each in document["joiners"]), bool(document["normalised"]))

    def restore(self, load: Callable[[], Sequence[NDArray[Any]]]) -> PerOutput:
        """Return the aggregation as it is."""
        return self


_CLASSES: tuple[type[Aggregation], ...] = (WeightedMean, RankAverage, LinearStack, PerOutput)
AGGREGATIONS: Mapping[str, type[Aggregation]] = {each.kind: each for each in _CLASSES}
"""The classes by the name that saved documents hold."""


def to_document(aggregation: Aggregation) -> dict[str, Any]:
    """Return the kind and the parameters of an aggregation, as JSON can hold them."""
    return {"kind": aggregation.kind, **aggregation.document()}


def from_document(document: Mapping[str, Any], arrays: Sequence[Array] = ()) -> Aggregation:
    """Return the aggregation that `to_document` described.

    Args:
        document: the kind and the parameters.
        arrays: the parameters that `Aggregation.arrays` returned.
    """
    return AGGREGATIONS[document["kind"]].from_document(document, arrays)


def normalize_rows(totals: Array) -> Array:
    """Return each row scaled to sum 1; a row of zeros becomes uniform."""
    sums = totals.sum(axis=1, keepdims=True)
    probabilities: Array = np.divide(totals, sums, out=np.full_like(totals, 1 / totals.shape[1]), where=sums > 0)
    return probabilities


def _columns(member: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
    """Return (rows,) for one column, (rows, columns) for several."""
    return member[:, start] if stop - start == 1 else member[:, start:stop]


def logits(probabilities: NDArray[Any]) -> Array:
    """Return log odds of (rows,) probabilities, or centred logs of (rows, classes); never infinite."""
    clipped = np.clip(probabilities.astype(np.float64), _CLIP, 1 - _CLIP)
    if clipped.ndim == 1:
        odds: Array = np.log(clipped) - np.log1p(-clipped)
        return odds
    logs = np.log(clipped)
    centred: Array = logs - logs.mean(axis=1, keepdims=True)
    return centred


def inverse_link(total: Array, *, classified: bool) -> Array:
    """Return a linear model's output as predictions: itself, or the probabilities that it is the log odds of."""
    if not classified:
        return total
    if total.ndim == 1:
        probabilities: Array = 1 / (1 + np.exp(-total))
        return probabilities
    exponentials = np.exp(total - total.max(axis=1, keepdims=True))
    softmax: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return softmax
