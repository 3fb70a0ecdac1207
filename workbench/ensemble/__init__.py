"""Blend predictions: weights with a certificate (`blend`), a cross-fitted score (`assess`), a choice of models.

    options            the options of a blend
    scorer             the score of a mixture: the metric, computed fast, at its best threshold
    multi_target_scorer  the same for several targets
    prediction_matrix  predictions and target, checked, in an order that does not depend on the caller's
    resampling         random folds and bootstrap samples
    objectives/        the losses, reduced to the least data that determines them
    budget             the time limit of a method, and the count of its evaluations
    greedy             forward selection with replacement
    convex             weights by Newton's method
    nelder_mead        weights by Nelder-Mead in small, whitened subspaces
    regularization     weights shrunk towards safer ones
    aggregation        how predictions are combined: mean, mean of ranks, linear stack, each output separately
    weight_search      the objective and the limits of a search for plain weights
    method             what a method is
    plain_methods      the methods of plain weights
    rank               weights of ranks
    stack              a linear model on the predictions
    methods            the registry of methods
    shared_weights     one weight a model
    per_target         weights for each of several targets
    per_class          weights for each class
    blend              the public entry
    candidates         the best and most diverse of many models
    model_pool         the choice of models by their scores on given rows
    cross_fitted_scores  scores on resampled rows, and their standard errors
    decision           the decision between a blend and simpler ones
    fold_fits          the fits to all rows, and to all folds but one
    cross_fitting      the whole procedure cross-fitted
    diversity          how the members differ, and what each of them contributes
    ensemble_result    the result of an ensemble, and its JSON document

The package depends on no study: arrays go in, weights come out.
"""

from __future__ import annotations

from workbench.ensemble.blend import blend, check_weights, gather_checked
from workbench.ensemble.candidates import candidates
from workbench.ensemble.cross_fitting import Alternative, Assessment, Baseline, assess, cross_fit
from workbench.ensemble.diversity import Ambiguity, Diversity, MemberDiversity, diversity
from workbench.ensemble.ensemble_result import EnsembleMember, EnsembleResult
from workbench.ensemble.methods import METHODS, Minimum, check, methods, minimise
from workbench.ensemble.model_pool import ModelPool
from workbench.ensemble.options import BlendOptions, Weighting
from workbench.ensemble.scorer import Threshold, apply_threshold
from workbench.ensemble.shared_weights import Blend

__all__ = [
    "METHODS",
    "Alternative",
    "Ambiguity",
    "Assessment",
    "Baseline",
    "Blend",
    "BlendOptions",
    "Diversity",
    "EnsembleMember",
    "EnsembleResult",
    "MemberDiversity",
    "Minimum",
    "ModelPool",
    "Threshold",
    "Weighting",
    "apply_threshold",
    "assess",
    "blend",
    "candidates",
    "check",
    "check_weights",
    "cross_fit",
    "diversity",
    "gather_checked",
    "methods",
    "minimise",
]
