"""How the members of an ensemble differ, and what each of them adds.

An ensemble is taken as the weighted mean of its members. Three measures say how they differ, each under its own name,
since they answer different questions: whether members are wrong on the same rows (error correlation), whether they
predict the same (disagreement), and how much the mean gains over its members (ambiguity). Of several targets each
figure is the mean over them, by how much they count.
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
    """What the mean gains over its members: `ensemble_loss` is `mean_member_loss` - `ambiguity`, exactly."""

    measure: str
    """`log_loss` of classes, `squared_error` of values: the losses that can be taken apart so, whatever the metric."""
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
    """How much worse the metric becomes without the member; None for a single member."""
    reoptimised: bool
    """Whether the others were blended again for that."""
    mean_error_correlation: float | None
    """The mean over the other members; None for a single member."""
    mean_disagreement: float | None
    """The mean over the other members; None for a single member."""


@dataclass(frozen=True, eq=False)
class Diversity:
    """How members differ, in the order in which they were given."""

    names: tuple[str, ...]
    weights: Array
    """(models,); of weights by target or class their mean."""
    measures: Mapping[str, str]
    """What each of the figures below measures, in words, by the name of the figure."""
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

    Both ensembles, with the member and without, are blended anew, so that the difference is the member's and not that
    of the weights given. None of a single member, without which nothing is left.
    """
    reoptimised: NDArray[np.bool_]
    """(models,) whether there was time for that; if not, the others' weights are as given, scaled to sum 1."""

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
    """Compare the members of an ensemble with each other, and the ensemble with what it is without each of them.

    Args:
        predictions: as for `blend`.
        y: as for `blend`.
        metric: as for `blend`.
        weights: (models,) at least 0, sum 1; or those that `Blend.apart` has by target or class.
        classes: as for `blend`.
        sample_weight: (rows,) how much each row counts, in every figure.
        seed: as for `blend`.
        seconds: for all blends together, the members with most weight first; 10 unless given.
        names: what the document calls the members; `model 0` and so on unless given.

    Raises:
        EnsembleError: as for `blend`; or the weights or names do not fit the predictions.
        EvaluationError: as for `blend`.
    """
    end = time.monotonic() + (SECONDS if seconds is None else seconds)
    bank = gather(predictions, y, metric, classes, sample_weight)
    # A bank may leave models out of its blends, but no model that comes alone; they are compared all the same.
    taken = dict(zip(bank.order.tolist(), bank.members, strict=True))
    members = [
        taken[index] if index in taken else gather([model], y, metric, classes).members[0]
        for index, model in enumerate(predictions)  # type: ignore[arg-type]
    ]
    given = _weights(weights, bank, len(members))
    called = tuple(f"model {index}" for index in range(len(members))) if names is None else tuple(names)
    if len(called) != len(members):
        raise EnsembleError(f"names must hold a name for each of the {len(members)} models. Received: {len(called)}.")
    rows = np.ones(len(bank.y)) if bank.weight is None else bank.weight
    compared, counts = _compared(members, bank, rows / rows.sum())
    joiner = _joiner(bank, given)
    whose = "shared" if given.ndim == 1 else "target" if bank.parts else "class"
    ensemble = _Ensemble(members, bank, joiner, given, {"sample_weight": bank.weight, "seed": seed, "weights": whose})
    contributions, reoptimised = ensemble.contributions(end)
    return Diversity(
        names=called,
        weights=given if given.ndim == 1 else given @ (counts if bank.parts else class_frequencies(bank)),
        measures=_measures(bank.metric.name, {each.classified for each in compared}),
        error_correlation=_mean([each.error_correlation() for each in compared], counts),
        disagreement=_mean([each.disagreement() for each in compared], counts),
        ambiguity=None if whose == "class" else _ambiguity(compared, given, counts),
        contributions=contributions,
        reoptimised=reoptimised,
    )


