"""Weights: which are kept, which are freed."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.home import Home, folder_name
from workbench.tracking import Checkpoints, checkpoints


def made(folder: Path, size: int = 1000) -> Path:
    (folder / "0-0").mkdir(parents=True)
    (folder / "0-0" / "net.keras").write_bytes(b"x" * size)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Checkpoints:
    return Checkpoints(Home(tmp_path), "s")


def kept(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "studies" / "s" / "weights").iterdir()}


def test_weights_are_taken_whole_and_in_the_place_of_older_ones(store: Checkpoints, tmp_path: Path) -> None:
    store.add(("a/b.py:Net", 3), made(tmp_path / "one"))
    store.add(("a/b.py:Net", 3), made(tmp_path / "two", 5))
    assert (store.folder(("a/b.py:Net", 3)) / "0-0" / "net.keras").read_bytes() == b"xxxxx"
    assert kept(tmp_path) == {folder_name("a/b.py:Net", 3)}
    assert not (tmp_path / "one").exists()


def test_what_is_not_ranked_is_freed_and_told(store: Checkpoints, tmp_path: Path) -> None:
    for number in range(4):
        store.add(("mlp", number), made(tmp_path / "made"))
    assert store.free_except([("mlp", 2), ("mlp", 0), ("mlp", 9)]) == 2000
    assert kept(tmp_path) == {"mlp-2", "mlp-0"}
    assert store.free_except([("mlp", 2), ("mlp", 0)]) == 0


def test_where_room_is_scarce_the_worst_go_first_and_what_is_needed_stays(
    store: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_MAX_BYTES", 2500)
    ranked = [("mlp", number) for number in range(4)]
    for key in ranked:
        store.add(key, made(tmp_path / "made"))
    assert store.free_except(ranked) == 2000
    assert kept(tmp_path) == {"mlp-0", "mlp-1"}
    monkeypatch.setattr(checkpoints, "_MAX_BYTES", 10)
    store.free_except(ranked, needed={("mlp", 1)})
    assert kept(tmp_path) == {"mlp-1"}


def test_a_study_without_weights_has_none_to_free(store: Checkpoints) -> None:
    assert store.free_except([("mlp", 0)]) == 0
