"""One weight a model, by any of the methods named here; and what a blend is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from workbench.array import Array
from workbench.ensemble.aggregation import Aggregation, LinearStack, PerOutput, RankAverage, WeightedMean
from workbench.ensemble.budget import Budget
from workbench.ensemble.convex import newton
from workbench.ensemble.greedy import ROUNDS, greedy
from workbench.ensemble.nelder_mead import improve
from workbench.ensemble.objectives import Indices, MetricObjective, Objective, objective_for, plain_loss
from workbench.ensemble.prediction_matrix import PredictionMatrix, positive_class
from workbench.ensemble.regularization import MANY_ROWS, keep_heaviest, shrink_weights
from workbench.ensemble.resampling import Labels
from workbench.ensemble.scorer import Threshold
from workbench.ensemble.stack import stack
from workbench.errors import EnsembleError, suggest_word

Whose = Literal["shared", "target", "class"]
"""Whether a model has one weight, one for each of several targets, or one for each class."""

SECONDS = 20.0
# The share of the time that is for the optimum where it is shrunk after.
_TO_OPTIMISE = 0.5
_HOPS = 8
_STARTING_ROUNDS = 20
_BY_RANK = ("roc_auc", "average_precision")


@dataclass(frozen=True, eq=False)
class Blend:
    """Weights, and what is known about them."""

    weights: Array
    """(models,), at least 0, sum 1; with weights by target or class their mean, by how much each of these counts."""
    score: float
    """The metric of the weighted mean on the rows that the weights were fitted to."""
    gap: float | None
    """A proven bound, in the metric's units, on how much better any weights of the models that took part can be; None
    where none exists. With `members` it still compares with weights on all of them.
    """
    seconds: float
    evaluations: int
    """How many mixtures the method has asked the loss of."""
    method: str
    threshold: Threshold = None
    """The probability from which on a row is taken for class 1, where the metric looks at labels of two classes; of
    several targets, where one has such a metric, one for each column of their predictions."""
    left_out: Mapping[int, str] = field(default_factory=dict)
    """The models that took no part, by their index, with the reason."""
    joiner: Aggregation = field(default_factory=WeightedMean)
    """How the models' predictions become one: by the weighted mean, except with `rank` and `stack`."""
    order: Indices = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    """The index of each model that took part, in the order in which `joiner` knows them."""
    whose: Whose = "shared"
    """Whether a model has one weight, one for each target or one for each class."""
    apart: Array | None = None
    """(models, targets) or (models, classes) the weights of each target or class, sum 1 each; None of shared ones."""
    several: bool = False
    """Whether the predictions are of several targets."""

    def combine(self, predictions: Sequence[ArrayLike]) -> Array:
        """Return the ensemble's predictions, (rows,) or (rows, classes); of several targets (rows, outputs).

        Args:
            predictions: of all models that were blended, in their order, for any rows.
        """
        taken = [np.asarray(predictions[index]) for index in self.order]
        weights = self.weights if self.apart is None else self.apart
        return self.joiner(taken if self.several else [positive_class(each) for each in taken], weights[self.order])


@dataclass(frozen=True, eq=False)
class Minimum:
    """Weights at which an objective is low."""

    weights: Array
    loss: float
    gap: float | None
    """A proven bound on how much lower any weights are; None where none exists."""
    seconds: float
    evaluations: int


