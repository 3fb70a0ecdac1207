"""Predictions of LightGBM, which are made over some rounds at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("lightgbm")

from workbench import models
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space import Space, defaults


@pytest.mark.parametrize(("task", "classes"), [("binary", 2), ("multiclass", 3), ("regression", 0)])
def test_predictions_over_blocks_of_rounds_are_those_over_all_rounds(task: Any, classes: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(400, 5)), columns=list("abcde"))
    raw = x["a"] + rng.normal(size=400) / 3
    y = np.digitize(raw, np.quantile(raw, np.arange(1, classes) / classes)) if classes else 40 + raw.to_numpy()
    problem = Problem("table", task, classes, dict.fromkeys("abcde", "number"), "squared_error")
    context = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, length=120)
    family = models.get_family("lightgbm")
    model: Any = family.fit(Space(defaults), problem, Rows(x, y), None, context)
    assert model.length == 120
    expected = model.trees.predict(model.preprocessor.transform(x), num_threads=1)
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-9)
    model.save(tmp_path)
    np.testing.assert_array_equal(family.load(tmp_path).predict(x), model.predict(x))
