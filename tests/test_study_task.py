"""What follows from a study's data and metric, before anything is trained."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import workbench
from workbench.errors import ConfigError

ROWS = 60
TAIL = np.exp(np.random.default_rng(0).normal(size=ROWS))


@pytest.mark.parametrize(
    ("target", "metric", "option", "transform"),
    [
        (TAIL, "mae", "", "log1p"),
        (TAIL, "mae", ", target_transform: none", "none"),
        (TAIL, "rmse", "", "none"),
        (TAIL - 1, "mae", "", "none"),
        (np.linspace(0, 9, ROWS), "mae", "", "none"),
        (-TAIL + TAIL.max(), "mae", "", "none"),
    ],
)
def test_absolute_errors_of_amounts_with_a_long_tail_are_trained_as_logarithms(
    tmp_path: Path, target: np.ndarray, metric: str, option: str, transform: str
) -> None:
    pd.DataFrame({"size": np.arange(ROWS) % 7, "y": target}).to_csv(tmp_path / "t.csv", index=False)
    file = tmp_path / "s.yaml"
    file.write_text(f"name: s\nmetric: {metric}\nfamilies: [linear]\ndata: {{train: t.csv, target: y{option}}}\n")
    assert workbench.open(str(file), str(tmp_path / "home")).task.transform == transform


@pytest.mark.parametrize(
    ("target", "ensemble", "message"),
    [
        ("[kind, size]", "weights: class", "ensemble.weights 'class' needs one target of more than two classes"),
        ("[kind, size]", "weights: shared, method: stack", "ensemble.weights must be 'target' for method 'stack'"),
        ("[kind, size]", "method: rank", "ensemble.method must join 2 targets. Received: 'rank'"),
        ("kind", "weights: target", "ensemble.weights 'target' needs several targets. Received: one"),
        ("kind", "weights: class, method: greedy", "needs the method nelder_mead or convex. Received: 'greedy'"),
        ("flag", "weights: class", "ensemble.weights 'class' needs one target of more than two classes. Received: 2"),
        ("size", "weights: class", "ensemble.weights 'class' needs one target of more than two classes. Received: va"),
        ("kind", "weights: class", None),
        ("[kind, size]", "weights: target", None),
        ("[kind, size]", "method: stack", None),
    ],
)
def test_weights_that_targets_and_classes_cannot_have_are_refused_before_work_starts(
    tmp_path: Path, target: str, ensemble: str, message: str | None
) -> None:
    rows = np.arange(ROWS)
    frame = pd.DataFrame({"a": rows % 7, "kind": np.array(["u", "v", "w"])[rows % 3], "flag": rows % 2, "size": TAIL})
    frame.to_csv(tmp_path / "t.csv", index=False)
    file = tmp_path / "s.yaml"
    file.write_text(
        f"name: s\nfamilies: [linear]\ndata: {{train: t.csv, target: {target}}}\nensemble: {{{ensemble}}}\n"
    )
    if message is None:
        workbench.open(str(file), str(tmp_path / "home")).task.check()
        return
    with pytest.raises(ConfigError, match=re.escape(message)):
        workbench.open(str(file), str(tmp_path / "home")).task.check()
