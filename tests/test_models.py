from __future__ import annotations

import functools
import importlib.util
import itertools
import json
import time
import zipfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from miniatures import ALBUM, COLUMNS, TRAIN, VALID, album, arrays, ragged, sentences, strange, table

from workbench import models
from workbench.errors import FamilyError
from workbench.models.protocol import Deadline, FitContext, Problem, Rows, StagedModel, UnlabeledFeatures
from workbench.space import Hyperparameter, Space, defaults

# A search goes on after a linear model that has not converged: its score tells how good it is.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# The loss concerns the last layer alone; for rarer kinds of data one loss is enough.
LOSSES: dict[str, tuple[str, ...]] = {
    "table": ("squared_error", "absolute_error"),
    "text": ("squared_error", "absolute_error"),
}
LOSSES |= {"image": ("squared_error",), "sequence": ("squared_error",), "mixed": ("squared_error",)}
# Dates and texts take longer than all other columns together; one test has them.
LEAN = {name: kind for name, kind in COLUMNS.items() if kind not in ("date", "text")}
CLASSES = {"binary": 2, "multiclass": 3, "regression": 0}
SAFE = {".json", ".keras", ".skops", ".ubj", ".cbm", ".txt", ".npz"}
EPOCHS = 8
# In nets this deep the averages of batch normalisation take longer to converge.
DEEP = {"xception", "mobilenet"}
# Their layers of batch normalisation need hundreds of steps to converge, more than a test trains for.
UNSETTLED = {"hyper_resnet", "hyper_xception"}
# All nets share a trainer and a head: a plain net and one with members have all tasks, the others take turns.
ALL_TASKS = {"mlp", "tabm"}
LEARNERS = [name for name in models.family_names() if name not in {models.BASELINE, *UNSETTLED}]
# Nets approximate a constant only.
EXACT = [name for name in models.family_names() if not models.FAMILIES[name].keras]
# Families without epochs or rounds report no losses.
SILENT = {"constant", "linear", "tfidf_linear", "random_forest", "extra_trees", "hog_svm", "hog_trees"}
SILENT |= {"rocket", "sequence_trees"}


@dataclass(frozen=True)
class Case:
    """A family with one of the problems that its entry claims."""

    family: str
    kind: Any
    task: Any
    loss: Any
    whole: bool = False
    """Whether a table has all columns, dates and texts included."""

    @property
    def columns(self) -> dict[str, Any]:
        # A text beside every other kind of column.
        kinds = {"table": LEAN, "text": LEAN | {"note": "text", "blank": "text"}, "mixed": ALBUM}
        return COLUMNS if self.whole else kinds.get(self.kind, {})

    @property
    def problem(self) -> Problem:
        return Problem(self.kind, self.task, CLASSES[self.task], self.columns, self.loss)


def cases(
    *families: str,
    kinds: set[str] | None = None,
    tasks: tuple[str, ...] = tuple(CLASSES),
    all_tasks: Collection[str] = ALL_TASKS,
) -> list[Any]:
    """Return a parameter for every family, kind and task that is claimed, or for some of them.

    Nets outside `all_tasks` take turns with the tasks.
    """
    found = []
    nets = [name for name in models.family_names() if models.FAMILIES[name].keras]
    for name in families or models.family_names():
        entry = models.FAMILIES[name]
        marks = [pytest.mark.slow] if entry.keras or name == "catboost" else []
        # Its weights are downloaded, and no test uses the network.
        marks += [pytest.mark.skip("fetches its weights")] if name == "hyper_efficientnet" else []
        marks += [] if entry.installed else [pytest.mark.skip(f"{entry.library} is not installed")]
        for kind in entry.kinds if kinds is None else [kind for kind in entry.kinds if kind in kinds]:
            # Families of tables treat a text as one more column; a test of its own covers those.
            if kind == "text" and "table" in entry.kinds:
                continue
            claimed = [task for task in tasks if task in entry.tasks]
            # Nets are slow: one task is enough for a second kind of data.
            if entry.keras and kind != entry.kinds[0]:
                claimed = ["multiclass"] if "multiclass" in claimed else claimed[:1]
            elif entry.keras and name not in all_tasks:
                claimed = claimed[nets.index(name) % len(claimed) :][:1] if claimed else []
            for task in claimed:
                losses = ("log_loss",) if CLASSES[task] else LOSSES[kind]
                for loss in losses[:1] if entry.keras and name not in ALL_TASKS else losses:
                    case = Case(name, kind, task, loss)
                    found.append(pytest.param(case, marks=marks, id=f"{name}-{kind}-{task}-{loss}"))
    return found


