"""Whether the honest score is honest: on noise against chance, on real sets against the score on rows set apart.

    python benchmarks/honesty.py [--draws 20] [--workers 2] [--write] noise
    python benchmarks/honesty.py --data DIR [--draws 3] [--sizes 300 1000 3000] [--write] real [NAME …]

`noise` runs studies of 400 rows of ten random columns and a random class. Whatever they find is chance, so the honest
score should be within two of its standard errors of 0.5, and that on 4,000 further rows shows what chance is.
`real` draws rows of DIR/NAME/train.csv anew for each draw and sets up to 10,000 of the others apart. The ensemble that
was taken is scored on these, and so is each simpler one that might have been taken. A decision is right if no other is
better there by more than a thousandth. A bias above 0 says that the honest score is too good. Rows set apart are
predicted by the mean of the folds' models, which is often better than each of them: then the bias is below 0.

Each study runs in a process of its own, as many at a time as --workers says.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import table

import workbench
from workbench import evaluation

_SETS = ("bank_marketing", "online_shoppers", "california_housing", "bike_sharing", "forest_cover", "flights")
_FAMILIES = {"noise": ("linear", "xgboost", "lightgbm"), "real": ("linear", "extra_trees", "xgboost", "lightgbm")}
_TRIALS = {"noise": 45, "real": 16}
_NOISE_ROWS, _NOISE_COLUMNS, _NOISE_APART = 400, 10, 4000
_APART = 10_000
_METHODS = ("nelder_mead", "greedy", "uniform", "best")
# Scores that differ by less, as a share of their size, are even.
_EVEN = 1e-3


@dataclass(frozen=True)
class Case:
    """A study, and the answers to the rows that were set apart."""

    part: str
    name: str
    rows: int
    draw: int
    metric: str
    file: Path
    answers: list[Any] = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """The scores of the ensemble that was taken, and of the others on the rows set apart; losses, to minimise."""

    case: Case
    honest: float
    error: float
    apart: float
    others: dict[str, float]
    """By method, and `constant` where the baseline could have been taken."""
    taken: str

    @property
    def bias(self) -> float:
        """By how much the honest score is better than that on the rows set apart."""
        return self.apart - self.honest

    @property
    def regret(self) -> float:
        """By how much the best of all ensembles is better on the rows set apart, as a share of its size."""
        return self.regret_of(self.apart)

    def regret_of(self, loss: float) -> float:
        """Return the regret of another ensemble's loss."""
        least = min(self.apart, *self.others.values())
        return (loss - least) / abs(least)


