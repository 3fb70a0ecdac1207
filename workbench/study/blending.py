"""Candidates -> the document of an ensemble, and its predictions."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from workbench import ensemble
from workbench.ensemble import Assessment
from workbench.errors import EnsembleError
from workbench.evaluation import Metric
from workbench.study.candidates import Candidate
from workbench.tracking import Predictions

# Enough to tell families apart by; the blend that counts sees all rows.
_ROWS_TO_WEIGH = 4000


def weights(oof: Sequence[np.ndarray], y: np.ndarray, metric: Metric) -> list[float]:
    """Return what each model adds to the others: its weight by greedy selection, on some thousand of the rows."""
    some = slice(None, None, -(-len(y) // _ROWS_TO_WEIGH))
    try:
        found = ensemble.blend([p[some] for p in oof], y[some], metric, method="greedy", seconds=5)
    except EnsembleError:
        # Some rows may not have what the metric needs, as all classes.
        return [0.0] * len(oof)
    return [float(weight) for weight in found.weights]


def blended(
    rows: Sequence[Candidate],
    predictions: Sequence[Predictions],
    y: np.ndarray,
    metric: Metric,
    also: Sequence[Metric],
    *,
    fold: np.ndarray,
    groups: np.ndarray | None,
    method: str,
    simplify: bool | None,
    members: int,
    seed: int,
    seconds: float | None,
) -> tuple[dict[str, Any], np.ndarray, np.ndarray | None]:
    """Blend candidates; return the document, the out-of-fold and the test predictions.

    Args:
        rows: the candidates.
        predictions: theirs, in the same order.
        y: the targets of the out-of-fold predictions.
        metric: what to optimise.
        also: what else to score.
        fold: the fold of each out-of-fold prediction; the honest score is cross-fitted over them.
        groups: which predictions must stay together when rows are drawn anew.
        method: how weights are found.
        simplify: whether a simpler blend is taken where it is as good; on few rows unless given.
        members: the most members.
        seed: of the blends.
        seconds: how long the blends may take together.
    """
    scores, families = [row.score for row in rows], [row.family for row in rows]
    oof = [p.oof for p in predictions]
    chosen = ensemble.candidates(scores, families, oof, metric.direction, len(rows))
    across = fold if len(np.unique(fold)) > 1 else None
    options: dict[str, Any] = {"method": method, "members": members, "seed": seed, "seconds": seconds}
    options |= {"fold": across, "groups": groups, "shrink": True, "simplify": simplify}
    result = ensemble.assess([oof[i] for i in chosen], y, metric, **options)
    weights = result.blend.weights
    heaviest = [i for i in np.argsort(-weights, kind="stable") if weights[i] > 0]
    joined = result.blend.combine([oof[i] for i in chosen])
    tests = [test for i in chosen if (test := predictions[i].test) is not None]
    test = result.blend.combine(tests) if tests else None
    spread = result.weights_se
    known = {
        "method": result.blend.method,
        **_scores(result, metric),
        "best_single_run_id": rows[chosen[result.best_single]].run_id,
        "also": {m.name: m.score(y, joined) for m in also},
        "candidates": len(chosen),
        "members": [
            {**_member(rows[chosen[i]], float(weights[i])), "weight_se": None if spread is None else float(spread[i])}
            for i in heaviest
        ],
        "seconds": result.seconds,
    }
    return known, joined, test


def _scores(result: Assessment, metric: Metric) -> dict[str, Any]:
    """Return what an ensemble is worth, beside what simpler ones are."""
    best, uniform, greedy = (result.rivals[name] for name in ("best", "uniform", "greedy"))
    return {
        "metric": metric.name,
        "direction": metric.direction,
        "score": result.blend.score,
        "honest_score": result.honest_score,
        "honest_se": result.honest_se,
        "optimism": result.optimism,
        "best_single": best.score,
        "uniform": uniform.score,
        "greedy": greedy.score,
        "rivals": {name: asdict(rival) for name, rival in result.rivals.items()},
        "asked": result.asked,
        "remark": result.remark,
        "gap": result.blend.gap,
        "threshold": result.blend.threshold,
        "joiner": result.blend.joiner.document(),
    }


def _member(candidate: Candidate, weight: float) -> dict[str, Any]:
    known = {key: getattr(candidate, key) for key in ("run_id", "study", "family", "name", "score")}
    return {**known, "weight": weight, "run_ids": list(candidate.run_ids)}
