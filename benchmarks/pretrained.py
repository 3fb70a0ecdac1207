"""A base learnt from one half of the classes, used for a few images of the other half, beside a net from scratch.

    python benchmarks/pretrained.py --data DIR [--rows 500] [--seeds 3] [--first-seed 0] [--base-classes 0,1,2,3,4]

DIR is a folder with `train.npz` of x (rows, height, width) and y, such as fashion_mnist. The base is a `cnn` with its
defaults, trained on all images of the first half of the classes, or of those that are named. Of the others `--rows`
images are learnt from, a fifth of them to stop by, and the rest, which nothing has seen, are predicted. Answers are not
looked at. With other classes or another first seed the table stays as it is: that is for trying out.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

# As in a trial's process; read when TensorFlow loads.
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}

import numpy as np
import table

from workbench import models
from workbench.config import PretrainedConfig, TrainingConfig
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space import defaults

_WAYS = ("features", "frozen", "tuned")


def main() -> None:
    """Train the base, then both families on few images for each seed, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--base-classes", help="the classes that the base learns, separated by commas")
    parser.add_argument("--epochs", type=int, default=100, help="the most epochs of a net on few images")
    parser.add_argument("--base-epochs", type=int, default=12)
    parser.add_argument("--most", type=int, default=3000, help="how many unseen images are predicted")
    options = parser.parse_args()
    with np.load(options.data / "train.npz", allow_pickle=False) as arrays:
        x, labels = arrays["x"], np.unique(arrays["y"], return_inverse=True)[1]
    half = range((labels.max() + 1) // 2)
    first = np.isin(labels, [int(each) for each in options.base_classes.split(",")] if options.base_classes else half)
    with tempfile.TemporaryDirectory() as folder:
        seen, y = x[first], np.unique(labels[first], return_inverse=True)[1]
        base = _fit("cnn", seen, y, epochs=options.base_epochs, seed=0)[0]
        base.save(Path(folder))
        asked = PretrainedConfig(base=str(Path(folder) / "net.keras"), similar=True)
        x, y = x[~first], np.unique(labels[~first], return_inverse=True)[1]
        rows = [_row(x, y, asked, options.first_seed + seed, options) for seed in range(options.seeds)]
    means = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0] if name != "seed"}
    rows.append({"seed": "mean", **means})
    print(json.dumps(means))
    if options.first_seed or options.base_classes:
        return
    note = (
        f"--rows {options.rows} --seeds {options.seeds} --epochs {options.epochs} --base-epochs {options.base_epochs}"
    )
    table.write("pretrained", rows, note=f"`python benchmarks/pretrained.py --data DIR {note}`")


def _row(x: np.ndarray, y: np.ndarray, asked: PretrainedConfig, seed: int, options: Any) -> dict[str, Any]:
    """Return the accuracy of each way on images that it has not seen, and the seconds of the slowest."""
    order = np.random.default_rng(seed).permutation(len(y))
    few, rest = order[: options.rows], order[options.rows :][: options.most]
    row: dict[str, Any] = {"seed": seed}
    for name, way in (("cnn", None), *((f"pretrained, {way}", way) for way in _WAYS)):
        family = "cnn" if way is None else "pretrained"
        model, seconds = _fit(family, x[few], y[few], epochs=options.epochs, seed=seed, asked=asked, way=way)
        row[name] = round(float((model.predict(x[rest]).argmax(axis=1) == y[rest]).mean()), 4)
        row[f"{name}: seconds"] = round(seconds)
        print(json.dumps(row), flush=True)
    return row


def _fit(
    family: str,
    x: np.ndarray,
    y: np.ndarray,
    *,
    epochs: int,
    seed: int,
    asked: PretrainedConfig | None = None,
    way: str | None = None,
) -> tuple[Any, float]:
    """Train a family's defaults, a fifth of the rows set apart to stop by; return the model and its CPU seconds."""
    from workbench.space.keras import HyperParameters

    hp = HyperParameters(lambda question: way if question.name == "way" else defaults(question))
    problem = Problem("image", "multiclass", int(y.max()) + 1, {}, "log_loss")
    training = TrainingConfig(epochs=epochs, pretrained=asked or PretrainedConfig())
    setting = FitContext(seed, 1, lambda *told, **more: None, epochs=epochs, training=training)
    cut, began = len(y) // 5, time.process_time()
    model = models.get_family(family).fit(hp, problem, Rows(x[cut:], y[cut:]), Rows(x[:cut], y[:cut]), setting)
    return model, time.process_time() - began


if __name__ == "__main__":
    main()
