"""The predictions of many models and their target, checked once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.array import Array
from workbench.ensemble.multi_target_scorer import MultiTargetScorer
from workbench.ensemble.resampling import Labels
from workbench.ensemble.scorer import Scorer
from workbench.errors import EnsembleError, format_list
from workbench.evaluation.multi_target import MultiTargetMetric

if TYPE_CHECKING:
    from workbench.evaluation import Metric

Predictions = ArrayLike | Sequence[ArrayLike]

# Probabilities may be this far from a sum of 1: they may have been rounded.
SUM_TOLERANCE = 1e-3
# The rows whose sum orders the members; a digest of all rows orders members with equal sums.
_COMPARED_ROWS = 1000
# Rows that are nearer to a sum of 1 are not scaled again.
_EXACT = 1e-12


@dataclass(frozen=True)
class PredictionMatrix:
    """The members' predictions, each (rows,), (rows, classes) or, for several targets, (rows, outputs).

    Members are sorted by content, so that results do not depend on the order in which the caller has the models;
    `order[i]` is the caller's index of member i.
    """

    members: tuple[NDArray[Any], ...]
    order: NDArray[np.intp]
    y: NDArray[Any]
    metric: Metric
    sample_weight: Array | None = None
    """(rows,) how much each row counts; None where all count the same."""
    left_out: Mapping[int, str] = field(default_factory=dict)
    """The caller's models that take no part, with the reason."""
    groups: Labels | None = None
    """(rows,) group numbers from 0; rows of a group are held out and resampled together. None: each row by itself."""

    @property
    def multi_target_metric(self) -> MultiTargetMetric | None:
        """The metric, where there are several targets."""
        return self.metric if isinstance(self.metric, MultiTargetMetric) else None

    @cached_property
    def parts(self) -> tuple[PredictionMatrix, ...]:
        """The same members on each of several targets; empty for a single target."""
        if self.multi_target_metric is None:
            return ()
        order = np.arange(len(self.members))
        return tuple(
            PredictionMatrix(
                tuple(np.ascontiguousarray(part.predictions(member)) for member in self.members),
                order,
                part.y(self.y),
                part.metric,
                self.sample_weight,
                groups=self.groups,
            )
            for part in self.multi_target_metric.parts
        )

    @cached_property
    def clusters(self) -> Labels:
        """The groups of the rows; each row is a group of its own where none are given."""
        return np.arange(len(self.y)) if self.groups is None else self.groups

    @cached_property
    def classified(self) -> bool:
        """Whether the target can be read as class indices and the predictions as probabilities."""
        if self.parts:
            return all(part.classified for part in self.parts)
        outputs = self.members[0].shape[1] if self.members[0].ndim == 2 else 2
        return (
            self.metric.wants != "values"
            and _are_indices(self.y, outputs)
            and all(member.min() >= 0 and member.max() <= 1 for member in self.members)
        )

    @cached_property
    def scorer(self) -> Scorer | MultiTargetScorer:
        """The metric of a mixture, at its best threshold where there is one to choose."""
        if self.multi_target_metric is not None:
            scorers = [part._single_scorer() for part in self.parts]
            return MultiTargetScorer(self.multi_target_metric, scorers, self.sample_weight)
        return self._single_scorer()

    @property
    def plain_scorer(self) -> Scorer | MultiTargetScorer:
        """The metric of predictions as they are, with no threshold to choose."""
        if self.multi_target_metric is not None:
            return MultiTargetScorer.of(self.y, self.multi_target_metric, self.sample_weight)
        return Scorer(self.y, self.metric, self.sample_weight)

    def _single_scorer(self) -> Scorer:
        pairs = self.classified and self.members[0].ndim == 1
        return Scorer(self.y, self.metric, self.sample_weight, pairs=pairs)

    def select_rows(self, chosen: NDArray[Any]) -> PredictionMatrix:
        """Return the matrix of the rows that a mask or indices choose, with their groups numbered again from 0."""
        return replace(
            self,
            members=tuple(member[chosen] for member in self.members),
            y=self.y[chosen],
            sample_weight=None if self.sample_weight is None else self.sample_weight[chosen],
            groups=np.unique(self.clusters[chosen], return_inverse=True)[1].astype(np.intp),
        )

    def select_models(self, models: NDArray[np.intp]) -> PredictionMatrix:
        """Return the matrix of some of the models, without reference to the caller's order."""
        members = tuple(self.members[index] for index in models)
        return replace(self, members=members, order=np.arange(len(members)), left_out={})

    def canonical(self) -> PredictionMatrix:
        """Return the matrix as `gather` makes it: members sorted by content, constant ones left out."""
        return replace(_sort_members(self.members, self.y, self.metric, self.sample_weight), groups=self.groups)

    def restore_order(self, weights: Array) -> Array:
        """Return weights in the caller's order of models, 0 for those left out."""
        restored = np.zeros(len(weights) + len(self.left_out))
        restored[self.order] = weights
        return restored


