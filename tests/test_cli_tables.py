import io

import numpy as np
from ensemble_banks import diabetes
from rich.console import Console

from workbench.cli import tables
from workbench.ensemble import diversity


def drawn(table):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_diversity_shows_every_member_and_says_which_measure_is_which():
    predictions, y = diabetes()
    names = [f"ridge #{index}" for index in range(3)]
    document = diversity(predictions[:3], y, "rmse", [0.5, 0.25, 0.25], names=names).document()
    text = drawn(tables.diversity(document))
    for member in document["members"]:
        line = next(line for line in text.splitlines() if member["name"] in line)
        assert f"{member['weight']:.3f}" in line
        assert f"{member['contribution']:+.2g}" in line
        assert f"{member['mean_error_correlation']:.5g}" in line
        assert f"{member['mean_disagreement']:.5g}" in line
    assert "error correlation: Pearson correlation of prediction - target" in text
    assert "disagreement: root mean squared difference" in text
    assert "ambiguity, of squared_error: " in text
    assert "*" not in text


def test_diversity_marks_what_was_not_blended_anew():
    predictions, y = diabetes()
    found = diversity(predictions[:3], y, "rmse", [0.5, 0.25, 0.25], seconds=1e-9)
    assert "* the time was out" in drawn(tables.diversity(found.document()))


def test_diversity_of_one_member_has_dashes():
    predictions, y = diabetes()
    text = drawn(tables.diversity(diversity(predictions[:1], y, "rmse", np.ones(1)).document()))
    assert text.count("–") == 3
