"""Hyperparameters in the coordinates of Optuna's distributions.

KerasTuner has samplings that Optuna lacks. A point of a logarithmic grid is suggested as its index, and a number of
reverse logarithmic sampling as a quantile. The suggested coordinate is then mapped back to the hyperparameter's value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args

from workbench.errors import SpaceError, did_you_mean, format_list

Scalar = str | int | float | bool | None
Sampling = Literal["linear", "log", "reverse_log"]
_SAMPLINGS = get_args(Sampling)


@dataclass(frozen=True)
class Hyperparameter:
    """A hyperparameter whose value is to be suggested."""

    name: str
    """The name, unique in the trial, with its conditions: `units [model=cnn]`."""
    kind: Literal["int", "float", "categorical"]
    default: Scalar
    """The default, in the coordinates of the distribution."""
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    choices: tuple[Scalar, ...] = ()


Suggest = Callable[[Hyperparameter], Any]


def defaults(hyperparameter: Hyperparameter) -> Any:
    """Suggest the default of a hyperparameter."""
    return hyperparameter.default


def suggest_choice(suggest: Suggest, name: str, values: Sequence[Any], default: Scalar) -> Any:
    """Suggest one of `values`.

    Raises:
        SpaceError: there are no values, or the default is not one of them.
    """
    if not values:
        raise SpaceError(f"Hyperparameter {name!r} must have at least one choice. Received: [].")
    if default not in values:
        raise SpaceError(f"Hyperparameter {name!r} must have its default among {list(values)}. Received: {default!r}.")
    return suggest(Hyperparameter(name, "categorical", default, choices=tuple(values)))


def suggest_number(
    suggest: Suggest,
    name: str,
    low: float,
    high: float,
    *,
    step: float | None,
    sampling: Sampling,
    default: float | None,
    integer: bool,
) -> Any:
    """Suggest a number from `low` to `high`, both included.

    As in KerasTuner, `step` is added in linear sampling and is a factor in logarithmic sampling.

    Raises:
        SpaceError: the range is empty, or the sampling is unknown or does not suit the range or the step.
    """
    default = low if default is None else default
    _check_range(name, low, high, step, sampling, default)
    if not integer:
        low, high, default = float(low), float(high), float(default)
    if sampling == "linear":
        return _suggest_linear(suggest, name, low, high, step, default, integer)
    if step is None and sampling == "log":
        return suggest(Hyperparameter(name, _kind(integer), default, low, high, log=True))
    value = (
        _suggest_on_grid(suggest, name, low, high, step, sampling, default)
        if step
        else _suggest_quantile(suggest, name, low, high, default, integer)
    )
    return int(value + 1e-9) if integer else value


def _check_range(name: str, low: float, high: float, step: float | None, sampling: Sampling, default: float) -> None:
    """Raise SpaceError if the range, the step, the sampling or the default is not valid."""
    if sampling not in _SAMPLINGS:
        hint = did_you_mean(sampling, _SAMPLINGS)
        raise SpaceError(
            f"Hyperparameter {name!r} must have sampling {format_list(_SAMPLINGS)}. Received: {sampling!r}.{hint}"
        )
    if not low <= default <= high:
        raise SpaceError(
            f"Hyperparameter {name!r} must have low <= default <= high. Received: {low}, {default}, {high}."
        )
    if sampling != "linear" and (low <= 0 or (step is not None and step <= 1)):
        raise SpaceError(
            f"Hyperparameter {name!r}: {sampling} sampling needs low > 0 and step > 1. Received: {low}, {step}."
        )
    if step is not None and step <= 0:
        raise SpaceError(f"Hyperparameter {name!r} must have step > 0. Received: {step}.")


def _kind(integer: bool) -> Literal["int", "float"]:
    return "int" if integer else "float"


def _suggest_linear(
    suggest: Suggest, name: str, low: float, high: float, step: float | None, default: float, integer: bool
) -> Any:
    """Suggest a number on an even grid, or any number in the range; the top of the grid is computed exactly."""
    if integer:
        step = step or 1
    if step is not None:
        width = Decimal(str(step))
        count = (Decimal(str(high)) - Decimal(str(low))) // width
        top = Decimal(str(low)) + count * width
        nearest = Decimal(str(low)) + round((Decimal(str(default)) - Decimal(str(low))) / width) * width
        high, default = float(top), float(min(nearest, top))
    if integer:
        low, high, default = int(low), int(high), int(default)
    return suggest(Hyperparameter(name, _kind(integer), default, low, high, step=step))


def _suggest_on_grid(
    suggest: Suggest, name: str, low: float, high: float, step: float, sampling: Sampling, default: float
) -> float:
    """Suggest a point on a logarithmic grid by its index; the grid starts at the end where its points are dense."""
    top = int(math.log(high / low, step) + 1e-8)
    distance = default if sampling == "log" else high + low - default
    first = min(round(math.log(distance / low, step)), top)
    index = suggest(Hyperparameter(f"{name} #", "int", first, 0, top, step=1))
    value = low * math.pow(step, index)
    return min(max(low, value if sampling == "log" else high + low - value), high)


def _suggest_quantile(suggest: Suggest, name: str, low: float, high: float, default: float, integer: bool) -> float:
    """Suggest a number of reverse logarithmic sampling, dense at the high end, by its quantile."""
    end = high + 1 if integer else high
    first = 0.5 if end == low else 1 - math.log((end + low - default) / low) / math.log(end / low)
    u = suggest(Hyperparameter(f"{name} u", "float", first, 0.0, 1.0))
    return min(end + low - low * math.pow(end / low, 1 - u), high)
