"""Training of nets that are compiled elsewhere: by one of KerasTuner's hypermodels, or by the user's code.

The net keeps its own optimizer, loss and metrics; a hypermodel with a `fit` of its own also trains it. This module
decides what all nets have in common: inputs, the most epochs, and the weights of the best epoch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from workbench import features
from workbench.array import Array
from workbench.errors import FamilyError
from workbench.models.nn import callbacks, data_loader, heads, keras_model, training
from workbench.models.nn.epoch_weights import WeightHistory
from workbench.models.nn.keras_model import KerasModel
from workbench.models.nn.optimizer import LearningRateSchedule
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space.hypermodels import overrides_fit

# Rows that an untrained net is run on to check its outputs.
_CHECKED_ROWS = 16
# Losses that train equally well on standard scores of the target.
_SCALABLE_LOSSES = ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "huber_loss")


@dataclass(frozen=True)
class NetInputs:
    """A fitted preprocessor and the training rows that it transformed."""

    preprocessor: Any | None
    train_x: Any

    def transform(self, x: Any) -> Any:
        """Transform other rows in the same way."""
        return _fill_padding(keras_model.transform_inputs(self.preprocessor, x))

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of a row."""
        return tuple(self.train_x.shape[1:])


@dataclass(frozen=True)
class BuiltNet:
    """A net that a hypermodel or the user's code has built."""

    net: Any
    """Compiled; if it is not, it is compiled with Adam and the task's loss."""
    inputs: NetInputs
    name: str
    """The family's name, for messages."""
    hypermodel: Any = None
    """The hypermodel that built it, if any; a `fit` of its own trains the net."""


def prepare_inputs(problem: Problem, train: Rows, context: FitContext) -> NetInputs:
    """Fit the inputs of a net: images unchanged, scaled sequences, or a table as one scaled matrix (rows, values)."""
    if problem.kind == "image":
        return NetInputs(None, keras_model.transform_inputs(None, train.x))
    if problem.kind == "sequence":
        scaler = features.fit_sequence_scaler(train.x)
        return NetInputs(scaler, _fill_padding(keras_model.transform_inputs(scaler, train.x)))
    options: dict[str, Any] = {"numbers": "quantile", "classes": problem.classes, "seed": context.seed}
    dense = features.dense_preprocessor(problem.columns, train.x, kind=problem.kind, **options)
    return NetInputs(dense, dense.fit_transform(train.x, train.y))


