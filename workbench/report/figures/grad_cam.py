"""Where nets of images look: Grad-CAM's heat over some images that they had not learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.models.nn.inspection import ImageInspection
from workbench.report import captions, plot_style
from workbench.report.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_MEMBERS = 2
# Of letters in the name of a class that stand below an image.
_LONGEST = 11
# The heat's colour, and how much of the image it leaves at its strongest.
_HEAT = (238, 119, 51)
_STRONGEST = 0.85
# Pixels of a drawn heat map's longer side.
_SIDE = 40
# Inches from an image to the next, and of what stands below the images of a net.
_CELL, _WORDS = 0.73, 0.78


@dataclass(frozen=True, eq=False)
class MemberHeatmaps:
    """What one net looks at."""

    name: str
    images: NDArray[np.uint8]
    """(images, height, width, 1 or 3)."""
    heat: NDArray[np.float32]
    """(images, rows, columns) from 0 to 1."""
    labels: tuple[str, ...]
    """Of each image: what the net takes it for, how sure it is, and what it is if that is wrong."""


@dataclass(frozen=True, eq=False)
class GradCam:
    """The members of the ensemble that are nets of images, the heaviest first."""

    members: tuple[MemberHeatmaps, ...]
    note: str


def compute(story: ReportData) -> GradCam | None:
    """Return the heat maps; None where no member has some."""
    if story.ensemble is None:
        return None
    found = [(name, look) for name, look in story.looks.items() if look.heat.size]
    if not found:
        return None
    shown = found[:_MOST_MEMBERS]
    note = captions.best_of(len(shown), len(found), "members that are nets of convolutions", "heaviest")
    return GradCam(tuple(_seen(name, look, story.question.classes) for name, look in shown), note)


def _seen(name: str, look: ImageInspection, classes: tuple[object, ...] | None) -> MemberHeatmaps:
    def called(number: int) -> str:
        return plot_style.cut(number if classes is None else classes[number], _LONGEST)

    labels = []
    for truth, predicted, probability in zip(look.truth, look.predicted, look.probability, strict=True):
        wrong = f"\n✗ {called(truth)}" if truth != predicted else "\n"
        labels.append(f"{called(predicted)}\n{probability:.1%}{wrong}")
    return MemberHeatmaps(name, look.images, look.heat, tuple(labels))


@plot_style.apply_style
def draw(numbers: GradCam) -> Figure:
    """Draw the images of each net in a row, and below them the same with the heat on top."""
    shapes = [min(1.4, max(0.6, seen.images.shape[1] / seen.images.shape[2])) for seen in numbers.members]
    height = 0.4 + sum(2 * _CELL * shape + _WORDS for shape in shapes)
    ratios = {"height_ratios": shapes}
    figure, grid = plot_style.canvas("Where nets look", height=height, rows=len(shapes), gridspec_kw=ratios)
    for axes, seen, shape in zip(grid[:, 0], numbers.members, shapes, strict=True):
        for place, (image, heat) in enumerate(zip(seen.images, seen.heat, strict=True)):
            plot_style.picture(axes, image, (place, 0, 0.94, 0.94 * shape))
            plot_style.picture(axes, overlay_heat(image, heat), (place, shape, 0.94, 0.94 * shape))
        places = np.arange(len(seen.images)) + 0.47
        plot_style.show_image(axes, len(seen.images), 2 * shape)
        axes.set_xticks(places, seen.labels, fontsize=8)
        axes.set_yticks([0.47 * shape, 1.47 * shape], ["image", "heat"])
        axes.set_xlabel("taken for, how surely, ✗ what it is", loc="right")
        axes.set_ylabel(plot_style.cut(seen.name))
    return figure


def overlay_heat(image: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return an image in faint grey with heat on it, (height, width, 3)."""
    high, wide = image.shape[:2]
    scale = max(1, _SIDE // max(high, wide))
    grey = image.mean(axis=2).repeat(scale, axis=0).repeat(scale, axis=1) * 0.6 + 70
    share = _STRONGEST * _enlarged(heat, *grey.shape)[..., None]
    return np.asarray((1 - share) * grey[..., None] + share * np.array(_HEAT), dtype=np.uint8)


def _enlarged(heat: NDArray[np.float32], high: int, wide: int) -> NDArray[np.float64]:
    """Return a map of places as one of pixels, (high, wide): between the places' middles it goes straight."""
    for length in (high, wide):
        middles = (np.arange(heat.shape[0]) + 0.5) * length / heat.shape[0]
        # First along the rows, then, turned, along the columns.
        heat = np.stack([np.interp(np.arange(length) + 0.5, middles, line) for line in heat.T])
    return np.asarray(heat, dtype=np.float64)
