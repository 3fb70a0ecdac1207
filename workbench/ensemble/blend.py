"""The public entry: predictions of many models in, weights out; shared ones, or those of each target or class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from numpy.typing import ArrayLike

from workbench.ensemble.methods import METHODS, check
from workbench.ensemble.options import BlendOptions, Weighting
from workbench.ensemble.per_class import blend_per_class
from workbench.ensemble.per_target import blend_per_target
from workbench.ensemble.prediction_matrix import PredictionMatrix, Predictions, gather
from workbench.ensemble.resampling import encode_labels
from workbench.ensemble.shared_weights import Blend, find_shared_weights
from workbench.errors import EnsembleError

if TYPE_CHECKING:
    from workbench.evaluation import Metric


def blend(
    predictions: Predictions,
    y: ArrayLike,
    metric: str | Metric,
    *,
    method: str = "nelder_mead",
    weights: Weighting = "shared",
    members: int | None = None,
    classes: Sequence[object] | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    shrink: bool = False,
    seed: int = 0,
    seconds: float | None = None,
) -> Blend:
    """Return the weights with which the models' combined predictions score best.

    Args:
        predictions: (models, rows, classes) probabilities, (models, rows) probabilities of class 1 or values,
            or a sequence with an array per model; for several targets (models, rows, outputs), as the metric says.
        y: (rows,) class indices or values, or labels where `classes` is given; for several targets (rows, targets)
            class indices and values.
        metric: a metric's name, a Metric, or the metric of several targets, `MultiTargetMetric`.
        method: one of `methods()`; for several targets `rank` is not available, and `stack` only with weights by
            target.
        weights: `shared`, one weight a model; `target`, one for each of several targets; `class`, one for each of more
            than two classes, whose probabilities are then scaled to sum 1.
        members: the most models that may have weight; all unless given.
        classes: the labels, in the order of the predictions' columns.
        sample_weight: (rows,) how much each row counts.
        groups: (rows,) labels; rows of a group are held out together where a method holds out rows, as `stack` does.
        shrink: shrink the weights towards safer ones where there are at most 40,000 rows (see `regularization`), and
            take a threshold whose neighbours are good as well; never worse than the best single model.
        seed: assigns the models to Nelder-Mead's subspaces.
        seconds: ends the search for better weights; 20 unless given. The same seed gives the same weights only
            where this is not reached.

    Raises:
        EnsembleError: predictions, target or an option cannot be used.
        EvaluationError: the metric does not exist, or does not suit the predictions.

    Examples:
        Two models of three rows; the errors of one cancel those of the other:

        >>> from workbench.ensemble import blend
        >>> found = blend([[1.0, 2.0, 6.0], [3.0, 4.0, 2.0]], [2.0, 3.0, 4.0], "rmse")
        >>> found.weights.round(3).tolist()
        [0.5, 0.5]
        >>> round(found.score, 6)
        0.0
    """
    options = BlendOptions(method, weights, members, shrink=shrink, seed=seed, seconds=seconds)
    return fit_blend(gather_checked(predictions, y, metric, options, classes, sample_weight, groups), options)


def gather_checked(
    predictions: Predictions,
    y: ArrayLike,
    metric: str | Metric,
    options: BlendOptions,
    classes: Sequence[object] | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    baseline: int | None = None,
) -> PredictionMatrix:
    """Return predictions and target as a matrix, checked against each other and against the options.

    Other arguments are as for `blend`; `baseline` is the index of a model that takes part although it is constant.

    Raises:
        EnsembleError: predictions, target or an option cannot be used.
        EvaluationError: the metric does not exist, or does not suit the predictions.
    """
    check(options.method, options.members, options.seconds)
    matrix = gather(predictions, y, metric, classes, sample_weight, baseline)
    check(options.method, targets=len(matrix.parts))
    check_weights(options.weighting, options.method, **target_counts(matrix))
    return matrix if groups is None else replace(matrix, groups=encode_labels("groups", groups, len(matrix.y)))


def fit_blend(matrix: PredictionMatrix, options: BlendOptions) -> Blend:
    """Return the blend of predictions and options that have been checked; see `blend`."""
    functions: dict[Weighting, Callable[[PredictionMatrix, BlendOptions], Blend]] = {
        "shared": find_shared_weights,
        "target": blend_per_target,
        "class": blend_per_class,
    }
    return functions[options.weighting or "shared"](matrix, options)


def target_counts(matrix: PredictionMatrix) -> dict[str, int]:
    """Return the number of targets, and of classes of a single one, as `check_weights` takes them."""
    if matrix.parts:
        return {"targets": len(matrix.parts), "classes": 0}
    return {"targets": 1, "classes": matrix.members[0].shape[1] if matrix.members[0].ndim == 2 else 2}


def check_weights(weights: Weighting | None, method: str, *, targets: int, classes: int) -> None:
    """Refuse weights that cannot be found.

    Args:
        weights: the kind of weights; None leaves the choice.
        method: one of `methods()`.
        targets: the number of targets.
        classes: the number of classes of a single target; 0 for values.

    Raises:
        EnsembleError: there are not several targets or classes, or the method does not find such weights.
    """
    if weights not in (None, *get_args(Weighting)):
        raise EnsembleError(f"weights must be one of {', '.join(get_args(Weighting))}. Received: {weights!r}.")
    if weights == "target" and targets < 2:
        raise EnsembleError("weights 'target' needs several targets. Received: one. Use 'shared'.")
    if weights == "class" and (targets > 1 or classes < 3):
        received = f"{targets} targets" if targets > 1 else f"{classes} classes" if classes else "values"
        raise EnsembleError(
            f"weights 'class' needs one target of more than two classes. Received: {received}. Use 'shared'."
        )
    if weights == "class" and not METHODS[method].per_class:
        able = " or ".join(name for name, each in METHODS.items() if each.per_class)
        raise EnsembleError(f"weights 'class' needs the method {able}. Received: {method!r}.")
    if targets > 1 and METHODS[method].targets == "separately" and weights == "shared":
        raise EnsembleError(f"weights must be 'target' for method {method!r}. Received: 'shared'.")
