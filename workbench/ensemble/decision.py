"""The decision between a blend and simpler ones, by their cross-fitted scores.

A simpler blend is taken where its cross-fitted score is clearly better. On rows of real sets that were held out, the
weighted blend was better more often than not where the difference was within two standard errors.

A score that decided is optimistic, because chance decides too. It is corrected as Tsamardinos et al. do it in
"Bootstrapping the out-of-sample predictions for efficient and accurate cross-validation" (2018): the decision is
repeated on resampled rows, and each time scored on the rows that were not drawn. To first order a blend deviates there
from its score on all rows by as much as on the drawn rows, in the other direction, so that nothing is computed again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.ensemble.cross_fitted_scores import CrossFittedScores
from workbench.ensemble.options import Weighting

BlendKey = tuple[str, Weighting]
"""A method, and the kind of weights that it finds."""

CONSTANT: BlendKey = ("constant", "shared")
"""All weight on the constant baseline."""

CLEAR = 2.0
"""By how many standard errors a simpler blend must be better."""

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
    """A sentence that names the blend and the reason."""


def decide(
    kinds: Sequence[BlendKey],
    scores: Mapping[BlendKey, CrossFittedScores],
    simpler: Sequence[BlendKey] = (),
    clear: float = CLEAR,
) -> Decision:
    """Take a method with the best kind of weights, or a clearly better simpler blend; nothing worse than the constant.

    Args:
        kinds: the method with each kind of weights that may be taken.
        scores: the cross-fitted scores of all these blends, on the same resamples.
        simpler: the simpler blends that may be taken, the simplest first.
        clear: by how many standard errors of the difference a simpler blend must be better.
    """
    options = [*simpler, *kinds]
    losses = np.array([scores[key].loss for key in options])
    leads = np.zeros((len(simpler), len(options)))
    for row, one in enumerate(simpler):
        leads[row] = [clear * (scores[one].gain_se(scores[other]) or 0.0) for other in options]
    deviations = np.stack([scores[key].deviations for key in options])
    taken = options[int(_choose(losses[:, None], leads)[0])]
    loss = _correct(losses, deviations, leads)
    if CONSTANT in simpler and not loss < scores[CONSTANT].loss:
        taken, loss = CONSTANT, scores[CONSTANT].loss
    return Decision(taken, loss, _explain(taken, options, scores))


def _choose(losses: Array, leads: Array) -> NDArray[np.intp]:
    """Return the option to take by each column of losses.

    Args:
        losses: (options, columns), simpler blends first.
        leads: (simpler blends, options) by how much each must be better than each option.
    """
    simpler = len(leads)
    best = simpler + np.argmin(losses[simpler:], axis=0)
    ahead = losses[best, np.arange(losses.shape[1])] - losses[:simpler] > leads[:, best]
    candidates = np.where(ahead, losses[:simpler], np.inf)
    return np.where(ahead.any(axis=0), np.argmin(candidates, axis=0) if simpler else 0, best)


def _correct(losses: Array, deviations: Array, leads: Array) -> float:
    """Return the expected loss of what `_choose` takes.

    Args:
        losses: (options,) the cross-fitted losses.
        deviations: (options, resamples) their deviations on resamples; NaN where one is not defined.
        leads: as for `_choose`.
    """
    taken = int(_choose(losses[:, None], leads)[0])
    drawn = deviations[:, np.isfinite(deviations).all(axis=0)]
    chosen = _choose(losses[:, None] + drawn, leads)
    if (chosen == taken).all():
        return float(losses[taken])
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
    if gain > 0:
        return f"{sentence}: its honest score is better than that of {_name(other)} by {_format(gain, error)}."
    if gain == 0:
        return f"{sentence}: its honest score is that of {_name(other)}."
    return f"{sentence}: the honest score of {_name(other)} is better by {_format(-gain, error)}, which is not clear."


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
