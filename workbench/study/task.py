"""The task of a study: the data, the metric, the folds, and the layout of its predictions."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from workbench import models
from workbench.config import StudyConfig
from workbench.errors import ConfigError, FamilyError, suggest_word
from workbench.models.nn import backbone_config, callbacks
from workbench.search.fork_server import FIRST_MODULES
from workbench.study import target_metrics

if TYPE_CHECKING:
    import numpy as np

    from workbench.data import Dataset, Reader
    from workbench.data.cache import Cache
    from workbench.evaluation import Metric
    from workbench.evaluation.fidelity import Fidelity
    from workbench.evaluation.folds import Folds
    from workbench.evaluation.multi_target import MultiTargetMetric
    from workbench.study.fingerprint import Fingerprint
    from workbench.study.target_metrics import Transform
    from workbench.tracking import PredictionSchema
    from workbench.trial import TrialSpec

# Fewer rows are trained faster by one thread than by two (measured with xgboost; nets want even more).
_ROWS_A_THREAD = 15_000
# Modules that Keras imports at its first use, which every trial would wait for. Missing ones are skipped.
_LATE_KERAS = tuple(
    f"tensorflow.python.data.ops.{name}_op" for name in ("concatenate", "flat_map", "from_tensors", "range", "zip")
)


class Task:
    """A study file's data, metric and folds, each made at its first use."""

    def __init__(self, config: StudyConfig, *, cache: Cache | None = None) -> None:
        """Keep the checked configuration; nothing is loaded yet.

        Args:
            config: the checked configuration.
            cache: holds decoded images and large arrays.
        """
        self.config = config
        self.cache = cache
        self.fidelity: Fidelity = "full"
        self._layouts: dict[str, tuple[Folds, PredictionSchema]] = {}

    @cached_property
    def dataset(self) -> Dataset:
        """The data, loaded at its first use."""
        from workbench import data

        return data.load(self.config, cache=self.cache)

    @property
    def reader(self) -> Reader:
        """The reader of new rows in the form of the training rows."""
        # Every loader sets it; only a Dataset that is built by hand has none.
        return cast("Reader", self.dataset.reader)

    @cached_property
    def metric(self) -> Metric:
        """The metric that is optimised."""
        from workbench import evaluation

        if self.dataset.targets:
            return self._multi_target_metric
        name = self.config.metric or evaluation.default(self.dataset.task)
        return self._find_metric("metric", name)

    @cached_property
    def _multi_target_metric(self) -> MultiTargetMetric:
        return target_metrics.metric(self.config, self.dataset)

    @property
    def scored_by(self) -> Metric:
        """The metric that is optimised, without loading the data where the study file names it."""
        from workbench import evaluation

        name, own = self.config.metric, any(target.metric for target in self.config.targets.values())
        return self.metric if name is None or own else evaluation.metric(name, self.config.resolve)

    @cached_property
    def also(self) -> tuple[Metric, ...]:
        """The further metrics; with several targets, also the score of each."""
        if self.dataset.targets:
            return target_metrics.also(self.config, self.dataset, self._multi_target_metric)
        return tuple(self._find_metric(f"also[{i}]", name) for i, name in enumerate(self.config.also))

    @property
    def folds(self) -> Folds:
        """The folds at the task's `fidelity`, which may be set to another one."""
        return self._layout[0]

    @property
    def schema(self) -> PredictionSchema:
        """The layout of the trials' predictions at the task's `fidelity`."""
        return self._layout[1]

    @cached_property
    def all_folds(self) -> Folds:
        """The folds; the same study file and data give the same folds."""
        from workbench.errors import EvaluationError
        from workbench.evaluation import folds

        data = self.dataset
        options: dict[str, Any] = {"groups": data.groups, "time": data.time, "column": data.fold_column}
        options |= {"classes": [target.classes is not None for target in data.targets]}
        try:
            return folds.make(self.config.folds, task=data.task, y=data.y, ids=data.ids, **options)
        except EvaluationError as error:
            raise ConfigError(f"{self.config.file}: {error}") from error

    @cached_property
    def facts(self) -> Fingerprint:
        """The fingerprint, which must not change while the study keeps its name."""
        from workbench.study.fingerprint import Fingerprint

        return Fingerprint.of(self.dataset, self.metric.signature, self.all_folds.hash)

    def describe_folds(self) -> str:
        """Return the kind and number of the folds in words, and what the trials use of them."""
        from workbench.evaluation.fidelity import describe_fidelity

        folds = self.all_folds
        used = "" if self.fidelity == "full" else f"; trials use {describe_fidelity(self.fidelity)}"
        return f"{folds.kind}, {folds.folds} folds × {folds.repeats}{used}"

    @property
    def _layout(self) -> tuple[Folds, PredictionSchema]:
        """The folds and the layout of predictions at the fidelity."""
        from workbench.evaluation.fidelity import reduce_folds

        if self.fidelity not in self._layouts:
            strata = None if self.dataset.classes is None else self.dataset.y
            folds = reduce_folds(self.all_folds, self.fidelity, strata)
            self._layouts[self.fidelity] = folds, self._make_schema(folds)
        return self._layouts[self.fidelity]

    def _make_schema(self, folds: Folds) -> PredictionSchema:
        from workbench.tracking import PredictionSchema

        data, (repeats, rows) = self.dataset, folds.oof_rows()
        outputs: tuple[str, ...] = ("prediction",)
        if data.targets:
            outputs = target_metrics.outputs(data.targets)
        elif data.classes is not None and len(data.classes) > 2:
            outputs = tuple(f"prediction_{label}" for label in data.classes)
        return PredictionSchema(
            id_name=data.id_name,
            ids=data.ids,
            test_ids=data.test_ids,
            repeats=repeats,
            rows=rows,
            folds=self.all_folds.assignment[repeats, rows],
            hash=folds.hash,
            outputs=outputs,
        )

    @property
    def groups(self) -> np.ndarray | None:
        """Which out-of-fold predictions belong together: those of a row that is dealt repeatedly, those of a group."""
        if self.dataset.groups is not None:
            groups: np.ndarray = self.dataset.groups[self.schema.rows]
            return groups
        return self.schema.rows if self.folds.repeats > 1 else None

    @cached_property
    def transform(self) -> Transform | tuple[Transform, ...]:
        """The transform of the target for training; with several targets, of each."""
        if self.dataset.targets:
            return target_metrics.transforms(self.config, self.dataset, self._multi_target_metric)
        if self.dataset.task != "regression":
            return "none"
        asked = self.config.data.target_transform
        return target_metrics.transform(self.config, "data.target_transform", asked, self.metric, self.dataset.y)

    def check(self) -> None:
        """Check that families, metrics, the transform and the sample submission suit the data.

        Raises:
            ConfigError: one of them does not suit the data.
            SubmissionError: the columns of the sample submission do not match the targets or classes.
        """
        from workbench import submission

        tasks: set[str] = {target.task for target in self.dataset.targets} or {self.dataset.task}
        for number, family in enumerate(self.config.families):
            entry = models.get_entry(family, self.config.resolve)
            data_kind = self.dataset.kind, "text" in self.dataset.columns.values()
            if not entry.suits(*data_kind) or not tasks <= set(entry.tasks):
                suitable = [n for n, e in models.FAMILIES.items() if e.suits(*data_kind) and e.installed]
                what = f"must suit {self.dataset.task} on data of kind {self.dataset.kind}"
                raise self.config.error(f"families[{number}]", what, family, f" Choose from: {', '.join(suitable)}.")
        _ = self.metric, self.also, self.transform
        submission.infer_layout(self.dataset, self.metric)
        self._check_weights()
        self._check_shared()
        if "pretrained" in self.config.families:
            try:
                backbone_config.check_reachable(self.config.training.pretrained)
            except FamilyError as error:
                raise ConfigError(f"{self.config.file}: training.pretrained.weights {error}") from error

    def _check_weights(self) -> None:
        """Check that these targets and classes can have such weights."""
        from workbench import ensemble
        from workbench.errors import EnsembleError

        data, blend = self.dataset, self.config.ensemble
        method = blend.method or ensemble.BlendOptions.method
        counts = {"targets": len(data.targets) or 1, "classes": len(data.classes or ())}
        try:
            ensemble.check(method, targets=len(data.targets))
            ensemble.check_weights(blend.weights, method, **counts)
        except EnsembleError as error:
            raise ConfigError(f"{self.config.file}: ensemble.{error}") from error

    def _check_shared(self) -> None:
        """Check that shared columns can go through the same layers."""
        columns = self.dataset.columns
        for number, names in enumerate(self.config.training.shared):
            key = f"training.shared[{number}]"
            unknown = next((name for name in names if name not in columns), None)
            if unknown is not None:
                hint = suggest_word(unknown, columns, label="Features")
                raise self.config.error(key, "must name features", unknown, hint)
            kinds = {name: columns[name] for name in names}
            if len(set(kinds.values())) > 1 or not set(kinds.values()) <= {"image", "text", "category"}:
                what = "must be columns of one kind: images, texts or categories"
                raise self.config.error(key, what, ", ".join(f"{name} ({kind})" for name, kind in kinds.items()))

    def threads(self, workers: int, cores: int) -> int:
        """Return the number of threads of a trial."""
        most = cores // workers
        return 1 if most <= 1 else max(1, min(most, len(self.dataset.y) // _ROWS_A_THREAD))

    def specs(self, threads: int) -> dict[str, TrialSpec]:
        """Return the specification of each family's trials, the baseline's included."""
        families = dict.fromkeys([models.BASELINE, *self.config.families])
        return {family: self.spec(family, threads) for family in families}

    def spec(self, family: str, threads: int) -> TrialSpec:
        """Return the specification of a family's trials."""
        from workbench.trial import TrialSpec

        shared: dict[str, Any] = {"metric": self.metric, "also": self.also, "transform": self.transform}
        shared |= {"class_weight": self.config.class_weight, "seed": self.config.seed, "threads": threads}
        shared |= {"deterministic": self.config.deterministic}
        shared |= {"training": callbacks.resolve_paths(self.config.training, self.config.resolve)}
        shared |= {"cache": None if self.cache is None else self.cache.path}
        source = None if family in models.FAMILIES else self._resolve(family)
        return TrialSpec(family, self.dataset, self.folds, source=source, fidelity=self.fidelity, **shared)

    def modules(self, *, nets: bool = True) -> list[str]:
        """Return the modules that a trial's process should have loaded, without those of nets unless `nets`."""
        entries = {family: models.get_entry(family, self.config.resolve) for family in self.config.families}
        families = [family for family, entry in entries.items() if nets or not entry.keras]
        keras = ["workbench.space.keras", *_LATE_KERAS] if any(entries[family].keras for family in families) else []
        skrub = ["skrub"] if "date" in self.dataset.columns.values() else []
        user_code = [name for family in families for name in models.module_names(self._resolve(family))]
        return [*FIRST_MODULES, *keras, *skrub, *user_code]

    def _resolve(self, family: str) -> str:
        return models.resolve_family(family, self.config.resolve)

    def _find_metric(self, key: str, name: str) -> Metric:
        """Return a metric, checked against the data."""
        from workbench import evaluation
        from workbench.errors import EvaluationError

        data = self.dataset
        try:
            metric = evaluation.metric(name, self.config.resolve, task=data.task)
            metric.check_target(data.task, data.y)
        except EvaluationError as error:
            raise ConfigError(f"{self.config.file}: {key}: {error}") from error
        return metric
