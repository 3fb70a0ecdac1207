"""The submission of the newest ensemble, and its true score where a source has set rows apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from workbench.errors import SubmissionError
from workbench.study.study_store import StudyStore

if TYPE_CHECKING:
    import numpy as np


def write_submission(store: StudyStore, path: Path) -> None:
    """Write the submission of the newest ensemble, and attach it to the ensemble's run.

    Raises:
        StudyError: there is no ensemble yet.
        SubmissionError: there are no rows to predict, the predictions do not fit the sample submission, or the file
            cannot be written.
    """
    from workbench import submission

    task, config = store.task, store.config
    ensemble = store.tracker.newest_ensemble()
    dataset, run_id = task.dataset, ensemble.run_id
    test = store.tracker.test_predictions(run_id, task.schema)
    if dataset.test_ids is None or test is None:
        raise SubmissionError(f"{config.file}: the study has no rows to predict. Set data.test.")
    frame = submission.make(dataset, task.metric.clip(test), task.metric, threshold=ensemble.threshold)
    scores = {"metric": task.metric.name, "score": ensemble.score, "honest_score": ensemble.honest_score}
    submission.write(frame, path, {"study": config.name, "run_id": run_id, **scores})
    store.tracker.log_artifact(run_id, path)


def reveal_test_scores(store: StudyStore) -> dict[str, float] | None:
    """Return the scores on the rows that a sklearn: source set apart; None for other sources.

    They are computed once and kept in the home, so that they cannot be optimised.
    """
    from workbench import data
    from workbench.study.blending import score_ensemble

    file = store.home.fingerprint(store.config.name).with_name("test_scores.json")
    if file.exists():
        kept: dict[str, float] = json.loads(file.read_text())
        return kept
    answers = data.load_answers(store.config)
    if answers is None:
        return None
    task, ensemble = store.task, store.tracker.newest_ensemble()
    # A sklearn: source always has test rows, so its ensembles have predictions for them.
    test = cast("np.ndarray", store.tracker.test_predictions(ensemble.run_id, task.schema))
    scores = score_ensemble((task.metric, *task.also), answers[1], test, ensemble.threshold)
    file.write_text(json.dumps(scores))
    return scores
