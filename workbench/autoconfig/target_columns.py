"""Inference of the target columns and their tasks."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from workbench import evaluation
from workbench.autoconfig.profile import DataProfile, looks_like_id
from workbench.autoconfig.sample_columns import list_prediction_columns, unique_texts
from workbench.config import SingleTask
from workbench.data import near_names
from workbench.data.near_names import normalize_name
from workbench.data.validation import is_unnamed
from workbench.errors import ConfigError, did_you_mean, format_list

_COMMON_TARGETS = ("target", "label", "labels", "y", "class", "outcome")
# Names of prediction columns that do not say what is predicted, without case and punctuation.
_PLACEHOLDERS = frozenset(
    [
        *("y", "yhat", "ypred", "target", "label", "labels", "class", "outcome", "output", "result", "response"),
        *("answer", "value", "values", "score", "expected", "pred", "preds", "predict", "predicted", "prediction"),
        *("predictions", "prob", "proba", "probability", "probabilities", "submission"),
    ]
)
# Words around a target's name in a prediction column, as in predicted_price.
_PREDICTED = re.compile(
    r"(?i)^(predicted|prediction|pred|expected|probability|prob|proba)[ _.-]+(of[ _.-]+)?|"
    r"[ _.-]+(predicted|prediction|pred|probability|prob|proba|hat)$"
)
# Rows that are examined to find the kind of a column.
_KIND_ROWS = 2000


@dataclass(frozen=True)
class InferredTargets:
    """The target columns, and a note on how they were found."""

    targets: tuple[str, ...]
    note: str

    @property
    def several(self) -> bool:
        """Whether there is more than one target."""
        return len(self.targets) > 1


def infer_targets(profile: DataProfile, given: Sequence[str]) -> InferredTargets:
    """Return the target columns.

    Args:
        profile: the data.
        given: the target columns that the user names; inferred if there are none.

    Raises:
        ConfigError: a given target is not a column, or the target cannot be inferred.
    """
    columns = [name for name in map(str, profile.train.columns) if not is_unnamed(name)]
    for name in given:
        if name not in columns:
            hint = f"{did_you_mean(name, columns)} Columns: {format_list(columns)}."
            where = profile.files.label
            raise ConfigError(f"--target must be a column of {where}. Received: {name!r}.{hint} Name one of them.")
    if given:
        targets = tuple(dict.fromkeys(given))
        return InferredTargets(targets, f"{_count_targets(targets)}, as asked")
    known = (profile.target,) if isinstance(profile.target, str) else profile.target
    if known is not None:
        return InferredTargets(known, f"{_count_targets(known)}, as {profile.files.label} has {_them(known)}")
    clues = _Clues.of(profile, columns)
    for rule, reason in _RULES:
        found = rule(clues)
        if found:
            among = " among the columns that the rows to predict lack" if clues.has_test else ""
            return InferredTargets(found, f"{_count_targets(found)}, {reason.format(among=among)}")
    check_near_names(profile, ())
    raise ConfigError(clues.explain_failure())


def check_near_names(profile: DataProfile, targets: Collection[str]) -> None:
    """Refuse features that the rows to predict have under another name, because they would be dropped.

    Raises:
        ConfigError: there are some.
    """
    pairs = {name: other for name, other in profile.near_names.items() if name not in targets}
    has_features = profile.features_in_columns or profile.steps is not None
    if pairs and has_features and profile.files.test is not None:
        sentence = near_names.describe_pairs(pairs, table=profile.files.test.name, source=profile.files.label)
        raise ConfigError(f"{profile.files.label} must have the column names of the rows to predict. {sentence}")


def infer_tasks(profile: DataProfile, targets: Sequence[str], metric: str | None) -> dict[str, SingleTask]:
    """Return the task of each of several targets.

    Raises:
        ConfigError: the user's metric does not suit one of the targets.
    """
    from workbench import data

    tasks = {name: data.infer_task(profile.train[name].dropna()) for name in targets}
    suitable = next((each["tasks"] for each in evaluation.describe() if each["name"] == metric), None)
    for name, task in tasks.items():
        if suitable is not None and task not in suitable:
            if "regression" in suitable and profile.train[name].dtype.kind in "iuf":
                tasks[name] = "regression"
                continue
            raise ConfigError(
                f"--metric must suit every target. Received: {metric!r}, but {name} is {task}. "
                "Leave it out, and set targets.NAME.metric in the file."
            )
    return tasks


def choose_metric(tasks: Sequence[SingleTask]) -> tuple[str | None, str]:
    """Return a metric for several targets, or None if no metric suits all of them, and the reason."""
    kinds = set(tasks)
    caveat = "the competition's rules may say another"
    if kinds == {"regression"}:
        return "rmse", f"metric: the mean of the targets' rmse; {caveat}"
    if "regression" in kinds:
        return None, "metric: log_loss of classes and rmse of numbers, each as a share of a constant's"
    metric = "roc_auc" if kinds == {"binary"} else "log_loss"
    return metric, f"metric: the mean of the targets' {metric}; {caveat}"


@dataclass(frozen=True)
class _Clues:
    """The facts that show which columns are the target."""

    profile: DataProfile
    columns: tuple[str, ...]
    """The columns of the training rows."""
    candidates: tuple[str, ...]
    """Those that may be the target: columns that the test rows lack, or that are empty there if they lack none."""
    wanted: tuple[str, ...]
    """The columns of the sample submission that hold predictions."""

    @classmethod
    def of(cls, profile: DataProfile, columns: Sequence[str]) -> _Clues:
        """Collect the clues of a profile."""
        test, candidates = profile.test, tuple(columns)
        if test is not None:
            lacking = [name for name in columns if name not in test.columns and name not in profile.near_names]
            lacking = [name for name in lacking if not looks_like_id(name)]
            empty = [name for name in columns if name in test.columns and test[name].isna().all()]
            candidates = tuple(lacking or [name for name in empty if profile.train[name].notna().any()])
        return cls(profile, tuple(columns), candidates, tuple(list_prediction_columns(profile)))

    @property
    def has_test(self) -> bool:
        """Whether there are rows to predict, which lack the target."""
        return self.profile.test is not None

    @property
    def is_sample_specific(self) -> bool:
        """Whether the sample submission names what it predicts, as `Revenue` does and `prediction` does not."""
        return any(normalize_name(name) not in _PLACEHOLDERS for name in self.wanted)

    def is_learnable(self, name: str) -> bool:
        """Return whether a column could be a target: classes that repeat, or numbers."""
        from workbench import data

        series = self.profile.train[name]
        distinct = series.nunique()
        kind = data.kinds(series.head(_KIND_ROWS).to_frame())[name]
        differs = kind in ("category", "text") and distinct > max(20, len(series) / 2)
        return distinct > 1 and kind != "date" and not differs

    def explain_failure(self) -> str:
        """Return the reason why no rule finds the target, and the remedy."""
        files, train = self.profile.files, self.profile.files.label
        test = files.test.name if files.test is not None else "the test file"
        if self.wanted and self.is_sample_specific and files.sample is not None:
            listed = format_list(map(repr, self.wanted), 5)
            lacking = f" Columns that {test} lacks: {format_list(self.candidates)}." if self.has_test else ""
            rest = lacking if self.candidates else f" {test} has every column of {train}."
            return (
                f"{train} must have the target. {files.sample.name} predicts {listed}, which {train} lacks.{rest} Name "
                "the file that has it, or name the column to predict with --target COLUMN."
            )
        if self.has_test and not self.candidates:
            received = f"Received: {format_list(self.columns)}"
            return (
                f"{train} must have a column that {test} lacks, the target. {received}. Name it with --target COLUMN."
            )
        listed = format_list(self.columns)
        return f"{train}: the column to predict cannot be told. Columns: {listed}. Name it with --target COLUMN."


def _match_names(clues: _Clues) -> tuple[str, ...]:
    """Return the columns whose names the sample's prediction columns are, with or without a class: TARGET_CLASS."""
    # A name that is exactly the sample's counts even if the test rows have the column too.
    exact = tuple(name for name in clues.wanted if name in clues.columns)
    if exact and len(exact) == len(clues.wanted):
        return exact
    by_name = {normalize_name(name): name for name in reversed(clues.candidates)}
    found = []
    for wanted in clues.wanted:
        prefixes = [name for name in clues.candidates if wanted.startswith((f"{name}_", f"{name} ", f"{name}-"))]
        plain = (normalize_name(each) for each in (wanted, _PREDICTED.sub("", wanted)))
        match = next((by_name[each] for each in plain if each in by_name), max(prefixes, key=len, default=None))
        if match is None:
            return ()
        found.append(match)
    return tuple(dict.fromkeys(found))