def find_shared_weights(
    bank: PredictionMatrix,
    *,
    method: str,
    members: int | None = None,
    clusters: Labels | None = None,
    shrink: bool = False,
    seed: int = 0,
    seconds: float | None = None,
) -> Blend:
    """Return shared weights, of predictions and options that have been checked; see `weigh.blend`."""
    # What is imported at its first use must not cost the search its time.
    import scipy.linalg
    import scipy.optimize  # noqa: F401

    seconds = SECONDS if seconds is None else seconds
    drawn = shrink and method not in ("greedy", "uniform", "best", "stack") and len(bank.y) <= MANY_ROWS
    clusters = np.arange(len(bank.y)) if clusters is None else clusters
    budget, rng = Budget(seconds * (_TO_OPTIMISE if drawn else 1)), np.random.default_rng(seed)
    joiner: Aggregation = WeightedMean()
    gap = None
    if method == "stack":
        weights, joiner = stack(bank, members, clusters, budget, rng)
    else:
        if method == "rank":
            bank, joiner = _ranked(bank)
        # Weights that are shrunk need not be the best that there are to the last row.
        task = _Task(objective_for(bank), members, budget, rng, hops=0 if drawn else _HOPS)
        weights = _METHODS["nelder_mead" if method == "rank" else method](task)
        if drawn:
            rest = Budget(max(0.0, seconds - budget.used))
            options: dict[str, Any] = {"most": task.most, "clusters": clusters, "budget": rest, "rng": rng}
            weights = shrink_weights(bank, task.objective, weights, **options)
            budget.evaluations += rest.evaluations
        gap = _gap(bank, task.objective, weights)
    # Ranks are already what the members of the bank are.
    joined = (WeightedMean() if method == "rank" else joiner)(bank.members, weights)
    threshold, score = _judged(bank, joined, steady=shrink)
    if not np.isfinite(score):
        raise EnsembleError(
            f"metric {bank.metric.name!r} is not defined on these {len(bank.y)} rows: {score}. Blend over more rows."
        )
    known: dict[str, Any] = {"threshold": threshold, "left_out": bank.left_out, "joiner": joiner, "order": bank.order}
    known["several"] = bank.several is not None
    return Blend(bank.as_given(weights), score, gap, budget.used, budget.evaluations, method, **known)


def minimise(
    objective: Objective,
    *,
    method: str = "nelder_mead",
    members: int | None = None,
    seed: int = 0,
    seconds: float | None = None,
) -> Minimum:
    """Return weights at which an objective is low; for one that was made without predictions, as from a matrix.

    Args:
        objective: the loss; it counts the models.
        method: nelder_mead, convex, greedy, uniform or best.
        members: as for `blend`.
        seed: as for `blend`.
        seconds: as for `blend`.

    Raises:
        EnsembleError: the method does not exist, or is not one of weights alone.
    """
    check(method, members, seconds)
    if method not in _METHODS:
        raise EnsembleError(f"method must be one of {', '.join(_METHODS)} for an objective. Received: {method!r}.")
    budget = Budget(SECONDS if seconds is None else seconds)
    weights = _METHODS[method](_Task(objective, members, budget, np.random.default_rng(seed)))
    return Minimum(weights, objective.loss(weights), objective.gap(weights), budget.used, budget.evaluations)


def methods() -> tuple[str, ...]:
    """Return the names of all methods."""
    return (*_METHODS, "rank", "stack")


def aggregation_type(method: str, weighting: Whose) -> type[Aggregation]:
    """Return the class that combines the predictions of members that a method has blended."""
    if weighting != "shared":
        return PerOutput
    return {"rank": RankAverage, "stack": LinearStack}.get(method, WeightedMean)


def check(method: str, members: int | None = None, seconds: float | None = None, *, targets: int = 1) -> None:
    """Refuse options that cannot be used.

    Raises:
        EnsembleError: there is no such method, it is not for so many targets, or no member or no time is allowed.
    """
    if method not in methods():
        hint = suggest_word(method, methods())
        raise EnsembleError(f"method must be a known way to blend. Received: {method!r}.{hint}")
    if targets > 1 and method == "rank":
        raise EnsembleError(f"method must join {targets} targets. Received: 'rank', for one only. Use nelder_mead.")
    if members is not None and members < 1:
        raise EnsembleError(f"members must be at least 1. Received: {members!r}. Leave it out to allow all models.")
    if seconds is not None and not seconds > 0:
        raise EnsembleError(f"seconds must be above 0. Received: {seconds!r}. Leave it out for a sensible end.")


@dataclass(frozen=True, eq=False)
class _Task:
    """All that a method may look at."""

    objective: Objective
    members: int | None
    budget: Budget
    rng: np.random.Generator
    hops: int = _HOPS

    @property
    def most(self) -> int:
        """The number of weights that may be above 0."""
        return min(self.members or self.objective.models, self.objective.models)

    @cached_property
    def ranked(self) -> Indices:
        """The models by their own loss, best first."""
        self.budget.evaluations += self.objective.models
        return np.argsort(self.objective.losses_if_added(np.zeros(self.objective.models)), kind="stable")

    def plain_loss(self, weights: Array) -> float:
        """Return the metric to minimise, and nothing that only guides the search."""
        return plain_loss(self.objective, weights)


def _best(task: _Task) -> Array:
    """Give all weight to the best single model."""
    return _mean_of(task, 1)


def _uniform(task: _Task) -> Array:
    """Weigh all models alike, or the best of them where not all may have weight."""
    return _mean_of(task, task.most)


