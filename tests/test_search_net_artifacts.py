"""The net artifacts that a trial's process writes, also with missing tools."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_models_inspection import build_linear_nets, make_grey, make_model

from workbench.data.image_column import ImageArray
from workbench.models.nn import architecture, inspection
from workbench.models.wrappers.modality import ModalityModel, ModalitySelection
from workbench.models.wrappers.multi_output import MultiOutputModel
from workbench.search import net_artifacts
from workbench.trial import FoldResult

pytestmark = pytest.mark.slow

TABLE = {architecture.SIZES, architecture.TABLE}


def write_artifacts(folder: Path, *, full: bool, kind: str = "image") -> set[str]:
    """Write the artifacts of a small image net; return the names of the files."""
    nets, x = build_linear_nets("dense", 3), make_grey(30)
    oof = np.asarray(nets[0](x))
    data = SimpleNamespace(kind=kind, x=x, y=oof.argmax(axis=1), classes=("a", "b", "c"), targets=())
    spec: Any = SimpleNamespace(dataset=data, folds=SimpleNamespace(split=lambda repeat, fold: (None, np.arange(30))))
    fold = FoldResult(0, 2, oof, None, 0.5, 1.0, {})
    net_artifacts.write(spec, fold, make_model(*nets), folder / "nets", full=full)
    return {file.name for file in (folder / "nets").iterdir()}


def test_a_trial_that_is_not_the_best_writes_its_size_and_its_layers(tmp_path: Path) -> None:
    assert write_artifacts(tmp_path, full=False) == TABLE


def test_without_graphviz_everything_but_the_diagram_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert write_artifacts(tmp_path, full=True) == {*TABLE, inspection.FILE}


def test_a_failing_graphviz_costs_only_the_diagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin" / "dot"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert write_artifacts(tmp_path, full=True) == {*TABLE, inspection.FILE}


def test_nets_without_images_are_not_inspected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert write_artifacts(tmp_path, full=True, kind="sequence") == TABLE


def test_the_module_loads_without_keras() -> None:
    import subprocess
    import sys

    code = (
        "import sys, workbench.search.net_artifacts, workbench.study.net_images, workbench.report.figures.grad_cam\n"
        "assert not {'keras', 'tensorflow', 'mlflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_net_of_a_tables_image_column_is_inspected(tmp_path: Path) -> None:
    nets, x = build_linear_nets("dense", 3), make_grey(30)
    frame = pd.DataFrame({"age": np.arange(30.0), "photo": ImageArray(x)})
    oof = np.asarray(nets[0](x))
    data = SimpleNamespace(kind="mixed", x=frame, y=oof.argmax(axis=1), classes=("a", "b", "c"), targets=())
    rows = np.arange(5, 30)
    spec: Any = SimpleNamespace(dataset=data, folds=SimpleNamespace(split=lambda repeat, fold: (None, rows)))
    given = ModalityModel(make_model(*nets), ModalitySelection({}, "photo"))
    net_artifacts.write(spec, FoldResult(0, 2, oof[rows], None, 0.5, 1.0, {}), given, tmp_path / "nets", full=True)
    assert architecture.count_parameters(given)["parameters"] > 0
    found = inspection.ImageInspection.load(tmp_path / "nets" / inspection.FILE)
    assert len(found.images) == 6
    beside = ModalityModel(make_model(*nets), ModalitySelection({"age": "number"}))
    net_artifacts.write(spec, FoldResult(0, 2, oof[rows], None, 0.5, 1.0, {}), beside, tmp_path / "beside", full=True)
    assert not (tmp_path / "beside" / inspection.FILE).exists()


def test_the_parameters_of_several_targets_nets_are_added() -> None:
    nets = build_linear_nets("dense", 3)
    one = make_model(*nets)
    several = MultiOutputModel([one, one])
    assert architecture.count_parameters(several)["parameters"] == 2 * architecture.count_parameters(one)["parameters"]
    assert next(iter(architecture.find_nets(several))).startswith("target 0")
