"""What memory a folder of many images takes while two workers train on it.

    python benchmarks/memory.py [--images 20000] [--side 128] [--fraction 0.2] [--minutes 30]

The images are generated. The command is `workbench run` with two workers and the cnn family alone; it is interrupted
when each worker has ended an epoch, or after so many minutes. Twice a second every process is asked what it holds: RSS
(all that it sees), PSS (what it shares counted in shares) and USS (what is its alone). The peaks are listed: a worker
with a copy of its own of the decoded images would have a USS above their size.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import psutil
import table
import yaml

_CLASSES = 10
_KINDS = ("rss", "pss", "uss")
_GIB = 2**30
# How long both go on being watched then, in seconds; a short command would end by itself.
_AFTER = 10


def main() -> None:
    """Generate the images, run the command, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--fraction", type=float, default=0.2, help="the share of the images that is validated")
    parser.add_argument("--minutes", type=float, default=30.0, help="the most that the command runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder) / "train", options.images, options.side)
        peaks, seconds, trained = watch(Path(folder), options.fraction, options.minutes)
        decoded = next((Path(folder) / "mlruns" / "cache").glob("*/x.npy")).stat().st_size / _GIB
    rows = [{"process": name, **{kind.upper(): f"{peak[kind]:.2f} GiB" for kind in _KINDS}} for name, peak in peaks]
    note = (
        f"{options.images:,} images, {decoded:.2f} GiB decoded; after {seconds:.0f} s {trained} of 2 workers had ended "
        "an epoch. "
        f"`python benchmarks/memory.py --images {options.images} --fraction {options.fraction:g}`"
    )
    table.write("memory", rows, note=note)
    print(json.dumps(rows, indent=1), note, sep="\n")


def generate(folder: Path, images: int, side: int) -> None:
    """Write JPEG images of soft noise, whose class is a colour that is strong in them and a row that is bright."""

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


def watch(folder: Path, fraction: float, minutes: float) -> tuple[list[tuple[str, dict[str, float]]], float, int]:
    """Run the study until both workers have ended an epoch; return the peaks in GiB, the seconds and how many have."""
    study, events = folder / "study.yaml", folder / "events.jsonl"
    workbench = [sys.executable, "-m", "workbench"]
    subprocess.run([*workbench, "init", "train", "-o", study.name], cwd=folder, check=True)
    said = yaml.safe_load(study.read_text()) | {"families": ["cnn"]}
    said |= {"folds": {"kind": "holdout", "fraction": fraction}, "search": {"workers": 2, "pruner": "none"}}
    study.write_text(yaml.safe_dump(said))
    began = time.monotonic()
    run = subprocess.Popen([*workbench, "run", study.name, "--trials", "9", "--events", events.name], cwd=folder)
    parent, peaks = psutil.Process(run.pid), {}
    end = began + 60 * minutes
    while run.poll() is None and time.monotonic() < end:
        if epochs(events) == 2:
            end = min(end, time.monotonic() + _AFTER)
        for process in [parent, *(each for child in parent.children() for each in child.children())]:
            note_peak(process, peaks)
        time.sleep(0.5)
    if run.poll() is not None:
        raise SystemExit("The command ended before two workers had trained an epoch.")
    seconds = time.monotonic() - began
    run.send_signal(signal.SIGINT)
    run.wait()
    workers = sorted((peak for pid, peak in peaks.items() if pid != run.pid), key=lambda peak: -peak["uss"])[:2]
    return [("parent", peaks[run.pid]), ("worker 1", workers[0]), ("worker 2", workers[1])], seconds, epochs(events)


def note_peak(process: psutil.Process, peaks: dict[int, dict[str, float]]) -> None:
    """Keep the highest figures of a process."""
    try:
        now = process.memory_full_info()
    except psutil.Error:
        return
    known = peaks.setdefault(process.pid, dict.fromkeys(_KINDS, 0.0))
    for kind in _KINDS:
        known[kind] = max(known[kind], getattr(now, kind) / _GIB)


def epochs(events: Path) -> int:
    """Return how many trials of the family have ended an epoch."""
    if not events.exists():
        return 0
    told = [json.loads(line) for line in events.read_text().splitlines() if line.endswith("}")]
    return len({each["number"] for each in told if each.get("event") == "epoch_ended"})


if __name__ == "__main__":
    main()
