"""A search space, declared with KerasTuner's five methods and answered by whatever can suggest.

A family's code calls `hp.Int`, `hp.Float`, `hp.Choice`, `hp.Boolean` and `hp.Fixed`. Each call becomes a
`Hyperparameter`, and the answer comes from `suggest`, a callable: an Optuna trial behind a pipe, a dictionary, a default.
Here is the light `Space` for families that are not Keras; `space.keras` answers KerasTuner's own class.
"""

from __future__ import annotations

from workbench.space.distributions import Hyperparameter, Suggest, answer_choice, answer_number, defaults
from workbench.space.space import Space

__all__ = ["Hyperparameter", "Space", "Suggest", "answer_choice", "answer_number", "defaults"]
