"""The public entry: predictions of many models in, weights out, shared ones or those of each target or class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_args

from numpy.typing import ArrayLike

from workbench.ensemble.methods import Blend, Whose, check, find_shared_weights
from workbench.ensemble.per_class import METHODS, blend_per_class
from workbench.ensemble.per_target import blend_per_target
from workbench.ensemble.prediction_matrix import PredictionMatrix, Predictions, gather
from workbench.ensemble.resampling import encode_labels
from workbench.errors import EnsembleError

if TYPE_CHECKING:
    from workbench.evaluation import Metric


def blend(
    predictions: Predictions,
    y: ArrayLike,
    metric: str | Metric,
    *,
    method: str = "nelder_mead",
    weights: Whose = "shared",
    members: int | None = None,
    classes: Sequence[object] | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    shrink: bool = False,
    seed: int = 0,
    seconds: float | None = None,
) -> Blend:
    """Return the weights under which the models' joined predictions score best.

    Args:
        predictions: (models, rows, classes) probabilities, (models, rows) probabilities of class 1 or values,
            or a sequence with an array per model; of several targets (models, rows, outputs), as the metric says.
        y: (rows,) class indices or values, or labels where `classes` is given; of several targets (rows, targets)
            class indices and values.
        metric: a metric's name, a Metric, or that of several targets, `evaluation.targets.Several`.
        method: one of `methods()`; of several targets `rank` is not, and `stack` only with weights by target.
        weights: `shared`, one weight a model; `target`, one for each of several targets; `class`, one for each of more
            than two classes, whose probabilities are then scaled to sum 1.
        members: the most models that may have weight; all unless given.
        classes: the labels, in the order of the predictions' columns.
        sample_weight: (rows,) how much each row counts.
        groups: (rows,) labels; rows of a group are held out together where a method holds out rows, as `stack` does.
        shrink: draw the weights towards safer ones, for other rows than these, where there are at most 40,000 (see
            `shrink.py`), and take a threshold that is good among its neighbours; never below the best single model.
        seed: deals the models into Nelder-Mead's subspaces.
        seconds: ends the search for better weights; 20 unless given. The same seed gives the same weights only
            where this is not reached.

    Raises:
        EnsembleError: predictions, target or an option cannot be used.
        EvaluationError: the metric does not exist, or does not suit the predictions.
    """
    check(method, members, seconds)
    bank = gather(predictions, y, metric, classes, sample_weight)
    check(method, targets=len(bank.parts))
    check_weights(weights, method, **target_counts(bank))
    clusters = None if groups is None else encode_labels("groups", groups, len(bank.y))
    options: dict[str, Any] = {"members": members, "clusters": clusters, "shrink": shrink}
    return weigh(bank, weights, method=method, seed=seed, seconds=seconds, **options)


def weigh(bank: PredictionMatrix, whose: Whose, **options: Any) -> Blend:
    """Do what `blend` does with predictions and options that have been checked."""
    ways: dict[Whose, Callable[..., Blend]] = {
        "shared": find_shared_weights,
        "target": blend_per_target,
        "class": blend_per_class,
    }
    return ways[whose](bank, **options)


def target_counts(bank: PredictionMatrix) -> dict[str, int]:
    """Return how many targets there are, and classes of a single one, as `check_weights` takes them."""
    if bank.parts:
        return {"targets": len(bank.parts), "classes": 0}
    return {"targets": 1, "classes": bank.members[0].shape[1] if bank.members[0].ndim == 2 else 2}


def check_weights(weights: Whose | None, method: str, *, targets: int, classes: int) -> None:
    """Refuse weights that cannot be found.

    Args:
        weights: what is asked for; None leaves the choice.
        method: one of `methods()`.
        targets: how many there are.
        classes: of a single target; 0 for values.

    Raises:
        EnsembleError: there are not several targets or classes, or the method does not find such weights.
    """
    if weights not in (None, *get_args(Whose)):
        raise EnsembleError(f"weights must be one of {', '.join(get_args(Whose))}. Received: {weights!r}.")
    if weights == "target" and targets < 2:
        raise EnsembleError("weights 'target' needs several targets. Received: one. Use 'shared'.")
    if weights == "class" and (targets > 1 or classes < 3):
        received = f"{targets} targets" if targets > 1 else f"{classes} classes" if classes else "values"
        raise EnsembleError(
            f"weights 'class' needs one target of more than two classes. Received: {received}. Use 'shared'."
        )
    if weights == "class" and method not in METHODS:
        raise EnsembleError(f"weights 'class' needs the method {' or '.join(METHODS)}. Received: {method!r}.")
    if targets > 1 and method == "stack" and weights == "shared":
        raise EnsembleError("weights must be 'target' for method 'stack'. Received: 'shared'.")
