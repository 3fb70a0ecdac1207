"""A fitted Keras net with its inputs, and how every Keras family is trained.

By default the learning rate falls when the validation loss stands still, and training ends when it stands still for
long. In any case the weights of the best epoch are restored. That looks at the fold's validation rows, which makes the
out-of-fold score a little too good; it is the price of not setting further rows apart. Without validation rows a net is
trained for a given number of epochs, and the learning rate falls when the training loss stands still.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from workbench import features
from workbench.models.nn import callbacks, data_loader, heads, optimizer
from workbench.models.nn.feature_extractor import FeatureExtractor
from workbench.models.nn.mixup import Mixup
from workbench.models.protocol import FitContext, Inputs, Problem, Rows

# Below so many rows, so large a batch; 512 beyond.
_BATCHES = {1_000: 32, 4_000: 64, 8_000: 128, 20_000: 256}


@dataclass(frozen=True)
class Network:
    """A view of the data (none: the rows as they are), and a net on top of it."""

    view: Any | None
    net: Any
    shift: float | list[float]
    scale: float | list[float]
    """Outputs of a regression net are standard scores: value = shift + scale · output. Of several targets, for each
    output."""
    spans: tuple[tuple[int, int], ...] = ()
    """Where the outputs of each of several targets begin and end; nothing where there is one."""

    @property
    def nets(self) -> dict[str, Any]:
        """The nets that rows go through, one after another."""
        return {**({"features": self.view.net} if isinstance(self.view, FeatureExtractor) else {}), "net": self.net}

    def predict(self, x: Inputs) -> np.ndarray:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,); see `protocol.Model`."""
        seen = inputs(self.view, x)
        rows = data_loader.prediction_batch_size(seen)
        if data_loader.fits_in_memory(seen):
            predicted = self.net.predict(seen, batch_size=rows, verbose=0)
        else:
            predicted = self.net.predict(data_loader.Batches(seen, batch=rows), verbose=0)
        return heads.read_outputs(np.asarray(predicted, dtype=np.float64), self.shift, self.scale, self.spans)

    def save(self, folder: Path) -> None:
        """Write `net.keras`, `network.json`, and the view."""
        self.net.save(folder / "net.keras")
        if isinstance(
            self.view,
            (
                features.MultiInputEncoder,
                features.WideAndDeepInputs,
                features.SequenceScaler,
                features.TextVectorizer,
                FeatureExtractor,
            ),
        ):
            self.view.save(folder)
        elif self.view is not None:
            features.save(self.view, folder / "view.skops")
        known = {"shift": self.shift, "scale": self.scale, "spans": self.spans}
        (folder / "network.json").write_text(json.dumps(known))


def load(folder: Path, layers: Mapping[str, Any] | None = None) -> Network:
    """Read what `save` wrote; nothing in the file is executed.

    Args:
        folder: that `save` wrote to.
        layers: classes that are not Keras's own, by name.
    """
    net = keras.saving.load_model(folder / "net.keras", layers, compile=False, safe_mode=True)
    view: Any | None = None
    if (folder / "view.skops").exists():
        view = features.load(folder / "view.skops")
    elif (folder / "tokens.json").exists():
        view = features.TextVectorizer.load(folder)
    elif (folder / "branches.json").exists():
        view = features.MultiInputEncoder.load(folder)
    elif (folder / "steps.json").exists():
        view = features.SequenceScaler.load(folder)
    elif (folder / "extraction.keras").exists():
        view = FeatureExtractor.load(folder)
    elif list(folder.glob("*.skops")):
        view = features.WideAndDeepInputs.load(folder)
    known = json.loads((folder / "network.json").read_text())
    spans = tuple((start, stop) for start, stop in known.pop("spans", ()))
    return Network(view, net, spans=spans, **known)


def inputs(view: Any | None, x: Inputs) -> Any:
    """Return what the net is fed with: one array, or a list of them; a large array stays where it lies."""
    if isinstance(view, features.MultiInputEncoder):
        return [data_loader.to_numpy(part) if data_loader.fits_in_memory(part) else part for part in view.transform(x)]
    if view is not None and not isinstance(view, features.SequenceScaler):
        return view.transform(x)
    seen = x if view is None else data_loader.LazySequences(view, x)
    return data_loader.to_numpy(seen) if data_loader.fits_in_memory(seen) else seen


