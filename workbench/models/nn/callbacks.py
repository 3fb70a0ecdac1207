"""Keras callbacks of a training: those of the study file's `training` section, and the user's own."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.config import TrainingConfig
from workbench.errors import FamilyError
from workbench.models.nn import backbone_config, word_vectors
from workbench.models.wrappers import user_code

if TYPE_CHECKING:
    from workbench.models.nn.optimizer import LearningRateSchedule
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


def build_callbacks(context: FitContext, schedule: LearningRateSchedule, *, has_validation: bool) -> list[Any]:
    """Return the callbacks of one training.

    Args:
        context: the progress callback and the study file's training section.
        schedule: the learning-rate schedule.
        has_validation: whether there is a validation loss, which early stopping and the best weights need.
    """
    import keras

    training, monitored = context.training, "val_loss" if has_validation else "loss"
    found: list[Any] = [keras.callbacks.TerminateOnNaN()] if training.terminate_on_nan else []
    found += schedule.build_callbacks(
        has_validation=has_validation,
        patience=training.early_stopping,
        on_plateau=training.reduce_on_plateau,
        max_epochs=context.epochs,
    )
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
    progress = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: context.on_epoch(epoch, dict(logs or {}), of=total)
    )
    return [*found, progress]


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