def _weights(given: ArrayLike, bank: PredictionMatrix, models: int) -> Array:
    """Return weights of models, or of models by target or class, checked and of sum one."""
    weights = np.asarray(given, dtype=np.float64)
    parts = len(bank.parts) or (bank.members[0].shape[1] if bank.members[0].ndim == 2 else 1)
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


def _joiner(bank: PredictionMatrix, weights: Array) -> Aggregation:
    """Return how the members of an ensemble become one: by their mean, or the mean of each target or class."""
    if weights.ndim == 1:
        return WeightedMean()
    if bank.several is None:
        return PerOutput.of_classes(weights.shape[1])
    return PerOutput.of_targets(bank.several, [WeightedMean()] * weights.shape[1])


def _compared(members: list[NDArray[Any]], bank: PredictionMatrix, share: Array) -> tuple[list[_Comparison], Array]:
    """Return the members side by side on each target, and how much it counts."""
    if bank.several is None:
        return [_Comparison(members, bank.y, share, classified=_classified(bank))], np.ones(1)
    pairs = zip(bank.several.parts, bank.parts, strict=True)
    found = [
        _Comparison(
            [part.predictions(each) for each in members], own.y, share, classified=part.classes > 0 and _classified(own)
        )
        for part, own in pairs
    ]
    return found, target_weights(bank.several)


def _mean(matrices: Sequence[Array], counted: Array) -> Array:
    """Return the mean of figures of targets."""
    mean: Array = np.tensordot(counted, np.stack(matrices), axes=1)
    return mean


def _ambiguity(compared: Sequence[_Comparison], weights: Array, counted: Array) -> Ambiguity | None:
    """Return the mean over targets, where all are measured alike."""
    columns = weights.T if weights.ndim == 2 else [weights] * len(compared)
    found = [each.ambiguity(own) for each, own in zip(compared, columns, strict=True)]
    known = [each for each in found if each is not None]
    if len(known) < len(found) or len({each.measure for each in known}) > 1:
        return None
    means = counted @ [(each.mean_member_loss, each.ambiguity, each.ensemble_loss) for each in known]
    return Ambiguity(known[0].measure, *means.tolist())


def _classified(bank: PredictionMatrix) -> bool:
    """Return whether predictions say how likely each class is, if not always by probabilities."""
    if bank.classified or bank.members[0].ndim == 1:
        return bank.classified
    if not np.isin(bank.y, np.arange(bank.members[0].shape[1])).all():
        raise EnsembleError(
            f"y must hold class indices where a model predicts {bank.members[0].shape[1]} columns. "
            f"Received: {bank.y[:3].tolist()}. Pass classes=[…] where y holds labels."
        )
    return True


