"""Every family on images: seconds an epoch, the score of its defaults and of the best found; and how nets are fed.

    python benchmarks/families.py [--data DIR] [--sets NAME …] [--families NAME …] [--trials 8] [--parts PART …]

Parts: scores, pipeline. Sets: digits, which scikit-learn ships; and of DIR/NAME the train.npz, or the folder train. A
part that is run for some sets or families only prints its rows and leaves the table alone. Answers are not looked at.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# As in a trial's process; read when TensorFlow loads.
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}

import numpy as np
import table

import workbench
from workbench import models, trial
from workbench.space import defaults
from workbench.study.inference import families

_SETS = ("digits", "fashion_mnist", "clothing")
_ROWS = 2048
# Way of feeding, batch, steps an execution, compiled by XLA.
_PIPELINE = (
    ("whole, bytes", 64, 1, False),
    ("whole, bytes", 64, 16, False),
    ("whole, floats", 64, 16, False),
    ("batches of a file", 64, 16, False),
    ("whole, bytes", 64, 16, True),
    ("whole, bytes", 32, 16, False),
    ("whole, bytes", 128, 16, False),
    ("whole, bytes", 256, 16, False),
)


def main() -> None:
    """Run the parts and write their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--families", nargs="+")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--parts", nargs="+", choices=["scores", "pipeline"], default=["scores", "pipeline"])
    options = parser.parse_args()
    if "scores" in options.parts:
        rows = []
        for name in options.sets or (_SETS if options.data else _SETS[:1]):
            for family in options.families or families("image", "multiclass"):
                rows.append(_scores(name, family, options.data, options.trials))
                print(json.dumps(rows[-1]), flush=True)
        if not options.sets and not options.families:
            data = " --data DIR" if options.data else ""
            note = f"`python benchmarks/families.py --parts scores{data} --trials {options.trials}`"
            table.write("families", rows, note=note)
    if "pipeline" in options.parts:
        table.write("pipeline", _pipeline(), note="`python benchmarks/families.py --parts pipeline`")


def _scores(name: str, family: str, data: Path | None, trials: int) -> dict[str, object]:
    """Return what a family does on a set, in one part set apart."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.yaml"
        lines = f"folds: {{kind: holdout}}\nmetric: log_loss\nalso: [accuracy]\nfamilies: [{family}]\n"
        file.write_text(f"name: families\ndata: {{train: '{_source(name, data)}'}}\n{lines}")
        study = workbench.open(str(file), home=str(Path(folder) / "home"))
        spec = study.competition.spec(family, 1)
        [fold] = trial.run(spec, 0, trial.space(family, defaults), folder=Path(folder) / "trial")
        study.search(trials=trials + 1)
        board = study.leaderboard()
    best = board[board.family == family].iloc[0]
    epochs = len(fold.curve["epoch"]) if models.entry(family).keras else 0
    return {
        "set": name,
        "family": family,
        "seconds an epoch": f"{fold.seconds / epochs:.2f}" if epochs else "",
        "seconds": round(fold.seconds, 1),
        "default": f"{fold.score:.4f}",
        f"best of {trials}": f"{best.score:.4f}",
        "its accuracy": f"{best.also['accuracy']:.4f}",
    }


def _source(name: str, data: Path | None) -> str:
    if name == "digits" or data is None:
        return f"sklearn:{name}"
    folder = (data / name).resolve()
    return str(folder / "train" if (folder / "train").is_dir() else folder / "train.npz")


def _pipeline() -> list[dict[str, object]]:
    """Return what an epoch of a small net of either kind costs, fed in different ways."""
    rows = []
    for way, batch, steps, compiled in _PIPELINE:
        row: dict[str, object] = {"fed": way, "batch": batch, "steps a call": steps, "XLA": "yes" if compiled else ""}
        for name, build in (("dense", _dense), ("convolutional", _convolutional)):
            first, later = _epochs(build, way, batch, steps, compiled)
            row |= {f"{name}: first epoch": f"{first:.2f}", f"{name}: a later one": f"{later:.2f}"}
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def _epochs(build: Callable[[str], Any], way: str, batch: int, steps: int, compiled: bool) -> Sequence[float]:
    """Return the CPU seconds of the first epoch and of the fastest of two more; others use this machine, too."""
    import keras

    from workbench.models import feed

    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (_ROWS, 28, 28), dtype=np.uint8), rng.integers(0, 10, _ROWS)
    if way.endswith("floats"):
        x = x.astype(np.float32)
    net = build(x.dtype.name)
    net.compile("adam", "sparse_categorical_crossentropy", steps_per_execution=steps, jit_compile=compiled)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "x.npy", x)
        stored = np.load(Path(folder) / "x.npy", mmap_mode="r")
        fed = (feed.Batches(stored, y, batch=batch, seed=1),) if way.endswith("file") else (x, y)
        seconds = []
        for _ in range(3):
            began = time.process_time()
            net.fit(*fed, **({} if len(fed) == 1 else {"batch_size": batch}), verbose=0)
            seconds.append(time.process_time() - began)
    return seconds[0], min(seconds[1:])


def _dense(dtype: str) -> Any:
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((28, 28), dtype=dtype),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def _convolutional(dtype: str) -> Any:
    from keras import Input, Sequential, layers

    blocks = [
        layer
        for filters, stride in ((32, 2), (32, 1), (64, 2), (64, 1))
        for layer in (layers.Conv2D(filters, 3, strides=stride, padding="same"), layers.BatchNormalization())
    ]
    start = [Input((28, 28), dtype=dtype), layers.Rescaling(1 / 255), layers.Reshape((28, 28, 1))]
    return Sequential([*start, *blocks, layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")])


if __name__ == "__main__":
    main()
