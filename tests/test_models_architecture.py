"""What nets look like: how many parameters they have, the table of their layers, their diagram where there is one."""

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


def wrapped(*nets: Any) -> Any:
    """Return what a family returns, as far as it is asked for its nets."""
    return SimpleNamespace(nets={f"net {place}": net for place, net in enumerate(nets)})


def deep(layers: int = 3) -> Any:
    import keras

    start = keras.Input((7,))
    hidden = start
    for place in range(layers):
        hidden = keras.layers.Dense(5, name=f"a_layer_whose_name_is_long_enough_to_be_cut_{place}")(hidden)
    return keras.Model(start, keras.layers.BatchNormalization()(hidden))


@pytest.mark.slow
def test_parameters_are_counted_and_those_that_are_trained_apart() -> None:
    net = deep()
    # Dense: 7·5 + 5, then twice 5·5 + 5. Batch normalisation: 10 that are trained, and 10 averages.
    assert architecture.parameter_counts(wrapped(net)) == {"parameters": 120, "trainable_parameters": 110}
    net.layers[1].trainable = False
    assert architecture.parameter_counts(wrapped(net)) == {"parameters": 120, "trainable_parameters": 70}
    net.compile("adam", "mse")
    net.fit(np.zeros((8, 7)), np.zeros((8, 5)), verbose=0)
    assert architecture.parameter_counts(wrapped(net)) == {"parameters": 120, "trainable_parameters": 70}
    assert architecture.parameter_counts(wrapped(net, deep(1)))["parameters"] == 120 + 60


@pytest.mark.slow
def test_the_table_has_every_layer_whole_those_of_nets_in_nets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setenv("COLUMNS", "40")
    inner = deep()
    start = keras.Input((7,))
    net = keras.Model(start, keras.layers.Dense(1, name="on_top")(inner(start)))
    net.compile("adam", "mse")
    net.fit(np.zeros((8, 7)), np.zeros((8, 1)), verbose=0)
    text = architecture.text(wrapped(net))
    # A long name goes on in the next line of its cell.
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
def test_a_family_of_keras_has_nets_and_they_are_written_down(case: Any, tmp_path: Path) -> None:
    model = fit(case, *rows(case))
    architecture.write(model, tmp_path / "nets")
    sizes = json.loads((tmp_path / "nets" / architecture.SIZES).read_text())
    assert sizes == architecture.parameter_counts(model)
    assert sizes["parameters"] == sum(net.count_params() for net in architecture.nets(model).values())
    assert 0 < sizes["trainable_parameters"] <= sizes["parameters"]
    assert f"{sizes['parameters']:,} parameters" in (tmp_path / "nets" / architecture.TABLE).read_text()


@pytest.mark.slow
def test_of_an_autoencoder_with_a_net_on_top_both_are_listed() -> None:
    (case,) = cases("dae_mlp", kinds={"table"}, tasks=("binary",))
    model = fit(case.values[0], *rows(case.values[0]))
    assert list(architecture.nets(model)) == ["encoder", "net"]
    text = architecture.text(model)
    assert text.index("encoder:") < text.index("net:")


@pytest.mark.parametrize("family", ["linear", "random_forest", "constant"])
def test_a_family_without_a_net_has_no_size_and_leaves_nothing(family: str, tmp_path: Path) -> None:
    (case,) = cases(family, kinds={"table"}, tasks=("binary",))
    model = fit(case.values[0], *rows(case.values[0]))
    assert architecture.parameter_counts(model) == {}
    architecture.write(model, tmp_path / "nets")
    architecture.draw(model, tmp_path / "nets")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@graphviz
def test_the_diagram_is_a_picture_where_graphviz_is_installed(tmp_path: Path) -> None:
    architecture.draw(wrapped(deep()), tmp_path)
    with Image.open(tmp_path / architecture.DIAGRAM) as picture:
        assert picture.format == "PNG"
        assert picture.height > picture.width


@pytest.mark.slow
def test_a_net_of_very_many_layers_is_not_drawn(tmp_path: Path) -> None:
    architecture.draw(wrapped(deep(260)), tmp_path)
    assert list(tmp_path.iterdir()) == []
