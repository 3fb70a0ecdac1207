"""What there is to see of a trial's nets, made in the trial's own process after its last fold.

There they are in memory and Keras is loaded: the parent needs none, and what was made stays when weights are freed.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from workbench.data import Dataset
from workbench.models.nn import architecture, inspection
from workbench.models.protocol import Model
from workbench.models.wrappers.modality import ModalityModel
from workbench.trial import FoldResult, TrialSpec

FOLDER = "nets"
"""What the folder is called, in a trial's own and among the artifacts of its run."""


def make(spec: TrialSpec, fold: FoldResult, model: Model, folder: Path, *, whole: bool) -> None:
    """Write down how large the nets in a model are, and their layers; of a model without nets nothing.

    What goes wrong is printed and costs nothing else: a trial is worth what it is without its portrait.

    Args:
        spec: what the trial is about.
        fold: what the model gave.
        model: of that fold.
        folder: where to, made if there is something to write.
        whole: whether to draw the diagram as well, and what a net of images looks at.
    """
    steps: list[Callable[[], None]] = [partial(architecture.write, model, folder)]
    if whole:
        steps += [partial(architecture.draw, model, folder), partial(_look, spec, fold, model, folder)]
    for step in steps if architecture.find_nets(model) else ():
        try:
            step()
        except Exception:  # noqa: BLE001 - whatever is missing or fails, as graphviz may
            traceback.print_exc()


def _look(spec: TrialSpec, fold: FoldResult, model: Model, folder: Path) -> None:
    """Write down what a net of images looks at in some that its fold has held out."""
    data, rows = spec.dataset, spec.folds.split(fold.repeat, fold.fold)[1]
    seen = _images(model, data, rows)
    if seen is None:
        return
    found = inspection.inspect_images(seen.model, seen.images, data.y[rows], fold.oof, classes=len(data.classes or ()))
    if found is not None:
        found.save(folder / inspection.FILE)


class _Seen(NamedTuple):
    """A model that takes images, and the images that it is given of some rows."""

    model: Model
    images: Any


def _images(model: Model, data: Dataset, rows: np.ndarray) -> _Seen | None:
    """Return what a model is given of some rows; None where that is more or other than images, or for several targets.

    What is shown of an image is what it was taken for, which is one thing.
    """
    x: Any = data.x
    if data.targets:
        return None
    if isinstance(model, ModalityModel):
        portion = model.portion
        return None if portion.image is None else _Seen(model.model, portion.inputs(x.iloc[rows]))
    return _Seen(model, x[rows]) if data.kind == "image" else None
