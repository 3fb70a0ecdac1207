"""How a net that is compiled elsewhere is trained: one of KerasTuner's hypermodels, or of the user's own.

Optimizer, loss and metrics are the net's own; so is training where the hypermodel has a `fit`. What is settled here is
what every net has: what it sees, when training ends at the latest, and that the best epoch's weights are kept.
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
from workbench.errors import FamilyError
from workbench.models.nn import callbacks, data_loader, heads
from workbench.models.nn import training as network
from workbench.models.nn.optimizer import LearningRateSchedule
from workbench.models.nn.training import Network
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space.hypermodels import overrides_fit

# Rows that an untrained net is tried on.
_FEW = 16
# Losses to which it is all the same where a target's zero lies and how large its unit is.
_SCALED = ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "huber_loss")


@dataclass(frozen=True)
class HypermodelInputs:
    """What a net is shown: a view of the data, and the training rows in it."""

    view: Any | None
    x: Any

    def of(self, x: Any) -> Any:
        """Return other rows likewise."""
        return _known(network.inputs(self.view, x))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a row."""
        return tuple(self.x.shape[1:])


def prepare_inputs(problem: Problem, train: Rows, setting: FitContext) -> HypermodelInputs:
    """Return what a net is shown: images as they are, sequences as steps, else numbers on one scale, (rows, values)."""
    if problem.kind == "image":
        return HypermodelInputs(None, network.inputs(None, train.x))
    if problem.kind == "sequence":
        view = features.fit_sequence_scaler(train.x)
        return HypermodelInputs(view, _known(network.inputs(view, train.x)))
    options: dict[str, Any] = {"numbers": "quantile", "classes": problem.classes, "seed": setting.seed}
    dense = features.dense_preprocessor(problem.columns, train.x, kind=problem.kind, **options)
    return HypermodelInputs(dense, dense.fit_transform(train.x, train.y))


