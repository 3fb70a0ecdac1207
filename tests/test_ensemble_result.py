"""The document of an ensemble: read and written again, it is the same; older ones have defaults."""

from __future__ import annotations

import json

import numpy as np
import prediction_matrices
import pytest

from workbench.ensemble import EnsembleMember, EnsembleResult, assess, diversity
from workbench.ensemble.aggregation import (
    AGGREGATIONS,
    LinearStack,
    PerOutput,
    WeightedMean,
    from_document,
    to_document,
)
from workbench.ensemble.cross_fitting import Alternative, Baseline

OLD = {
    "run_id": "e0", "method": "greedy", "metric": "log_loss", "score": 0.3, "honest_score": 0.31, "honest_se": None,
    "gap": None, "members": [{"run_id": "r0", "family": "mlp", "name": "mlp #0", "score": 0.3, "weight": 1.0}],
}  # fmt: skip


def full_result() -> EnsembleResult:
    predictions, y = prediction_matrices.diabetes()
    oof = list(predictions[:3])
    found = assess(oof, y, "rmse", method="greedy", seconds=5)
    members = tuple(
        EnsembleMember(f"r{i}", "ridge", f"ridge #{i}", 1.0, float(weight), 0.1, {"a": 0.5}, "s", (f"r{i}", "r9"))
        for i, weight in enumerate(found.blend.weights)
    )
    return EnsembleResult(
        method="greedy", metric="rmse", direction="minimize", score=found.blend.score, members=members, run_id="e1",
        honest_score=found.honest_score, honest_se=found.honest_se, optimism=found.optimism, baselines=found.baselines,
        requested_method="nelder_mead", remark="No clear gain.", gap=0.1,
        aggregation=PerOutput(((0, 1), (1, 2)), (WeightedMean(), LinearStack(0.9, np.array([0.1]), False))),
        weighting="target", alternatives={"shared": Alternative(0.1, 0.2, None)}, threshold={"a": 0.5, "b": None},
        best_single_run_id="r0", also={"mae": 0.25}, candidates=7,
        diversity=diversity(oof, y, "rmse", found.blend.weights, seconds=1), seconds=1.5,
    )  # fmt: skip


def test_a_document_is_the_same_after_json_and_back():
    document = full_result().to_document()
    assert json.loads(json.dumps(document)) == document
    again = EnsembleResult.from_document(json.loads(json.dumps(document))).to_document()
    assert json.dumps(again) == json.dumps(document)


def test_a_document_has_the_keys_that_homes_hold():
    assert list(full_result().to_document()) == [
        "run_id", "method", "metric", "direction", "score", "honest_score", "honest_se", "optimism", "best_single",
        "uniform", "greedy", "rivals", "asked", "remark", "gap", "joiner", "weights", "alternatives", "threshold",
        "best_single_run_id", "also", "candidates", "members", "diversity", "seconds",
    ]  # fmt: skip


def test_an_old_document_has_defaults():
    result = EnsembleResult.from_document(OLD)
    assert (result.weighting, result.threshold, result.alternatives, result.diversity) == ("shared", None, {}, None)
    assert (result.requested_method, result.remark, result.also, result.candidates) == ("greedy", None, {}, 1)
    assert (result.members[0].run_ids, result.members[0].output_weights) == (("r0",), None)
    assert result.aggregation == WeightedMean()


def test_baselines_give_the_scores_of_simpler_blends():
    document = EnsembleResult.from_document({**OLD, "rivals": {"best": {
        "score": 0.4, "honest_score": 0.41, "gain": 0.1, "gain_se": None,
    }}})  # fmt: skip
    assert document.baselines == {"best": Baseline(0.4, 0.41, 0.1, None)}
    assert (document.to_document()["best_single"], document.to_document()["greedy"]) == (0.4, None)


@pytest.mark.parametrize("kind", ["Mean", "Ranks", "Stack", "Apart"])
def test_aggregations_keep_the_names_that_homes_hold(kind):
    assert AGGREGATIONS[kind].kind == kind


def test_an_aggregation_is_read_as_it_was_written():
    aggregation = full_result().aggregation
    document = to_document(aggregation)
    assert (document["kind"], [each["kind"] for each in document["joiners"]]) == ("Apart", ["Mean", "Stack"])
    assert to_document(from_document(json.loads(json.dumps(document)))) == document