def first_kind(*tasks: str, nets: Collection[str] | None = None) -> list[Any]:
    """Return a parameter for every family and task, on the first of the family's kinds of data.

    With `nets`, those alone are tested, on all tasks: for what the trainer that all nets share does.
    """
    return [
        case
        for name in models.family_names()
        if nets is None or name in nets or not models.FAMILIES[name].keras
        for case in cases(name, kinds={models.FAMILIES[name].kinds[0]}, tasks=tasks, all_tasks=nets or ALL_TASKS)
    ]


def targets(task: str) -> np.ndarray:
    rng = np.random.default_rng(5)
    rows = TRAIN + VALID
    # Far from standard scores, so a model must learn level and scale.
    return rng.permutation(np.arange(rows) % CLASSES[task]) if CLASSES[task] else 50 + 10 * rng.normal(size=rows)


def rows(case: Case, y: np.ndarray | None = None) -> tuple[Rows, Rows]:
    """Return training and validation rows whose inputs predict the target; `y` replaces the target alone."""
    signal = targets(case.task)
    signal = (signal - signal.mean()) / signal.std()
    x: Any = arrays(case.kind, signal=signal) if not case.columns else frame(case, signal)
    if case.kind == "text":
        x["note"] = sentences(signal)
    if case.kind == "sequence" and "table" not in models.FAMILIES[case.family].kinds:
        x = ragged(x)
    y = targets(case.task) if y is None else y
    return Rows(x[:TRAIN], y[:TRAIN], np.linspace(0.5, 2, TRAIN)), Rows(x[TRAIN:], y[TRAIN:])


def frame(case: Case, signal: Any = 0.0) -> Any:
    """Return a table of the case's columns."""
    return (album if case.kind == "mixed" else table)(signal=signal)[list(case.columns)]


def enough(family: str) -> int:
    """Return a number of epochs after which a net of the family beats chance, or one if that takes too long."""
    return 1 if family in UNSETTLED else 2 * EPOCHS if family in DEEP else EPOCHS


def cheap(suggest: Callable[[Hyperparameter], Any]) -> Callable[[Hyperparameter], Any]:
    """Suggest as `suggest` does, but few trees, blocks and steps, on which the time depends."""
    few = {"trees": 5, "encoder_steps": 96}
    few |= {"conv3_depth": 4, "conv4_depth": 6, "num_residual_blocks": 2, "sep_num_filters": 128}
    return lambda hyperparameter: few.get(hyperparameter.name) or suggest(hyperparameter)


def lowest(hyperparameter: Hyperparameter) -> Any:
    return hyperparameter.choices[0] if hyperparameter.kind == "categorical" else hyperparameter.low


def highest(hyperparameter: Hyperparameter) -> Any:
    return hyperparameter.choices[-1] if hyperparameter.kind == "categorical" else hyperparameter.high


def at_random(seed: int) -> Callable[[Hyperparameter], Any]:
    rng = np.random.default_rng(seed)

    def suggest(hyperparameter: Hyperparameter) -> Any:
        if hyperparameter.kind == "categorical":
            return hyperparameter.choices[rng.integers(len(hyperparameter.choices))]
        if hyperparameter.log:
            value = float(np.exp(rng.uniform(np.log(hyperparameter.low), np.log(hyperparameter.high))))
            return round(value) if hyperparameter.kind == "int" else value
        if hyperparameter.step is None:
            return float(rng.uniform(hyperparameter.low, hyperparameter.high))
        steps = round((hyperparameter.high - hyperparameter.low) / hyperparameter.step)
        return hyperparameter.low + hyperparameter.step * int(rng.integers(steps + 1))

    return suggest


