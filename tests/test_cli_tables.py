from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from prediction_matrices import diabetes
from rich.console import Console

from workbench.cli import console_tables
from workbench.ensemble import EnsembleMember, EnsembleResult, diversity
from workbench.ensemble.cross_fitting import Alternative, Baseline
from workbench.search.storage import TrialRecord


def drawn(table):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_diversity_shows_every_member_and_says_which_measure_is_which():
    predictions, y = diabetes()
    names = [f"ridge #{index}" for index in range(3)]
    found = diversity(predictions[:3], y, "rmse", [0.5, 0.25, 0.25], names=names)
    text = drawn(console_tables.diversity(found))
    for member in found.members:
        line = next(line for line in text.splitlines() if member.name in line)
        assert f"{member.weight:.3f}" in line
        assert f"{member.contribution:+.2g}" in line
        assert f"{member.mean_error_correlation:.5g}" in line
        assert f"{member.mean_disagreement:.5g}" in line
    assert "error correlation: Pearson correlation of prediction - target" in text
    assert "disagreement: root mean squared difference" in text
    assert "ambiguity, of squared_error: " in text
    assert "*" not in text


def test_diversity_marks_what_was_not_blended_anew():
    predictions, y = diabetes()
    found = diversity(predictions[:3], y, "rmse", [0.5, 0.25, 0.25], seconds=1e-9)
    assert "* time ran out" in drawn(console_tables.diversity(found))


def test_diversity_of_one_member_has_dashes():
    predictions, y = diabetes()
    text = drawn(console_tables.diversity(diversity(predictions[:1], y, "rmse", np.ones(1))))
    assert text.count("–") == 3


def a_row(family, parameters=None):
    return TrialRecord("run", family, 0, 0.5, 0.1, [0.5], "complete", 1.0, {}, parameters=parameters)


def test_the_leaderboard_says_how_many_parameters_nets_have():
    text = drawn(console_tables.leaderboard([a_row("cnn", 66218), a_row("linear")], metric="log_loss"))
    lines = {line.split("│")[2].strip(): line.split("│")[5].strip() for line in text.splitlines() if "#0" in line}
    assert lines == {"cnn #0": "66,218", "linear #0": "–"}


def test_without_nets_the_leaderboard_is_silent_about_parameters():
    assert "parameters" not in drawn(console_tables.leaderboard([a_row("linear")], metric="log_loss"))


def test_the_leaderboard_shows_fidelities_where_trials_have_a_lower_one():
    rows = [a_row("linear"), replace(a_row("xgboost"), fidelity="holdout/4")]
    text = drawn(console_tables.leaderboard(rows, metric="log_loss"))
    lines = {line.split("│")[2].strip(): line.split("│")[5].strip() for line in text.splitlines() if "#0" in line}
    assert lines == {"linear #0": "full", "xgboost #0": "holdout/4"}
    assert "fidelity" not in drawn(console_tables.leaderboard(rows[:1], metric="log_loss"))


def of_ensemble(parts):
    """Return an ensemble of two members with weights of some targets."""
    weights = [dict.fromkeys(parts, 0.25), dict.fromkeys(parts, 0.75)]
    weights[0][parts[0]], weights[1][parts[0]] = 0.9, 0.1
    members = tuple(EnsembleMember(f"run{i}", "ridge", f"ridge #{i}", 0.3, 0.5, 0.01, weights[i]) for i in (0, 1))
    return EnsembleResult(
        method="nelder_mead", metric="log_loss", direction="minimize", score=0.31, members=members, honest_score=0.32,
        honest_se=0.01, baselines=dict.fromkeys(("best", "uniform", "greedy"), Baseline(0.4, 0.41, 0.1, None)),
        gap=0.001, weighting="target", threshold={parts[0]: 0.42, parts[1]: None}, candidates=5,
        alternatives={"shared": Alternative(0.33, 0.3456, 0.01), "target": Alternative(0.31, 0.32, 0.01)},
    )  # fmt: skip


def test_an_ensemble_shows_a_column_for_each_target_and_the_shared_weights_beside():
    text = drawn(console_tables.ensemble(of_ensemble(["sold", "price"]), details=True))
    first = next(line for line in text.splitlines() if "ridge #0" in line)
    assert "weights by target" in text
    assert [part in first for part in ("0.900", "0.250")] == [True, True]
    beside = next(line for line in text.splitlines() if "shared weights" in line)
    assert "0.3456 ± 0.01" in beside
    assert "threshold of sold" in text
    assert "threshold of price" not in text


def test_without_details_an_ensemble_shows_its_members_its_scores_and_what_is_taken():
    result = replace(of_ensemble(["sold", "price"]), remark="The weighted blend is taken.")
    lines = [line for line in drawn(console_tables.ensemble(result)).splitlines() if "│" in line]
    assert len(lines) == 3
    assert "0.32 ± 0.01" in lines[-1]
    assert "The weighted blend is taken." in drawn(console_tables.ensemble(result))
    details = drawn(console_tables.ensemble(result, details=True))
    assert "gap to the best weights" in details
    assert "greedy selection" in details


def test_of_many_targets_the_range_of_a_members_weights_is_shown():
    text = drawn(console_tables.ensemble(of_ensemble([f"t{place}" for place in range(9)])))
    assert "0.250 – 0.900" in text
    assert "0.100 – 0.750" in text
