"""Every family by kind of data: seconds an epoch, its defaults' score and the best found; and how nets are fed.

    python benchmarks/families.py [--data DIR] [--sets NAME …] [--families NAME …] [--minutes 1] [--parts PART …]

Parts: scores, pipeline. Sets: digits, which scikit-learn ships, and those of DIR in competition form; the families are
those that `init` drafts for the set. A part that is run for some sets or families only prints its rows and leaves the
table alone. Answers are not looked at.
"""

from __future__ import annotations

import argparse
import collections
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
from workbench import config, models, trial
from workbench.autoconfig.draft import draft
from workbench.space import defaults

_SETS = ("digits", "clothing", "sms_spam", "walking")
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
    parser.add_argument("--minutes", type=float, default=1.0, help="what a family's search on a set may take")
    parser.add_argument("--parts", nargs="+", choices=["scores", "pipeline"], default=["scores", "pipeline"])
    options = parser.parse_args()
    if "scores" in options.parts:
        rows = []
        for name in options.sets or (_SETS if options.data else _SETS[:1]):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "study.yaml"
                draft(_source(name, options.data), metric="log_loss", out=file)
                for family in options.families or config.load(file).families:
                    rows.append(_scores(name, str(family), file, options.minutes))
                    print(json.dumps(rows[-1]), flush=True)
        if not options.sets and not options.families:
            data = " --data DIR" if options.data else ""
            note = f"`python benchmarks/families.py --parts scores{data} --minutes {options.minutes:g}`"
            table.write("families", rows, note=note)
    if "pipeline" in options.parts:
        table.write("pipeline", _pipeline(), note="`python benchmarks/families.py --parts pipeline`")


def _scores(name: str, family: str, file: Path, minutes: float) -> dict[str, object]:
    """Return what a family does on a set, in one part set apart."""
    with tempfile.TemporaryDirectory() as folder:
        folds = {"kind": "holdout"}
        study = workbench.open(str(file), home=folder, families=[family], folds=folds, also=["accuracy"])
        spec = study.task.spec(family, 1)
        [fold] = trial.fit_folds(spec, 0, trial.build_space(family, defaults), folder=Path(folder) / "trial")
        collections.deque(study.search(end=time.monotonic() + 60 * minutes), maxlen=0)
        board = study.leaderboard()
    tried = board[(board.family == family) & (board.state == "complete")]
    epochs = len(fold.curve["epoch"]) if models.get_entry(family).keras else 0
    # Where the search was too short for the defaults, they may still be the best known.
    best = tried.iloc[0] if len(tried) and tried.iloc[0].score < fold.score else None
    return {
        "set": name,
        "family": family,
        "seconds an epoch": f"{fold.seconds / epochs:.2f}" if epochs else "",
        "seconds": round(fold.seconds, 1),
        "default": f"{fold.score:.4f}",
        "trials": len(tried),
        "best": f"{fold.score if best is None else best.score:.4f}",
        "its accuracy": "" if best is None else f"{best.also['accuracy']:.4f}",
    }


def _source(name: str, data: Path | None) -> str:
    if name == "digits" or data is None:
        return f"sklearn:{name}"
    return str(next(path for path in sorted((data / name).resolve().iterdir()) if path.stem.split(".")[0] == "train"))


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

    from workbench.models.nn import data_loader

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
        fed = (data_loader.Batches(stored, y, batch_size=batch, seed=1),) if way.endswith("file") else (x, y)
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