def _match_classes(clues: _Clues) -> tuple[str, ...]:
    """Return the column whose classes are the sample's prediction columns, by value or else by their number."""
    if len(clues.wanted) < 2:
        return ()
    counts = {}
    for name in clues.candidates:
        values = clues.profile.train[name].dropna().unique()
        if set(clues.wanted) <= unique_texts(clues.profile.train[name]):
            return (name,)
        counts[name] = len(values)
    alike = [name for name, count in counts.items() if count == len(clues.wanted)]
    return (alike[0],) if clues.has_test and len(alike) == 1 else ()


def _take_only_candidate(clues: _Clues) -> tuple[str, ...]:
    """Return the only column that the test rows lack, unless the sample predicts another."""
    if not clues.has_test or len(clues.candidates) != 1:
        return ()
    agrees = not clues.is_sample_specific or clues.candidates in (_match_names(clues), _match_classes(clues))
    return clues.candidates if agrees else ()


def _match_common_name(clues: _Clues) -> tuple[str, ...]:
    """Return the column with a common name of targets, unless the sample predicts another."""
    by_lower = {name.lower(): name for name in clues.candidates}
    known = [by_lower[word] for word in _COMMON_TARGETS if word in by_lower and clues.is_learnable(by_lower[word])]
    return () if clues.is_sample_specific else tuple(known[:1])


def _take_last(clues: _Clues) -> tuple[str, ...]:
    """Return the last column, unless the sample predicts another or the column cannot be learnt."""
    last = clues.candidates[-1] if clues.candidates else ""
    usable = last and not clues.is_sample_specific and not looks_like_id(last) and clues.is_learnable(last)
    return (last,) if usable else ()


_RULES: tuple[tuple[Callable[[_Clues], tuple[str, ...]], str], ...] = (
    (_take_only_candidate, "the only column that the rows to predict lack"),
    (_match_names, "which the sample submission names"),
    (_match_classes, "whose classes the sample submission names"),
    (_match_common_name, "by its name{among}; name another with --target"),
    (_take_last, "the last column{among}; name another with --target"),
)
"""The rules that find the target: the first that finds columns counts. With each goes its reason, for the note."""


def _count_targets(targets: Sequence[str]) -> str:
    return f"{'target' if len(targets) == 1 else 'targets'}: {format_list(targets)}"


def _them(targets: Sequence[str]) -> str:
    return "it" if len(targets) == 1 else "them"
