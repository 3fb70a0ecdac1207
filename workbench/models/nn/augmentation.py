"""Images changed a little each time a net sees them while it trains; layers that do nothing when it predicts.

What is left to search: nothing, little (flips and shifts), or much (rotation, zoom, crop, contrast and cutout too).
"""

from __future__ import annotations

from typing import Any

import keras

_SEEN = {"little": ("flip", "shift"), "much": ("flip", "shift", "rotation", "zoom", "crop", "contrast", "cutout")}


def search_augmentation(hp: Any, channels: int, *, pays: bool) -> dict[str, Any]:
    """Return how much images are changed; what is not asked for is missing.

    Args:
        hp: the search space.
        pays: whether something is changed by default: in a few epochs a net does not get to see it.
        channels: of the images. Grey ones are often letters and digits, which must not be flipped unasked.
    """
    amount = hp.Choice("augmentation", ["little", "none", "much"], default="little" if pays else "none")
    with hp.conditional_scope("augmentation", ["little", "much"]):
        asked = {
            "flip": hp.Choice("flip", ["none", "horizontal", "both"], default="horizontal" if channels > 1 else "none"),
            "shift": hp.Float("shift", 0.0, 0.2, step=0.05, default=0.1),
        }
    with hp.conditional_scope("augmentation", ["much"]):
        asked |= {
            "rotation": hp.Float("rotation", 0.0, 0.1, step=0.02, default=0.04),
            "zoom": hp.Float("zoom", 0.0, 0.2, step=0.05, default=0.1),
            "crop": hp.Float("crop", 0.0, 0.3, step=0.1, default=0.0),
            "contrast": hp.Float("contrast", 0.0, 0.4, step=0.1, default=0.2),
            "cutout": hp.Float("cutout", 0.0, 0.3, step=0.05, default=0.1),
        }
    return {name: asked[name] for name in _SEEN.get(amount, ())}


def augment(asked: dict[str, Any], hidden: Any) -> Any:
    """Return images with values between -1 and 1 flipped, shifted, turned, zoomed, cropped, and of another contrast."""
    layers, grey = keras.layers, hidden.shape[-1] == 1
    # Grey images mostly stand on one ground; a photograph goes on at its edge.
    filled = {"fill_mode": "constant" if grey else "nearest"}
    if asked.get("flip", "none") != "none":
        mode = {"horizontal": "horizontal", "both": "horizontal_and_vertical"}[asked["flip"]]
        hidden = layers.RandomFlip(mode)(hidden)
    if amount := asked.get("shift"):
        # By whole pixels: between them an image blurs, and those to be predicted are not blurred.
        hidden = layers.RandomTranslation(amount, amount, interpolation="nearest", **filled)(hidden)
    if amount := asked.get("rotation"):
        hidden = layers.RandomRotation(amount, **filled)(hidden)
    if amount := asked.get("zoom"):
        hidden = layers.RandomZoom((-amount, amount), **filled)(hidden)
    if amount := asked.get("crop"):
        # Height and width are drawn apart: what is left is stretched to the image's size.
        hidden = layers.RandomZoom((-amount, 0.0), (-amount, 0.0), **filled)(hidden)
    if amount := asked.get("contrast"):
        hidden = layers.RandomContrast(amount, value_range=(-1, 1))(hidden)
    return hidden


def erase(asked: dict[str, Any], hidden: Any) -> Any:
    """Return standardised images with a patch set to their mean (cutout, DeVries and Taylor, 2017)."""
    if not asked.get("cutout"):
        return hidden
    return keras.layers.RandomErasing(scale=(0.02, 0.02 + asked["cutout"]), fill_value=0.0)(hidden)