def describe_data(problem: Problem, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the arguments that a hypermodel may ask for by name."""
    return {"input_shape": shape, "classes": problem.classes, "num_classes": problem.classes, "problem": problem}


def is_net(candidate: object) -> bool:
    """Return whether an object is a Keras model."""
    return isinstance(candidate, keras.Model)


def train(
    built: BuiltNet, hp: Any, problem: Problem, rows: Rows, valid: Rows | None, context: FitContext
) -> KerasModel:
    """Train a net with its own loss and optimizer.

    Args:
        built: the net, its inputs and its origin.
        hp: the search space, for a hypermodel's own `fit`.
        problem: the target.
        rows: the rows to learn from.
        valid: the fold's validation rows, if any.
        context: epochs and the progress callback.

    Raises:
        FamilyError: the net's outputs do not fit the task.
    """
    net, inputs = built.net, built.inputs
    width = _measure_outputs(built, problem)
    if not net.compiled:
        net.compile(optimizer="adam", loss=heads.build_loss(problem, mixup=False))
    loss = _LossTraits.read(net, problem)
    if problem.classes and not loss.from_logits:
        _check_probabilities(built)
    shift, scale = (float(rows.y.mean()), float(rows.y.std()) or 1.0) if loss.scalable else (0.0, 1.0)

    def encode_targets(y: Array) -> Any:
        if problem.classes:
            return np.eye(width, dtype=np.float32)[y] if loss.one_hot and width > 1 else y
        return (y - shift) / scale

    own_fit = overrides_fit(built.hypermodel)
    arguments = _build_training_arguments(
        inputs.train_x, rows, encode_targets(rows.y), own_fit=own_fit, seed=context.seed
    )
    history = None if valid is None else WeightHistory()
    arguments |= {"callbacks": _build_callbacks(context, history), "validation_data": None}
    if valid is not None:
        rows_to_validate = replace(valid, x=inputs.transform(valid.x), y=encode_targets(valid.y))
        arguments["validation_data"] = _build_validation_data(rows_to_validate, own_fit=own_fit)
    with _limit_training(net, context, batch_size=training.choose_batch_size(len(rows.y))):
        x, y = arguments.pop("x"), arguments.pop("y", None)
        positional = (x,) if y is None else (x, y)
        if own_fit:
            required = _list_required(built.hypermodel.fit)
            defaults = {key: value for key, value in _build_default_arguments(context, rows).items() if key in required}
            built.hypermodel.fit(hp, net, *positional, **arguments, **defaults)
        else:
            net.fit(*positional, **arguments)
    model = KerasModel(inputs.preprocessor, _complete(built, loss, width, problem), shift, scale)
    return keras_model.add_stages(model, history)


@dataclass(frozen=True)
class _LossTraits:
    """The form in which a net's loss expects targets and outputs."""

    one_hot: bool
    """Whether class targets have one column per class."""
    from_logits: bool
    """Whether the outputs are logits."""
    scalable: bool
    """Whether regression targets may be standard scores."""

    @classmethod
    def read(cls, net: Any, problem: Problem) -> _LossTraits:
        loss = keras.losses.get(net.loss)
        name = str(getattr(loss, "name", None) or getattr(loss, "__name__", ""))
        from_logits = bool(getattr(loss, "from_logits", False))
        return cls(not name.startswith("sparse"), from_logits, not problem.classes and name in _SCALABLE_LOSSES)


def _fill_padding(x: Any) -> Any:
    """Return sequences with 0 instead of NaN padding, which a user's net expects; other rows unchanged."""
    if isinstance(x, data_loader.ScaledSequences):
        x = data_loader.to_numpy(x)
    return np.nan_to_num(x) if isinstance(x, np.ndarray) and x.ndim == 3 and x.dtype.kind == "f" else x


def _measure_outputs(built: BuiltNet, problem: Problem) -> int:
    """Return the number of a net's outputs, after running it on some rows.

    Raises:
        FamilyError: the number does not fit the task.
    """
    outputs = built.net(data_loader.to_numpy(built.inputs.train_x[:_CHECKED_ROWS]), training=False)
    shape = getattr(outputs, "shape", None)
    allowed = {0: (1,), 2: (1, 2)}.get(problem.classes, (problem.classes,))
    if shape is not None and len(shape) == 2 and shape[1] in allowed:
        return int(shape[1])
    task = f"{problem.classes} classes" if problem.classes else "a regression"
    expected = " or ".join(f"(rows, {width})" for width in allowed)
    received = f"{len(outputs)} outputs" if shape is None else f"(rows, {', '.join(map(str, shape[1:]))})"
    raise FamilyError(
        f"{built.name} must make a net whose output is {expected} for {task}. Received: {received}. "
        f"Let the last layer be Dense({allowed[-1]})."
    )


def _check_probabilities(built: BuiltNet) -> None:
    """Refuse a classifier whose outputs are not probabilities.

    Raises:
        FamilyError: they are not.
    """
    sample = data_loader.to_numpy(built.inputs.train_x[:_CHECKED_ROWS])
    outputs = np.asarray(built.net(sample, training=False), dtype=np.float64)
    sums = outputs.sum(axis=1) if outputs.shape[1] > 1 else np.ones(len(outputs))
    if outputs.min() >= 0 and outputs.max() <= 1 + 1e-3 and np.abs(sums - 1).max() < 1e-2:
        return
    raise FamilyError(
        f"{built.name} must make a net whose outputs are probabilities. Received: values from {outputs.min():.3g} to "
        f"{outputs.max():.3g}. Let it end in softmax (of one output, sigmoid), or give its loss from_logits=True."
    )


def _build_training_arguments(x: Any, rows: Rows, y: Any, *, own_fit: bool, seed: int) -> dict[str, Any]:
    """Return the training rows as arguments of `fit`; a hypermodel's own `fit` gets arrays, which it may batch."""
    if not own_fit and not data_loader.fits_in_memory(x):
        batch_size = training.choose_batch_size(len(rows.y))
        return {"x": data_loader.Batches(x, y, rows.sample_weight, batch_size=batch_size, seed=seed), "shuffle": False}
    weight = {} if rows.sample_weight is None else {"sample_weight": rows.sample_weight}
    return {"x": data_loader.to_numpy(x), "y": y, **weight}


def _build_validation_data(rows: Rows, *, own_fit: bool) -> Any:
    """Return preprocessed validation rows: arrays, of which the third has the weights if there are any, or batches."""
    x, y, weight = rows.x, rows.y, rows.sample_weight
    if own_fit or data_loader.fits_in_memory(x):
        return (data_loader.to_numpy(x), y) if weight is None else (data_loader.to_numpy(x), y, weight)
    return data_loader.Batches(x, y, weight, batch_size=data_loader.choose_prediction_batch_size(x))


def _build_callbacks(context: FitContext, history: WeightHistory | None) -> list[Any]:
    """Return the study file's callbacks without those of the learning rate, which the net sets itself."""
    config = context.training.model_copy(update={"reduce_on_plateau": False})
    schedule = LearningRateSchedule("plateau", rate=0.0, warmup=0, horizon=None)
    return callbacks.build_callbacks(replace(context, training=config), schedule, history)


def _build_default_arguments(context: FitContext, rows: Rows) -> dict[str, Any]:
    return {
        "epochs": context.length or context.epochs,
        "batch_size": training.choose_batch_size(len(rows.y)),
        "verbose": 0,
    }


def _list_required(function: Callable[..., Any]) -> set[str]:
    """Return the names of a function's parameters that have no default."""
    parameters = inspect.signature(function).parameters.items()
    return {name for name, parameter in parameters if parameter.default is parameter.empty}


@contextmanager
def _limit_training(net: Any, context: FitContext, *, batch_size: int) -> Iterator[None]:
    """Replace the net's `fit` by one with the study's defaults of epochs and batch size.

    No training is longer than the study file allows; without validation rows `context.length` sets its length.
    """
    keras_fit = net.fit

    def fit(*args: Any, **given: Any) -> Any:
        defaults = {"epochs": context.epochs, "verbose": 0}
        # A PyDataset has batches of its own.
        defaults |= {} if args and isinstance(args[0], keras.utils.PyDataset) else {"batch_size": batch_size}
        # Batch size and epochs may come as the third and the fourth positional argument.
        positional = dict(zip(("batch_size", "epochs"), args[2:4], strict=False))
        arguments = {**defaults, **positional, **given}
        arguments["epochs"] = context.length or min(arguments["epochs"], context.epochs)
        return keras_fit(*args[:2], *args[4:], **arguments)

    net.fit = fit
    try:
        yield
    finally:
        del net.fit


def _complete(built: BuiltNet, loss: _LossTraits, width: int, problem: Problem) -> Any:
    """Return the trained net with padding filled before it, and with probabilities after it if it returns logits."""
    padded, logits = problem.kind == "sequence", problem.classes and loss.from_logits
    if not padded and not logits:
        return built.net
    start = keras.Input(built.inputs.row_shape, dtype=np.dtype(built.inputs.train_x.dtype).name)
    hidden = keras.ops.where(keras.ops.isnan(start), keras.ops.zeros_like(start), start) if padded else start
    hidden = built.net(hidden, training=False)
    if logits:
        hidden = keras.layers.Activation("softmax" if width > 1 else "sigmoid", dtype="float32")(hidden)
    return keras.Model(start, hidden)
