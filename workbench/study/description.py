"""The description above a study's runs in MLflow: the task, the data, and the results so far."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.config import mask_secrets
from workbench.study.task import Task

if TYPE_CHECKING:
    from workbench.ensemble import EnsembleResult
    from workbench.search.storage import TrialRecord
    from workbench.tracking import Provenance


def describe(task: Task, best: TrialRecord | None, ensemble: EnsembleResult | None, experiment: str) -> str:
    """Return the description of a study.

    Args:
        task: the study's task.
        best: its best trial.
        ensemble: its newest ensemble.
        experiment: MLflow's id of the study, for links to its runs.
    """
    from workbench.tracking import run_view

    data, link = task.dataset, partial(run_view.run_page, experiment)
    lines = [
        f"**{task.config.name}**: predict `{data.target}` ({data.task}) from {mask_secrets(task.config.data.train)}",
        "",
    ]
    if best is not None:
        lines += [f"- best so far: [{best.name}]({link(best.run_id)}), {task.metric.name} **{best.score:.5g}**"]
    if ensemble is not None:
        count, page = len(ensemble.members), link(ensemble.run_id)
        lines += [f"- newest ensemble: [of {count}]({page}), {_format_scores(ensemble)}"]
    test = "" if data.test_ids is None else f", {len(data.test_ids):,} to predict"
    return "\n".join(
        [
            *lines,
            f"- metric: {task.metric.name} ({task.metric.direction}), of out-of-fold predictions",
            f"- data: {len(data.y):,} rows{test}; kind: {data.kind}",
            f"- folds: {task.describe_folds()}; hash `{task.all_folds.hash}`",
            f"- families: {', '.join(task.config.families)}",
            *(f"- {note}" for note in data.notes),
        ]
    )


def run_title(best: TrialRecord | None) -> str:
    """Return the name of the study's task run."""
    return "study" if best is None else f"study · best {best.name} {best.score:.5g}"


def provenance(task: Task) -> Provenance:
    """Return the provenance of the study: its file, the file's commit, its data."""
    from workbench.tracking import DataOrigin
    from workbench.tracking.provenance import read_provenance

    data, files, fingerprint = task.dataset, task.config.data, task.facts
    known: dict[str, Any] = {"columns": data.columns, "shape": () if data.columns else data.x.shape[1:]}
    tasks: dict[str, str] = {target.name: target.task for target in data.targets} or {data.target: data.task}
    answer = {name: "number" if task == "regression" else "category" for name, task in tasks.items()}
    train = known | {"columns": {**data.columns, **(answer if data.columns else {})}}
    found = [DataOrigin(files.train, fingerprint.training(data.y), "training", len(data.y), **train)]
    if data.test_ids is not None:
        found.append(DataOrigin(files.test or files.train, fingerprint.test, "testing", len(data.test_ids), **known))
    return read_provenance(task.config.file, tuple(found))


def _format_scores(ensemble: EnsembleResult) -> str:
    """Return an ensemble's cross-fitted score, and its score on the folds that its weights were fitted to."""
    fitted = f"{ensemble.metric} {ensemble.score:.5g}"
    if ensemble.honest_score is None:
        return f"{fitted}, without an honest score"
    spread = "" if ensemble.honest_se is None else f" ± {ensemble.honest_se:.2g}"
    honest = f"honest {ensemble.metric} **{ensemble.honest_score:.5g}{spread}**"
    return f"{honest} ({fitted} on the folds that it was fitted to)"
