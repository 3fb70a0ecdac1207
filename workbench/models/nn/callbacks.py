"""Keras callbacks of a training: those of the study file's `training` section, and the user's own."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.config import TrainingConfig
from workbench.errors import FamilyError
from workbench.models.nn import backbone_config, word_vectors
from workbench.models.wrappers import user_code

if TYPE_CHECKING:
    from workbench.models.nn.epoch_weights import WeightHistory
    from workbench.models.nn.optimizer import LearningRateSchedule
    from workbench.models.nn.time_limit import TimeLimit
    from workbench.models.protocol import FitContext

# The keys of `training` that name a folder.
_FOLDERS = ("csv_log", "checkpoint", "tensorboard")


def check_tensorboard() -> None:
    """Check that TensorBoard is installed.

    Raises:
        FamilyError: it is not.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise FamilyError("needs TensorBoard, which is not installed. Install it with: pip install tensorboard.")


def resolve_paths(training: TrainingConfig, resolve: Callable[[str], Path]) -> TrainingConfig:
    """Return `training` with absolute paths, which mean the same in every process."""
    update: dict[str, Any] = {
        key: str(resolve(value)) for key in _FOLDERS if (value := getattr(training, key)) is not None
    }
    update["pretrained"] = backbone_config.resolve_paths(training.pretrained, resolve)
    update["word_vectors"] = word_vectors.resolve_path(training.word_vectors, resolve)
    update["callbacks"] = tuple(user_code.resolve_reference(name, resolve) for name in training.callbacks)
    return training.model_copy(update=update)


def build_callbacks(context: FitContext, schedule: LearningRateSchedule, history: WeightHistory | None) -> list[Any]:
    """Return the callbacks of one training.

    Args:
        context: the progress callback and the study file's training section.
        schedule: the learning-rate schedule.
        history: keeps the weights of each epoch; None without validation rows, whose loss early stopping and the best
            weights need.
    """
    import keras

    training, monitored = context.training, "loss" if history is None else "val_loss"
    found: list[Any] = [keras.callbacks.TerminateOnNaN()] if training.terminate_on_nan else []
    found += schedule.build_callbacks(
        has_validation=history is not None,
        patience=training.early_stopping,
        on_plateau=training.reduce_on_plateau,
        max_epochs=context.epochs,
    )
    found += [] if history is None else [history]
    limit = _build_time_limit(context, schedule, has_validation=history is not None)
    found += [] if limit is None else [limit]
    if training.csv_log is not None:
        found.append(keras.callbacks.CSVLogger(_make_folder(training.csv_log, context) / "log.csv"))
    if training.checkpoint is not None:
        file = _make_folder(training.checkpoint, context) / "best.weights.h5"
        best = {"monitor": monitored, "save_best_only": True, "save_weights_only": True}
        found.append(keras.callbacks.ModelCheckpoint(str(file), **best))
    if training.tensorboard is not None:
        folder = _make_folder(training.tensorboard, context)
        found.append(keras.callbacks.TensorBoard(str(folder), write_graph=False))
    found += [_build_custom(name) for name in training.callbacks]
    # The progress callback comes last: it may end the trial, and the other callbacks must see the epoch first.
    total = None if schedule.horizon is None else schedule.limit_epochs(context.epochs)

    def report(epoch: int, logs: Mapping[str, float] | None) -> None:
        of = total if total is None or limit is None else limit.expected_epochs
        context.on_epoch(epoch, dict(logs or {}), of=of)

    return [*found, keras.callbacks.LambdaCallback(on_epoch_end=report)]


def _build_time_limit(context: FitContext, schedule: LearningRateSchedule, *, has_validation: bool) -> TimeLimit | None:
    """Return the callback that ends the training at its deadline, if it has one."""
    if context.deadline is None:
        return None
    from workbench.models.nn.time_limit import TimeLimit

    epochs = schedule.limit_epochs(context.epochs) if context.length is None else context.length
    return TimeLimit(context.deadline, epochs, schedule, has_validation=has_validation)


def _make_folder(parent: str, context: FitContext) -> Path:
    folder = Path(parent) / context.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _build_custom(name: str) -> Any:
    """Return the user's callback, constructed without arguments.

    Raises:
        FamilyError: the object is not a Keras callback.
    """
    import keras

    callback = user_code.run(name)()
    if not isinstance(callback, keras.callbacks.Callback):
        kind = type(callback).__name__
        constructor = name.rpartition(":")[2]
        raise FamilyError(f"training.callbacks: {constructor}() must be a keras.callbacks.Callback. Received: {kind}.")
    return callback
