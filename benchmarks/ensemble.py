"""The ensembler against what people write, what AutoGluon does and an independent optimum, on real predictions.

    python benchmarks/ensemble.py [--data DIR] [--parts weights metrics heldout] [--cache DIR] [--quick]

weights  log loss for models × rows × classes, and 500 models × 1,000,000 rows from the true-class matrix. Naive
         Nelder-Mead is ended after 120 s, and its seconds are then a bound
metrics  metrics that are not convex, on the rows that the weights are fitted to: greedy selection and Nelder-Mead may
         take the same time; greedy ends when nothing is gained any more
heldout  on rows set apart: the weights of `workbench ensemble` against greedy's, and its honest score against the truth

The predictions are those of `model_predictions.py`, kept in --cache. More
rows than a set has are drawn with replacement, which a *
says. Each method runs in a process of its own on one thread, its clock starting after a small problem of the same kind;
naive Nelder-Mead and the cases of `heldout` run two at a time, everything else alone. 500 × 1,000,000 may use all
cores: each model is a configuration at one of five temperatures, p^t / Σ p^t, and its rows are those of all sets.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import model_predictions
import numpy as np
import rivals
import table
from model_predictions import ModelPredictions
from rivals import LEAST_PROBABILITY, Found

from workbench.array import Array

_CACHE = Path.home() / ".cache/workbench/banks"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_NAIVE = ("naive", "naive_reduced")
_OURS = ("greedy", "nelder_mead", "convex")
_CERTIFIED = ("nelder_mead", "convex")
_TEMPERATURES = (0.5, 0.7, 1.0, 1.5, 2.5)
_RELATIVE_GAP = 1e-6
# The last digit of a mean of logarithms.
_ROUNDING = 1e-13
_STEPPED = {2: ("roc_auc", "f1_macro", "accuracy", "qwk"), 10: ("roc_auc", "f1_macro", "accuracy", "mcc")}
_HELD_OUT = ("log_loss", "roc_auc", "f1_macro", "accuracy")
_HELD_MODELS = 50
_TIE = 1e-4
_RESAMPLES = 200

Row = dict[str, object]


@dataclass(frozen=True)
class Effort:
    """How much is tried."""

    cap: float = 120
    """Seconds of naive Nelder-Mead in a cell."""
    big: int = 1_000_000
    metric: float = 10
    """Seconds that each side of `metrics` may take."""
    case: float = 60
    """Seconds that a case of `heldout` may take."""
    every: int = 1
    """Which cells of `metrics` and cases of `heldout` are tried."""


def main() -> None:
    """Run the parts; a part's tables are written when it was run in full."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with further sets")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument(
        "--cache", type=Path, default=_CACHE, help=f"the folder of the predictions; {_CACHE} unless given"
    )
    parser.add_argument("--quick", action="store_true", help="shorter, fewer cells; nothing is written")
    parser.add_argument("--side", nargs=2, metavar=("NAME", "WORDS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        name, words = options.side
        print(json.dumps(_SIDES[name](**json.loads(words))))
        return
    effort = Effort(cap=5, big=100_000, metric=2, case=20, every=8) if options.quick else Effort()
    files = model_predictions.prepare(options.cache, options.data)
    for part in options.parts:
        began = time.monotonic()
        rows, goals = _PARTS[part](list(files.values()), effort)
        for goal in goals:
            print(json.dumps(goal, ensure_ascii=False), flush=True)
        print(f"# {part}: {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
        if not options.quick:
            note = f"`python benchmarks/ensemble.py{' --data DIR' if options.data else ''} --parts {part}`"
            table.write(f"ensemble {part} goals", goals, note=note)
            table.write(f"ensemble {part}", rows, note=note)


def _side(name: str, *, one_thread: bool = True, **words: Any) -> Any:
    """Run a side in a process of its own, and return what it says."""
    environment = {key: value for key, value in os.environ.items() if key not in _THREADS}
    if one_thread:
        environment |= dict.fromkeys(_THREADS, "1")
    command = [sys.executable, __file__, "--side", name, json.dumps(words)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _goal(goal: str, reached: bool | None, measured: str) -> Row:
    return {"goal": goal, "reached": "" if reached is None else "yes" if reached else "no", "measured": measured}


# --- weights: log loss -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cell:
    """A problem, and the predictions that it is drawn from."""

    file: Path
    name: str
    models: int
    rows: int
    classes: int


def _side_weights(file: str, models: int, rows: int, method: str, seconds: float) -> dict[str, Any]:
    source = model_predictions.read(Path(file))
    chosen, drawn = source.draw(models, rows)
    predictions = np.take(model_predictions.exact(source.oof[chosen]), drawn, axis=1)
    y = source.y[drawn]
    way = _WAYS[method]
    way(predictions[:3, :100], y[:100], 1.0)
    began = time.monotonic()
    return _told(way(predictions, y, seconds), time.monotonic() - began)


def _side_big(files: Sequence[str], rows: int, method: str, seconds: float) -> dict[str, Any]:
    from workbench.ensemble import minimise
    from workbench.ensemble.objectives import LogLoss

    distinct = _pooled([model_predictions.read(Path(file)) for file in files])
    true_class = np.empty((len(distinct), rows), np.float32)
    # With this mode numpy writes where it is told to, and not into a copy first.
    np.take(distinct, _big_rows(distinct, rows), axis=1, out=true_class, mode="clip")
    minimise(LogLoss(true_class[:3, :100]), method=method, seconds=1.0)
    began = time.monotonic()
    found = minimise(LogLoss(true_class), method=method, seconds=seconds)
    seconds = time.monotonic() - began
    return _told(Found(found.weights, found.evaluations, gap=found.gap, searched=found.seconds), seconds)


def _told(found: Found, seconds: float) -> dict[str, Any]:
    return {
        "weights": found.weights.tolist(),
        "evaluations": found.evaluations,
        "capped": found.capped,
        "gap": found.gap,
        "searched": found.searched,
        "seconds": seconds,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _ours(method: str) -> Callable[[Array, Array, float], Found]:
    def way(predictions: Array, y: Array, seconds: float) -> Found:
        from workbench.ensemble import blend

        found = blend(predictions, y, "log_loss", method=method, seconds=seconds)
        return Found(found.weights, found.evaluations, gap=found.gap, searched=found.seconds)

    return way


def _true_class(predictions: Array, y: Array) -> Array:
    """Return the (models, rows) probabilities of the true class, none below what the metric clips to."""
    reduced: Array = np.maximum(predictions[:, np.arange(len(y)), y], LEAST_PROBABILITY)
    return reduced


def _pooled(loaded: Sequence[ModelPredictions]) -> Array:
    """Return (models × temperatures, rows of all sets) float32 probabilities of the true class."""
    parts = []
    for source in loaded:
        predictions = model_predictions.exact(source.oof)
        powers = (predictions**temperature for temperature in _TEMPERATURES)
        sharpened = [_true_class(power / power.sum(axis=2, keepdims=True), source.y) for power in powers]
        parts.append(np.concatenate(sharpened).astype(np.float32))
    return np.concatenate(parts, axis=1)


def _big_rows(distinct: Array, rows: int) -> Array:
    return np.random.default_rng(0).integers(distinct.shape[1], size=rows)


def _weights(files: Sequence[Path], effort: Effort) -> tuple[list[Row], list[Row]]:
    loaded = {file: model_predictions.read(file) for file in files}
    largest = {classes: _largest(loaded, classes) for classes in (2, 10)}
    cells = [
        _Cell(file, loaded[file].name, models, rows, classes)
        for classes, file in largest.items()
        for rows in (1000, 10_000, 100_000)
        for models in (3, 10, 50, 100)
    ]
    with ThreadPoolExecutor(2) as pool:
        naive = [(cell, method) for cell in cells for method in _NAIVE]
        found = dict(zip(naive, pool.map(lambda job: _ask(job[0], job[1], effort.cap), naive), strict=True))
    for job in [(cell, method) for cell in cells for method in (*_OURS, "ensemble_selection")]:
        found[job] = _ask(*job, 120)
    rows, results = [], {}
    for cell in cells:
        source = loaded[cell.file]
        chosen, drawn = source.draw(cell.models, cell.rows)
        reduced = _true_class(model_predictions.exact(source.oof[chosen]), source.y)
        results[cell] = _compare({method: found[cell, method] for method in _WAYS}, reduced, drawn)
        drawn_twice = "*" if cell.rows > len(source.y) else ""
        heads = {"models": cell.models, "rows": f"{cell.rows:,}{drawn_twice}", "classes": cell.classes}
        rows += _weight_rows(heads | {"set": cell.name}, results[cell])
    big_rows, big = _big(list(loaded.values()), files, effort)
    return rows + big_rows, _weight_goals(results, big, effort)


def _largest(loaded: Mapping[Path, ModelPredictions], classes: int) -> Path:
    """Return the set of so many classes with the most rows, a real one before a generated one."""
    fitting = [file for file, source in loaded.items() if source.classes == classes]
    return max(fitting, key=lambda file: (len(loaded[file].y), not loaded[file].name.startswith("generated")))


def _ask(cell: _Cell, method: str, seconds: float) -> dict[str, Any]:
    found = _side("weights", file=str(cell.file), models=cell.models, rows=cell.rows, method=method, seconds=seconds)
    if found["capped"]:
        found["seconds"] = seconds
    shown = {"models": cell.models, "rows": cell.rows, "classes": cell.classes, "method": method}
    print(json.dumps(shown | {key: found[key] for key in ("seconds", "evaluations", "gap")}), flush=True)
    return dict(found)


def _compare(found: Mapping[str, dict[str, Any]], distinct: Array, drawn: Array) -> dict[str, dict[str, Any]]:
    """Add loss and excess over the optimum, which is found on the distinct rows, each counted as often as drawn."""
    counts = np.bincount(drawn, minlength=distinct.shape[1])
    true_class = distinct[:, counts > 0].astype(np.float64)
    share = counts[counts > 0] / len(drawn)
    best, proven = rivals.optimum(true_class, share)
    results = {"optimum": {"weights": best, "gap": proven, "evaluations": None, "seconds": None, "searched": None}}
    for method, result in {**results, **found}.items():
        weights = np.asarray(result["weights"])
        loss = -float(share @ np.log(weights @ true_class))
        excess = rivals.excess(weights, best, true_class, share)
        results[method] = {"capped": False, **result, "loss": loss, "excess": excess}
    return results


def _weight_rows(heads: Row, results: Mapping[str, dict[str, Any]]) -> list[Row]:
    rows = []
    for method, result in results.items():
        bound = "≥ " if result["capped"] else ""
        seconds, searched = result["seconds"], result["searched"]
        row = heads | {
            "method": method.replace("_", " "),
            "loss": f"{result['loss']:.8f}",
            "excess": "0" if method == "optimum" else f"{result['excess']:.1e}",
            "certificate": "" if result["gap"] is None else f"{result['gap']:.1e}",
            "evaluations": "" if result["evaluations"] is None else f"{result['evaluations']:,}",
            "seconds": "" if seconds is None else f"{bound}{seconds:.3g}",
            "searching": "" if searched is None else f"{searched:.3g}",
            "× nelder mead": "" if seconds is None else f"{bound}{seconds / results['nelder_mead']['seconds']:.3g}",
        }
        rows.append(row)
        print(json.dumps(row, ensure_ascii=False), flush=True)
    return rows


def _big(
    loaded: Sequence[ModelPredictions], files: Sequence[Path], effort: Effort
) -> tuple[list[Row], dict[str, dict[str, Any]]]:
    words: dict[str, Any] = {
        "files": [str(file) for file in files],
        "rows": effort.big,
        "seconds": 120,
        "one_thread": False,
    }
    found = {method: _side("big", method=method, **words) for method in _OURS}
    distinct = _pooled(loaded)
    results = _compare(found, distinct, _big_rows(distinct, effort.big))
    heads: Row = {"models": len(distinct), "rows": f"{effort.big:,}*", "classes": "", "set": "all of them"}
    return _weight_rows(heads, results), results


def _weight_goals(
    results: Mapping[_Cell, Mapping[str, dict[str, Any]]], big: Mapping[str, dict[str, Any]], effort: Effort
) -> list[Row]:
    everything = [*results.values(), big]
    certified = [(cell[method]["gap"], cell[method]) for cell in everything for method in _CERTIFIED]
    gaps = [gap / result["loss"] for gap, result in certified]
    within = sum(gap <= _RELATIVE_GAP for gap in gaps)
    spare = min(gap - result["excess"] for gap, result in certified)
    hard = [found for cell, found in results.items() if cell.models >= 50 and cell.rows >= 10_000]
    slow = [found["nelder_mead"]["seconds"] for cell, found in results.items() if cell.models * cell.rows >= 10_000_000]
    goals = [
        _goal(
            "certificate ≤ 1e-6 of the loss", within == len(gaps), f"{within} of {len(gaps)}, at most {max(gaps):.1e}"
        ),
        _goal("certificate never below the true gap", spare >= -_ROUNDING, f"at least {spare:.1e} above"),
        *(_faster(hard, method, goal) for method, goal in zip(_NAIVE, (50, None), strict=True)),
        _goal("100 models × 100,000 rows in ≤ 1 s", max(slow) <= 1, f"{' and '.join(f'{s:.2f}' for s in slow)} s"),
    ]
    for method in _OURS:
        seconds, memory = big[method]["seconds"], big[method]["memory"] / 2**30
        measured = f"{seconds:.1f} s, {memory:.2f} GiB, excess {big[method]['excess']:.1e}"
        reached = seconds <= 60 and memory <= 4 if effort.big == Effort.big else None
        goals.append(_goal(f"500 models × {effort.big:,} rows, {method}: ≤ 60 s, ≤ 4 GiB", reached, measured))
    return goals


def _faster(hard: Sequence[Mapping[str, dict[str, Any]]], rival: str, goal: float | None) -> Row:
    """Compare Nelder-Mead with a rival where there are many models and rows."""
    ratios = sorted(found[rival]["seconds"] / found["nelder_mead"]["seconds"] for found in hard)
    lower = sum(found["nelder_mead"]["loss"] < found[rival]["loss"] for found in hard)
    capped = sum(found[rival]["capped"] for found in hard)
    measured = f"{ratios[0]:.0f} to {ratios[-1]:.0f} times, {capped} of {len(hard)} capped; lower in {lower}"
    reached = None if goal is None else ratios[0] >= goal and lower == len(hard)
    return _goal(
        f"≥ 50 models × ≥ 10,000 rows, against {rival}{f': ≥ {goal} times' if goal else ''}", reached, measured
    )


# --- metrics: those that are not convex --------------------------------------------------------------------------


def _side_metric(file: str, metric: str, models: int, rows: int, seconds: float) -> dict[str, Any]:
    from workbench.ensemble import blend

    source = model_predictions.read(Path(file))
    chosen, drawn = source.draw(models, rows)
    predictions, y = model_predictions.exact(source.oof[chosen][:, drawn]), source.y[drawn]
    outcomes: dict[str, Any] = {}
    for method in ("greedy", "nelder_mead"):
        blend(predictions[:3, :100], y[:100], metric, method=method, seconds=0.1)
        began = time.monotonic()
        found = blend(predictions, y, metric, method=method, seconds=seconds)
        outcomes[method] = {"score": found.score, "seconds": time.monotonic() - began, "asked": found.evaluations}
    return outcomes


def _metrics(files: Sequence[Path], effort: Effort) -> tuple[list[Row], list[Row]]:
    loaded = {file: model_predictions.read(file) for file in files}
    cells = [
        (file, metric, rows, models)
        for file in (_largest(loaded, 2), _largest(loaded, 10))
        for metric in _STEPPED[loaded[file].classes]
        for rows in (300, 1000, 4000)
        for models in (10, 50)
    ]
    made = []
    for file, metric, rows, models in cells[:: effort.every]:
        words: dict[str, Any] = {
            "file": str(file),
            "metric": metric,
            "rows": rows,
            "models": models,
            "seconds": effort.metric,
        }
        found = _side("metric", **words)
        greedy, ours = found["greedy"], found["nelder_mead"]
        row: Row = {
            "set": loaded[file].name,
            "metric": metric,
            "rows": rows,
            "models": models,
            "greedy": f"{greedy['score']:.6f}",
            "nelder mead": f"{ours['score']:.6f}",
            "difference": f"{ours['score'] - greedy['score']:+.6f}",
            "seconds": f"{greedy['seconds']:.2g}, {ours['seconds']:.2g}",
            "evaluations": f"{greedy['asked']:,}, {ours['asked']:,}",
        }
        made.append((ours["score"] - greedy["score"], row))
        print(json.dumps(row, ensure_ascii=False), flush=True)
    differences = [difference for difference, _ in made]
    below, above = (sum(sign * difference > 1e-12 for difference in differences) for sign in (-1, 1))
    goals = [
        _goal("never below greedy", not below, f"below in {below} of {len(made)}"),
        _goal("above greedy in ≥ 75 %", above >= 0.75 * len(made), f"{above} of {len(made)}"),
    ]
    return [row for _, row in made], goals


# --- heldout: what the weights are worth -------------------------------------------------------------------------


def _side_heldout(file: str, metric: str, rows: int, seed: int, seconds: float) -> dict[str, Any]:
    from workbench import evaluation
    from workbench.ensemble import assess, blend
    from workbench.ensemble.scorer import apply_threshold

    source = model_predictions.read(Path(file))
    chosen, drawn = source.draw(_HELD_MODELS, rows, seed=seed)
    predictions, y = model_predictions.exact(source.oof[chosen][:, drawn]), source.y[drawn]
    held = model_predictions.exact(source.held[chosen])
    asked = evaluation.metric(metric)
    # What is imported at the first call must not cost the first blend its time.
    assess(predictions[:3, :100], y[:100], metric, seconds=1.0)
    assessed = assess(predictions, y, metric, shrink=True, seconds=seconds)
    greedy = blend(predictions, y, metric, method="greedy")
    ours, theirs = (apply_threshold(found.combine(list(held)), found.threshold) for found in (assessed.blend, greedy))
    rng = np.random.default_rng(0)
    again = (rng.integers(len(ours), size=len(ours)) for _ in range(_RESAMPLES))
    return {
        "ours": asked.score(source.y_held, ours),
        "greedy": asked.score(source.y_held, theirs),
        "threshold": assessed.blend.threshold is not None,
        "method": assessed.blend.method,
        "fitted": assessed.blend.score,
        "honest": assessed.honest_score,
        "honest_se": assessed.honest_se,
        "held_se": float(np.std([asked.score(source.y_held[rows], ours[rows]) for rows in again], ddof=1)),
        "sign": 1 if asked.direction == "maximize" else -1,
    }


def _heldout(files: Sequence[Path], effort: Effort) -> tuple[list[Row], list[Row]]:
    cases = []
    for file in files:
        most = len(model_predictions.read(file).y)
        sizes = [size for size in (300, 1000, 3000) if size <= most] or [most]
        cases += [(file, metric, size) for metric in _HELD_OUT for size in sizes]
    # Each case has rows and models of its own.
    numbered = [(*case, number, effort.case) for number, case in enumerate(cases)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda case: _case(*case), numbered[:: effort.every]))
    return [row for row, _ in found], _heldout_goals(found)


def _case(file: Path, metric: str, rows: int, seed: int, seconds: float) -> tuple[Row, dict[str, Any]]:
    """Return a case's row, and the numbers for its goals."""
    found = _side("heldout", file=str(file), metric=metric, rows=rows, seed=seed, seconds=seconds)
    difference = found["sign"] * (found["ours"] - found["greedy"])
    tie = abs(difference) < _TIE * abs(found["greedy"])
    off = abs(found["honest"] - found["ours"])
    error = found["honest_se"] or 0.0
    row: Row = {
        "set": file.stem.rpartition("-")[0],
        "metric": metric,
        "rows": rows,
        "held out: greedy": f"{found['greedy']:.5f}",
        "ours": f"{found['ours']:.5f}",
        "better by": f"{difference:+.5f}",
        "result": "tie" if tie else "win" if difference > 0 else "loss",
        "taken": found["method"].replace("_", " "),
        "fitted": f"{found['fitted']:.5f}",
        "honest": f"{found['honest']:.5f} ± {error:.5f}",
        "off by, in errors": f"{off / error:.2f}" if error else "",
    }
    print(json.dumps(row, ensure_ascii=False), flush=True)
    alone, together = off <= 2 * error, off <= 2 * math.hypot(error, found["held_se"])
    kind = f"{metric}, with a threshold" if found["threshold"] else metric
    return row, {"kind": kind, "alone": alone, "together": together}


def _heldout_goals(found: Sequence[tuple[Row, dict[str, Any]]]) -> list[Row]:
    results = [(facts["kind"], row["result"]) for row, facts in found]
    good = sum(result != "loss" for _, result in results)
    counts = ", ".join(f"{sum(each == result for _, each in results)} {result}" for result in ("win", "tie", "loss"))
    alone, together = (sum(facts[which] for _, facts in found) for which in ("alone", "together"))
    of = f"of {len(found)}"
    goals = [
        _goal("held-out wins or ties in ≥ 65 %", good >= 0.65 * len(found), f"{good} {of}: {counts}"),
        _goal("truth within 2 honest standard errors in ≥ 90 %", alone >= 0.9 * len(found), f"{alone} {of}"),
        _goal("the same, the held-out score's own error added", None, f"{together} {of}"),
    ]
    for kind in dict.fromkeys(kind for kind, _ in results):
        own = [result for other, result in results if other == kind]
        counts = ", ".join(f"{own.count(result)} {result}" for result in ("win", "tie", "loss"))
        goals.append(_goal(f"{kind}: wins or ties", None, f"{len(own) - own.count('loss')} of {len(own)}: {counts}"))
    return goals


_WAYS: dict[str, Callable[[Array, Array, float], Found]] = {
    "naive": rivals.naive,
    "naive_reduced": rivals.naive_reduced,
    "ensemble_selection": rivals.ensemble_selection,
    **{method: _ours(method) for method in _OURS},
}
_SIDES: dict[str, Callable[..., Any]] = {
    "weights": _side_weights,
    "big": _side_big,
    "metric": _side_metric,
    "heldout": _side_heldout,
}
_PARTS: dict[str, Callable[[Sequence[Path], Effort], tuple[list[Row], list[Row]]]] = {
    "weights": _weights,
    "metrics": _metrics,
    "heldout": _heldout,
}

if __name__ == "__main__":
    main()
