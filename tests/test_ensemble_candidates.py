from __future__ import annotations

import numpy as np
import pytest

from workbench.ensemble import candidates
from workbench.errors import EnsembleError

RNG = np.random.default_rng(0)
MODELS = list(RNG.uniform(size=(6, 50)))
FAMILIES = ["linear", "forest", "forest", "forest", "mlp", "linear"]
SCORES = [0.9, 0.2, 0.1, 0.3, 0.5, 0.8]


def test_best_of_each_family_comes_first_and_then_the_best_of_all():
    assert candidates(SCORES, FAMILIES, MODELS, "minimize", 6) == [2, 4, 5, 1, 3, 0]
    assert candidates(SCORES, FAMILIES, MODELS, "maximize", 6) == [0, 4, 3, 5, 1, 2]


def test_the_number_of_candidates_is_limited():
    assert candidates(SCORES, FAMILIES, MODELS, "minimize", 2) == [2, 4]
    assert candidates(SCORES, FAMILIES, MODELS, "minimize", 4) == [2, 4, 5, 1]


def test_near_copies_are_left_out_but_models_that_differ_in_scale_are_not():
    models = list(MODELS)
    models[1] = models[2] + 1e-6 * RNG.normal(size=50)
    models[4] = 0.5 * models[2]
    assert candidates(SCORES, FAMILIES, models, "minimize", 6) == [2, 4, 5, 3, 0]


def test_constant_models_are_copies_of_each_other():
    models = [np.full(50, 0.5), np.full(50, 0.5), MODELS[0]]
    assert candidates([0.3, 0.2, 0.1], ["a", "b", "c"], models, "minimize", 3) == [2, 1]


def test_models_without_a_score_are_left_out():
    assert candidates([np.nan, 0.2], ["a", "b"], MODELS[:2], "minimize", 2) == [1]
    assert candidates([], [], [], "minimize", 2) == []


def test_probabilities_of_classes_are_compared_as_a_whole():
    first = RNG.dirichlet(np.ones(3), size=20)
    assert candidates([0.1, 0.2], ["a", "b"], [first, first.copy()], "minimize", 2) == [0]
    assert candidates([0.1, 0.2], ["a", "b"], [first, first[:, ::-1]], "minimize", 2) == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([0.1], ["a", "b"], MODELS[:1], "minimize", 1), "Received: 1, 2 and 1"),
        (([0.1], ["a"], MODELS[:1], "down", 1), "direction must be"),
        (([0.1], ["a"], MODELS[:1], "minimize", 0), "most must be at least 1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, sentence):
    with pytest.raises(EnsembleError, match=sentence):
        candidates(*arguments)
