"""A study whose first run has no time for all folds, and whose second run has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench
from workbench.errors import StudyError
from workbench.search import family_costs
from workbench.search.events import SearchStarted, TrialEnded
from workbench.study import Study

pytestmark = pytest.mark.slow

STUDY = """
name: {name}
data: {{train: train.csv, test: test.csv, target: y, id: row}}
metric: rmse
folds: {{folds: 5}}
families: [linear]
search: {{workers: 1, system_metrics: false}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fidelity")
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(7_000, 3)), columns=["a", "b", "c"])
    frame["y"] = frame.a + 2 * frame.b + rng.normal(size=len(frame))
    frame.insert(0, "row", np.arange(len(frame)))
    frame[:6_000].to_csv(folder / "train.csv", index=False)
    frame[6_000:].drop(columns="y").to_csv(folder / "test.csv", index=False)
    for name in ("first", "second"):
        (folder / f"{name}.yaml").write_text(STUDY.format(name=name))
    return folder


@pytest.fixture(scope="module")
def hold_out(folder: Path) -> Path:
    """Run the study with minutes that buy a hold-out only, until two linear trials have ended."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(family_costs, "can_afford", lambda specs, seconds: len(specs[0].folds) == 1)
        events = run(folder, minutes=2, until=2)
    started = next(event for event in events if isinstance(event, SearchStarted))
    assert (started.fidelity, started.rows) == ("holdout", 4_800)
    return folder


def opened(folder: Path, name: str = "first") -> Study:
    return workbench.open(str(folder / f"{name}.yaml"), str(folder / "mlruns"))


def run(folder: Path, name: str = "first", *, until: int, **options: Any) -> list[Any]:
    """Run the study until so many linear trials have ended; return the events."""
    events: list[Any] = []

    def must_stop() -> bool:
        return sum(isinstance(each, TrialEnded) and each.row.family == "linear" for each in events) >= until

    opened(folder, name).run(out=folder / f"{name}.csv", listen=events.append, must_stop=must_stop, **options)
    return events


def test_trials_on_a_hold_out_are_blended_and_predict(hold_out: Path) -> None:
    study = opened(hold_out)
    assert {trial.fidelity for trial in study.trials()} == {"holdout"}
    best = study.trials()[0]
    assert best.score == pytest.approx(1.0, abs=0.1)
    assert len(best.fold_scores) == 1
    blended = study.ensemble()
    assert blended.result.score == pytest.approx(best.score, abs=0.01)
    submitted = pd.read_csv(hold_out / "first.csv")
    predicted = study.predict(str(hold_out / "test.csv"))
    assert np.allclose(predicted.y, submitted.y, atol=1e-6)


def test_a_run_with_more_time_goes_on_with_all_folds_from_the_best_configuration(
    hold_out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = opened(hold_out).trials()
    run(hold_out, until=1, minutes=2)
    study = opened(hold_out)
    trials = study.trials()
    full = [trial for trial in trials if trial.fidelity == "full"]
    assert trials[: len(full)] == full
    assert {trial.key for trial in trials} > {trial.key for trial in before}
    first = min((trial for trial in full if trial.family == "linear"), key=lambda trial: trial.number)
    assert first.hyperparameters == before[0].hyperparameters
    assert len(first.fold_scores) == 5
    predicted = study.predict(str(hold_out / "test.csv"))
    assert np.allclose(predicted.y, pd.read_csv(hold_out / "first.csv").y, atol=1e-6)
    # A short run does not go back to a hold-out.
    monkeypatch.setattr(family_costs, "can_afford", lambda specs, seconds: False)
    events = run(hold_out, until=1, minutes=1)
    assert next(event for event in events if isinstance(event, SearchStarted)).fidelity == "full"
    page = study.report(hold_out / "r.html").read_text()
    assert "trials that use all folds" in page


def test_a_blend_on_a_hold_out_takes_imports_for_all_folds_and_no_trials_of_another_fidelity(
    hold_out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family_costs, "can_afford", lambda specs, seconds: len(specs[0].folds) == 1)
    run(hold_out, "second", until=1, minutes=2)
    with pytest.raises(StudyError, match=r"Its trials use a hold-out.*Run .*second\.yaml with more minutes"):
        opened(hold_out).ensemble(sources=[hold_out / "second.yaml"])
    study = opened(hold_out, "second")
    study.write_folds(hold_out / "folds.csv")
    dealt = pd.read_csv(hold_out / "folds.csv")
    assert len(dealt) == 6_000
    train = pd.read_csv(hold_out / "train.csv").set_index("row")
    dealt["y"] = train.y[dealt["row"]].to_numpy()
    dealt[["row", "fold", "y"]].to_csv(hold_out / "oof.csv", index=False)
    pd.DataFrame({"row": np.arange(6_000, 7_000), "y": 0.0}).to_csv(hold_out / "told.csv", index=False)
    study.take("truth", oof=hold_out / "oof.csv", test=hold_out / "told.csv")
    assert study.ensemble().result.members[0].name == "truth"
