"""Random changes of images during training; the layers do nothing at inference.

The search chooses no augmentation, little (flips and shifts), or much (rotation, zoom, crop, contrast and cutout, too).
"""

from __future__ import annotations

from typing import Any

import keras

_CHANGES = {"little": ("flip", "shift"), "much": ("flip", "shift", "rotation", "zoom", "crop", "contrast", "cutout")}


def search_augmentation(hp: Any, channels: int, *, by_default: bool) -> dict[str, Any]:
    """Return the strength of each change; changes that are off are missing.

    Args:
        hp: the search space.
        channels: of the images. Grey images are often letters and digits, so they are not flipped by default.
        by_default: whether the default is little augmentation instead of none.
    """
    amount = hp.Choice("augmentation", ["little", "none", "much"], default="little" if by_default else "none")
    with hp.conditional_scope("augmentation", ["little", "much"]):
        strengths = {
            "flip": hp.Choice("flip", ["none", "horizontal", "both"], default="horizontal" if channels > 1 else "none"),
            "shift": hp.Float("shift", 0.0, 0.2, step=0.05, default=0.1),
        }
    with hp.conditional_scope("augmentation", ["much"]):
        strengths |= {
            "rotation": hp.Float("rotation", 0.0, 0.1, step=0.02, default=0.04),
            "zoom": hp.Float("zoom", 0.0, 0.2, step=0.05, default=0.1),
            "crop": hp.Float("crop", 0.0, 0.3, step=0.1, default=0.0),
            "contrast": hp.Float("contrast", 0.0, 0.4, step=0.1, default=0.2),
            "cutout": hp.Float("cutout", 0.0, 0.3, step=0.05, default=0.1),
        }
    return {name: strengths[name] for name in _CHANGES.get(amount, ())}


def augment(strengths: dict[str, Any], hidden: Any) -> Any:
    """Flip, shift, rotate, zoom and crop images with values between -1 and 1, and change their contrast."""
    layers, grey = keras.layers, hidden.shape[-1] == 1
    # Grey images mostly have a uniform background; a photograph continues with its edge pixels.
    fill = {"fill_mode": "constant" if grey else "nearest"}
    if strengths.get("flip", "none") != "none":
        mode = {"horizontal": "horizontal", "both": "horizontal_and_vertical"}[strengths["flip"]]
        hidden = layers.RandomFlip(mode)(hidden)
    if amount := strengths.get("shift"):
        # Shifts by whole pixels: interpolation blurs, and the images to predict are not blurred.
        hidden = layers.RandomTranslation(amount, amount, interpolation="nearest", **fill)(hidden)
    if amount := strengths.get("rotation"):
        hidden = layers.RandomRotation(amount, **fill)(hidden)
    if amount := strengths.get("zoom"):
        hidden = layers.RandomZoom((-amount, amount), **fill)(hidden)
    if amount := strengths.get("crop"):
        # Height and width are drawn separately; the crop is stretched to the image's size.
        hidden = layers.RandomZoom((-amount, 0.0), (-amount, 0.0), **fill)(hidden)
    if amount := strengths.get("contrast"):
        hidden = layers.RandomContrast(amount, value_range=(-1, 1))(hidden)
    return hidden


def cut_out(strengths: dict[str, Any], hidden: Any) -> Any:
    """Set a patch of standardised images to their mean (cutout, DeVries and Taylor, 2017)."""
    if not strengths.get("cutout"):
        return hidden
    return keras.layers.RandomErasing(scale=(0.02, 0.02 + strengths["cutout"]), fill_value=0.0)(hidden)