def fit(
    case: Case,
    train: Rows,
    valid: Rows,
    suggest: Callable[[Hyperparameter], Any] = defaults,
    *,
    seed: int = 3,
    epochs: int = 1,
    on_epoch: Callable[..., None] = lambda epoch, losses, progress=None, of=None: None,
    deadline: Deadline | None = None,
) -> Any:
    """Train one model as a trial does."""
    context = FitContext(seed, 1, on_epoch, epochs=epochs, deadline=deadline)
    return models.get_family(case.family).fit(space(case, suggest), case.problem, train, valid, context)


def space(case: Case, suggest: Callable[[Hyperparameter], Any]) -> Any:
    """Return a search space whose values come from `suggest`."""
    if models.get_entry(case.family).keras:
        from workbench.space.keras import HyperParameters

        return HyperParameters(cheap(suggest))
    return Space(cheap(suggest))


def check(case: Case, predictions: np.ndarray, count: int) -> None:
    """Check that predictions have the shape and the range of the task."""
    width = CLASSES[case.task]
    assert predictions.shape == ((count, width) if width > 2 else (count,))
    assert predictions.dtype == np.float64
    assert np.isfinite(predictions).all()
    if width:
        assert predictions.min() >= 0
        assert predictions.max() <= 1
    if width > 2:
        np.testing.assert_allclose(predictions.sum(axis=1), 1, atol=1e-6)


@dataclass(frozen=True)
class Fitted:
    """A family's default model, fitted once for all tests that do not change it."""

    case: Case
    model: Any
    valid: Rows
    reports: list[tuple[int, dict[str, float]]]


@functools.cache
def fitted_once(case: Case) -> Fitted:
    reports = []
    train, valid = rows(case)
    model = fit(
        case,
        train,
        valid,
        epochs=enough(case.family),
        on_epoch=lambda epoch, losses, progress=None, of=None: reports.append((epoch, dict(losses))),
    )
    return Fitted(case, model, valid, reports)


@pytest.fixture(scope="module", params=cases())
def fitted(request):
    return fitted_once(request.param)


def test_predictions_have_the_shape_and_the_range_of_the_task(fitted):
    check(fitted.case, fitted.model.predict(fitted.valid.x), VALID)


