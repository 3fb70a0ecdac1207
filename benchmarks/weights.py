"""Weights by target and by class against shared ones, on rows held out from simulated problems of predictions.

    python benchmarks/weights.py [--seeds 5] [--parts target class] [--quick]

target  several targets of two classes, by the mean log loss or the mean ROC AUC: shared weights, weights by target, and
        what is taken where `ensemble.weights` is not set
class   one target of several classes, by log loss: shared weights and weights by class

A model sees what decides each target, or speaks for each class, through noise of its own, and answers as is best with
that. How much noise is drawn for each model once (`alike`), or for each model and target or class (`apart`); `between`
is the mean of both. Weights are found as a study finds them, and scored on 20,000 other rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import table

from workbench.array import Array
from workbench.ensemble import assess
from workbench.ensemble.cross_fitting import Assessment
from workbench.evaluation import Metric, metric
from workbench.evaluation.multi_target import TargetMetric, combine_metrics

_HELD_OUT = 20_000
_MODELS = 20
# Seconds that a blend with its cross-fitted score may take; a metric without a convex form takes longer.
_TARGET_SECONDS = {"log_loss": 4.0, "roc_auc": 30.0}
_CLASS_SECONDS = 8.0
# Metric, targets and rows of the problems of several targets.
_SIZES = [
    ("log_loss", 3, 200),
    ("log_loss", 3, 1000),
    ("log_loss", 3, 5000),
    ("log_loss", 12, 1000),
    ("roc_auc", 3, 1000),
]
# Scores that differ by less, of their size, are even.
_EVEN = 1e-4
_LIKENESS = {"alike": 0.0, "between": 0.5, "apart": 1.0}


@dataclass(frozen=True)
class BlendProblem:
    """Predictions of all models for rows to fit weights to and held-out rows, and the targets."""

    predictions: Array
    y: Array
    metric: Metric
    rows: int
    seconds: float

    def assess(self, weights: str | None) -> tuple[Assessment, float]:
        """Return a blend of the first rows, and its score on the others."""
        fitted, y = self.predictions[:, : self.rows], self.y[: self.rows]
        found = assess(fitted, y, self.metric, weights=weights, shrink=True, seconds=self.seconds)  # type: ignore[arg-type]
        return found, self.held_out(found)

    def held_out(self, found: Assessment) -> float:
        """Return the score of a blend on the held-out rows."""
        return self.metric.score(self.y[self.rows :], found.blend.combine(list(self.predictions[:, self.rows :])))


def main() -> None:
    """Run the parts and write their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=["target", "class"], default=["target", "class"])
    parser.add_argument("--quick", action="store_true", help="one seed, nothing is written")
    options = parser.parse_args()
    seeds = 1 if options.quick else options.seeds
    for part in options.parts:
        rows = _target_rows(seeds) if part == "target" else _class_rows(seeds)
        if not options.quick:
            command = f"`python benchmarks/weights.py --seeds {seeds} --parts {part}`"
            table.write(f"weights by {part}", rows, note=command)


def _target_rows(seeds: int) -> list[Mapping[str, object]]:
    """Return a row for each kind of problem of several targets."""
    cells = [(*size, kind) for size in _SIZES for kind in _LIKENESS]
    table_rows: list[Mapping[str, object]] = []
    for name, count, rows, kind in cells:
        scores: dict[str, list[float]] = {"shared": [], "by target": [], "taken": []}
        errors, chosen = [], 0
        for seed in range(seeds):
            problem = _target_problem(seed, name, count, rows, _LIKENESS[kind])
            found, score = problem.assess(None)
            scores["taken"].append(score)
            for kind_of_weights, column in (("shared", "shared"), ("target", "by target")):
                other = score if found.blend.weighting == kind_of_weights else problem.assess(kind_of_weights)[1]
                scores[column].append(other)
            errors.append(found.honest_score - score)
            chosen += found.blend.weighting == "target"
        facts = {"metric": name, "targets": count, "rows": rows, "models": kind}
        table_rows.append(
            _format_row(facts, scores, problem.metric, errors) | {"by target taken": f"{chosen} of {seeds}"}
        )
        print(table_rows[-1], flush=True)
    return table_rows


