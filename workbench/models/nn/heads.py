"""The last layer of a net, what it is trained on, and how its outputs are read; of one target, or of several.

Several targets stand beside each other in one output, (rows, outputs), and in one matrix of targets, (rows, targets).
Neighbours of one sort are computed together, so that a hundred labels cost hardly more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from workbench.models.protocol import Problem

Sort = Literal["sigmoid", "softmax", "squared_error", "absolute_error"]


def output_layer(hidden: Any, problem: Problem, wide: Any | None = None) -> Any:
    """Return the last layer: class probabilities, the probability of class 1, or a standard score.

    Args:
        hidden: what the last dense layer sees.
        problem: what is to be learned.
        wide: the output of a linear part, added before the activation.
    """
    output = keras.layers.Dense(problem.outputs)(hidden)
    if wide is not None:
        output = keras.layers.Add()([output, wide])
    return activate(output, problem)


def activate(output: Any, problem: Problem) -> Any:
    """Return a last layer's values, (…, outputs), as what is predicted."""
    runs = list(_runs(problem))
    parts = [output[..., run.outputs] for run in runs] if len(runs) > 1 else [output]
    made = [
        keras.layers.Activation(run.sort if run.sort in ("sigmoid", "softmax") else "linear", dtype="float32")(part)
        for run, part in zip(runs, parts, strict=True)
    ]
    return keras.layers.Concatenate(dtype="float32")(made) if len(made) > 1 else made[0]


def loss(problem: Problem, *, mixed: bool) -> str | Callable[[Any, Any], Any]:
    """Return Keras's name of the loss; `mixed` targets are probabilities, a column per class.

    Of several targets it is a function: the mean of their losses by their weights.
    """
    if problem.targets:
        return _Joint(problem)
    if problem.classes:
        several = "categorical_crossentropy" if mixed else "sparse_categorical_crossentropy"
        return several if problem.outputs > 1 else "binary_crossentropy"
    return "mean_absolute_error" if problem.loss == "absolute_error" else "mean_squared_error"


def target_losses(problem: Problem) -> list[Any]:
    """Return what is told of every epoch beside the loss: of a few targets, the loss of each as `TARGET_loss`."""
    return [_Alone(run, f"{name}_loss") for run, name in zip(_runs(problem, apart=True), problem.told, strict=False)]


def scales(problem: Problem, y: np.ndarray) -> tuple[Any, Any]:
    """Return level and spread of targets of numbers, by which a net sees standard scores; 0 and 1 for classes.

    Numbers, or (targets,) of several.
    """
    if not problem.targets:
        return (0.0, 1.0) if problem.classes else (float(y.mean()), float(y.std()) or 1.0)
    each = [scales(target, y[:, place]) for place, target in enumerate(problem.targets)]
    return np.array([shift for shift, _ in each]), np.array([scale for _, scale in each])


def repeat_per_output(problem: Problem, values: Any) -> Any:
    """Return what belongs to each target for each of its outputs; a number as it is."""
    return np.repeat(values, [target.outputs for target in problem.targets]).tolist() if problem.targets else values


def output_bounds(problem: Problem) -> tuple[tuple[int, int], ...]:
    """Return where the outputs of each of several targets begin and end; nothing for one target."""
    return tuple((columns.start, columns.stop) for _, columns in problem.parts()) if problem.targets else ()


def read_outputs(raw: np.ndarray, shift: Any, scale: Any, of: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Return outputs as predictions: shares that sum to 1, and values in the target's own unit.

    Args:
        raw: (rows, outputs) float64.
        shift: what is added to standard scores; for each output where there are several targets.
        scale: what they are multiplied by before.
        of: as `spans` has it.
    """
    if of:
        made: np.ndarray = raw * np.asarray(scale) + np.asarray(shift)
        for start, stop in of:
            if stop - start > 1:
                made[:, start:stop] /= made[:, start:stop].sum(axis=1, keepdims=True)
        return made
    if raw.shape[1] > 1:
        shares = np.asarray(raw / raw.sum(axis=1, keepdims=True))
        # Nets of others may have an output for each of two classes.
        return shares[:, 1] if shares.shape[1] == 2 else shares
    return np.asarray(shift + scale * raw[:, 0])


@dataclass(frozen=True)
class _Run:
    """Neighbouring targets of one sort."""

    sort: Sort
    outputs: slice
    targets: slice
    weights: tuple[float, ...]

    def loss(self, y: Any, predicted: Any) -> Any:
        """Return the weighted sum of their losses, (…,), from all targets and all outputs."""
        y, predicted = y[..., self.targets], predicted[..., self.outputs]
        if self.sort == "softmax":
            numbers = ops.cast(y[..., 0], "int32")
            return self.weights[0] * ops.sparse_categorical_crossentropy(numbers, predicted)
        each = _ELEMENTWISE[self.sort](ops.cast(y, predicted.dtype), predicted)
        return ops.sum(each * ops.convert_to_tensor(self.weights, dtype=predicted.dtype), axis=-1)


_ELEMENTWISE: dict[str, Callable[[Any, Any], Any]] = {
    "sigmoid": lambda y, predicted: ops.binary_crossentropy(y, predicted),
    "squared_error": lambda y, predicted: ops.square(y - predicted),
    "absolute_error": lambda y, predicted: ops.abs(y - predicted),
}


def _runs(problem: Problem, *, apart: bool = False) -> Iterator[_Run]:
    """Yield the targets in order, neighbours of one sort together unless they are to stand apart."""
    run: _Run | None = None
    for place, (target, columns) in enumerate(problem.parts()):
        own = _Run(_sort(target), columns, slice(place, place + 1), (target.weight,))
        if run is None:
            run = own
        elif own.sort == run.sort and own.sort != "softmax" and not apart:
            joined = slice(run.outputs.start, columns.stop), slice(run.targets.start, place + 1)
            run = _Run(run.sort, *joined, (*run.weights, target.weight))
        else:
            yield run
            run = own
    if run is not None:
        yield run


def _sort(target: Problem) -> Sort:
    if target.classes:
        return "softmax" if target.outputs > 1 else "sigmoid"
    return "absolute_error" if target.loss == "absolute_error" else "squared_error"


class _Joint:
    """The mean of the targets' losses by their weights."""

    __name__ = "joint"

    def __init__(self, problem: Problem) -> None:
        self._runs = list(_runs(problem))
        self._total = sum(sum(run.weights) for run in self._runs)

    def __call__(self, y: Any, predicted: Any) -> Any:
        return sum(run.loss(y, predicted) for run in self._runs) / self._total


class _Alone:
    """The loss of one target by itself."""

    def __init__(self, run: _Run, name: str) -> None:
        self.__name__ = name
        self._run, self._weight = run, run.weights[0]

    def __call__(self, y: Any, predicted: Any) -> Any:
        return self._run.loss(y, predicted) / self._weight