def test_one_row_is_predicted_the_same_as_in_a_batch(fitted):
    alone = fitted.model.predict(fitted.valid.x[4:5])
    check(fitted.case, alone, 1)
    np.testing.assert_allclose(alone, fitted.model.predict(fitted.valid.x)[4:5], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fitted", cases(*LEARNERS), indirect=True)
def test_the_default_model_correlates_with_the_target(fitted):
    y, predictions = fitted.valid.y, fitted.model.predict(fitted.valid.x)
    if predictions.ndim == 1:
        predictions, y = predictions[:, None], y[:, None]
    else:
        y = np.eye(predictions.shape[1])[y]
    for column, truth in zip(predictions.T, y.T, strict=True):
        assert np.corrcoef(column, truth)[0, 1] > 0.1


@pytest.mark.parametrize("fitted", cases(kinds={"table", "text"}), indirect=True)
def test_unseen_levels_and_missing_values_are_predicted(fitted):
    unseen = strange()[list(fitted.case.columns)]
    check(fitted.case, fitted.model.predict(unseen), 5)
    check(fitted.case, fitted.model.predict(unseen[-1:]), 1)


# Most nets of tables share a preprocessor, and so do those of texts.
SIMILAR = {"tabm", "dae_mlp", "dae_xgboost", "conv1d", "conv1d_gru", "lstm"}


@pytest.mark.parametrize(
    "case",
    cases(
        *(name for name in models.family_names() if name not in SIMILAR),
        kinds={"table", "text"},
        tasks=("multiclass",),
    ),
)
def test_dates_and_texts_are_used_too(case, tmp_path):
    case = replace(case, whole=True)
    train, valid = rows(case)
    model = fit(case, train, valid)
    check(case, model.predict(strange()), 5)
    model.save(tmp_path)
    loaded = models.get_family(case.family).load(tmp_path)
    np.testing.assert_allclose(loaded.predict(valid.x), model.predict(valid.x), rtol=1e-6, atol=1e-6)


def test_a_saved_model_predicts_the_same_and_holds_no_pickle(fitted, tmp_path):
    fitted.model.save(tmp_path)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    inside = [name for file in files if zipfile.is_zipfile(file) for name in zipfile.ZipFile(file).namelist()]
    assert {file.suffix for file in files} <= SAFE
    assert not [name for name in inside if name.endswith((".pkl", ".pickle", ".joblib"))]
    loaded = models.get_family(fitted.case.family).load(tmp_path)
    # A loaded net may sum in another order, so the last bit may differ.
    np.testing.assert_allclose(
        loaded.predict(fitted.valid.x), fitted.model.predict(fitted.valid.x), rtol=1e-6, atol=1e-6
    )
    if isinstance(fitted.model, StagedModel):
        assert isinstance(loaded, StagedModel)
        first, loaded_first = fitted.model.truncate(1), loaded.truncate(1)
        assert loaded.length == fitted.model.length
        np.testing.assert_allclose(
            loaded_first.predict(fitted.valid.x), first.predict(fitted.valid.x), rtol=1e-6, atol=1e-6
        )


NETS = [name for name in models.family_names() if models.FAMILIES[name].keras and name != "dae_xgboost"]


@pytest.mark.parametrize("fitted", cases(*NETS), indirect=True)
def test_a_net_holds_the_stages_of_its_training(fitted):
    whole = fitted.model.predict(fitted.valid.x)
    stages = fitted.model.truncate(1), fitted.model.truncate(fitted.model.length)
    first, best = (stage.predict(fitted.valid.x) for stage in stages)
    np.testing.assert_array_equal(best, whole)
    assert fitted.model.length == 1 or not np.array_equal(first, whole)
    # The models of two stages share a net, and each predicts with its own weights.
    np.testing.assert_array_equal(stages[0].predict(fitted.valid.x), first)


def test_training_reports_losses_on_training_and_validation_rows(fitted):
    if fitted.case.family in SILENT:
        assert not fitted.reports
        return
    epochs = [epoch for epoch, _ in fitted.reports]
    assert epochs[0] == 0
    assert epochs == sorted(set(epochs))
    for _, losses in fitted.reports:
        assert {"loss", "val_loss"} <= losses.keys()
        assert np.isfinite(list(losses.values())).all()


@pytest.mark.parametrize("fitted", first_kind("binary", nets={"mlp", "dae_xgboost", "cnn"}), indirect=True)
def test_the_same_seed_gives_the_same_model_also_with_a_deadline_that_is_not_reached(fitted):
    train, valid = rows(fitted.case)
    deadline = Deadline(time.monotonic() + 3600)
    again = fit(fitted.case, train, valid, epochs=enough(fitted.case.family), deadline=deadline)
    assert not deadline.reached
    if not hasattr(again, "net"):
        np.testing.assert_array_equal(again.predict(valid.x), fitted.model.predict(valid.x))
        return
    # A net that has predicted a single row before may sum in another order, but its weights are the same.
    for one, other in zip(again.nets["net"].get_weights(), fitted.model.nets["net"].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(again.predict(valid.x), fitted.model.predict(valid.x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", first_kind("multiclass", nets={"mlp", "dae_xgboost"}))
def test_a_model_is_trained_without_validation_rows_for_a_given_length(case):
    reports = []
    train, valid = rows(case)
    context = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: reports.append(epoch), length=3)
    model = models.get_family(case.family).fit(space(case, defaults), case.problem, train, None, context)
    check(case, model.predict(valid.x), VALID)
    model = getattr(model, "head", model)
    if models.get_entry(case.family).keras and not hasattr(model, "trees"):
        assert reports == [0, 1, 2]
    if hasattr(model, "trees"):
        counts = {"xgboost": "num_boosted_rounds", "lightgbm": "current_iteration", "catboost": "tree_count_"}
        count = getattr(
            model.trees, counts[case.family.removeprefix("tfidf_").removeprefix("sequence_").removeprefix("dae_")]
        )
        assert (count() if callable(count) else count) == 3


@pytest.mark.parametrize("case", first_kind("binary", "multiclass", nets={"mlp", "dae_xgboost"}))
def test_a_training_fold_may_lack_a_class(case):
    y = targets(case.task)
    missing = 1 if case.task == "binary" else 2
    y[:TRAIN] = np.where(y[:TRAIN] == missing, 0, y[:TRAIN])
    train, valid = rows(case, y)
    assert missing in valid.y
    predictions = fit(case, train, valid).predict(valid.x)
    check(case, predictions, VALID)
    if CLASSES[case.task] > 2:
        assert predictions[:, missing].mean() < 0.5
    else:
        # The best epoch is chosen on validation rows, which do have the class; it may be the first.
        assert predictions.mean() < 0.5 + 0.25


@pytest.mark.parametrize("case", cases("linear", "xgboost", "random_forest", kinds={"table"}, tasks=("binary",)))
def test_a_training_fold_may_hold_one_row_of_a_class(case):
    y = targets(case.task)
    y[:TRAIN] = np.arange(TRAIN) == 7
    train, valid = rows(case, y)
    check(case, fit(case, train, valid, highest).predict(valid.x), VALID)


@pytest.mark.parametrize("case", first_kind("regression", nets={"mlp", "wide_and_deep", "cnn", "gru"}))
def test_inputs_may_be_constant_at_a_random_point_of_the_space(case):
    train, valid = rows(case)
    if case.columns:
        constant = frame(case).iloc[np.ones(TRAIN, int)].reset_index(drop=True)
    else:
        constant = np.zeros_like(train.x)
    model = fit(case, Rows(constant, train.y), valid, at_random(12))
    check(case, model.predict(valid.x), VALID)
    same = model.predict(constant)
    np.testing.assert_allclose(same, same[0])


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize(
    "case", [case for case in first_kind("binary", nets={"conv1d_gru"}) if case.values[0].kind == "sequence"]
)
def test_sequences_may_be_of_one_step_or_two_at_a_random_point_of_the_space(case, steps):
    train, valid = rows(case)
    assert isinstance(train.x, np.ndarray)
    assert isinstance(valid.x, np.ndarray)
    model = fit(case, replace(train, x=train.x[:, :steps]), replace(valid, x=valid.x[:, :steps]), at_random(steps))
    check(case, model.predict(valid.x), VALID)


@pytest.mark.parametrize("case", cases(*EXACT, kinds={"table"}, tasks=("regression",)))
def test_a_constant_target_is_predicted(case):
    y = np.full(TRAIN + VALID, 42.0)
    train, valid = rows(case, y)
    predictions = fit(case, train, valid).predict(valid.x)
    np.testing.assert_allclose(predictions, 42, atol=1e-3)


# KerasTuner's own nets take a minute at a corner.
@pytest.mark.parametrize("case", [case for case in first_kind("multiclass") if case.values[0].family not in UNSETTLED])
def test_the_smallest_model_of_a_search_space_can_be_trained_also_after_the_deadline(case):
    train, valid = rows(case)
    entry, deadline = models.FAMILIES[case.family], Deadline(time.monotonic() - 1)
    model = fit(case, train, valid, lowest, epochs=2, deadline=deadline if entry.keeps_deadline else None)
    check(case, model.predict(valid.x), VALID)
    assert deadline.reached or not entry.keras


# The largest nets take one to two minutes each; these stand for tables, images and sequences.
@pytest.mark.parametrize("case", first_kind("multiclass", nets={"mlp", "wide_and_deep", "cnn", "lstm"}))
def test_the_largest_model_of_a_search_space_can_be_trained(case):
    train, valid = rows(case)
    check(case, fit(case, train, valid, highest).predict(valid.x), VALID)


PART_CASES = list(
    itertools.product(
        ("constant", "linear", "xgboost", "tfidf_linear", "hog_svm", "hog_trees"), ("binary", "regression")
    )
)
NET_PART_CASES = [("mlp", "binary"), ("dae_mlp", "regression"), ("cnn", "binary"), ("conv1d", "regression")]


@pytest.mark.parametrize(
    ("family", "task"), PART_CASES + [pytest.param(*case, marks=pytest.mark.slow) for case in NET_PART_CASES]
)
def test_a_family_is_given_the_part_of_mixed_data_that_it_accepts(family, task, tmp_path):
    case = Case(family, "mixed", task, "log_loss" if CLASSES[task] else "squared_error")
    assert models.get_entry(family).suits("mixed", texts=True)
    if task not in models.get_entry(family).tasks:
        return
    train, valid = rows(case)
    context = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=2)
    if models.get_entry(family).unlabelled:
        assert isinstance(train.x, pd.DataFrame)
        assert isinstance(valid.x, pd.DataFrame)
        context = replace(context, unlabelled=UnlabeledFeatures(pd.concat([train.x, valid.x], ignore_index=True), 5))
    model = models.get_family(family).fit(space(case, defaults), case.problem, train, valid, context)
    predictions = model.predict(valid.x)
    check(case, predictions, VALID)
    model.save(tmp_path)
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} <= SAFE
    loaded = models.get_family(family, check=False).load(tmp_path)
    np.testing.assert_allclose(loaded.predict(valid.x), predictions, rtol=1e-6, atol=1e-6)


def test_a_family_suits_mixed_data_if_it_accepts_a_part():
    assert not models.get_entry("tfidf_linear").suits("mixed")
    assert not models.get_entry("rocket").suits("mixed", texts=True)
    assert models.get_entry("cnn").suits("mixed")


@pytest.mark.parametrize("case", cases("linear", "xgboost", kinds={"image"}, tasks=("binary",)))
def test_a_saved_model_with_an_untrusted_type_is_refused(case, tmp_path):
    fitted_once(case).model.save(tmp_path)
    file = tmp_path / "view.skops"
    with zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    schema = {**json.loads(contents["schema.json"]), "__class__": "Popen", "__module__": "subprocess"}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, json.dumps(schema) if name == "schema.json" else content)
    with pytest.raises(FamilyError, match=r"must hold known types only. Received: subprocess\.Popen"):
        models.get_family(case.family).load(tmp_path)


