"""What MLflow's page says above a study's runs: what is asked, of which data, and what came of it so far."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.config import mask_secrets
from workbench.study.task import Task

if TYPE_CHECKING:
    from workbench.ensemble import EnsembleResult
    from workbench.search.storage import TrialRecord
    from workbench.tracking import Provenance


def markdown(own: Task, best: TrialRecord | None, ensemble: EnsembleResult | None, experiment: str) -> str:
    """Return the description of a study.

    Args:
        own: what the study is about.
        best: its best trial.
        ensemble: its newest ensemble.
        experiment: the id that MLflow has given the study; links lead to runs of it.
    """
    from workbench.tracking import run_view

    data, folds, link = own.dataset, own.folds, partial(run_view.run_page, experiment)
    lines = [
        f"**{own.config.name}**: predict `{data.target}` ({data.task}) from {mask_secrets(own.config.data.train)}",
        "",
    ]
    if best is not None:
        lines += [f"- best so far: [{best.name}]({link(best.run_id)}), {own.metric.name} **{best.score:.5g}**"]
    if ensemble is not None:
        count, page = len(ensemble.members), link(ensemble.run_id)
        lines += [f"- newest ensemble: [of {count}]({page}), {_worth(ensemble)}"]
    test = "" if data.test_ids is None else f", {len(data.test_ids):,} to predict"
    return "\n".join(
        [
            *lines,
            f"- metric: {own.metric.name} ({own.metric.direction}), of out-of-fold predictions",
            f"- data: {len(data.y):,} rows{test}; kind: {data.kind}",
            f"- folds: {folds.kind}, {folds.folds} folds × {folds.repeats}; hash `{folds.hash}`",
            f"- families: {', '.join(own.config.families)}",
            *(f"- {note}" for note in data.notes),
        ]
    )


def title(best: TrialRecord | None) -> str:
    """Return the name of the study's own run."""
    return "study" if best is None else f"study · best {best.name} {best.score:.5g}"


def origin(own: Task) -> Provenance:
    """Return where the study comes from: its file, the commit that is in, its data."""
    from workbench.tracking import DataOrigin
    from workbench.tracking.provenance import read_provenance

    data, named, facts = own.dataset, own.config.data, own.facts
    known: dict[str, Any] = {"columns": data.columns, "shape": () if data.columns else data.x.shape[1:]}
    tasks: dict[str, str] = {target.name: target.task for target in data.targets} or {data.target: data.task}
    answer = {name: "number" if task == "regression" else "category" for name, task in tasks.items()}
    train = known | {"columns": {**data.columns, **(answer if data.columns else {})}}
    found = [DataOrigin(named.train, facts.training(data.y), "training", len(data.y), **train)]
    if data.test_ids is not None:
        found.append(DataOrigin(named.test or named.train, facts.test, "testing", len(data.test_ids), **known))
    return read_provenance(own.config.file, tuple(found))


def _worth(ensemble: EnsembleResult) -> str:
    """Return an ensemble's score, and what it is worth on folds that its weights have not seen."""
    fitted = f"{ensemble.metric} {ensemble.score:.5g}"
    if ensemble.honest_score is None:
        return f"{fitted}, without an honest score"
    spread = "" if ensemble.honest_se is None else f" ± {ensemble.honest_se:.2g}"
    honest = f"honest {ensemble.metric} **{ensemble.honest_score:.5g}{spread}**"
    return f"{honest} ({fitted} on the folds that it was fitted to)"
