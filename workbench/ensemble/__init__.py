"""Blend predictions: weights with a certificate (`blend`), an honest score (`assess`), whom to ask (`candidates`).

    judge        how good a mixture is: the metric, asked fast, at its best threshold
    panel        the same for several targets together
    bank         predictions and target as given, checked, in an order that does not depend on the caller's
    objectives/  what is minimised, reduced to the least data that decides it
    budget       how long a method may take and how much it has asked
    greedy       forward selection with replacement
    convex       weights by Newton's method
    nelder_mead  weights by Nelder-Mead in small, whitened subspaces
    joiners      how predictions become one: mean, mean of ranks, stacked model, each target or class apart
    deal         rows dealt into random folds, and rows drawn anew
    shrink       weights drawn towards safer ones, for other rows than these
    stack        a linear model on the predictions
    blend        one weight a model, by the methods' names
    targets      weights for each of several targets
    classes      weights for each class
    weigh        the public entry
    assess       the whole procedure cross-fitted
    diversity    how the members differ, and what each of them adds
    candidates   the best and most diverse of many models

The room stands alone: arrays go in, weights come out.
"""

from __future__ import annotations

from workbench.ensemble.blend import blend, check_weights
from workbench.ensemble.candidates import candidates
from workbench.ensemble.cross_fitting import Assessment, Baseline, assess
from workbench.ensemble.diversity import Diversity, diversity
from workbench.ensemble.methods import Blend, Minimum, Whose, check, methods, minimise
from workbench.ensemble.result import EnsembleMember, EnsembleResult
from workbench.ensemble.scorer import Threshold, apply_threshold

__all__ = [
    "Assessment",
    "Baseline",
    "Blend",
    "Diversity",
    "EnsembleMember",
    "EnsembleResult",
    "Minimum",
    "Threshold",
    "Whose",
    "apply_threshold",
    "assess",
    "blend",
    "candidates",
    "check",
    "check_weights",
    "diversity",
    "methods",
    "minimise",
]
