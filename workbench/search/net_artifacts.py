"""Artifacts of a trial's nets: size, layers, diagram and Grad-CAM, written in the trial's process after its last fold.

That process has the net in memory and Keras loaded, so the parent needs neither, and the artifacts stay when
checkpoints are freed.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from workbench.array import Array
from workbench.data import Dataset
from workbench.models.nn import architecture, inspection
from workbench.models.protocol import Model
from workbench.models.wrappers.modality import ModalityModel
from workbench.trial import FoldResult, TrialSpec

FOLDER = "nets"
"""The name of the folder, in a trial's own folder and among the artifacts of its run."""


def write(spec: TrialSpec, fold: FoldResult, model: Model, folder: Path, *, full: bool) -> None:
    """Write the sizes and the layers of a model's nets; a model without nets writes nothing.

    An error is printed and has no other effect, because a trial's result does not depend on these files.

    Args:
        spec: the trial's specification.
        fold: the result of the model's fold.
        model: the model of that fold.
        folder: the folder to write to; it is created if there is something to write.
        full: whether to write the diagram and Grad-CAM as well.
    """
    steps: list[Callable[[], None]] = [partial(architecture.write, model, folder)]
    if full:
        steps += [partial(architecture.draw, model, folder), partial(_inspect_images, spec, fold, model, folder)]
    for step in steps if architecture.find_nets(model) else ():
        try:
            step()
        except Exception:  # noqa: BLE001 - any tool may be missing or fail, as graphviz may
            traceback.print_exc()


def _inspect_images(spec: TrialSpec, fold: FoldResult, model: Model, folder: Path) -> None:
    """Write Grad-CAM heat maps for some validation images of the fold."""
    data, rows = spec.dataset, spec.folds.split(fold.repeat, fold.fold)[1]
    found = _find_images(model, data, rows)
    if found is None:
        return
    classes = len(data.classes or ())
    result = inspection.inspect_images(found.model, found.images, data.y[rows], fold.oof, classes=classes)
    if result is not None:
        result.save(folder / inspection.FILE)


class _ImageInputs(NamedTuple):
    """A model of images alone, and its input images."""

    model: Model
    images: Any


def _find_images(model: Model, data: Dataset, rows: Array) -> _ImageInputs | None:
    """Return the input images of some rows; None if the model reads more or other than images.

    The result is None for several targets as well, because an image is shown with the one class predicted for it.
    """
    x: Any = data.x
    if data.targets:
        return None
    if isinstance(model, ModalityModel):
        selection = model.selection
        return None if selection.image is None else _ImageInputs(model.model, selection.select_inputs(x.iloc[rows]))
    return _ImageInputs(model, x[rows]) if data.kind == "image" else None