def _mean_of(task: _Task, most: int) -> Array:
    models = task.objective.models
    if most == models:
        return np.full(models, 1 / models)
    weights = np.zeros(models)
    weights[task.ranked[:most]] = 1 / most
    return weights


def _greedy(task: _Task) -> Array:
    """Select forward, with replacement."""
    return greedy(task.objective, task.most, task.budget, share=1.0)


def _nelder_mead(task: _Task) -> Array:
    """Refine greedy weights by Nelder-Mead; never worse than these, uniform or best.

    Where fewer models may have weight than would like to, the heaviest of the free optimum and those that
    greedy chose are refined among themselves.
    """
    started = _started(task)
    free = improve(task.objective, started, task.hops, task.budget, task.rng)
    found = [started, _uniform(task), _best(task), *_allowed(task, free, started)]
    return min(found, key=task.plain_loss)


def _convex(task: _Task) -> Array:
    """Descend by Newton's method from the greedy weights; limited, it does as Nelder-Mead does."""
    objective = task.objective
    if isinstance(objective, MetricObjective):
        raise EnsembleError(
            f"method 'convex' needs a convex metric: log_loss, rmse, r2, mae or mape. "
            f"Received: {objective.judge.metric.name!r}. Use nelder_mead."
        )
    started = _started(task)
    fewer = objective.fewer()
    near = started if fewer is None else newton(fewer, started, task.budget)
    free = newton(objective, near if objective.loss(near) < objective.loss(started) else started, task.budget)
    return min([started, _best(task), *_allowed(task, free, started)], key=task.plain_loss)


def _started(task: _Task) -> Array:
    """Return greedy weights, of some of the rows where there are many, after few rounds where the rest is convex."""
    fewer = task.objective.fewer()
    rounds = ROUNDS if isinstance(task.objective, MetricObjective) else _STARTING_ROUNDS
    return greedy(fewer or task.objective, task.most, task.budget, rounds=rounds)


def _allowed(task: _Task, free: Array, started: Array) -> list[Array]:
    """Return free weights as they are, or those that are best where not so many models may have weight."""
    if np.count_nonzero(free) <= task.most:
        return [free]
    return [_improved_among(task, start) for start in (keep_heaviest(free, task.most), started)]


def _improved_among(task: _Task, start: Array) -> Array:
    """Refine `start` among the models that have weight in it."""
    chosen = np.flatnonzero(start)
    weights = np.zeros_like(start)
    weights[chosen] = improve(task.objective.only(chosen), start[chosen], task.hops, task.budget, task.rng)
    return weights


def _ranked(bank: PredictionMatrix) -> tuple[PredictionMatrix, Aggregation]:
    """Return the bank of the members' ranks, and what ranks other predictions alike."""
    if bank.metric.name not in _BY_RANK or bank.members[0].ndim == 2:
        raise EnsembleError(
            f"method 'rank' needs a metric of the order of rows: {' or '.join(_BY_RANK)}, of two classes. "
            f"Received: {bank.metric.name!r}. Use nelder_mead."
        )
    ranks = RankAverage.of(bank.members)
    return replace(bank, members=tuple(ranks.rank(i, member) for i, member in enumerate(bank.members))), ranks


def _judged(bank: PredictionMatrix, joined: Array, *, steady: bool) -> tuple[Threshold, float]:
    """Return the threshold, and the metric there; a steady one where it is no worse than the best member's own."""
    judge = bank.judge
    sharp = judge.threshold(joined)
    if steady and sharp is not None:
        least = min(judge.loss(member) for member in bank.members)
        threshold = judge.threshold(joined, steady=True)
        score = judge.score_at(joined, threshold)
        if bank.metric.loss_of(score) <= least:
            return threshold, score
    return sharp, judge.score_at(joined, sharp)


def _gap(bank: PredictionMatrix, objective: Objective, weights: Array) -> float | None:
    """Return the objective's gap in the metric's units."""
    loss, gap = objective.loss(weights), objective.gap(weights)
    if gap is None:
        return None
    metric = bank.metric
    return max(0.0, metric.loss_of(objective.score(loss)) - metric.loss_of(objective.score(loss - gap)))


_METHODS: dict[str, Callable[[_Task], Array]] = {
    "nelder_mead": _nelder_mead,
    "convex": _convex,
    "greedy": _greedy,
    "uniform": _uniform,
    "best": _best,
}