def gather(
    predictions: Predictions,
    y: ArrayLike,
    metric: Metric | str,
    classes: Sequence[object] | None = None,
    sample_weight: ArrayLike | None = None,
    baseline: int | None = None,
) -> PredictionMatrix:
    """Check predictions (models, rows[, classes]) against the target and return them as a PredictionMatrix.

    A model that predicts the same for every row is left out, because it cannot tell rows apart. The model with the
    index `baseline` stays, and all stay where all are constant.

    Raises:
        EnsembleError: a model's predictions are not finite numbers, are of another shape than they should
            be, or are no probabilities where the metric needs them; or the target or the row weights do not fit.
    """
    if isinstance(metric, str):
        from workbench import evaluation

        metric = evaluation.metric(metric)
    if isinstance(metric, MultiTargetMetric):
        target, members = _check_targets(predictions, y, metric, classes)
    else:
        target, members = _check(predictions, y, metric, classes)
    return _sort_members(members, target, metric, _sample_weight(sample_weight, len(target)), baseline)


def _sort_members(
    members: Sequence[NDArray[Any]],
    target: NDArray[Any],
    metric: Metric,
    sample_weight: Array | None,
    baseline: int | None = None,
) -> PredictionMatrix:
    """Return the matrix of members that have been checked, without constant ones, sorted by content."""
    constant = [i for i, member in enumerate(members) if i != baseline and _is_constant(member)]
    reason = "it predicts the same for every row"
    left_out = dict.fromkeys(constant, reason) if len(constant) < len(members) else {}
    order = _order_by_content(members, [i for i in range(len(members)) if i not in left_out])
    return PredictionMatrix(tuple(members[index] for index in order), order, target, metric, sample_weight, left_out)


