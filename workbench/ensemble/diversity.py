"""The diversity of an ensemble: the differences between members, and the contribution of each.

The ensemble is taken as the weighted mean of its members. Three measures answer different questions: whether members
are wrong on the same rows (error correlation), whether they predict the same (disagreement), and how much the mean
gains over its members (ambiguity). With several targets each figure is the weighted mean over the targets.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.array import Array
from workbench.ensemble.aggregation import Aggregation, PerOutput, WeightedMean
from workbench.ensemble.blend import blend
from workbench.ensemble.multi_target_scorer import target_weights
from workbench.ensemble.objectives.log_loss import LEAST_PROBABILITY, true_class
from workbench.ensemble.per_class import class_frequencies
from workbench.ensemble.prediction_matrix import SUM_TOLERANCE, PredictionMatrix, Predictions, gather
from workbench.errors import EnsembleError

if TYPE_CHECKING:
    from workbench.evaluation import Metric

SECONDS = 10.0

_SUM_TOLERANCE = 1e-6
_CONSTANT = 1e-12
_FIGURES = ("contribution", "error_correlation", "disagreement")


@dataclass(frozen=True)
class Ambiguity:
    """The gain of the mean over its members: `ensemble_loss` is `mean_member_loss` - `ambiguity`, exactly."""

    measure: str
    """`log_loss` of classes, `squared_error` of values: the losses with this decomposition, whatever the metric."""
    mean_member_loss: float
    """The weighted mean of the members' losses."""
    ambiguity: float
    """At least 0; 0 where all members that have weight agree.

    Of squared error the weighted mean of the members' squared distances from the ensemble (Krogh and Vedelsby, "Neural
    network ensembles, cross validation, and active learning", 1995); of log loss the gap in Jensen's inequality, by
    which the logarithm of a mean is above the mean of logarithms.
    """
    ensemble_loss: float


@dataclass(frozen=True)
class MemberDiversity:
    """The figures of one member."""

    name: str
    weight: float
    contribution: float | None
    """The worsening of the metric without the member; None for a single member."""
    reoptimised: bool
    """Whether the others were blended again for that."""
    mean_error_correlation: float | None
    """The mean over the other members; None for a single member."""
    mean_disagreement: float | None
    """The mean over the other members; None for a single member."""