def _measures(metric: str, classified: set[bool]) -> dict[str, str]:
    """Return what is measured, in words."""
    of_classes = {
        "error_correlation": "Pearson correlation of 1 - the probability of the true class",
        "disagreement": "share of rows whose likeliest class differs",
    }
    of_values = {
        "error_correlation": "Pearson correlation of prediction - target",
        "disagreement": "root mean squared difference over the target's standard deviation",
    }
    contribution = f"how much worse {metric} becomes without the member, the others blended anew"
    if len(classified) == 1:
        return {"contribution": contribution} | (of_classes if True in classified else of_values)
    both = {name: f"of classes {of_classes[name]}, of values {of_values[name]}" for name in of_classes}
    return {"contribution": contribution} | both


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Members side by side; `share` is each row's part of a mean over rows."""

    members: list[NDArray[Any]]
    y: NDArray[Any]
    share: Array
    classified: bool

    def error_correlation(self) -> Array:
        errors = 1 - true_class(self.members, self.y) if self.classified else self._values() - self.y
        centred = (errors - (errors @ self.share)[:, None]) * np.sqrt(self.share)
        spread = np.linalg.norm(centred, axis=1)
        told = spread > _CONSTANT * np.abs(errors).max(axis=1)
        centred[told] /= spread[told, None]
        centred[~told] = 0
        correlation: Array = np.clip(centred @ centred.T, -1, 1)
        np.fill_diagonal(correlation, 1)
        return correlation

    def disagreement(self) -> Array:
        models = len(self.members)
        differing = np.zeros((models, models))
        shown = self._labels() if self.classified else self._values()
        for index in range(models - 1):
            others = shown[index + 1 :]
            apart = others != shown[index] if self.classified else (others - shown[index]) ** 2
            differing[index, index + 1 :] = apart @ self.share
        differing += differing.T
        if self.classified:
            return differing
        spread = np.sqrt(self.share @ (self.y - self.share @ self.y) ** 2)
        # Of a constant target there is no unit to measure in but the target's own.
        return np.sqrt(differing) / (spread if spread > _CONSTANT * np.abs(self.y).max() else 1)

    def ambiguity(self, weights: Array) -> Ambiguity | None:
        if not self.classified:
            values = self._values()
            mixed = weights @ values
            losses = (values - self.y) ** 2 @ self.share
            apart = (values - mixed) ** 2 @ self.share
            loss = float((mixed - self.y) ** 2 @ self.share)
            return Ambiguity("squared_error", float(weights @ losses), float(weights @ apart), loss)
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
    """Members and their weights, to be blended anew with some of them."""

    members: list[NDArray[Any]]
    bank: PredictionMatrix
    joiner: Aggregation
    weights: Array
    options: Mapping[str, Any]

    def contributions(self, end: float) -> tuple[Array | None, NDArray[np.bool_]]:
        """Return how much worse the metric is without each member, and where all was blended anew in time."""
        models = len(self.members)
        reoptimised = np.zeros(models, dtype=np.bool_)
        if models == 1:
            return None, reoptimised
        contributions = np.zeros(models)
        best = self._best(np.arange(models), end)
        as_given = self._loss(self.weights)
        for index in np.argsort(-self.weights.reshape(models, -1).sum(axis=1), kind="stable"):
            others = np.delete(np.arange(models), index)
            # Where the best weights do not need the member they are the others' best as well.
            without = best if best is None or not best[1][index] else self._best(others, end)
            if best is None or without is None:
                contributions[index] = self._loss(self._rescaled(others)) - as_given
            else:
                contributions[index] = without[0] - best[0]
                reoptimised[index] = True
        return contributions, reoptimised

    def _best(self, models: NDArray[np.intp], end: float) -> tuple[float, Array] | None:
        """Return the metric to minimise and the weights of some members, blended anew; None without the time for it."""
        left = end - time.monotonic()
        if left <= 0:
            return None
        members = [self.members[index] for index in models]
        found = blend(members, self.bank.y, self.bank.metric, seconds=left, **self.options)
        return (self.bank.metric.loss_of(found.score), found.weights) if found.seconds < left else None

    def _loss(self, weights: Array) -> float:
        """Return the metric to minimise of a weighted mean, asked as a blend of one, as `blend` scores its own."""
        mixed = self.joiner(self.members, weights)
        # The last digit of a sum may take a probability beyond 1.
        if self.bank.classified:
            mixed = mixed.clip(0, 1)
        elif self.bank.several is not None:
            for part, own in zip(self.bank.several.parts, self.bank.parts, strict=True):
                if own.classified:
                    mixed[:, part.start : part.stop] = mixed[:, part.start : part.stop].clip(0, 1)
        options = {**self.options, "weights": "shared"}
        scored = blend([mixed], self.bank.y, self.bank.metric, method="best", **options)
        return self.bank.metric.loss_of(scored.score)

    def _rescaled(self, models: NDArray[np.intp]) -> Array:
        """Return the weights of some members scaled to sum one, or equal ones where they have none."""
        weights = np.zeros_like(self.weights)
        weights[models] = np.where(self.weights[models].any(axis=0), self.weights[models], 1)
        scaled: Array = weights / weights.sum(axis=0)
        return scaled


def _mean_of_others(matrix: Array, index: int) -> float | None:
    others = np.delete(matrix[index], index)
    return float(others.mean()) if len(others) else None
