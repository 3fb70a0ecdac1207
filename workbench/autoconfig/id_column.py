"""The id column of a data set, found by the sample submission or by its name."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.autoconfig.profile import DataProfile, looks_like_id
from workbench.autoconfig.sample_columns import find_sample_id


def infer_id(profile: DataProfile, targets: Sequence[str]) -> tuple[str | None, str]:
    """Return the id column, or None, and a note on how it was found."""
    train, test, sample = profile.train, profile.test, profile.sample
    if profile.id is not None:
        reason = "the names of the images" if profile.steps is None else "whose rows are one sequence each"
        return profile.id, f"id: {profile.id}, {reason}"
    if not profile.features_in_columns:
        exists = "id" in train.columns or (test is not None and "id" in test.columns)
        return ("id", "") if exists and "id" not in targets else (None, "")
    names = [name for name in map(str, train.columns) if looks_like_id(name) and name not in targets]
    shown = find_sample_id(profile)
    if sample is not None and shown is not None:
        return _infer_sample_id(profile, targets, shown)
    for name in sorted(names, key=lambda name: name.lower() != "id"):
        if is_unique_id(profile, name):
            return name, f"id: {name}, by its name, and different in every row"
    return None, "no id: rows are numbered in their order"


def _infer_sample_id(profile: DataProfile, targets: Sequence[str], first: str) -> tuple[str | None, str]:
    """Return the id column, or None, where the ids of the sample submission are in the column `first`."""
    key = profile.key
    if key is not None and key not in targets and is_unique_id(profile, key):
        same = f"id: {key}, as in the sample submission"
        return key, same if key == first else f"id: {key}, whose values the sample submission has as {first}"
    if key is not None:
        return None, f"no id: {key} has the sample submission's ids, but does not name each training row once"
    if first in profile.train.columns and first not in targets and is_unique_id(profile, first):
        return first, f"id: {first}, as in the sample submission"
    return None, (
        f"no id: {first} of the sample submission does not name each row once here; predictions follow the order of "
        "the rows"
    )


def is_unique_id(profile: DataProfile, name: str) -> bool:
    """Return whether a column identifies each row, in the training and the test rows."""
    frames = [profile.train] if profile.test is None else [profile.train, profile.test]
    return all(
        name in frame.columns
        and frame[name].is_unique
        and frame[name].notna().all()
        and (frame[name].dtype.kind != "f" or (frame[name] % 1 == 0).all())
        for frame in frames
    )
