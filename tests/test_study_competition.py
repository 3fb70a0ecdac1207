"""What follows from a study's data and metric, before anything is trained."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import workbench

ROWS = 60
TAIL = np.exp(np.random.default_rng(0).normal(size=ROWS))


@pytest.mark.parametrize(
    ("target", "metric", "asked", "transform"),
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
    tmp_path: Path, target: np.ndarray, metric: str, asked: str, transform: str
) -> None:
    pd.DataFrame({"size": np.arange(ROWS) % 7, "y": target}).to_csv(tmp_path / "t.csv", index=False)
    file = tmp_path / "s.yaml"
    file.write_text(f"name: s\nmetric: {metric}\nfamilies: [linear]\ndata: {{train: t.csv, target: y{asked}}}\n")
    assert workbench.open(str(file), str(tmp_path / "home")).competition.transform == transform
