"""Descriptions of the nets in a model: parameter counts, a table of the layers, a diagram."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.models.protocol import Model

SIZES, TABLE, DIAGRAM = "size.json", "architecture.txt", "architecture.png"
"""The files that `write` and `draw` make."""

# Characters in a line of the layer table: enough for whole names and shapes.
_LINE_LENGTH = 120
# A diagram with more layers is unreadable and takes long to draw.
_MAX_DRAWN_LAYERS = 250
_DPI = 60


def find_nets(model: Model) -> Mapping[str, Any]:
    """Return the Keras nets in a fitted model by name, in the order in which rows pass through them.

    The nets of a model that holds other models, such as one for each target, have the other model's name in front.
    """
    found: dict[str, Any] = dict(getattr(model, "nets", {}))
    for name, other in getattr(model, "submodels", {}).items():
        found |= {f"{name} {net_name}".strip(): net for net_name, net in find_nets(other).items()}
    return found


def count_parameters(model: Model) -> dict[str, int]:
    """Return the number of `parameters` and `trainable_parameters` of a model's nets; empty without nets."""
    nets = find_nets(model).values()
    if not nets:
        return {}
    return {
        "parameters": sum(_count_values(net.weights) for net in nets),
        "trainable_parameters": sum(_count_values(net.trainable_weights) for net in nets),
    }


def write(model: Model, folder: Path) -> None:
    """Write the parameter counts and the layer tables of a model's nets into a folder; nothing without nets."""
    if find_nets(model):
        folder.mkdir(exist_ok=True)
        (folder / SIZES).write_text(json.dumps(count_parameters(model)))
        (folder / TABLE).write_text(format_layers(model), encoding="utf-8")


def format_layers(model: Model) -> str:
    """Return Keras's summary tables of a model's nets, with nested nets expanded, and the parameter counts."""
    lines: list[str] = []
    nets = find_nets(model)
    with _widen_terminal():
        for name, net in nets.items():
            summary: list[str] = []
            net.summary(line_length=_LINE_LENGTH, expand_nested=True, show_trainable=True, print_fn=summary.append)
            # Keras's own totals after the table include the optimizer's variables.
            table = itertools.takewhile(lambda line: "Total params:" not in line, "\n".join(summary).splitlines())
            lines += [*([f"{name}:"] if len(nets) > 1 else []), *table]
    sizes = count_parameters(model)
    lines.append(f"{sizes['parameters']:,} parameters, {sizes['trainable_parameters']:,} of them trained")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def draw(model: Model, folder: Path) -> None:
    """Draw a diagram of a model's last net into a folder.

    Raises:
        Exception: graphviz or pydot is missing, or graphviz fails; the diagram is optional for the caller.
    """
    nets = list(find_nets(model).values())
    if not nets or len(nets[-1].layers) > _MAX_DRAWN_LAYERS:
        return
    import keras

    keras.utils.plot_model(
        nets[-1],
        folder / DIAGRAM,
        show_shapes=True,
        show_layer_names=True,
        dpi=_DPI,
    )


def _count_values(weights: Any) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


@contextmanager
def _widen_terminal() -> Iterator[None]:
    """Set COLUMNS, so that Keras does not cut the table at the terminal's width."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(_LINE_LENGTH + 4)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