def test_an_unknown_family_is_refused_with_a_suggestion():
    with pytest.raises(FamilyError, match=r"must be a known family. Received: 'xgbost'. Did you mean 'xgboost'\?"):
        models.get_entry("xgbost")
    with pytest.raises(FamilyError, match="Known: constant, tfidf_linear, "):
        models.get_entry("?")


@pytest.mark.parametrize("name", [name for name in models.family_names() if not models.FAMILIES[name].installed])
def test_a_family_that_is_not_installed_says_how_to_install_it(name):
    with pytest.raises(FamilyError, match=f"must be an installed family. Received: '{name}'. Install it with: pip"):
        models.get_family(name)


@pytest.mark.parametrize("name", [*models.family_names(), "own.py:Net"])
def test_every_module_that_the_registry_names_exists(name, tmp_path):
    if name == "own.py:Net":
        (tmp_path / "own.py").write_text("import keras\nclass Net: pass\n")
        name = f"{tmp_path}/own.py:Net"
    for module in models.module_names(name):
        assert importlib.util.find_spec(module) is not None, module


def test_a_family_may_lie_outside_the_package(monkeypatch, tmp_path):
    (tmp_path / "outside.py").write_text("from workbench.models.tabular.constant import fit, load\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(models.FAMILIES, "outside", models.FamilyEntry("outside", "a constant", "numpy"))
    assert models.module_names("outside") == ["outside"]
    case = Case("outside", "table", "binary", "log_loss")
    train, valid = rows(case)
    check(case, fit(case, train, valid).predict(valid.x), VALID)


@pytest.mark.slow
def test_a_net_of_the_version_before_the_layers_were_renamed_predicts_the_same():
    folder = Path(__file__).parent / "fixtures" / "old_tabm"
    with np.load(folder / "predictions.npz") as arrays:
        x, expected = pd.DataFrame(arrays["x"], columns=["a", "b"]), arrays["predictions"]
    model = models.get_family("tabm").load(folder)
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-6, atol=1e-7)