def _class_rows(seeds: int) -> list[Mapping[str, object]]:
    """Return a row for each kind of problem of several classes."""
    table_rows: list[Mapping[str, object]] = []
    for count, rows, kind in [(k, rows, kind) for k in (3, 8) for rows in (200, 1000, 5000) for kind in _LIKENESS]:
        scores: dict[str, list[float]] = {"shared": [], "by class": []}
        errors = []
        for seed in range(seeds):
            problem = _class_problem(seed, count, rows, _LIKENESS[kind])
            scores["shared"].append(problem.assess("shared")[1])
            found, score = problem.assess("class")
            scores["by class"].append(score)
            errors.append(found.honest_score - score)
        facts = {"metric": "log_loss", "classes": count, "rows": rows, "models": kind}
        table_rows.append(_format_row(facts, scores, problem.metric, errors))
        print(table_rows[-1], flush=True)
    return table_rows


def _format_row(
    facts: Mapping[str, object], scores: Mapping[str, list[float]], scoring: Metric, errors: list[float]
) -> dict[str, object]:
    """Return mean scores, and how often weights are better than, even with and worse than shared ones."""
    row = {**facts, **{name: f"{np.mean(each):.4f}" for name, each in scores.items()}}
    for name in scores:
        if name != "shared":
            gains = [
                scoring.loss_of(s) - scoring.loss_of(own) for s, own in zip(scores["shared"], scores[name], strict=True)
            ]
            even = _EVEN * abs(np.mean(scores["shared"]))
            tally = [sum(g > even for g in gains), sum(abs(g) <= even for g in gains), sum(g < -even for g in gains)]
            row[f"{name}: better, even, worse"] = ", ".join(map(str, tally))
    return row | {"honest - held out": f"{np.mean(errors):+.4f}"}


def _noise(rng: np.random.Generator, parts: int, apart: float) -> Array:
    """Return how much noise there is for each model and target or class, (models, parts)."""
    one, each = rng.normal(size=(_MODELS, 1)), rng.normal(size=(_MODELS, parts))
    noise: Array = np.exp(0.7 * ((1 - apart) * one + apart * each))
    return noise


def _target_problem(seed: int, name: str, count: int, rows: int, apart: float) -> BlendProblem:
    rng = np.random.default_rng([seed, count, rows])
    truth = rng.normal(size=(rows + _HELD_OUT, count))
    y = (rng.uniform(size=truth.shape) < 1 / (1 + np.exp(-2.5 * truth))).astype(np.float64)
    noise = _noise(rng, count, apart)[:, None, :]
    seen = truth + noise * rng.normal(size=(_MODELS, *truth.shape))
    predictions = 1 / (1 + np.exp(-2.5 * seen / (1 + noise**2)))
    scoring = metric(name)
    parts = [TargetMetric(f"t{place}", scoring, place, place, place + 1, 2) for place in range(count)]
    return BlendProblem(predictions, y, combine_metrics(parts, y), rows, _TARGET_SECONDS[name])


def _class_problem(seed: int, count: int, rows: int, apart: float) -> BlendProblem:
    rng = np.random.default_rng([seed, count, rows])
    truth = rng.normal(size=(rows + _HELD_OUT, count))
    y = np.argmax(2 * truth + rng.gumbel(size=truth.shape), axis=1)
    noise = _noise(rng, count, apart)[:, None, :]
    seen = 2 * (truth + noise * rng.normal(size=(_MODELS, *truth.shape))) / (1 + noise**2)
    odds = np.exp(seen - seen.max(axis=2, keepdims=True))
    return BlendProblem(odds / odds.sum(axis=2, keepdims=True), y, metric("log_loss"), rows, _CLASS_SECONDS)


if __name__ == "__main__":
    main()