def main() -> None:
    """Run all cases of one part and print, or write, its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["noise", "real", "study"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--draws", type=int)
    parser.add_argument("--sizes", type=int, nargs="+", default=[300, 1000, 3000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="replace the table in docs/benchmarks.md")
    options = parser.parse_args()
    if options.part == "study":
        print(json.dumps(_run(*options.names)))
        return
    with tempfile.TemporaryDirectory() as folder:
        made = _make_noise(Path(folder), options) if options.part == "noise" else _make_real(Path(folder), options)
        with ThreadPoolExecutor(options.workers) as pool:
            outcomes = list(pool.map(_side, made))
    rows = _tell_noise(outcomes) if options.part == "noise" else _tell_real(outcomes)
    for row in rows:
        print(json.dumps(row, ensure_ascii=False), flush=True)
    if options.write:
        sizes = f" --sizes {' '.join(map(str, options.sizes))}" if options.part == "real" else ""
        words = f"{' --data DIR' if options.data else ''} --draws {_draws(options)}{sizes} {options.part}"
        table.write(f"honesty {options.part}", rows, note=f"`python benchmarks/honesty.py{words}`")


def _draws(options: argparse.Namespace) -> int:
    return int(options.draws or {"noise": 20, "real": 3}[options.part])


def _make_noise(folder: Path, options: argparse.Namespace) -> list[Case]:
    cases = []
    for draw in range(_draws(options)):
        rng = np.random.default_rng(draw)
        rows = _NOISE_ROWS + _NOISE_APART
        frame = pd.DataFrame(rng.normal(size=(rows, _NOISE_COLUMNS))).rename(columns=lambda each: f"x{each}")
        frame["y"] = rng.integers(0, 2, rows)
        cases.append(_case(folder, "noise", "noise", frame, "y", "roc_auc", _NOISE_ROWS, draw))
    return cases


def _make_real(folder: Path, options: argparse.Namespace) -> list[Case]:
    if options.data is None:
        raise SystemExit("Say where the sets are with --data DIR.")
    cases = []
    for name in options.names or _SETS:
        about = json.loads((options.data / name / "ABOUT.json").read_text())
        frame = pd.read_csv(next((options.data / name).glob("train.csv*"))).drop(columns=about["id"])
        for rows in options.sizes:
            for draw in range(_draws(options)):
                drawn = frame.sample(min(len(frame), rows + _APART), random_state=draw, ignore_index=True)
                cases.append(_case(folder, "real", name, drawn, about["target"], about["metric"], rows, draw))
    return cases


def _case(
    folder: Path, part: str, name: str, frame: pd.DataFrame, target: str, metric: str, rows: int, draw: int
) -> Case:
    """Write a study and what it may see of the rows."""
    place = folder / f"{name}-{rows}-{draw}"
    place.mkdir()
    frame[:rows].to_csv(place / "train.csv", index=False)
    frame[rows:].drop(columns=target).to_csv(place / "test.csv", index=False)
    study = {
        "name": "honesty",
        "data": {"train": "train.csv", "test": "test.csv", "target": target},
        "metric": metric,
        "families": list(_FAMILIES[part]),
        "search": {"trials": _TRIALS[part], "workers": 1},
        "seed": draw,
    }
    # JSON is YAML.
    (place / "study.yaml").write_text(json.dumps(study))
    return Case(part, name, rows, draw, metric, place / "study.yaml", frame[target][rows:].tolist())


def _side(case: Case) -> Outcome:
    """Run a study in a process of its own, and hold its predictions against the answers."""
    command = [sys.executable, __file__, "study", str(case.file), case.part]
    done = subprocess.run(command, cwd=case.file.parent, stdout=subprocess.PIPE, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    metric, classes = evaluation.metric(case.metric), said["classes"]
    y = np.array(case.answers if classes is None else [classes.index(str(label)) for label in case.answers])

    def loss(predictions: Any) -> float:
        return metric.loss_of(metric.score(y, np.array(predictions)))

    others = {name: loss(each) for name, each in said["others"].items()}
    outcome = Outcome(
        case, metric.loss_of(said["honest"]), said["error"], loss(said["predictions"]), others, said["taken"]
    )
    print(f"# {case.name} {case.rows} {case.draw}, {said['seconds']:.0f} s: {outcome}", flush=True)
    return outcome


def _run(file: str, part: str) -> dict[str, Any]:
    """Run a study to its end; return what its ensemble predicts, and what others of the same trials predict."""
    study = workbench.open(file, str(Path(file).parent / "home"))
    summary = study.run(out=Path(file).with_suffix(".csv"))
    assert summary.ensemble is not None
    own = study.task

    def predict(run_id: str) -> Any:
        return np.asarray(study.store.tracker.predictions(run_id, own.schema).test).tolist()

    others = {}
    if part == "real":
        others = {method: predict(study.ensemble(method=method).document["run_id"]) for method in _METHODS}
    if part == "real" and not own.metric.ranks:
        others |= {row.family: predict(row.run_id) for row in study.trials() if row.family == "constant"}
    return {
        "predictions": predict(summary.ensemble["run_id"]),
        "others": others,
        "classes": own.dataset.classes and [str(label) for label in own.dataset.classes],
        "honest": summary.ensemble["honest_score"],
        "error": summary.ensemble["honest_se"],
        "taken": summary.ensemble["remark"],
        "seconds": summary.seconds,
    }


def _tell_noise(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    honest, error, apart = (np.array([getattr(each, key) for each in outcomes]) for key in ("honest", "error", "apart"))
    scores = -honest
    return [
        {
            "draws": len(outcomes),
            "honest score": _mean(scores, "{:.4f}"),
            "its standard error": f"{error.mean():.4f}",
            "on further rows": _mean(-apart, "{:.4f}"),
            "mean bias": _mean(scores - 0.5, "{:+.4f}"),
            "within 2 errors of chance": f"{int((np.abs(scores - 0.5) <= 2 * error).sum())} of {len(outcomes)}",
        }
    ]


def _tell_real(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    sizes = sorted({each.case.rows for each in outcomes})
    names = list(dict.fromkeys(each.case.name for each in outcomes))
    rows = [_tell(f"{size:,} rows", [each for each in outcomes if each.case.rows == size]) for size in sizes]
    rows += [_tell(name, [each for each in outcomes if each.case.name == name]) for name in names]
    return [*rows, _tell("all", outcomes)]


def _tell(name: str, own: Sequence[Outcome]) -> dict[str, object]:
    within = sum(abs(each.bias) <= 2 * each.error for each in own)
    optimistic = sum(each.bias > 2 * each.error for each in own)
    right = sum(each.regret <= _EVEN for each in own)
    regrets = {
        "decide": np.array([each.regret for each in own]),
        **{method: np.array([each.regret_of(each.others[method]) for each in own]) for method in _METHODS},
    }
    return {
        "cases": name,
        "within 2 errors": f"{within} of {len(own)}",
        "optimistic beyond": optimistic,
        "mean bias, in errors": _mean(np.array([each.bias / each.error for each in own]), "{:+.2f}"),
        "mean bias, %": _mean(np.array([100 * each.bias / abs(each.apart) for each in own]), "{:+.2f}"),
        "decided right": f"{right} of {len(own)}",
        **{f"regret: {method}, %": f"{100 * regret.mean():.2f}" for method, regret in regrets.items()},
    }


def _mean(values: np.ndarray, form: str) -> str:
    """Return a mean with its standard error over cases."""
    if len(values) < 2:
        return form.format(values.mean())
    return f"{form.format(values.mean())} ± {form.format(values.std(ddof=1) / np.sqrt(len(values))).lstrip('+')}"


if __name__ == "__main__":
    main()
