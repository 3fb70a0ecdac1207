"""What the nets in a model look like: how many parameters they have, their layers in a table, their diagram."""

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

# Signs in a line of the table of layers: names and shapes stand whole in it.
_LINE = 120
# A diagram of more layers is of no use, and takes long.
_MOST_LAYERS = 250
_DPI = 60


def nets(model: Model) -> Mapping[str, Any]:
    """Return the Keras nets in a fitted model in the order in which rows go through them, by what they do.

    Of a model that holds others, as one for each target, they are theirs, by the name of the other first.
    """
    found: dict[str, Any] = dict(getattr(model, "nets", {}))
    for name, other in getattr(model, "others", {}).items():
        found |= {f"{name} {own}".strip(): net for own, net in nets(other).items()}
    return found


def parameter_counts(model: Model) -> dict[str, int]:
    """Return how many `parameters` the nets in a model have, and `trainable_parameters`; nothing of a model without."""
    found = nets(model).values()
    if not found:
        return {}
    return {
        "parameters": sum(_count(net.weights) for net in found),
        "trainable_parameters": sum(_count(net.trainable_weights) for net in found),
    }


def write(model: Model, folder: Path) -> None:
    """Write the sizes and the layers of a model's nets into a folder; of a model without nets nothing."""
    if nets(model):
        folder.mkdir(exist_ok=True)
        (folder / SIZES).write_text(json.dumps(parameter_counts(model)))
        (folder / TABLE).write_text(text(model), encoding="utf-8")


def text(model: Model) -> str:
    """Return Keras's tables of the layers of the nets in a model, those in them expanded, and how large they are."""
    lines: list[str] = []
    with _wide():
        for name, net in nets(model).items():
            told: list[str] = []
            net.summary(line_length=_LINE, expand_nested=True, show_trainable=True, print_fn=told.append)
            # What follows the table counts the optimizer's own values as well.
            table = itertools.takewhile(lambda line: "Total params:" not in line, "\n".join(told).splitlines())
            lines += [*([f"{name}:"] if len(nets(model)) > 1 else []), *table]
    sizes = parameter_counts(model)
    lines.append(f"{sizes['parameters']:,} parameters, {sizes['trainable_parameters']:,} of them trained")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def draw(model: Model, folder: Path) -> None:
    """Draw the net in a model, the last one of several, into a folder.

    Raises:
        Exception: graphviz or pydot is missing, or graphviz fails; the caller can do without the diagram.
    """
    found = list(nets(model).values())
    if not found or len(found[-1].layers) > _MOST_LAYERS:
        return
    import keras

    keras.utils.plot_model(
        found[-1],
        folder / DIAGRAM,
        show_shapes=True,
        show_layer_names=True,
        dpi=_DPI,
    )


def _count(weights: Any) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


@contextmanager
def _wide() -> Iterator[None]:
    """Let Keras take the line for long enough, which it otherwise asks the terminal for, and cuts the table there."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(_LINE + 4)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