@dataclass(frozen=True, eq=False)
class Diversity:
    """The differences between members, in the order in which they were given."""

    names: tuple[str, ...]
    weights: Array
    """(models,); of weights by target or class their mean."""
    measures: Mapping[str, str]
    """Describes what each of the figures below measures, by its name."""
    error_correlation: Array
    """(models, models) Pearson correlation of the members' errors.

    Of values the error is prediction - target, of classes 1 - the probability of the true class. A member whose error
    is the same on every row has a correlation of 0 with the others.
    """
    disagreement: Array
    """(models, models) how much members' predictions differ, right or wrong.

    Of classes the share of rows on which the likeliest class differs (from a probability of 0.5 it is class 1), of
    values the root mean squared difference over the standard deviation of the target.
    """
    ambiguity: Ambiguity | None
    """None where classes are predicted by something other than probabilities, where classes have weights of their own,
    and of several targets where some are classes and some values."""
    contributions: Array | None
    """(models,) how much worse the metric becomes without the member, in its units; above 0 the member helps.

    Both ensembles, with the member and without, are blended again, so that the difference is the member's and not that
    of the given weights. None for a single member, without which nothing is left.
    """
    reoptimised: NDArray[np.bool_]
    """(models,) whether there was time for that; otherwise the others keep their given weights, scaled to sum 1."""

    @property
    def members(self) -> tuple[MemberDiversity, ...]:
        """The figures of each member, in the order in which they were given."""
        return tuple(
            MemberDiversity(
                name=name,
                weight=float(self.weights[index]),
                contribution=None if self.contributions is None else float(self.contributions[index]),
                reoptimised=bool(self.reoptimised[index]),
                mean_error_correlation=_mean_of_others(self.error_correlation, index),
                mean_disagreement=_mean_of_others(self.disagreement, index),
            )
            for index, name in enumerate(self.names)
        )

    def document(self) -> dict[str, Any]:
        """Return everything as JSON can hold it, the matrices in the order of `members`."""
        return {
            "members": [asdict(member) for member in self.members],
            "contribution": {"measure": self.measures["contribution"]},
            "error_correlation": {
                "measure": self.measures["error_correlation"],
                "matrix": self.error_correlation.tolist(),
            },
            "disagreement": {"measure": self.measures["disagreement"], "matrix": self.disagreement.tolist()},
            "ambiguity": None if self.ambiguity is None else asdict(self.ambiguity),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Diversity:
        """Return the diversity that `document` describes."""
        members, ambiguity = document["members"], document["ambiguity"]
        contributions = [member["contribution"] for member in members]
        return cls(
            names=tuple(member["name"] for member in members),
            weights=np.array([member["weight"] for member in members]),
            measures={name: document[name]["measure"] for name in _FIGURES},
            error_correlation=np.array(document["error_correlation"]["matrix"]),
            disagreement=np.array(document["disagreement"]["matrix"]),
            ambiguity=None if ambiguity is None else Ambiguity(**ambiguity),
            contributions=None if None in contributions else np.array(contributions),
            reoptimised=np.array([member["reoptimised"] for member in members], dtype=np.bool_),
        )


def diversity(
    predictions: Predictions,
    y: ArrayLike,
    metric: str | Metric,
    weights: ArrayLike,
    *,
    classes: Sequence[object] | None = None,
    sample_weight: ArrayLike | None = None,
    seed: int = 0,
    seconds: float | None = None,
    names: Sequence[str] | None = None,
) -> Diversity:
    """Compare the members of an ensemble with each other, and the ensemble with the one without each member.

    Args:
        predictions: as for `blend`.
        y: as for `blend`.
        metric: as for `blend`.
        weights: (models,) at least 0, sum 1; or those that `Blend.output_weights` has by target or class.
        classes: as for `blend`.
        sample_weight: (rows,) how much each row counts, in every figure.
        seed: as for `blend`.
        seconds: for all blends together, the members with most weight first; 10 unless given.
        names: the members' names in the document; `model 0` and so on unless given.

    Raises:
        EnsembleError: as for `blend`; or the weights or names do not fit the predictions.
        EvaluationError: as for `blend`.
    """
    end = time.monotonic() + (SECONDS if seconds is None else seconds)
    matrix = gather(predictions, y, metric, classes, sample_weight)
    # The matrix leaves constant models out, but not a model that comes alone; here all are compared.
    known = dict(zip(matrix.order.tolist(), matrix.members, strict=True))
    members = [
        known[index] if index in known else gather([model], y, metric, classes).members[0]
        for index, model in enumerate(predictions)  # type: ignore[arg-type]
    ]
    given = _weights(weights, matrix, len(members))
    labels = tuple(f"model {index}" for index in range(len(members))) if names is None else tuple(names)
    if len(labels) != len(members):
        raise EnsembleError(f"names must hold a name for each of the {len(members)} models. Received: {len(labels)}.")
    rows = np.ones(len(matrix.y)) if matrix.sample_weight is None else matrix.sample_weight
    comparisons, counts = _compare(members, matrix, rows / rows.sum())
    aggregation = _aggregation(matrix, given)
    weighting = "shared" if given.ndim == 1 else "target" if matrix.parts else "class"
    refit = {"sample_weight": matrix.sample_weight, "seed": seed, "weights": weighting}
    ensemble = _Ensemble(members, matrix, aggregation, given, refit)
    contributions, reoptimised = ensemble.contributions(end)
    return Diversity(
        names=labels,
        weights=given if given.ndim == 1 else given @ (counts if matrix.parts else class_frequencies(matrix)),
        measures=_measures(matrix.metric.name, {each.classified for each in comparisons}),
        error_correlation=_mean([each.error_correlation() for each in comparisons], counts),
        disagreement=_mean([each.disagreement() for each in comparisons], counts),
        ambiguity=None if weighting == "class" else _ambiguity(comparisons, given, counts),
        contributions=contributions,
        reoptimised=reoptimised,
    )


def _weights(given: ArrayLike, matrix: PredictionMatrix, models: int) -> Array:
    """Return weights, (models,) or (models, outputs), checked and scaled to sum one."""
    weights = np.asarray(given, dtype=np.float64)
    parts = len(matrix.parts) or (matrix.members[0].shape[1] if matrix.members[0].ndim == 2 else 1)
    sums = weights.sum(axis=0)
    fits = weights.shape in ((models,), (models, parts))
    if not fits or not weights.min() >= 0 or not (np.abs(sums - 1) <= _SUM_TOLERANCE).all():
        shown = np.array2string(sums, precision=4, threshold=4)
        raise EnsembleError(
            f"weights must hold a number of 0 or more for each of the {models} models, of sum 1. "
            f"Received: an array of shape {weights.shape} and sum {shown}. Take those that blend returned."
        )
    scaled: Array = weights / sums
    return scaled


def _aggregation(matrix: PredictionMatrix, weights: Array) -> Aggregation:
    """Return the aggregation of the members: their mean, or the mean of each target or class."""
    if weights.ndim == 1:
        return WeightedMean()
    if matrix.multi_target_metric is None:
        return PerOutput.of_classes(weights.shape[1])
    return PerOutput.of_targets(matrix.multi_target_metric, [WeightedMean()] * weights.shape[1])


def _compare(members: list[NDArray[Any]], matrix: PredictionMatrix, share: Array) -> tuple[list[_Comparison], Array]:
    """Return the comparison of the members on each target, and how much each target counts."""
    if matrix.multi_target_metric is None:
        return [_Comparison(members, matrix.y, share, classified=_predicts_classes(matrix))], np.ones(1)
    comparisons = []
    for target, part in zip(matrix.multi_target_metric.parts, matrix.parts, strict=True):
        classified = target.classes > 0 and _predicts_classes(part)
        predictions = [target.predictions(member) for member in members]
        comparisons.append(_Comparison(predictions, part.y, share, classified=classified))
    return comparisons, target_weights(matrix.multi_target_metric)


def _mean(matrices: Sequence[Array], counts: Array) -> Array:
    """Return the weighted mean of the targets' figures."""
    mean: Array = np.tensordot(counts, np.stack(matrices), axes=1)
    return mean


def _ambiguity(comparisons: Sequence[_Comparison], weights: Array, counts: Array) -> Ambiguity | None:
    """Return the mean over targets, where all have the same measure."""
    columns = weights.T if weights.ndim == 2 else [weights] * len(comparisons)
    found = [each.ambiguity(own) for each, own in zip(comparisons, columns, strict=True)]
    known = [each for each in found if each is not None]
    if len(known) < len(found) or len({each.measure for each in known}) > 1:
        return None
    means = counts @ [(each.mean_member_loss, each.ambiguity, each.ensemble_loss) for each in known]
    return Ambiguity(known[0].measure, *means.tolist())


def _predicts_classes(matrix: PredictionMatrix) -> bool:
    """Return whether predictions say how likely each class is, as probabilities or in another way."""
    if matrix.classified or matrix.members[0].ndim == 1:
        return matrix.classified
    if not np.isin(matrix.y, np.arange(matrix.members[0].shape[1])).all():
        raise EnsembleError(
            f"y must hold class indices where a model predicts {matrix.members[0].shape[1]} columns. "
            f"Received: {matrix.y[:3].tolist()}. Pass classes=[…] where y holds labels."
        )
    return True


def _measures(metric: str, classified: set[bool]) -> dict[str, str]:
    """Return a description of each measure."""
    class_measures = {
        "error_correlation": "Pearson correlation of 1 - the probability of the true class",
        "disagreement": "share of rows whose likeliest class differs",
    }
    value_measures = {
        "error_correlation": "Pearson correlation of prediction - target",
        "disagreement": "root mean squared difference over the target's standard deviation",
    }
    contribution = f"how much worse {metric} becomes without the member, the others blended anew"
    if len(classified) == 1:
        return {"contribution": contribution} | (class_measures if True in classified else value_measures)
    both = {name: f"of classes {class_measures[name]}, of values {value_measures[name]}" for name in class_measures}
    return {"contribution": contribution} | both


@dataclass(frozen=True, eq=False)
class _Comparison:
    """The members and the target, to compare them; `share` is each row's part of a mean over rows."""

    members: list[NDArray[Any]]
    y: NDArray[Any]
    share: Array
    classified: bool

    def error_correlation(self) -> Array:
        errors = 1 - true_class(self.members, self.y) if self.classified else self._values() - self.y
        centred = (errors - (errors @ self.share)[:, None]) * np.sqrt(self.share)
        spread = np.linalg.norm(centred, axis=1)
        varies = spread > _CONSTANT * np.abs(errors).max(axis=1)
        centred[varies] /= spread[varies, None]
        centred[~varies] = 0
        correlation: Array = np.clip(centred @ centred.T, -1, 1)
        np.fill_diagonal(correlation, 1)
        return correlation

    def disagreement(self) -> Array:
        models = len(self.members)
        differing = np.zeros((models, models))
        outputs = self._labels() if self.classified else self._values()
        for index in range(models - 1):
            others = outputs[index + 1 :]
            distances = others != outputs[index] if self.classified else (others - outputs[index]) ** 2
            differing[index, index + 1 :] = distances @ self.share
        differing += differing.T
        if self.classified:
            return differing
        spread = np.sqrt(self.share @ (self.y - self.share @ self.y) ** 2)
        # A constant target has no spread; its own unit is used.
        return np.sqrt(differing) / (spread if spread > _CONSTANT * np.abs(self.y).max() else 1)

    def ambiguity(self, weights: Array) -> Ambiguity | None:
        if not self.classified:
            values = self._values()
            mixed = weights @ values
            losses = (values - self.y) ** 2 @ self.share
            distances = (values - mixed) ** 2 @ self.share
            loss = float((mixed - self.y) ** 2 @ self.share)
            return Ambiguity("squared_error", float(weights @ losses), float(weights @ distances), loss)
        if any(model.min() < 0 or model.max() > 1 + SUM_TOLERANCE for model in self.members):
            return None
        likelihood = np.maximum(true_class(self.members, self.y), LEAST_PROBABILITY)
        logs, log_mixed = np.log(likelihood), np.log(weights @ likelihood)
        gap = max(0.0, float((log_mixed - weights @ logs) @ self.share))
        return Ambiguity("log_loss", -float(weights @ logs @ self.share), gap, -float(log_mixed @ self.share))

    def _values(self) -> Array:
        return np.stack(self.members).astype(np.float64, copy=False)

    def _labels(self) -> NDArray[np.intp]:
        if self.members[0].ndim == 1:
            return np.stack([model >= 0.5 for model in self.members]).astype(np.intp)
        return np.stack([model.argmax(axis=1) for model in self.members])


@dataclass(frozen=True, eq=False)
class _Ensemble:
    """The members and their weights, to be blended again without some of them."""

    members: list[NDArray[Any]]
    matrix: PredictionMatrix
    aggregation: Aggregation
    weights: Array
    options: Mapping[str, Any]
    """Passed to `blend`: the row weights, the seed and the kind of weights."""

    def contributions(self, end: float) -> tuple[Array | None, NDArray[np.bool_]]:
        """Return how much worse the metric is without each member, and which others were blended again in time."""
        models = len(self.members)
        reoptimised = np.zeros(models, dtype=np.bool_)
        if models == 1:
            return None, reoptimised
        contributions = np.zeros(models)
        best = self._best(np.arange(models), end)
        full_loss = self._loss(self.weights)
        for index in np.argsort(-self.weights.reshape(models, -1).sum(axis=1), kind="stable"):
            others = np.delete(np.arange(models), index)
            # Optimal weights without this member are optimal for the others as well.
            without = best if best is None or not best[1][index] else self._best(others, end)
            if best is None or without is None:
                contributions[index] = self._loss(self._rescale(others)) - full_loss
            else:
                contributions[index] = without[0] - best[0]
                reoptimised[index] = True
        return contributions, reoptimised

    def _best(self, models: NDArray[np.intp], end: float) -> tuple[float, Array] | None:
        """Return the metric to minimise and the weights of some members, blended again; None where there is no time."""
        left = end - time.monotonic()
        if left <= 0:
            return None
        members = [self.members[index] for index in models]
        found = blend(members, self.matrix.y, self.matrix.metric, seconds=left, **self.options)
        return (self.matrix.metric.loss_of(found.score), found.weights) if found.seconds < left else None

    def _loss(self, weights: Array) -> float:
        """Return the metric to minimise of a weighted mean, scored as a blend of one model."""
        mixed = self.aggregation(self.members, weights)
        # Rounding may lift a sum of probabilities above 1.
        if self.matrix.classified:
            mixed = mixed.clip(0, 1)
        elif self.matrix.multi_target_metric is not None:
            for part, own in zip(self.matrix.multi_target_metric.parts, self.matrix.parts, strict=True):
                if own.classified:
                    mixed[:, part.start : part.stop] = mixed[:, part.start : part.stop].clip(0, 1)
        options = {**self.options, "weights": "shared"}
        scored = blend([mixed], self.matrix.y, self.matrix.metric, method="best", **options)
        return self.matrix.metric.loss_of(scored.score)

    def _rescale(self, models: NDArray[np.intp]) -> Array:
        """Return the weights of some members scaled to sum one, or equal ones where they have none."""
        weights = np.zeros_like(self.weights)
        weights[models] = np.where(self.weights[models].any(axis=0), self.weights[models], 1)
        scaled: Array = weights / weights.sum(axis=0)
        return scaled


def _mean_of_others(matrix: Array, index: int) -> float | None:
    others = np.delete(matrix[index], index)
    return float(others.mean()) if len(others) else None
