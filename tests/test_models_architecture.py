"""Descriptions of nets: parameter counts, the table of their layers, their diagram."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_models import cases, fit, rows

from workbench.models.nn import architecture

graphviz = pytest.mark.skipif(shutil.which("dot") is None, reason="the program dot of graphviz is not installed")


def make_model(*nets: Any) -> Any:
    """Return a stand-in for a family's model that has the nets only."""
    return SimpleNamespace(nets={f"net {index}": net for index, net in enumerate(nets)})


def make_net(layers: int = 3) -> Any:
    import keras

    start = keras.Input((7,))
    hidden = start
    for index in range(layers):
        hidden = keras.layers.Dense(5, name=f"a_layer_whose_name_is_long_enough_to_be_cut_{index}")(hidden)
    return keras.Model(start, keras.layers.BatchNormalization()(hidden))


@pytest.mark.slow
def test_parameters_and_trainable_parameters_are_counted() -> None:
    net = make_net()
    # Dense: 7·5 + 5, then twice 5·5 + 5. Batch normalisation: 10 trainable, and 10 moving averages.
    assert architecture.count_parameters(make_model(net)) == {"parameters": 120, "trainable_parameters": 110}
    net.layers[1].trainable = False
    assert architecture.count_parameters(make_model(net)) == {"parameters": 120, "trainable_parameters": 70}
    net.compile("adam", "mse")
    net.fit(np.zeros((8, 7)), np.zeros((8, 5)), verbose=0)
    assert architecture.count_parameters(make_model(net)) == {"parameters": 120, "trainable_parameters": 70}
    assert architecture.count_parameters(make_model(net, make_net(1)))["parameters"] == 120 + 60


@pytest.mark.slow
def test_the_table_has_every_layer_with_its_whole_name_nested_nets_included(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setenv("COLUMNS", "40")
    inner = make_net()
    start = keras.Input((7,))
    net = keras.Model(start, keras.layers.Dense(1, name="on_top")(inner(start)))
    net.compile("adam", "mse")
    net.fit(np.zeros((8, 7)), np.zeros((8, 1)), verbose=0)
    text = architecture.format_layers(make_model(net))
    # A long name continues in the next line of its cell.
    cells = re.sub(r"[│\s]+", "", text)
    for layer in (*inner.layers, *net.layers):
        assert layer.name in cells
    assert max(len(line) for line in text.splitlines()) == 120
    assert text.endswith("126 parameters, 116 of them trained\n")
    assert "ptimizer" not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        *cases("mlp", kinds={"table"}, tasks=("binary",)),
        *cases("dae_xgboost", kinds={"table"}, tasks=("binary",)),
        *cases("tabm", kinds={"table"}, tasks=("regression",)),
        *cases("gru", kinds={"sequence"}, tasks=("binary",)),
    ],
)
def test_the_nets_of_a_keras_family_are_described_in_files(case: Any, tmp_path: Path) -> None:
    model = fit(case, *rows(case))
    architecture.write(model, tmp_path / "nets")
    sizes = json.loads((tmp_path / "nets" / architecture.SIZES).read_text())
    assert sizes == architecture.count_parameters(model)
    assert sizes["parameters"] == sum(net.count_params() for net in architecture.find_nets(model).values())
    assert 0 < sizes["trainable_parameters"] <= sizes["parameters"]
    assert f"{sizes['parameters']:,} parameters" in (tmp_path / "nets" / architecture.TABLE).read_text()


@pytest.mark.slow
def test_an_autoencoder_and_the_net_on_it_are_both_listed() -> None:
    (case,) = cases("dae_mlp", kinds={"table"}, tasks=("binary",))
    model = fit(case.values[0], *rows(case.values[0]))
    assert list(architecture.find_nets(model)) == ["encoder", "net"]
    text = architecture.format_layers(model)
    assert text.index("encoder:") < text.index("net:")


@pytest.mark.parametrize("family", ["linear", "random_forest", "constant"])
def test_a_family_without_nets_has_no_parameter_counts_and_writes_nothing(family: str, tmp_path: Path) -> None:
    (case,) = cases(family, kinds={"table"}, tasks=("binary",))
    model = fit(case.values[0], *rows(case.values[0]))
    assert architecture.count_parameters(model) == {}
    architecture.write(model, tmp_path / "nets")
    architecture.draw(model, tmp_path / "nets")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@graphviz
def test_the_diagram_is_an_image_if_graphviz_is_installed(tmp_path: Path) -> None:
    architecture.draw(make_model(make_net()), tmp_path)
    with Image.open(tmp_path / architecture.DIAGRAM) as image:
        assert image.format == "PNG"
        assert image.height > image.width


@pytest.mark.slow
def test_a_net_with_very_many_layers_is_not_drawn(tmp_path: Path) -> None:
    architecture.draw(make_model(make_net(260)), tmp_path)
    assert list(tmp_path.iterdir()) == []
