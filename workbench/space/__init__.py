"""Hyperparameter spaces with KerasTuner's interface, independent of the sampler.

A family's code declares its space by calls of `hp.Int`, `hp.Float`, `hp.Choice`, `hp.Boolean` and `hp.Fixed`. Each call
becomes a `Hyperparameter`, and the callable `suggest` returns its value: from an Optuna trial, a dictionary, or the
defaults.

distributions  `Hyperparameter`, and the mapping of KerasTuner's samplings to Optuna's distributions
space          `Space`, for families that do not use Keras; it does not import KerasTuner
keras          KerasTuner's own class, with the same source of values
hypermodels    access to KerasTuner's hypermodels
"""

from __future__ import annotations

from workbench.space.distributions import Hyperparameter, Suggest, defaults, suggest_choice, suggest_number
from workbench.space.space import Space

__all__ = ["Hyperparameter", "Space", "Suggest", "defaults", "suggest_choice", "suggest_number"]