def data_facts(problem: Problem, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what a hypermodel may be told, by the names of its arguments."""
    return {"input_shape": shape, "classes": problem.classes, "num_classes": problem.classes, "problem": problem}


def is_net(made: object) -> bool:
    """Tell whether something is a net of Keras."""
    return isinstance(made, keras.Model)


def train(
    net: Any,
    hp: Any,
    problem: Problem,
    rows: Rows,
    valid: Rows | None,
    setting: FitContext,
    *,
    shown: HypermodelInputs,
    name: str,
    model: Any = None,
) -> Network:
    """Train a net in its own way.

    Args:
        net: compiled; with Adam and the task's loss where it is not.
        hp: the search space, for a hypermodel's own `fit`.
        problem: what is to be learned.
        rows: the rows to learn from.
        valid: the fold's validation rows, if any.
        setting: how long, and whom to tell.
        shown: the training rows as the net sees them.
        name: the family's, for messages.
        model: the hypermodel whose `fit` trains the net, where it has one.

    Raises:
        FamilyError: the net's outputs do not suit the task.
    """
    width = _width(net, problem, shown.x, name)
    if not net.compiled:
        net.compile(optimizer="adam", loss=heads.loss(problem, mixed=False))
    loss = _Loss.of(net, problem)
    if problem.classes and not loss.from_logits:
        _check_shares(net, shown.x, name)
    shift, scale = (float(rows.y.mean()), float(rows.y.std()) or 1.0) if loss.scaled else (0.0, 1.0)

    def targets(y: np.ndarray) -> Any:
        if problem.classes:
            return np.eye(width, dtype=np.float32)[y] if loss.one_hot and width > 1 else y
        return (y - shift) / scale

    own = overrides_fit(model)
    given = _given(shown.x, rows, targets, own=own, setting=setting)
    given |= {"callbacks": _callbacks(setting, stops=valid is not None), "validation_data": None}
    if valid is not None:
        given["validation_data"] = _validation(shown.of(valid.x), targets(valid.y), own=own)
    with _settled(net, setting, batch=network.default_batch_size(len(rows.y))):
        x, y = given.pop("x"), given.pop("y", None)
        positional = (x,) if y is None else (x, y)
        if own:
            named = {key: value for key, value in _defaults(setting, rows).items() if key in _named(model.fit)}
            model.fit(hp, net, *positional, **given, **named)
        else:
            net.fit(*positional, **given)
    return Network(shown.view, _finished(net, shown, loss, width, problem), shift, scale)


@dataclass(frozen=True)
class _Loss:
    """What a net's loss says of its targets and outputs."""

    one_hot: bool
    """Whether targets are a column per class."""
    from_logits: bool
    """Whether the outputs are still to be made probabilities."""
    scaled: bool
    """Whether targets are standard scores."""

    @classmethod
    def of(cls, net: Any, problem: Problem) -> _Loss:
        loss = keras.losses.get(net.loss)
        name = str(getattr(loss, "name", None) or getattr(loss, "__name__", ""))
        logits = bool(getattr(loss, "from_logits", False))
        return cls(not name.startswith("sparse"), logits, not problem.classes and name in _SCALED)


def _known(x: Any) -> Any:
    """Return sequences with 0 in the place of their padding, as nets know it; other rows as they are."""
    if isinstance(x, data_loader.LazySequences):
        x = data_loader.to_numpy(x)
    return np.nan_to_num(x) if isinstance(x, np.ndarray) and x.ndim == 3 and x.dtype.kind == "f" else x


def _width(net: Any, problem: Problem, x: Any, name: str) -> int:
    """Return how many outputs a net has, after it has seen some rows.

    Raises:
        FamilyError: they do not suit the task.
    """
    made = net(data_loader.to_numpy(x[:_FEW]), training=False)
    shape = getattr(made, "shape", None)
    fitting = {0: (1,), 2: (1, 2)}.get(problem.classes, (problem.classes,))
    if shape is not None and len(shape) == 2 and shape[1] in fitting:
        return int(shape[1])
    what = f"{problem.classes} classes" if problem.classes else "a regression"
    wanted = " or ".join(f"(rows, {width})" for width in fitting)
    came = f"{len(made)} outputs" if shape is None else f"(rows, {', '.join(map(str, shape[1:]))})"
    raise FamilyError(
        f"{name} must make a net whose output is {wanted} for {what}. Received: {came}. "
        f"Let the last layer be Dense({fitting[-1]})."
    )


def _check_shares(net: Any, x: Any, name: str) -> None:
    """Refuse a net for classes whose outputs are no probabilities."""
    made = np.asarray(net(data_loader.to_numpy(x[:_FEW]), training=False), dtype=np.float64)
    sums = made.sum(axis=1) if made.shape[1] > 1 else np.ones(len(made))
    if made.min() >= 0 and made.max() <= 1 + 1e-3 and np.abs(sums - 1).max() < 1e-2:
        return
    raise FamilyError(
        f"{name} must make a net whose outputs are probabilities. Received: values from {made.min():.3g} to "
        f"{made.max():.3g}. Let it end in softmax (of one output, sigmoid), or give its loss from_logits=True."
    )


def _given(
    x: Any, rows: Rows, targets: Callable[[np.ndarray], Any], *, own: bool, setting: FitContext
) -> dict[str, Any]:
    """Return what training begins with; a `fit` of the hypermodel's own gets arrays, which it may batch as it likes."""
    y = targets(rows.y)
    if not own and not data_loader.fits_in_memory(x):
        batch = network.default_batch_size(len(rows.y))
        return {"x": data_loader.Batches(x, y, rows.weight, batch=batch, seed=setting.seed), "shuffle": False}
    weight = {} if rows.weight is None else {"sample_weight": rows.weight}
    return {"x": data_loader.to_numpy(x), "y": y, **weight}


def _validation(x: Any, y: Any, *, own: bool) -> Any:
    if own or data_loader.fits_in_memory(x):
        return data_loader.to_numpy(x), y
    return data_loader.Batches(x, y, batch=data_loader.prediction_batch_size(x))


def _callbacks(setting: FitContext, *, stops: bool) -> list[Any]:
    """Return who looks on; the learning rate is the net's own affair."""
    training = setting.training.model_copy(update={"reduce_on_plateau": False})
    schedule = LearningRateSchedule("plateau", rate=0.0, warmup=0, horizon=None)
    return callbacks.callbacks(replace(setting, training=training), schedule, stops=stops)


def _defaults(setting: FitContext, rows: Rows) -> dict[str, Any]:
    return {
        "epochs": setting.length or setting.epochs,
        "batch_size": network.default_batch_size(len(rows.y)),
        "verbose": 0,
    }


def _named(function: Callable[..., Any]) -> set[str]:
    """Return the arguments without which a function cannot be called."""
    asked = inspect.signature(function).parameters.items()
    return {name for name, parameter in asked if parameter.default is parameter.empty}


@contextmanager
def _settled(net: Any, setting: FitContext, *, batch: int) -> Iterator[None]:
    """Let the net's `fit` know, unless it is told, for how long to train and on how many rows at a time.

    No training is longer than the study file allows; without validation rows its length is given.
    """
    plain = net.fit

    def fit(*args: Any, **given: Any) -> Any:
        usual = {"epochs": setting.epochs, "verbose": 0}
        usual |= {} if args and isinstance(args[0], keras.utils.PyDataset) else {"batch_size": batch}
        # The third and the fourth may be given by their places.
        named = {**dict(zip(("batch_size", "epochs"), args[2:4], strict=False)), **given}
        named = {**usual, **named}
        named["epochs"] = setting.length or min(named["epochs"], setting.epochs)
        return plain(*args[:2], *args[4:], **named)

    net.fit = fit
    try:
        yield
    finally:
        del net.fit


def _finished(net: Any, shown: HypermodelInputs, loss: _Loss, width: int, problem: Problem) -> Any:
    """Return the trained net with what its inputs and outputs still lack: no padding, and probabilities."""
    padded, logits = problem.kind == "sequence", problem.classes and loss.from_logits
    if not padded and not logits:
        return net
    start = keras.Input(shown.shape, dtype=np.dtype(shown.x.dtype).name)
    hidden = keras.ops.where(keras.ops.isnan(start), keras.ops.zeros_like(start), start) if padded else start
    hidden = net(hidden, training=False)
    if logits:
        hidden = keras.layers.Activation("softmax" if width > 1 else "sigmoid", dtype="float32")(hidden)
    return keras.Model(start, hidden)