def _check(
    predictions: Predictions, y: ArrayLike, metric: Metric, classes: Sequence[object] | None
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Return the target and each model's predictions of it, as the metric can read them."""
    target = _check_y(y, classes)
    members = _to_arrays(predictions, len(target))
    if metric.wants == "values" and members[0].ndim == 2:
        raise EnsembleError(
            f"predictions must be (models, rows) values for {metric.name}. "
            f"Received: {members[0].shape[1]} columns a model. Choose a metric of classes."
        )
    if metric.name == "mape" and (target == 0).any():
        raise EnsembleError("y must not be 0 for mape, which divides by it. Received: zeros. Choose mae.")
    if metric.name == "log_loss":
        outputs = members[0].shape[1] if members[0].ndim == 2 else 2
        if not _are_indices(target, outputs):
            raise EnsembleError(
                f"y must hold class indices 0 to {outputs - 1} for log_loss. "
                f"Received: {format_list(np.unique(target), 5)}. Pass classes=[…] where y holds labels."
            )
        members = [_check_probabilities(member, index) for index, member in enumerate(members)]
    return target, members


def _check_targets(
    predictions: Predictions, y: ArrayLike, metric: MultiTargetMetric, classes: Sequence[object] | None
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Return (rows, targets) targets and each model's (rows, outputs) predictions, each target's checked by itself."""
    if classes is not None:
        raise EnsembleError("classes are for one target. Received: several. Leave them out; y holds class indices.")
    target = np.asarray(y)
    if target.ndim != 2 or target.shape[1] < len(metric.parts) or not len(target) or target.dtype.kind not in "biuf":
        raise EnsembleError(
            f"y must be (rows, targets) numbers, with a column for each of {len(metric.parts)} targets. "
            f"Received: an array of shape {target.shape}."
        )
    if not np.isfinite(target).all():
        raise EnsembleError("y must hold finite numbers. Received: NaN or infinity. Leave out these rows.")
    outputs = max(part.stop for part in metric.parts)
    given = [np.asarray(model) for model in cast("Sequence[ArrayLike]", predictions)]
    for index, model in enumerate(given):
        if model.ndim != 2 or model.shape[1] != outputs:
            raise EnsembleError(
                f"predictions[{index}] must be (rows, outputs) with {outputs} columns for these targets. "
                f"Received: an array of shape {model.shape}."
            )
    slices = []
    for part in metric.parts:
        try:
            _, own = _check([part.predictions(model) for model in given], part.y(target), part.metric, None)
        except EnsembleError as error:
            raise EnsembleError(f"target {part.target!r}: {error}") from error
        slices.append(own)
    return target, [np.ascontiguousarray(np.column_stack(columns)) for columns in zip(*slices, strict=True)]


def _sample_weight(given: ArrayLike | None, rows: int) -> Array | None:
    """Return weights of rows, at least 0 and some above."""
    if given is None:
        return None
    weight = np.asarray(given, dtype=np.float64)
    if weight.shape != (rows,) or not np.isfinite(weight).all() or weight.min() < 0 or not weight.any():
        raise EnsembleError(
            f"sample_weight must hold a number of 0 or more for each of the {rows} rows, not all 0. "
            f"Received: an array of shape {weight.shape}. Leave it out to weigh all rows alike."
        )
    return weight


def _is_constant(member: NDArray[Any]) -> bool:
    # The first rows tell most models at once.
    return bool((member[:100] == member[0]).all() and (member == member[0]).all())


def _order_by_content(members: Sequence[NDArray[Any]], indices: Sequence[int]) -> NDArray[np.intp]:
    """Return indices in an order that follows from the members' predictions alone."""
    step = max(1, len(members[0]) // _COMPARED_ROWS)
    sums = {i: float(members[i].reshape(len(members[i]), -1)[::step, 0].sum()) for i in indices}
    shared = {total for total, count in Counter(sums.values()).items() if count > 1}
    keys = {i: (sums[i], _digest(members[i]) if sums[i] in shared else b"") for i in indices}
    return np.array(sorted(keys, key=keys.__getitem__), dtype=np.intp)


def _digest(member: NDArray[Any]) -> bytes:
    return hashlib.blake2b(member.data, digest_size=16).digest()


def _check_y(y: ArrayLike, classes: Sequence[object] | None) -> NDArray[Any]:
    """Return y as a vector of class indices or finite values."""
    target = np.asarray(y)
    if target.ndim != 1 or not len(target):
        raise EnsembleError(f"y must be a vector with a value a row. Received: an array of shape {target.shape}.")
    if classes is not None:
        known = {label: index for index, label in enumerate(classes)}
        unknown = sorted({str(label) for label in target.tolist() if label not in known})
        if unknown:
            raise EnsembleError(
                f"y holds labels that are not in classes: {format_list(unknown, 5)}. "
                f"Classes: {format_list(classes, 5)}."
            )
        return np.array([known[label] for label in target.tolist()])
    if target.dtype.kind not in "biuf":
        raise EnsembleError(
            f"y must hold class indices or values. Received: {format_list(target[:3])}. "
            "Pass classes=[…] where y holds labels."
        )
    if not np.isfinite(target).all():
        raise EnsembleError("y must hold finite numbers. Received: NaN or infinity. Leave out these rows.")
    return target.astype(np.int64) if target.dtype.kind == "b" else target


def _to_arrays(predictions: Predictions, rows: int) -> list[NDArray[Any]]:
    """Return each model's predictions as a contiguous array of floats, binary pairs as the second's column."""
    if isinstance(predictions, np.ndarray) and predictions.ndim < 2:
        raise EnsembleError(
            "predictions must be (models, rows) or (models, rows, classes). "
            f"Received: an array of shape {predictions.shape}. Put a single model in a list."
        )
    members = [_to_array(model, index, rows) for index, model in enumerate(predictions)]  # type: ignore[arg-type]
    if not members:
        raise EnsembleError("predictions must hold at least one model. Received: none.")
    for index, member in enumerate(members):
        if member.shape != members[0].shape:
            raise EnsembleError(
                f"predictions[{index}] must have the shape of predictions[0], {members[0].shape}. "
                f"Received: {member.shape}. Blend only models of the same target."
            )
    return members


def _to_array(model: ArrayLike, index: int, rows: int) -> NDArray[Any]:
    """Return one model's predictions, (rows,) or (rows, classes), as floats."""
    try:
        member = np.asarray(model)
        if member.dtype.kind != "f":
            member = member.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise EnsembleError(f"predictions[{index}] must be an array of numbers: {error}.") from error
    member = positive_class(member)
    if member.ndim not in (1, 2) or len(member) != rows:
        raise EnsembleError(
            f"predictions[{index}] must have {rows} rows, as y has. Received: an array of shape {member.shape}. "
            "Align it with y."
        )
    # A sum shows in one pass whether a value is not finite.
    total = member.sum(dtype=np.float64) if member.ndim == 1 else (member @ np.ones(member.shape[1])).sum()
    if not np.isfinite(total) and not np.isfinite(member).all():
        bad = int(np.flatnonzero(~np.isfinite(member.reshape(rows, -1)).all(axis=1))[0])
        raise EnsembleError(
            f"predictions[{index}] must hold finite numbers. Received: {member[bad]} in row {bad}. "
            "Leave this model out."
        )
    return np.ascontiguousarray(member)


def positive_class(member: NDArray[Any]) -> NDArray[Any]:
    """Return the probabilities of the second of two classes where both are given, and others as they are."""
    return member[:, -1] if member.ndim == 2 and 1 <= member.shape[1] <= 2 else member


def _check_probabilities(member: NDArray[Any], index: int) -> NDArray[Any]:
    """Return probabilities whose rows sum to one, as log loss itself reads them."""
    # Rows are non-negative and sum to 1, so only 1-D members can exceed 1.
    low, high = float(member.min()), float(member.max()) if member.ndim == 1 else 1.0
    if low < 0 or high > 1 + SUM_TOLERANCE:
        raise EnsembleError(
            f"predictions[{index}] must be probabilities for log_loss. Received: values from {low:g} to {high:g}. "
            "Calibrate this model or leave it out."
        )
    if member.ndim == 1:
        return np.minimum(member, 1) if high > 1 else member
    # A product with ones is many times as fast as a sum over few columns.
    sums = member @ np.ones(member.shape[1])
    off = float(np.abs(sums - 1).max())
    if off > SUM_TOLERANCE:
        raise EnsembleError(
            f"predictions[{index}] must sum to 1 in every row for log_loss. Received: a row that is {off:g} off. "
            "Normalise it."
        )
    return member / sums[:, None] if off > _EXACT else member


def _are_indices(y: NDArray[Any], outputs: int) -> bool:
    return bool((y == np.floor(y)).all() and y.min() >= 0 and y.max() < outputs)
