"""KerasTuner's hypermodels: its own by name, and which objects of a user's are some. Only Keras families load this."""

from __future__ import annotations

from typing import Any

import keras_tuner


def application(name: str, **options: Any) -> Any:
    """Return one of the hypermodels that come with KerasTuner, as `HyperResNet`, made with its options."""
    return getattr(keras_tuner.applications, name)(**options)


def is_hypermodel(made: object) -> bool:
    """Tell whether something is a hypermodel: a class of them, or one that is made already."""
    return issubclass(made if isinstance(made, type) else type(made), keras_tuner.HyperModel)


def fits_itself(made: object) -> bool:
    """Tell whether a hypermodel has a `fit` of its own, which may tune how it is trained."""
    return is_hypermodel(made) and type(made).fit is not keras_tuner.HyperModel.fit  # type: ignore[attr-defined]
