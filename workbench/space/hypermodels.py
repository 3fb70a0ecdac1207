"""KerasTuner's hypermodels. Only Keras families import this module."""

from __future__ import annotations

from typing import Any

import keras_tuner


def application(name: str, **options: Any) -> Any:
    """Return a hypermodel of `keras_tuner.applications`, for example `HyperResNet`, made with `options`."""
    return getattr(keras_tuner.applications, name)(**options)


def is_hypermodel(candidate: object) -> bool:
    """Return whether an object is a hypermodel, either a class or an instance."""
    return issubclass(candidate if isinstance(candidate, type) else type(candidate), keras_tuner.HyperModel)


def overrides_fit(candidate: object) -> bool:
    """Return whether an object is a hypermodel with its own `fit`, which may tune the training as well."""
    return is_hypermodel(candidate) and type(candidate).fit is not keras_tuner.HyperModel.fit  # type: ignore[attr-defined]
