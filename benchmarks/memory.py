"""The memory of two workers that train on a folder of many images.

    python benchmarks/memory.py [--images 20000] [--side 128] [--fraction 0.2]

The images are generated. The parent opens the study and its storage, decodes the images, and starts two workers as a
search does; each trains the smallest net of the cnn family for an epoch. Several times a second the memory of every
process is measured: RSS (all of it), PSS (shared memory counted in parts) and USS (memory that is not shared). The
table lists the peaks, and beside them those of workers that train on the first eighth of the same images, in batches of
the same size: a worker with its own copy of the decoded images would need more by the difference in size.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import psutil
import table
import yaml

import workbench
from workbench.search import worker
from workbench.search.pool import Pool
from workbench.space import Hyperparameter

_CLASSES = 10
_KINDS = ("rss", "pss", "uss")
_GIB = 2**30
# The hyperparameters that make the net small, and the size of its batches.
_SMALL = ("filters", "convolutions")
_BATCH = 64


def main() -> None:
    """Generate the images, train on some and on all of them, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--fraction", type=float, default=0.2, help="the share of the images that is validated")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder) / "train", options.images, options.side)
        for part in (options.images // 8, options.images):
            # A process may keep memory that it once held, so each part has a process of its own.
            line, ours = multiprocessing.Pipe()
            process = multiprocessing.get_context("spawn").Process(
                target=train, args=(Path(folder), part, options.fraction, ours)
            )
            process.start()
            rows += line.recv()
            process.join()
    note = f"`python benchmarks/memory.py --images {options.images} --side {options.side}`"
    table.write("memory", rows, note=note)
    print(json.dumps(rows, indent=1))


def generate(folder: Path, images: int, side: int) -> None:
    """Write JPEG images of smooth noise, whose class is a strong colour and a bright row."""

    def one(number: int) -> None:
        label = number % _CLASSES
        rng = np.random.default_rng(number)
        small = rng.integers(0, 160, (8, 8, 3)) + 60 * (np.arange(3) == label % 3)
        small[label // 3] += 30
        path = folder / f"class_{label}" / f"{number:06}.jpg"
        image = PIL.Image.fromarray(small.clip(0, 255).astype("uint8"))
        image.resize((side, side), PIL.Image.Resampling.BICUBIC).save(path, quality=85)

    for label in range(_CLASSES):
        (folder / f"class_{label}").mkdir(parents=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, range(images)))


def train(folder: Path, images: int, fraction: float, line: Any) -> None:
    """Let two workers train an epoch on `images` of the images; send the rows of the table through `line`."""
    began, few = time.monotonic(), folder / f"few-{images}"
    for file in sorted((folder / "train").glob("*/*.jpg"), key=lambda file: file.name)[:images]:
        (few / file.parent.name).mkdir(parents=True, exist_ok=True)
        os.link(file, few / file.parent.name / file.name)
    file = folder / f"{few.name}.yaml"
    keys = {"name": few.name, "metric": "log_loss", "families": ["cnn"], "data": {"train": few.name}}
    file.write_text(yaml.safe_dump(keys | {"folds": {"kind": "holdout", "fraction": fraction}}))
    study = workbench.open(str(file), str(folder / "mlruns"))
    study.home.create()
    study.store.begin()
    decoded = study.task.dataset.x.nbytes / _GIB
    pool = Pool(study.task.modules(), threads=1)
    processes = [
        pool.start(study.task.spec("cnn", 1), number, folder / few.name / f"trial-{number}") for number in range(2)
    ]
    peaks: dict[int, dict[str, float]] = {}
    trained: set[int] = set()
    while len(trained) < len(processes):
        for process in pool.wait(processes, 0.2):
            answer(process, trained)
        for pid in (os.getpid(), *(process.process.pid for process in processes)):
            note_peak(psutil.Process(pid), peaks)
    for process in processes:
        process.end()
    pool.close()
    heads = {"images": f"{images:,}", "decoded": f"{decoded:.2f} GiB", "seconds": round(time.monotonic() - began)}
    names = ["parent", "worker 1", "worker 2"]
    line.send(
        [
            {**heads, "process": name, **{kind.upper(): f"{peak[kind]:.2f} GiB" for kind in _KINDS}}
            for name, peak in zip(names, peaks.values(), strict=True)
        ]
    )


def answer(process: Any, trained: set[int]) -> None:
    """Answer a worker so that it trains the smallest net, in batches of one size; record the end of an epoch."""
    match process.receive():
        case Hyperparameter() as hyperparameter:
            name = hyperparameter.name.split()[0]
            small = hyperparameter.low if name in _SMALL else hyperparameter.default
            process.send(_BATCH if name == "batch_size" else small)
        case worker.EpochReport(rung=rung):
            trained.add(process.process.pid)
            if rung is not None:
                process.send(True)
        case worker.FoldReport():
            trained.add(process.process.pid)
        case None | worker.TrialOutcome() as end:
            raise SystemExit(f"A worker ended before its epoch did: {end}.")


def note_peak(process: psutil.Process, peaks: dict[int, dict[str, float]]) -> None:
    """Update the peaks of a process."""
    try:
        now = process.memory_full_info()
    except psutil.Error:
        return
    known = peaks.setdefault(process.pid, dict.fromkeys(_KINDS, 0.0))
    for kind in _KINDS:
        known[kind] = max(known[kind], getattr(now, kind) / _GIB)


if __name__ == "__main__":
    main()
