"""Grad-CAM heat maps of image nets over validation images (Selvaraju et al., "Grad-CAM", 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.models.nn.inspection import ImageInspection
from workbench.report import captions, figure_text, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_MEMBERS = 2
# The length of a class name below an image: the most characters, and the width in ems alone and behind a mark.
_MAX_LETTERS, _MAX_EMS, _MAX_EMS_MARKED = 11, 5.8, 4.6
# The colour of heat, and its opacity at the maximum.
_HEAT_COLOR = (238, 119, 51)
_MAX_OPACITY = 0.85
# The length of a drawn heat map's longer side in pixels, at least.
_SIDE = 40
# Inches: the distance between images, and the height of the labels below the images of a net.
_CELL, _LABELS = 0.73, 0.78


@dataclass(frozen=True, eq=False)
class MemberHeatmaps:
    """Images, heat maps and labels of one net."""

    name: str
    images: NDArray[np.uint8]
    """(images, height, width, 1 or 3)."""
    heat: NDArray[np.float32]
    """(images, rows, columns) from 0 to 1."""
    labels: tuple[str, ...]
    """For each image: the predicted class, its probability, and the true class where it differs."""


@dataclass(frozen=True, eq=False)
class GradCamHeatmaps:
    """The members of the ensemble that are image nets, heaviest first."""

    members: tuple[MemberHeatmaps, ...]
    note: str


def compute(data: ReportData) -> GradCamHeatmaps | None:
    """Return the heat maps; None where no member has any."""
    if data.ensemble is None:
        return None
    found = [(name, inspection) for name, inspection in data.image_inspections.items() if inspection.heat.size]
    if not found:
        return None
    shown = found[:_MAX_MEMBERS]
    note = captions.describe_selection(len(shown), len(found), "members that are convolutional nets", "heaviest")
    return GradCamHeatmaps(
        tuple(_label_images(name, inspection, data.study.classes) for name, inspection in shown), note
    )


def _label_images(name: str, inspection: ImageInspection, classes: tuple[object, ...] | None) -> MemberHeatmaps:
    def class_name(number: int, width: float) -> str:
        return figure_text.elide(number if classes is None else classes[number], _MAX_LETTERS, width)

    labels = []
    predictions = zip(inspection.truth, inspection.predicted, inspection.probability, strict=True)
    for truth, predicted, probability in predictions:
        wrong = f"\n✗ {class_name(truth, _MAX_EMS_MARKED)}" if truth != predicted else "\n"
        labels.append(f"{class_name(predicted, _MAX_EMS)}\n{probability:.1%}{wrong}")
    return MemberHeatmaps(name, inspection.images, inspection.heat, tuple(labels))


@plot_style.apply_style
def draw(numbers: GradCamHeatmaps) -> Figure:
    """Draw the images of each net in a row, and below them the same images with their heat maps."""
    shapes = [min(1.4, max(0.6, member.images.shape[1] / member.images.shape[2])) for member in numbers.members]
    height = 0.4 + sum(2 * _CELL * shape + _LABELS for shape in shapes)
    ratios = {"height_ratios": shapes}
    figure, grid = plot_style.create_figure("Where nets look", height=height, rows=len(shapes), gridspec_kw=ratios)
    for axes, member, shape in zip(grid[:, 0], numbers.members, shapes, strict=True):
        for column, (image, heat) in enumerate(zip(member.images, member.heat, strict=True)):
            plot_style.draw_image(axes, image, (column, 0, 0.94, 0.94 * shape))
            plot_style.draw_image(axes, overlay_heat(image, heat), (column, shape, 0.94, 0.94 * shape))
        centres = np.arange(len(member.images)) + 0.47
        plot_style.prepare_images(axes, len(member.images), 2 * shape)
        axes.set_xticks(centres, member.labels, fontsize=8)
        axes.set_yticks([0.47 * shape, 1.47 * shape], ["image", "heat"])
        axes.set_xlabel("predicted class, its probability, ✗ true class", loc="right")
        axes.set_ylabel(plot_style.shorten(member.name))
    return figure


def overlay_heat(image: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return an image in pale grey with its heat map on top, (height, width, 3); small images are enlarged."""
    height, width = image.shape[:2]
    scale = max(1, _SIDE // max(height, width))
    grey = image.mean(axis=2).repeat(scale, axis=0).repeat(scale, axis=1) * 0.6 + 70
    opacity = _MAX_OPACITY * _resize(heat, *grey.shape)[..., None]
    return np.asarray((1 - opacity) * grey[..., None] + opacity * np.array(_HEAT_COLOR), dtype=np.uint8)


def _resize(heat: NDArray[np.float32], height: int, width: int) -> NDArray[np.float64]:
    """Return a heat map, (rows, columns), interpolated linearly between the cells' centres, (height, width)."""
    for length in (height, width):
        centres = (np.arange(heat.shape[0]) + 0.5) * length / heat.shape[0]
        # Each step interpolates along the first axis and transposes.
        heat = np.stack([np.interp(np.arange(length) + 0.5, centres, line) for line in heat.T])
    return np.asarray(heat, dtype=np.float64)
