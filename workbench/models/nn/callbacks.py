"""Who looks on while a net trains: what the study file asks for under `training`, and the user's own."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.config import TrainingConfig
from workbench.errors import FamilyError
from workbench.models.nn import backbones, word_vectors
from workbench.models.wrappers import user_code

if TYPE_CHECKING:
    from workbench.models.nn.optimizer import LearningRateSchedule
    from workbench.models.protocol import FitContext


def check_tensorboard() -> None:
    """Refuse TensorBoard where it is not installed.

    Raises:
        FamilyError: it is not.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise FamilyError("needs TensorBoard, which is not installed. Install it with: pip install tensorboard.")


def resolve_paths(training: TrainingConfig, resolve: Callable[[str], Path]) -> TrainingConfig:
    """Return `training` with absolute paths, which mean the same in every process."""
    found: dict[str, Any] = {
        key: str(resolve(value)) for key in _FOLDERS if (value := getattr(training, key)) is not None
    }
    found["pretrained"] = backbones.resolve_paths(training.pretrained, resolve)
    found["word_vectors"] = word_vectors.resolve_path(training.word_vectors, resolve)
    own = tuple(user_code.resolve_reference(name, resolve) for name in training.callbacks)
    return training.model_copy(update={**found, "callbacks": own})


def callbacks(setting: FitContext, schedule: LearningRateSchedule, *, stops: bool) -> list[Any]:
    """Return the callbacks of one training.

    Args:
        setting: whom to tell of every epoch, and what the study file asks for.
        schedule: what moves the learning rate.
        stops: whether there is a validation loss, which decides when to end and which weights are best.
    """
    import keras

    training, watched = setting.training, "val_loss" if stops else "loss"
    found: list[Any] = [keras.callbacks.TerminateOnNaN()] if training.terminate_on_nan else []
    found += schedule.callbacks(
        stops=stops, patience=training.early_stopping, on_plateau=training.reduce_on_plateau, most=setting.epochs
    )
    if training.csv_log is not None:
        found.append(keras.callbacks.CSVLogger(_folder(training.csv_log, setting) / "log.csv"))
    if training.checkpoint is not None:
        file = _folder(training.checkpoint, setting) / "best.weights.h5"
        best = {"monitor": watched, "save_best_only": True, "save_weights_only": True}
        found.append(keras.callbacks.ModelCheckpoint(str(file), **best))
    if training.tensorboard is not None:
        folder = _folder(training.tensorboard, setting)
        found.append(keras.callbacks.TensorBoard(str(folder), write_graph=False))
    found += [_own(name) for name in training.callbacks]
    # The last, so that a trial is ended after the others have seen the epoch.
    of = None if schedule.horizon is None else schedule.epochs(setting.epochs)
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setting.watch(epoch, dict(logs or {}), of=of)
    )
    return [*found, watch]


_FOLDERS = ("csv_log", "checkpoint", "tensorboard")


def _folder(top: str, setting: FitContext) -> Path:
    folder = Path(top) / setting.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _own(name: str) -> Any:
    """Return the user's callback, made without arguments.

    Raises:
        FamilyError: what is made is no callback of Keras.
    """
    import keras

    made = user_code.run(name)()
    if not isinstance(made, keras.callbacks.Callback):
        kind = type(made).__name__
        wanted = name.rpartition(":")[2]
        raise FamilyError(f"training.callbacks: {wanted}() must be a keras.callbacks.Callback. Received: {kind}.")
    return made
