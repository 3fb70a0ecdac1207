"""The cost of the search, as ratios with their goals: starts, overhead, throughput, growth, memory, pruning.

    python benchmarks/engine.py [--data DIR] [--parts a b c d e f] [--quick]

a  the start of a trial's process against a fresh interpreter that imports the same libraries
b  trials of one worker against a bare loop of the same configurations: `fit` and `predict` in one process, on one
   core, no tracking. Both use the same seeds, so they train the same models; their scores are compared to show it
c  two workers against KerasTuner's RandomSearch (needs `pip install tensorboard`) with its default threads: layers,
   optimizer, callbacks and at most 100 epochs of the mlp family on both sides, the same training and validation rows,
   the configurations and seeds that workbench drew. KerasTuner keeps checkpoints, workbench keeps predictions; the
   inputs are scaled before KerasTuner's clock starts and in each trial of workbench
d  workbench's own time for a trial, with many trials stored and with few; a stand-in for the pool answers at once
e  the parent's peak memory after many trials and after few
f  seconds in trials with the default pruner and with none, on the same configurations, and the best score of both

Each side runs in a process of its own, whose clock starts when its libraries are loaded; the clock of a search starts
with its first trial. Run it on an idle machine: other work distorts b, c and f. The data are scikit-learn's. With
--data, b and f train on the first rows of DIR/bank_marketing instead, few enough that training does not hide the rest.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import table

import workbench
from workbench import models, trial
from workbench.models.protocol import FitContext, Rows
from workbench.search import fork_server, pool, worker
from workbench.search.events import TrialEnded, TrialStarted
from workbench.space import Hyperparameter
from workbench.trial import FoldResult, TrialSpec

_FIRST_ROWS = 2000
# The hyperparameters of a stand-in's trial.
_HYPERPARAMETERS = 10
_MORE_TRIALS = 20
_STUDY = {"name": "engine", "metric": "log_loss", "folds": {"kind": "holdout"}}
_RANDOM = {"sampler": "random", "pruner": "none"}


@dataclass(frozen=True)
class Sizes:
    """The number of trials in each part."""

    data: dict[str, str]
    """The `data` of the study files of b and f."""
    bare: int = 20
    tuner: int = 20
    stored: tuple[int, int] = (50, 2000)
    memory: tuple[int, int] = (10, 100)
    seeds: int = 5
    pruned: int = 8


def main() -> None:
    """Run the parts and print their rows; write the table if all were run in full."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--quick", action="store_true", help="fewer trials; nothing is written")
    parser.add_argument("--side", nargs=2, metavar=("NAME", "WORDS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        name, words = options.side
        print(json.dumps(_SIDES[name](**json.loads(words))))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = _data(options.data, Path(folder))
        quick = Sizes(data, bare=3, tuner=4, stored=(50, 300), memory=(10, 30), seeds=1, pruned=7)
        for part in options.parts:
            began = time.monotonic()
            for row in _PARTS[part](quick if options.quick else Sizes(data), Path(folder) / part):
                rows.append({"part": part, **row})
                print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
            # The sides run one after another, so other work on the machine distorts their ratio.
            print(f"# {part}: {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    if not options.quick and set(options.parts) == set(_PARTS):
        table.write("engine", rows, note=f"`python benchmarks/engine.py{' --data DIR' if options.data else ''}`")


def _data(folder: Path | None, scratch: Path) -> dict[str, str]:
    """Return the `data` of the study files: scikit-learn's data, or some rows of the data in `folder`."""
    if folder is None:
        return {"train": "sklearn:breast_cancer"}
    about = json.loads((folder / "bank_marketing/ABOUT.json").read_text())
    file = scratch / "train.csv"
    pd.read_csv(folder / "bank_marketing/train.csv", nrows=_FIRST_ROWS).to_csv(file, index=False)
    return {"train": str(file), "target": about["target"], "id": about["id"]}


def _study(folder: Path, **keys: Any) -> str:
    """Write a study file into a folder of its own, which is its home too, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "study.yaml"
    # JSON is YAML.
    file.write_text(json.dumps({**_STUDY, **keys}))
    return str(file)


def _side(name: str, *, one_core: bool = False, **words: Any) -> Any:
    """Run a side in a process of its own, and return its result."""
    # The study must set the libraries' threads, as for any user, so the variables are not inherited.
    environment = {key: value for key, value in os.environ.items() if key not in fork_server.thread_environment(1)}
    environment |= fork_server.thread_environment(1) if one_core else {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--side", name, json.dumps(words)]
    if one_core and hasattr(os, "sched_getaffinity"):
        # With one core workbench uses one thread, and neither side can run two things at a time.
        core = str(max(os.sched_getaffinity(0)))
        command = ["taskset", "--cpu-list", core, *command]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _row(what: str, measured: str, ratio: float, goal: str = "", met: bool | None = None) -> dict[str, str]:
    verdict = {None: "", True: "yes", False: "no"}[met]
    return {"what": what, "ratio": f"{ratio:.3g}", "goal": goal, "met": verdict, "measured": measured}


# Sides: each runs in a process of its own and prints its result as JSON.


def _start(study: str, times: int) -> dict[str, Any]:
    """Return the seconds of trials from their start to their first message, and the preloaded modules."""
    opened = _open(study)
    modules = _preloaded(opened)
    workers = pool.Pool(modules)
    spec = _spec(opened, opened.config.families[0])
    seconds = []
    # The first one waits until the libraries are loaded.
    for number in range(times + 1):
        began = time.monotonic()
        process = workers.start(spec, number, Path(study).parent / f"{number}")
        message = process.receive()
        seconds.append(time.monotonic() - began)
        process.end()
    return {"seconds": seconds[1:], "modules": modules, "message": type(message).__name__}


def _search(study: str, trials: int, workers: int, memory: Sequence[int] = ()) -> dict[str, Any]:
    """Return the trials of a search, the seconds from its first trial to its end, and peaks of memory on the way.

    Args:
        study: the study file.
        trials: the number of trials without the baseline.
        workers: the number of workers.
        memory: the numbers of trials after which the peak is read.
    """
    opened = _open(study)
    _warm(opened)
    rows: list[dict[str, Any]] = []
    began, peaks = None, []
    for event in opened.search(trials=trials + 1, workers=workers):
        match event:
            case TrialStarted(family=family) if family != models.BASELINE:
                began = began or time.monotonic()
            case TrialEnded(row=row) if row.family != models.BASELINE:
                keys = ("family", "number", "state", "score", "seconds", "fold_scores", "hyperparameters", "reason")
                rows.append({key: getattr(row, key) for key in keys})
                if len(rows) in memory:
                    peaks.append(_peak())
    assert began is not None
    return {"seconds": time.monotonic() - began, "rows": rows, "peaks": peaks}


def _warm(opened: Any) -> None:
    """Wait until the process that trials are forked from, one for all pools, has loaded the libraries."""
    workers = pool.Pool(opened.task.modules())
    with tempfile.TemporaryDirectory() as folder:
        process = workers.start(_spec(opened, opened.config.families[0]), 0, Path(folder))
        process.receive()
        process.end()


def _bare(study: str) -> dict[str, Any]:
    """Train the configurations of a study's trials again, and return the seconds and the scores of their folds."""
    opened = _open(study)
    family = opened.config.families[0]
    spec, module = _spec(opened, family), models.get_family(family)
    configurations = _suggestions(opened, family)
    began = time.monotonic()
    predictions = {number: list(_train(spec, module, number, values)) for number, values in configurations.items()}
    seconds = time.monotonic() - began
    scores = {
        number: [spec.metric.score(spec.dataset.y[valid], oof) for valid, oof in folds]
        for number, folds in predictions.items()
    }
    return {"seconds": seconds, "scores": scores}


def _train(
    spec: TrialSpec, module: Any, number: int, values: dict[str, Any]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Train and predict fold after fold; yield the validation rows and what is predicted for them."""
    data = spec.dataset
    hp = trial.build_space(spec.family, lambda hyperparameter: values[hyperparameter.name])
    for repeat, fold in spec.folds.pairs():
        train, valid = (Rows(_take(data.x, index), data.y[index]) for index in spec.folds.split(repeat, fold))
        seed = _seed(spec, number, repeat, fold)
        model = module.fit(hp, spec.problem, train, valid, FitContext(seed, 1, lambda *_, **__: None))
        if data.x_test is not None:
            model.predict(data.x_test)
        yield spec.folds.split(repeat, fold)[1], model.predict(valid.x)


def _tuner(study: str, rows: str) -> dict[str, Any]:
    """Let KerasTuner train the configurations that `rows` holds, and return the seconds and the scores."""
    import keras_tuner

    from workbench import features

    opened = _open(study)
    spec, configurations = _spec(opened, "mlp"), json.loads(Path(rows).read_text())
    train, valid = (Rows(_take(spec.dataset.x, i), spec.dataset.y[i]) for i in spec.folds.split(0, 0))
    preprocessor = features.dense_preprocessor(
        spec.problem.columns, train.x, numbers="standard", classes=spec.problem.classes, seed=0
    )
    x, x_valid = preprocessor.fit_transform(train.x, train.y), preprocessor.transform(valid.x)
    seeds = {_key(row["hyperparameters"]): _seed(spec, row["number"], 0, 0) for row in configurations}
    tuner = keras_tuner.RandomSearch(
        _hypermodel(spec, x.shape, seeds),
        objective="val_loss",
        max_trials=len(configurations),
        directory=Path(rows).parent / "tuner",
    )
    # KerasTuner gets the configurations that workbench drew, or luck would be measured. All else is its default.
    given = iter(configurations)
    tuner.oracle.populate_space = lambda trial_id: {"status": "RUNNING", "values": next(given)["hyperparameters"]}
    context = FitContext(0, 1, lambda *_, **__: None)
    began = time.monotonic()
    tuner.search(
        x,
        train.y,
        validation_data=(x_valid, valid.y),
        epochs=context.epochs,
        verbose=0,
    )
    seconds = time.monotonic() - began
    ended = sorted(tuner.oracle.trials.values(), key=lambda each: each.trial_id)
    return {"seconds": seconds, "scores": [each.score for each in ended]}


def _hypermodel(spec: TrialSpec, shape: tuple[int, ...], seeds: Mapping[str, int]) -> Any:
    """Return the mlp family in KerasTuner's form: built from the same functions."""
    import keras
    import keras_tuner

    from workbench.models.nn import callbacks, dense_layers, heads, optimizer, training
    from workbench.models.nn.epoch_weights import WeightHistory

    class Mlp(keras_tuner.HyperModel):  # type: ignore[misc]  # KerasTuner has no types
        def build(self, hp: Any) -> Any:
            # KerasTuner builds once with the defaults before the first trial, to learn the space.
            keras.utils.set_random_seed(seeds.get(_key(hp.values), 0))
            # KerasTuner's own space cannot have one name under two conditions, as the space of optimizers does.
            hp = trial.restore_space("mlp", hp.values)
            entrance = keras.Input(shape[1:])
            hidden = dense_layers.build_dense_stack(hp, entrance, units=128)
            net = keras.Model(entrance, heads.build_output_layer(hidden, spec.problem))
            batch = hp.Choice("batch_size", [32, 64, 128, 256, 512], default=training.choose_batch_size(shape[0]))
            moved, self.schedule = optimizer.search_optimizer(hp, optimizer.TABULAR_CHOICES)
            net.compile(
                optimizer=moved,
                loss=heads.build_loss(spec.problem, mixup=False),
                steps_per_execution=min(16, -(-shape[0] // batch)),
                jit_compile=False,
            )
            return net

        def fit(self, hp: Any, model: Any, *words: Any, **options: Any) -> Any:
            context = FitContext(0, 1, lambda *_, **__: None)
            options["callbacks"] += callbacks.build_callbacks(context, self.schedule, WeightHistory())
            options["epochs"] = self.schedule.limit_epochs(context.epochs)
            return model.fit(*words, batch_size=hp.values["batch_size"], **options)

    return Mlp()


def _overhead(study: str, stored: int) -> dict[str, Any]:
    """Fill a study with instant trials, and return the seconds of each further one.

    They are stored with the random sampler, which is fast, and timed with the default sampler and pruner.
    """
    # The study creates its own pool, so the class is replaced; everything else is real.
    pool.Pool = _InstantPool  # type: ignore[misc,assignment]
    for _ in _open(study, search=_RANDOM).search(trials=stored + 1, workers=1):
        pass
    ends = [
        time.monotonic()
        for event in _open(study).search(trials=stored + _MORE_TRIALS + 2, workers=1)
        if isinstance(event, TrialEnded)
    ]
    return {"seconds": [after - before for before, after in itertools.pairwise(ends)]}


class _InstantPool:
    """A stand-in for the pool: its processes answer at once and train nothing."""

    def __init__(self, *words: Any, **options: Any) -> None:
        """Load nothing."""

    def start(self, spec: TrialSpec, number: int, folder: Path, **options: Any) -> _InstantProcess:
        return _InstantProcess(spec, number, folder)

    def is_ready(self, spec: TrialSpec) -> bool:
        return True

    def load(self, modules: Sequence[str]) -> None:
        """Load nothing."""

    def store(self, specs: Any, file: Path) -> None:
        """Write nothing."""

    def wait(self, processes: Sequence[_InstantProcess], seconds: float | None) -> list[_InstantProcess]:
        return list(processes)

    def close(self) -> None:
        """End nothing."""


class _InstantProcess:
    """A stand-in for a trial's process."""

    memory = 0

    def __init__(self, spec: TrialSpec, number: int, folder: Path) -> None:
        self._answer: Any = None
        self._messages = self._trial(spec, np.random.default_rng(number), folder)

    def receive(self) -> worker.Message:
        return next(self._messages)

    def send(self, answer: Any) -> None:
        self._answer = answer

    def end(self) -> None:
        self._messages.close()

    def _trial(self, spec: TrialSpec, rng: np.random.Generator, folder: Path) -> Generator[worker.Message, None, None]:
        values = {}
        for name in (f"x{i}" for i in range(_HYPERPARAMETERS)):
            yield Hyperparameter(name, "float", 0.5, 0.0, 1.0)
            values[name] = self._answer
        for repeat, fold in spec.folds.pairs():
            oof = rng.random(len(spec.folds.split(repeat, fold)[1]))
            score = float(rng.random())
            FoldResult(repeat, fold, oof, None, score, 0.01, values).save(folder)
            yield worker.FoldReport(score)
            if self._answer == "stop":
                yield worker.TrialOutcome("pruned", f"pruned after fold {fold}", values)
        yield worker.TrialOutcome("complete", None, values)


def _open(study: str, **overrides: Any) -> Any:
    return workbench.open(study, str(Path(study).parent / "home"), **overrides)


def _spec(opened: Any, family: str) -> TrialSpec:
    own = opened.task
    return TrialSpec(family, own.dataset, own.folds, own.metric, seed=opened.config.seed)


def _preloaded(opened: Any) -> list[str]:
    """Return the modules that a study's pool preloads."""
    return ["workbench.search.worker", *opened.task.modules()]


def _suggestions(opened: Any, family: str) -> dict[int, dict[str, Any]]:
    """Return the hyperparameters of each complete trial from Optuna."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    storage = optuna.storages.JournalStorage(JournalFileBackend(str(opened.home.journal)))
    study = optuna.load_study(study_name=f"{opened.name}/{family}", storage=storage)
    return {each.number: each.params for each in study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))}


def _seed(spec: TrialSpec, number: int, repeat: int, fold: int) -> int:
    """Return the seed that workbench trains this fold with."""
    words = (spec.seed, zlib.crc32(spec.family.encode()), number, repeat, fold)
    return int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)


def _key(hyperparameters: Mapping[str, Any]) -> str:
    return json.dumps(hyperparameters, sort_keys=True)


def _take(x: Any, index: np.ndarray) -> Any:
    return x.iloc[index] if hasattr(x, "iloc") else x[index]


def _peak() -> int:
    """Return the peak memory of this process in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


# Parts: the comparisons.


def _starts(sizes: Sizes, folder: Path) -> Iterator[dict[str, str]]:
    data = {"train": "sklearn:breast_cancer"}
    found = _side("start", study=_study(folder, data=data, families=["mlp", "xgboost"]), times=20)
    command = [sys.executable, "-c", f"import {', '.join(found['modules'])}"]
    fresh = []
    for _ in range(3):
        began = time.monotonic()
        environment = os.environ | fork_server.thread_environment(1)
        subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=True)
        fresh.append(time.monotonic() - began)
    forked, fresh_median = statistics.median(found["seconds"]), statistics.median(fresh)
    measured = f"{1000 * forked:.1f} ms to the first {found['message']}, fresh {fresh_median:.2f} s"
    ratio = fresh_median / forked
    yield _row("start of a trial: fresh interpreter / forked", measured, ratio, "≥ 50", ratio >= 50)


def _overheads(sizes: Sizes, folder: Path) -> Iterator[dict[str, str]]:
    """Compare each family, then both together; the ratio of trees alone has no goal because their trials are short."""
    ours, bare, same = [], [], []
    for family in ("mlp", "xgboost"):
        study = _study(folder / family, data=sizes.data, families=[family], search=_RANDOM)
        found = _side("search", one_core=True, study=study, trials=sizes.bare, workers=1)
        again = _side("bare", one_core=True, study=study)
        same += [np.allclose(row["fold_scores"], again["scores"][str(row["number"])]) for row in found["rows"]]
        ours.append(found["seconds"])
        bare.append(again["seconds"])
        cost = 1000 * (ours[-1] - bare[-1]) / sizes.bare
        measured = f"{ours[-1]:.1f} s, bare {bare[-1]:.1f} s: {cost:.0f} ms a trial"
        yield _row(f"{sizes.bare} trials of {family}: one worker / bare loop", measured, ours[-1] / bare[-1])
    ratio = sum(ours) / sum(bare)
    measured = f"{sum(ours):.1f} s, bare {sum(bare):.1f} s; same scores in {sum(same)} of {len(same)} trials"
    yield _row("all of them: one worker / bare loop", measured, ratio, "≤ 1.10", ratio <= 1.10)


def _throughput(sizes: Sizes, folder: Path) -> Iterator[dict[str, str]]:
    if importlib.util.find_spec("tensorboard") is None:
        sys.exit("Part c runs KerasTuner, which imports tensorboard. Install it with: pip install tensorboard.")
    data = {"train": "sklearn:digits"}
    study = _study(folder, data=data, families=["mlp"], search=_RANDOM)
    ours = _side("search", study=study, trials=sizes.tuner, workers=2)
    rows = folder / "rows.json"
    configurations = sorted(ours["rows"], key=lambda row: int(row["number"]))
    rows.write_text(json.dumps(configurations))
    theirs = _side("tuner", study=study, rows=str(rows))
    close = sum(
        bool(np.isclose(a["score"], b, rtol=0.05)) for a, b in zip(configurations, theirs["scores"], strict=True)
    )
    ratio = theirs["seconds"] / ours["seconds"]
    rates = [60 * len(configurations) / side["seconds"] for side in (ours, theirs)]
    measured = f"{rates[0]:.1f} and {rates[1]:.1f} a minute; {close} of {len(configurations)} scores within 5 %"
    yield _row("trials a minute: two workers / KerasTuner", measured, ratio, "≥ 1.8", ratio >= 1.8)


def _growth(sizes: Sizes, folder: Path) -> Iterator[dict[str, str]]:
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True)
    file = folder / "train.csv"
    pd.DataFrame({"id": range(500), "x": rng.random(500), "y": rng.integers(0, 2, 500)}).to_csv(file, index=False)
    data = {"train": str(file), "target": "y", "id": "id"}
    medians = []
    for stored in sizes.stored:
        study = _study(folder / str(stored), data=data, families=["linear"], folds={"folds": 5})
        medians.append(statistics.median(_side("overhead", study=study, stored=stored)["seconds"]))
    ratio = medians[1] / medians[0]
    measured = f"{1000 * medians[1]:.0f} and {1000 * medians[0]:.0f} ms a trial"
    what = f"workbench's own time: {sizes.stored[1]} trials stored / {sizes.stored[0]}"
    yield _row(what, measured, ratio, "≤ 2", ratio <= 2)


def _memory(sizes: Sizes, folder: Path) -> Iterator[dict[str, str]]:
    data = {"train": "sklearn:breast_cancer"}
    study = _study(folder, data=data, families=["linear"])
    few, many = _side("search", study=study, trials=sizes.memory[1], workers=1, memory=sizes.memory)["peaks"]
    what = f"the parent's peak memory: {sizes.memory[1]} trials / {sizes.memory[0]}"
    yield _row(what, f"{many / 1000:.0f} and {few / 1000:.0f} MB", many / few, "≤ 1.1", many / few <= 1.1)


def _pruning(sizes: Sizes, folder: Path) -> Iterator[dict[str, str]]:
    """Compare family by family, because the time of one decides how many trials another gets."""
    for family in ("mlp", "xgboost"):
        seconds, worse, pruned = [], [], 0
        for seed in range(sizes.seeds):
            sides = []
            for name, search in {"none": _RANDOM, "default": {"sampler": "random"}}.items():
                place = folder / f"{family}-{seed}-{name}"
                keys = {"data": sizes.data, "folds": {"folds": 2}, "seed": seed, "search": search}
                study = _study(place, families=[family], **keys)
                sides.append(_side("search", study=study, trials=sizes.pruned, workers=2)["rows"])
            seconds.append([sum(row["seconds"] for row in rows) for rows in sides])
            best = [min(row["score"] for row in rows if row["state"] == "complete") for rows in sides]
            worse.append(best[1] / best[0] - 1)
            pruned += sum(row["state"] == "pruned" for row in sides[1])
        full, kept = np.sum(seconds, axis=0)
        saved = 1 - kept / full
        measured = (
            f"{saved:.0%} of {full:.0f} s saved, {pruned} of {sizes.seeds * sizes.pruned} trials pruned; best log loss "
            f"worse by {statistics.mean(worse):.1%} on average, {max(worse):.1%} at most"
        )
        met = saved > 0 and max(worse) < 0.001
        yield _row(
            f"seconds in trials of {family}: default pruner / none", measured, kept / full, "< 1, same best", met
        )


_SIDES: dict[str, Callable[..., Any]] = {
    "start": _start,
    "search": _search,
    "bare": _bare,
    "tuner": _tuner,
    "overhead": _overhead,
}
_PARTS: dict[str, Callable[[Sizes, Path], Iterator[dict[str, str]]]] = {
    "a": _starts,
    "b": _overheads,
    "c": _throughput,
    "d": _growth,
    "e": _memory,
    "f": _pruning,
}

if __name__ == "__main__":
    main()
