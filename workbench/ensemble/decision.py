"""The decision between a blend and simpler ones, by their cross-fitted scores.

The blend with the best cross-fitted score is taken, the simplest of equally good ones. The score of the best of several
is optimistic, because chance decides among them too. It is corrected as Tsamardinos et al., "Bootstrapping the
out-of-sample predictions for efficient and accurate cross-validation" (2018) do it: the decision is repeated on
resampled rows, and each time scored on the rows that were not drawn. To first order a blend deviates there from its
score on all rows by as much as on the drawn rows, in the other direction, so that nothing is computed again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.array import Array
from workbench.ensemble.cross_fitted_scores import CrossFittedScores
from workbench.ensemble.options import Weighting

BlendKey = tuple[str, Weighting]
"""A method, and the kind of weights that it finds."""

CONSTANT: BlendKey = ("constant", "shared")
"""All weight on the constant baseline."""

_NAMES = {
    "constant": "the constant baseline",
    "best": "the best single model",
    "uniform": "the uniform mean",
    "greedy": "greedy selection",
}


@dataclass(frozen=True)
class Decision:
    """The blend that is taken."""

    key: BlendKey
    loss: float
    """The cross-fitted score as a number to minimise, corrected for the decision."""
    sentence: str
    """What is taken, and why."""


def decide(options: Sequence[BlendKey], scores: Mapping[BlendKey, CrossFittedScores]) -> Decision:
    """Take the blend with the best cross-fitted score; never one that is worse than the constant.

    Args:
        options: what may be taken, the simplest first.
        scores: the cross-fitted scores of these blends, on the same resamples.
    """
    losses = np.array([scores[key].loss for key in options])
    taken = options[int(np.argmin(losses))]
    loss = _correct(losses, np.stack([scores[key].deviations for key in options]))
    if CONSTANT in options and not loss < scores[CONSTANT].loss:
        taken, loss = CONSTANT, scores[CONSTANT].loss
    return Decision(taken, loss, _explain(taken, options, scores))


def _correct(losses: Array, deviations: Array) -> float:
    """Return the expected loss of the blend that has the least of `losses`.

    Args:
        losses: (blends,) the cross-fitted losses.
        deviations: (blends, resamples) their deviations on resamples; NaN where one is not defined.
    """
    drawn = deviations[:, np.isfinite(deviations).all(axis=0)]
    if len(losses) == 1 or not drawn.size:
        return float(losses.min())
    chosen = np.argmin(losses[:, None] + drawn, axis=0)
    if (chosen == np.argmin(losses)).all():
        return float(losses.min())
    return float(np.mean(losses[chosen] - drawn[chosen, np.arange(len(chosen))]))


def _explain(taken: BlendKey, options: Sequence[BlendKey], scores: Mapping[BlendKey, CrossFittedScores]) -> str:
    others = [key for key in options if key != taken]
    name = _name(taken)
    sentence = f"{name[0].upper()}{name[1:]} is taken"
    if not others:
        return f"{sentence}."
    if taken == CONSTANT:
        return f"{sentence}: no blend has a better honest score."
    other = min(others, key=lambda key: scores[key].loss)
    gain, error = scores[other].loss - scores[taken].loss, scores[taken].gain_se(scores[other])
    if gain == 0:
        return f"{sentence}: it is as good by the honest score as {_name(other)}, and simpler."
    return f"{sentence}: its honest score is better than that of {_name(other)} by {_format(gain, error)}."


def explain_request(taken: BlendKey, simpler: Sequence[BlendKey], scores: Mapping[BlendKey, CrossFittedScores]) -> str:
    """Return a sentence on a method that was requested, and on the best simpler one where that has a better score."""
    ahead = [key for key in simpler if key != taken and scores[key].loss < scores[taken].loss]
    sentence = f"{taken[0]} is taken as requested"
    if not ahead:
        return f"{sentence}."
    other = min(ahead, key=lambda key: scores[key].loss)
    gain, error = scores[taken].loss - scores[other].loss, scores[taken].gain_se(scores[other])
    return f"{sentence}. The honest score of {_name(other)} is better by {_format(gain, error)}."


def _name(key: BlendKey) -> str:
    method, weighting = key
    kinds = {"shared": "", "target": " by target", "class": " by class"}
    return _NAMES.get(method, f"the weighted blend ({method}{kinds[weighting]})")


def _format(gain: float, error: float | None) -> str:
    return f"{gain:.2g}" + ("" if error is None else f" ± {error:.2g}")
