"""Output layers, losses and decoding of outputs, for one target or for several.

Several targets share one output matrix, (rows, outputs), and one target matrix, (rows, targets). Neighbouring targets
of the same output kind are computed together, so that a hundred labels cost little more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from workbench.array import Array
from workbench.models.protocol import Problem

OutputKind = Literal["sigmoid", "softmax", "squared_error", "absolute_error"]


def build_output_layer(hidden: Any, problem: Problem, wide: Any | None = None) -> Any:
    """Apply the last layer: class probabilities, the probability of class 1, or a standard score.

    Args:
        hidden: the last hidden layer.
        problem: the targets.
        wide: the output of a linear part, added before the activation.
    """
    output = keras.layers.Dense(problem.outputs)(hidden)
    if wide is not None:
        output = keras.layers.Add()([output, wide])
    return activate(output, problem)


def activate(output: Any, problem: Problem) -> Any:
    """Apply the output activations to a last layer's values, (…, outputs)."""
    groups = list(_group_outputs(problem))
    parts = [output[..., group.outputs] for group in groups] if len(groups) > 1 else [output]
    activated = [
        keras.layers.Activation(group.kind if group.kind in ("sigmoid", "softmax") else "linear", dtype="float32")(part)
        for group, part in zip(groups, parts, strict=True)
    ]
    return keras.layers.Concatenate(dtype="float32")(activated) if len(activated) > 1 else activated[0]


def build_loss(problem: Problem, *, mixup: bool) -> str | Callable[[Any, Any], Any]:
    """Return the training loss: Keras's name of it, or for several targets their weighted mean loss as a function.

    Args:
        problem: the targets.
        mixup: whether class targets are probabilities, one column per class, instead of class indices.
    """
    if problem.targets:
        return _JointLoss(problem)
    if problem.classes:
        crossentropy = "categorical_crossentropy" if mixup else "sparse_categorical_crossentropy"
        return crossentropy if problem.outputs > 1 else "binary_crossentropy"
    return "mean_absolute_error" if problem.loss == "absolute_error" else "mean_squared_error"


def build_target_losses(problem: Problem) -> list[Any]:
    """Return the Keras metrics of an epoch: for a few targets, each one's loss as `TARGET_loss`."""
    groups = _group_outputs(problem, separate=True)
    return [_TargetLoss(group, f"{name}_loss") for group, name in zip(groups, problem.reported_targets, strict=False)]


def measure_targets(problem: Problem, y: Array) -> tuple[Any, Any]:
    """Return mean and standard deviation of regression targets; 0 and 1 for classes.

    One number each, or (targets,) arrays for several targets.
    """
    if not problem.targets:
        return (0.0, 1.0) if problem.classes else (float(y.mean()), float(y.std()) or 1.0)
    each = [measure_targets(target, y[:, column]) for column, target in enumerate(problem.targets)]
    return np.array([shift for shift, _ in each]), np.array([scale for _, scale in each])


def repeat_per_output(problem: Problem, values: Any) -> Any:
    """Return each target's value once for each of its outputs, as a list; for one target the value unchanged."""
    return np.repeat(values, [target.outputs for target in problem.targets]).tolist() if problem.targets else values


def list_output_bounds(problem: Problem) -> tuple[tuple[int, int], ...]:
    """Return the first and the last column (exclusive) of each of several targets; empty for one target."""
    return tuple((columns.start, columns.stop) for _, columns in problem.iter_targets()) if problem.targets else ()


def decode_outputs(outputs: Array, shift: Any, scale: Any, bounds: tuple[tuple[int, int], ...]) -> Array:
    """Return outputs as predictions: probabilities that sum to 1, and values in the target's unit.

    Args:
        outputs: (rows, outputs) float64.
        shift: added after scaling; one number for each output of several targets.
        scale: multiplied with standard scores; like `shift`.
        bounds: as `list_output_bounds` returns them.
    """
    if bounds:
        predictions: Array = outputs * np.asarray(scale) + np.asarray(shift)
        for start, stop in bounds:
            if stop - start > 1:
                predictions[:, start:stop] /= predictions[:, start:stop].sum(axis=1, keepdims=True)
        return predictions
    if outputs.shape[1] > 1:
        probabilities = np.asarray(outputs / outputs.sum(axis=1, keepdims=True))
        # A user's net may have an output for each of two classes.
        return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities
    return np.asarray(shift + scale * outputs[:, 0])


@dataclass(frozen=True)
class _OutputGroup:
    """Neighbouring targets of one output kind."""

    kind: OutputKind
    outputs: slice
    targets: slice
    weights: tuple[float, ...]

    def compute_loss(self, y: Any, predicted: Any) -> Any:
        """Return the weighted sum of the group's losses, (…,), given all targets and all outputs."""
        y, predicted = y[..., self.targets], predicted[..., self.outputs]
        if self.kind == "softmax":
            labels = ops.cast(y[..., 0], "int32")
            return self.weights[0] * ops.sparse_categorical_crossentropy(labels, predicted)
        losses = _ELEMENTWISE_LOSSES[self.kind](ops.cast(y, predicted.dtype), predicted)
        return ops.sum(losses * ops.convert_to_tensor(self.weights, dtype=predicted.dtype), axis=-1)


_ELEMENTWISE_LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "sigmoid": lambda y, predicted: ops.binary_crossentropy(y, predicted),
    "squared_error": lambda y, predicted: ops.square(y - predicted),
    "absolute_error": lambda y, predicted: ops.abs(y - predicted),
}


def _group_outputs(problem: Problem, *, separate: bool = False) -> Iterator[_OutputGroup]:
    """Yield the targets in order, grouped with neighbours of the same output kind unless `separate`."""
    group: _OutputGroup | None = None
    for index, (target, columns) in enumerate(problem.iter_targets()):
        single = _OutputGroup(_choose_output_kind(target), columns, slice(index, index + 1), (target.weight,))
        if group is None:
            group = single
        elif single.kind == group.kind and single.kind != "softmax" and not separate:
            merged = slice(group.outputs.start, columns.stop), slice(group.targets.start, index + 1)
            group = _OutputGroup(group.kind, *merged, (*group.weights, target.weight))
        else:
            yield group
            group = single
    if group is not None:
        yield group


def _choose_output_kind(target: Problem) -> OutputKind:
    if target.classes:
        return "softmax" if target.outputs > 1 else "sigmoid"
    return "absolute_error" if target.loss == "absolute_error" else "squared_error"


class _JointLoss:
    """The weighted mean of the targets' losses."""

    __name__ = "joint"

    def __init__(self, problem: Problem) -> None:
        self._groups = list(_group_outputs(problem))
        self._total_weight = sum(sum(group.weights) for group in self._groups)

    def __call__(self, y: Any, predicted: Any) -> Any:
        return sum(group.compute_loss(y, predicted) for group in self._groups) / self._total_weight


class _TargetLoss:
    """The unweighted loss of one target."""

    def __init__(self, group: _OutputGroup, name: str) -> None:
        self.__name__ = name
        self._group, self._weight = group, group.weights[0]

    def __call__(self, y: Any, predicted: Any) -> Any:
        return self._group.compute_loss(y, predicted) / self._weight
