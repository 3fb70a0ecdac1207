"""The architectures and image inspections of the nets in a report, read from their trials' runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.ensemble import EnsembleResult
from workbench.errors import StudyError
from workbench.models.nn.architecture import DIAGRAM, SIZES, TABLE
from workbench.models.nn.inspection import FILE, ImageInspection
from workbench.report import Architecture
from workbench.tracking import Tracker

if TYPE_CHECKING:
    from workbench.search.storage import TrialRecord


@dataclass
class NetImages:
    """Architectures and image inspections, with a note for each that cannot be read."""

    architectures: list[Architecture] = field(default_factory=list)
    looks: dict[str, ImageInspection] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read(tracker: Tracker, trials: Sequence[TrialRecord], ensemble: EnsembleResult | None) -> NetImages:
    """Return the images of the members that have nets; without an ensemble, of each family's best trial.

    Args:
        tracker: of the study.
        trials: its finished trials, best first.
        ensemble: the newest ensemble.
    """
    found = NetImages()
    for name, run_id in _choose(trials, ensemble):
        try:
            folder = tracker.net_artifacts(run_id)
            if folder is not None:
                _add(found, name, folder)
        except (StudyError, OSError, ValueError) as error:
            found.notes.append(f"What there is to see of the nets of {name} cannot be read. {error}")
    return found


def _choose(trials: Sequence[TrialRecord], ensemble: EnsembleResult | None) -> Iterator[tuple[str, str]]:
    """Yield the names of trials and the ids of their runs."""
    if ensemble is not None:
        for member in sorted(ensemble.members, key=lambda member: -member.weight):
            # Trials that differ by their seed only have one architecture.
            yield member.name, member.run_ids[0]
        return
    seen: set[str] = set()
    for trial in trials:
        if trial.state == "complete" and trial.family not in seen:
            seen.add(trial.family)
            yield trial.name, trial.run_id


def _add(found: NetImages, name: str, folder: Path) -> None:
    if (folder / SIZES).exists():
        sizes = json.loads((folder / SIZES).read_text())
        diagram = (folder / DIAGRAM).read_bytes() if (folder / DIAGRAM).exists() else None
        table = (folder / TABLE).read_text(encoding="utf-8") if (folder / TABLE).exists() else ""
        counts = sizes["parameters"], sizes["trainable_parameters"]
        found.architectures.append(Architecture(name, *counts, table, diagram))
    if (folder / FILE).exists():
        found.looks[name] = ImageInspection.load(folder / FILE)