def fit(
    build: Callable[[], Any],
    hp: Any,
    problem: Problem,
    train: Rows,
    valid: Rows | None,
    setting: FitContext,
    *,
    view: Any | None,
    matrix: Any | None = None,
    mixing: Mixup | None = None,
    members: int = 0,
    choices: Mapping[str, Any] = optimizer.FEW,
) -> Network:
    """Train the net that `build` makes.

    Args:
        build: makes the net, not compiled.
        hp: the search space, for what every net has: optimizer, schedule of the learning rate, batch size.
        problem: what is to be learned.
        train: the rows to learn from.
        valid: the fold's validation rows, for early stopping; without them the net is trained for a set length.
        setting: seed, threads, epochs, length, and whom to tell of every epoch.
        view: fitted inputs; None for the rows as they are.
        matrix: the training rows seen through `view`, where fitting gave them already.
        mixing: how rows to learn from are mixed, if at all; for classes only.
        members: how many answers to each row the net gives, each with a loss of its own: (rows, members, outputs); all
            are the same where it does not train. 0: one, (rows, outputs).
        choices: what `optimizer.searched` may choose from.
    """
    reset_state(setting.seed)
    shift, scale = heads.scales(problem, train.y)
    net = build()
    batch = hp.Choice("batch_size", [32, 64, 128, 256, 512], default=default_batch_size(len(train.y)))
    pinned = {"schedules": (setting.training.schedule,)} if setting.training.schedule else {}
    moved, schedule = optimizer.search_optimizer(hp, **{**choices, **pinned})
    net.compile(
        optimizer=moved,
        loss=heads.loss(problem, mixed=mixing is not None),
        metrics=heads.target_losses(problem),
        # Several steps a call halve the time of a small net (measured: 1.14 -> 0.59 ms a step).
        steps_per_execution=min(16, -(-len(train.y) // batch)),
        jit_compile=False,
    )

    def seen(rows: Rows, known: Any | None = None) -> Rows:
        y = (rows.y - shift) / scale if mixing is None else _soft(rows.y, problem)
        made = Rows(inputs(view, rows.x) if known is None else known, y, rows.weight)
        return _for_members(made, members) if members else made

    net.fit(
        **_fed(seen(train, matrix), batch, setting.seed, mixing),
        **({} if valid is None else _validated(seen(valid))),
        epochs=setting.length if valid is None else schedule.epochs(setting.epochs),
        callbacks=callbacks.callbacks(setting, schedule, stops=valid is not None),
        verbose=0,
    )
    shown = keras.Model(net.inputs, net.output[:, 0]) if members else net
    return Network(
        view,
        shown,
        heads.repeat_per_output(problem, shift),
        heads.repeat_per_output(problem, scale),
        heads.output_bounds(problem),
    )


def reset_state(seed: int) -> None:
    """Forget the nets before, and begin all that is random anew; to be called before a net is built."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)


def be_deterministic() -> None:
    """Let this process use only operations that give the same bits each time."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def dense_stack(hp: Any, hidden: Any, *, units: int) -> Any:
    """Return dense layers whose number, width, activation and regularisation are searched."""
    activation = hp.Choice("activation", ["relu", "gelu", "elu"])
    normalise = hp.Boolean("batch_norm", default=True)
    dropout = hp.Float("dropout", 0.0, 0.5, step=0.05, default=0.2)
    width = hp.Int("units", 32, 512, step=2, sampling="log", default=units)
    for _ in range(hp.Int("layers", 1, 4, default=2)):
        hidden = keras.layers.Dense(width, use_bias=not normalise)(hidden)
        if normalise:
            hidden = batch_normalize(hidden)
        hidden = keras.layers.Activation(activation)(hidden)
        hidden = keras.layers.Dropout(dropout)(hidden)
    return hidden


def batch_normalize(hidden: Any, mask: Any | None = None) -> Any:
    """Return batch-normalised values; what a mask leaves out does not count.

    With Keras's momentum of 0.99 a small fold ends before its averages settle.
    """
    return keras.layers.BatchNormalization(momentum=0.9)(hidden, mask=mask)


def _for_members(rows: Rows, members: int) -> Rows:
    """Return rows with targets for each member, (rows, members, targets), and weights that Keras lets count for all."""
    weight = None if rows.weight is None else rows.weight[:, None]
    return Rows(rows.x, np.repeat(rows.y.reshape(len(rows.y), 1, -1), members, axis=1), weight)


def default_batch_size(rows: int) -> int:
    """Return how many rows of so many a net should see at a time: the fewer there are, the fewer."""
    return next((batch for most, batch in _BATCHES.items() if rows < most), 512)


def _fed(rows: Rows, batch: int, seed: int, mixing: Mixup | None) -> dict[str, Any]:
    """Return what `fit` learns from."""
    if mixing is None and data_loader.fits_in_memory(rows.x):
        return {"x": rows.x, "y": rows.y, "sample_weight": rows.weight, "batch_size": batch}
    batches = data_loader.Batches(rows.x, rows.y, rows.weight, batch=batch, seed=seed, mixing=mixing)
    return {"x": batches, "shuffle": False}


def _validated(rows: Rows) -> dict[str, Any]:
    """Return what `fit` validates on, without the rows' weights."""
    batch = data_loader.prediction_batch_size(rows.x)
    if data_loader.fits_in_memory(rows.x):
        return {"validation_data": (rows.x, rows.y), "validation_batch_size": batch}
    return {"validation_data": data_loader.Batches(rows.x, rows.y, batch=batch)}


def _soft(y: np.ndarray, problem: Problem) -> np.ndarray:
    """Return class numbers as probabilities: a column per class where there are more than two."""
    return np.eye(problem.classes, dtype=np.float32)[y] if problem.outputs > 1 else y.astype(np.float32)
