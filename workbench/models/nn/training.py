"""The training loop of every Keras family.

By default the learning rate falls when the validation loss stops improving, and training stops when it has not improved
for long. The weights of the best epoch are restored, and those of the other epochs are kept, so that a trial can choose
an epoch on other rows than it scores. Without validation rows a net trains for a given number of epochs, and the
learning rate follows the training loss. With a deadline, a training that does not fit is shortened (see `time_limit`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from workbench.array import Array
from workbench.models.nn import callbacks, data_loader, heads, keras_model, optimizer
from workbench.models.nn.epoch_weights import WeightHistory
from workbench.models.nn.keras_model import KerasModel
from workbench.models.nn.mixup import Mixup
from workbench.models.nn.optimizer import OptimizerChoices
from workbench.models.protocol import FitContext, Problem, Rows

# Default batch size for fewer rows than the key; 512 for more.
_BATCH_SIZES = {1_000: 32, 4_000: 64, 8_000: 128, 20_000: 256}


@dataclass(frozen=True)
class NetSpec:
    """The parts of a net's training that a family decides."""

    build: Callable[[], Any]
    """Returns the net, not compiled."""
    preprocessor: Any | None = None
    """The fitted preprocessor; None: the net takes the rows unchanged."""
    train_inputs: Any | None = None
    """The preprocessed training rows, if fitting the preprocessor returned them already."""
    mixup: Mixup | None = None
    """The mixup of training samples; for classes only."""
    members: int = 0
    """The number of ensemble members inside the net, each with its own loss. The output is (rows, members, outputs),
    and at inference all members return the same values. 0: a plain net with output (rows, outputs)."""
    optimizers: OptimizerChoices = optimizer.TABULAR_CHOICES


def fit(spec: NetSpec, hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Build, compile and train a net.

    Args:
        spec: how the net is built and fed.
        hp: the search space of optimizer, learning-rate schedule and batch size.
        problem: the targets and the loss.
        train: the rows to learn from.
        valid: the fold's validation rows, for early stopping; None: train for `context.length` epochs.
        context: seed, threads, epochs and the progress callback.
    """
    reset_keras(context.seed)
    shift, scale = heads.measure_targets(problem, train.y)
    net = spec.build()
    default_size = choose_batch_size(len(train.y))
    batch_size = hp.Choice("batch_size", [32, 64, 128, 256, 512], default=default_size)
    fixed_schedule = context.training.schedule
    choices = replace(spec.optimizers, schedules=(fixed_schedule,)) if fixed_schedule else spec.optimizers
    net_optimizer, schedule = optimizer.search_optimizer(hp, choices)
    net.compile(
        optimizer=net_optimizer,
        loss=heads.build_loss(problem, mixup=spec.mixup is not None),
        metrics=heads.build_target_losses(problem),
        steps_per_execution=_count_steps_per_execution(-(-len(train.y) // batch_size), context),
        jit_compile=False,
    )
    # A step that makes the optimizer's variables is traced a second time.
    net_optimizer.build(net.trainable_variables)

    def prepare(rows: Rows, inputs: Any | None = None) -> Rows:
        y = (rows.y - shift) / scale if spec.mixup is None else _encode_classes(rows.y, problem)
        x = keras_model.transform_inputs(spec.preprocessor, rows.x) if inputs is None else inputs
        return _repeat_for_members(Rows(x, y, rows.sample_weight), spec.members)

    history = None if valid is None else WeightHistory()
    net.fit(
        **_build_training_arguments(prepare(train, spec.train_inputs), batch_size, context.seed, spec.mixup),
        **({} if valid is None else _build_validation_arguments(prepare(valid))),
        epochs=context.length if valid is None else schedule.limit_epochs(context.epochs),
        callbacks=callbacks.build_callbacks(context, schedule, history),
        verbose=0,
    )
    model = KerasModel(
        spec.preprocessor,
        keras.Model(net.inputs, net.output[:, 0]) if spec.members else net,
        heads.repeat_per_output(problem, shift),
        heads.repeat_per_output(problem, scale),
        heads.list_output_bounds(problem),
    )
    return keras_model.add_stages(model, history)


def reset_keras(seed: int) -> None:
    """Clear Keras's state and seed all random generators; call it before a net is built."""
    keras_model.skip_graph_optimization()
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)


def enable_determinism() -> None:
    """Restrict this process to operations that return the same bits every time."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def choose_batch_size(rows: int) -> int:
    """Return the default batch size for a number of training rows: smaller for fewer rows."""
    return next((size for limit, size in _BATCH_SIZES.items() if rows < limit), 512)


def _count_steps_per_execution(steps: int, context: FitContext) -> int:
    """Return the steps of one call of the training function, given those of an epoch.

    Several steps in one call halve the time of a small net (measured: 1.14 -> 0.59 ms a step). With a deadline an epoch
    has at least two calls, since the first one, which traces the function, says nothing about the pace.
    """
    return min(16, steps if context.deadline is None else -(-steps // 2))


def _repeat_for_members(rows: Rows, members: int) -> Rows:
    """Return rows whose targets are repeated for each member, (rows, members, targets), and weights that broadcast."""
    if not members:
        return rows
    weight = None if rows.sample_weight is None else rows.sample_weight[:, None]
    return Rows(rows.x, np.repeat(rows.y.reshape(len(rows.y), 1, -1), members, axis=1), weight)


def _build_training_arguments(rows: Rows, batch_size: int, seed: int, mixup: Mixup | None) -> dict[str, Any]:
    """Return the arguments of Keras's `fit` that hold the training rows."""
    if mixup is None and data_loader.fits_in_memory(rows.x):
        return {"x": rows.x, "y": rows.y, "sample_weight": rows.sample_weight, "batch_size": batch_size}
    batches = data_loader.Batches(rows.x, rows.y, rows.sample_weight, batch_size=batch_size, seed=seed, mixup=mixup)
    return {"x": batches, "shuffle": False}


def _build_validation_arguments(rows: Rows) -> dict[str, Any]:
    """Return the arguments of Keras's `fit` that hold the validation rows."""
    batch_size = data_loader.choose_prediction_batch_size(rows.x)
    if data_loader.fits_in_memory(rows.x):
        weight = () if rows.sample_weight is None else (rows.sample_weight,)
        return {"validation_data": (rows.x, rows.y, *weight), "validation_batch_size": batch_size}
    return {"validation_data": data_loader.Batches(rows.x, rows.y, rows.sample_weight, batch_size=batch_size)}


def _encode_classes(y: Array, problem: Problem) -> Array:
    """Return class indices as probabilities: one-hot for more than two classes, else that of class 1."""
    return np.eye(problem.classes, dtype=np.float32)[y] if problem.outputs > 1 else y.astype(np.float32)
