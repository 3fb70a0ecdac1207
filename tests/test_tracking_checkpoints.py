"""Checkpoints: which are kept and which are freed."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.home import Home, folder_name
from workbench.tracking import Checkpoints, checkpoints


def write_checkpoint(folder: Path, size: int = 1000) -> Path:
    (folder / "0-0").mkdir(parents=True)
    (folder / "0-0" / "net.keras").write_bytes(b"x" * size)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Checkpoints:
    return Checkpoints(Home(tmp_path), "s")


def kept_trials(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "studies" / "s" / "weights").iterdir()}


def test_checkpoints_replace_earlier_ones_of_the_trial(store: Checkpoints, tmp_path: Path) -> None:
    store.add(("a/b.py:Net", 3), write_checkpoint(tmp_path / "one"))
    store.add(("a/b.py:Net", 3), write_checkpoint(tmp_path / "two", 5))
    assert (store.folder(("a/b.py:Net", 3)) / "0-0" / "net.keras").read_bytes() == b"xxxxx"
    assert kept_trials(tmp_path) == {folder_name("a/b.py:Net", 3)}
    assert not (tmp_path / "one").exists()


def test_trials_that_are_not_ranked_are_freed_and_counted(store: Checkpoints, tmp_path: Path) -> None:
    for number in range(4):
        store.add(("mlp", number), write_checkpoint(tmp_path / "made"))
    assert store.free_except([("mlp", 2), ("mlp", 0), ("mlp", 9)]) == 2000
    assert kept_trials(tmp_path) == {"mlp-2", "mlp-0"}
    assert store.free_except([("mlp", 2), ("mlp", 0)]) == 0


def test_without_room_the_worst_are_freed_first_and_needed_ones_stay(
    store: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_MAX_BYTES", 2500)
    ranked = [("mlp", number) for number in range(4)]
    for key in ranked:
        store.add(key, write_checkpoint(tmp_path / "made"))
    assert store.free_except(ranked) == 2000
    assert kept_trials(tmp_path) == {"mlp-0", "mlp-1"}
    monkeypatch.setattr(checkpoints, "_MAX_BYTES", 10)
    store.free_except(ranked, needed={("mlp", 1)})
    assert kept_trials(tmp_path) == {"mlp-1"}


def test_a_study_without_checkpoints_frees_nothing(store: Checkpoints) -> None:
    assert store.free_except([("mlp", 0)]) == 0
