"""The seconds of one fold of every family at its defaults, from which `workbench.search.family_costs` has its table.

    python benchmarks/costs.py --data DIR [--rows 8000] [--most 120] NAME …

DIR/NAME holds train (a table, an .npz or folders) that `workbench init` reads. Each family is trained on the first fold
of at most so many rows and predicts it, with one thread, in a process of its own. Seconds are of processor time, so
that other work on the machine changes them little. A family that takes more than the most seconds is listed with that.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from workbench.search.fork_server import thread_environment


def main() -> None:
    """Measure the families of each set and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--most", type=int, default=120)
    parser.add_argument("--families", nargs="*", help="other families than those that init drafts")
    options = parser.parse_args()
    os.environ |= thread_environment(1)
    for name in options.names:
        with tempfile.TemporaryDirectory() as folder:
            study = _draft(options.data / name, Path(folder))
            for family in options.families or _families(study):
                _measure(study, family, options.rows, options.most)


def _draft(data: Path, folder: Path) -> Path:
    from workbench.autoconfig.draft import draft

    train = next(path for path in sorted(data.glob("train*")))
    return draft(str(train), out=str(folder / f"{data.name}.yaml")).path


def _families(study: Path) -> list[str]:
    import workbench

    return [*workbench.open(study, study.with_name("mlruns")).config.families]


def _measure(study: Path, family: str, rows: int, most: int) -> None:
    """Train one family in a process of its own, and print the line."""
    code = f"import costs; costs.train({str(study)!r}, {family!r}, {rows}, {most})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    print(done.stdout.strip() or json.dumps({"set": study.stem, "family": family, "seconds": f"> {most}"}), flush=True)


def train(file: str, family: str, rows: int, most: int) -> None:
    """Train the first fold of a family, and print its size and seconds; the process ends after `most` seconds."""
    import time
    from dataclasses import replace

    import numpy as np

    import workbench
    from workbench import models, trial
    from workbench.evaluation.folds import make
    from workbench.search.family_costs import measure_size
    from workbench.space import defaults

    study = workbench.open(file, Path(file).with_name("mlruns"), families=[family])
    spec = study.task.spec(family, 1)
    data = spec.dataset
    some = np.sort(np.random.default_rng(0).permutation(len(data.y))[:rows])
    x = data.x.iloc[some] if hasattr(data.x, "iloc") else data.x[some]
    names = ("y", "ids", "groups", "time", "weight", "fold_column")
    parts = {name: getattr(data, name)[some] for name in names if getattr(data, name) is not None}
    data = replace(data, x=x, x_test=None, test_ids=None, unlabelled=None, **parts)
    folds = make(study.config.folds, task=data.task, y=data.y, ids=data.ids, groups=data.groups, time=data.time,
                 column=data.fold_column, classes=[])  # fmt: skip
    spec = replace(spec, dataset=data, folds=folds)
    models.get_family(family)
    before = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(before) + most, int(before) + most))
    with tempfile.TemporaryDirectory() as folder:
        next(trial.fit_folds(spec, 0, trial.build_space(family, defaults), folder=Path(folder)))
    seconds = round(time.process_time() - before, 2)
    print(json.dumps({"set": Path(file).stem, "family": family, **measure_size(spec)._asdict(), "seconds": seconds}))


if __name__ == "__main__":
    main()
