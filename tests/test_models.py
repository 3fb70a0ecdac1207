from __future__ import annotations

import functools
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from miniatures import ALBUM, COLUMNS, TRAIN, VALID, album, arrays, ragged, sentences, strange, table

from workbench import models
from workbench.errors import FamilyError
from workbench.models.protocol import FitContext, Problem, Rows, UnlabeledFeatures
from workbench.space import Hyperparameter, Space, defaults

# A search goes on after a linear model that has not converged: its score says what it is worth.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# The loss is a matter of the last layer alone; one kind for the rarer is enough.
LOSSES = {"table": ("squared_error", "absolute_error"), "text": ("squared_error", "absolute_error")}
LOSSES |= {"image": ("squared_error",), "sequence": ("squared_error",), "mixed": ("squared_error",)}
# Dates and texts take longer to read than all else together; one test has them.
LEAN = {name: kind for name, kind in COLUMNS.items() if kind not in ("date", "text")}
CLASSES = {"binary": 2, "multiclass": 3, "regression": 0}
SAFE = {".json", ".keras", ".skops", ".ubj", ".cbm", ".txt"}
EPOCHS = 8
# The averages of batch normalisation in nets this deep come later, by how much is a matter of the rows drawn.
DEEP = {"xception", "mobilenet"}
# Their layers of batch normalisation take hundreds of steps to settle, which a test does not.
UNSETTLED = {"hyper_resnet", "hyper_xception"}
LEARNERS = [name for name in models.names() if name not in {models.BASELINE, *UNSETTLED}]
# A net comes near to a constant, no more.
EXACT = [name for name in models.names() if not models.FAMILIES[name].keras]
# They are trained in one go; the others tell of every step.
SILENT = {"constant", "linear", "tfidf_linear", "random_forest", "extra_trees", "hog_svm", "hog_trees"}
SILENT |= {"rocket", "sequence_trees"}


@dataclass(frozen=True)
class Case:
    """A family with one of the problems that it claims to solve."""

    family: str
    kind: Any
    task: Any
    loss: Any
    whole: bool = False
    """Whether a table has all the columns, dates and texts too."""

    @property
    def columns(self) -> dict[str, Any]:
        # A text beside every other kind of column.
        kinds = {"table": LEAN, "text": LEAN | {"note": "text", "blank": "text"}, "mixed": ALBUM}
        return COLUMNS if self.whole else kinds.get(self.kind, {})

    @property
    def problem(self) -> Problem:
        return Problem(self.kind, self.task, CLASSES[self.task], self.columns, self.loss)


def cases(*families: str, kinds: set[str] | None = None, tasks: tuple[str, ...] = tuple(CLASSES)) -> list[Any]:
    """Return a parameter for every family, kind and task that is claimed, or for some of them."""
    found = []
    for name in families or models.names():
        entry = models.FAMILIES[name]
        marks = [pytest.mark.slow] if entry.keras or name == "catboost" else []
        # The weights that it begins with are fetched, and no test needs a network.
        marks += [pytest.mark.skip("fetches its weights")] if name == "hyper_efficientnet" else []
        marks += [] if entry.installed else [pytest.mark.skip(f"{entry.package} is not installed")]
        for kind in entry.kinds if kinds is None else [kind for kind in entry.kinds if kind in kinds]:
            # To a family that takes any table a text is a column like others; one test has those.
            if kind == "text" and "table" in entry.kinds:
                continue
            claimed = [task for task in tasks if task in entry.tasks]
            # Nets are slow: of a second kind of rows, and of KerasTuner's large ones, a task is enough.
            if entry.keras and (kind != entry.kinds[0] or name in UNSETTLED):
                claimed = ["multiclass"] if "multiclass" in claimed else claimed[:1]
            for task in claimed:
                for loss in ("log_loss",) if CLASSES[task] else LOSSES[kind]:
                    case = Case(name, kind, task, loss)
                    found.append(pytest.param(case, marks=marks, id=f"{name}-{kind}-{task}-{loss}"))
    return found


def first_kind(*tasks: str) -> list[Any]:
    """Return a parameter for every family and task, on the first of the family's kinds of data."""
    return [
        case for name in models.names() for case in cases(name, kinds={models.FAMILIES[name].kinds[0]}, tasks=tasks)
    ]


def targets(task: str) -> np.ndarray:
    rng = np.random.default_rng(5)
    rows = TRAIN + VALID
    # Far from standard scores, so that a model must learn level and scale.
    return rng.permutation(np.arange(rows) % CLASSES[task]) if CLASSES[task] else 50 + 10 * rng.normal(size=rows)


def rows(case: Case, y: np.ndarray | None = None) -> tuple[Rows, Rows]:
    """Return training and validation rows whose inputs tell the target; `y` replaces the target alone."""
    signal = targets(case.task)
    signal = (signal - signal.mean()) / signal.std()
    x: Any = arrays(case.kind, signal=signal) if not case.columns else framed(case, signal)
    if case.kind == "text":
        x["note"] = sentences(signal)
    if case.kind == "sequence" and "table" not in models.FAMILIES[case.family].kinds:
        x = ragged(x)
    y = targets(case.task) if y is None else y
    return Rows(x[:TRAIN], y[:TRAIN], np.linspace(0.5, 2, TRAIN)), Rows(x[TRAIN:], y[TRAIN:])


def framed(case: Case, signal: Any = 0.0) -> Any:
    """Return a table of the case's columns."""
    return (album if case.kind == "mixed" else table)(signal=signal)[list(case.columns)]


def enough(family: str) -> int:
    """Return for how many epochs a net of the family is trained to have learnt something."""
    return 2 * EPOCHS if family in DEEP else EPOCHS


def cheap(suggest: Callable[[Hyperparameter], Any]) -> Callable[[Hyperparameter], Any]:
    """Answer as `suggest` does, but with few trees, blocks and steps: models are slow by their number alone."""
    few = {"trees": 5, "encoder_steps": 96}
    few |= {"conv3_depth": 4, "conv4_depth": 6, "num_residual_blocks": 2, "sep_num_filters": 128}
    return lambda question: few.get(question.name) or suggest(question)


def lowest(question: Hyperparameter) -> Any:
    return question.choices[0] if question.kind == "categorical" else question.low


def highest(question: Hyperparameter) -> Any:
    return question.choices[-1] if question.kind == "categorical" else question.high


def at_random(seed: int) -> Callable[[Hyperparameter], Any]:
    rng = np.random.default_rng(seed)

    def suggest(question: Hyperparameter) -> Any:
        if question.kind == "categorical":
            return question.choices[rng.integers(len(question.choices))]
        if question.log:
            value = float(np.exp(rng.uniform(np.log(question.low), np.log(question.high))))
            return round(value) if question.kind == "int" else value
        if question.step is None:
            return float(rng.uniform(question.low, question.high))
        steps = round((question.high - question.low) / question.step)
        return question.low + question.step * int(rng.integers(steps + 1))

    return suggest


def fit(
    case: Case,
    train: Rows,
    valid: Rows,
    suggest: Callable[[Hyperparameter], Any] = defaults,
    *,
    seed: int = 3,
    epochs: int = 1,
    watch: Callable[..., None] = lambda epoch, losses, progress=None, of=None: None,
) -> Any:
    """Train one model as a trial does."""
    setting = FitContext(seed, 1, watch, epochs=epochs)
    return models.family(case.family).fit(asked(case, suggest), case.problem, train, valid, setting)


def asked(case: Case, suggest: Callable[[Hyperparameter], Any]) -> Any:
    """Return a search space that `suggest` answers."""
    if models.entry(case.family).keras:
        from workbench.space.keras import HyperParameters as Asked
    else:
        Asked = Space
    return Asked(cheap(suggest))


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
    """A family's default model, fitted once for all the tests that only look at it."""

    case: Case
    model: Any
    valid: Rows
    told: list[tuple[int, dict[str, float]]]


@functools.cache
def fitted_once(case: Case) -> Fitted:
    told = []
    train, valid = rows(case)
    model = fit(
        case,
        train,
        valid,
        epochs=enough(case.family),
        watch=lambda epoch, losses, progress=None, of=None: told.append((epoch, dict(losses))),
    )
    return Fitted(case, model, valid, told)


@pytest.fixture(scope="module", params=cases())
def fitted(request):
    return fitted_once(request.param)


def test_predictions_have_the_shape_and_the_range_of_the_task(fitted):
    check(fitted.case, fitted.model.predict(fitted.valid.x), VALID)


def test_one_row_is_predicted_as_among_others(fitted):
    alone = fitted.model.predict(fitted.valid.x[4:5])
    check(fitted.case, alone, 1)
    np.testing.assert_allclose(alone, fitted.model.predict(fitted.valid.x)[4:5], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fitted", cases(*LEARNERS), indirect=True)
def test_the_default_learns_which_way_the_target_goes(fitted):
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


@pytest.mark.parametrize("case", cases(kinds={"table", "text"}, tasks=("multiclass",)))
def test_dates_and_texts_are_read_too(case, tmp_path):
    case = replace(case, whole=True)
    train, valid = rows(case)
    model = fit(case, train, valid)
    check(case, model.predict(strange()), 5)
    model.save(tmp_path)
    loaded = models.family(case.family).load(tmp_path)
    np.testing.assert_allclose(loaded.predict(valid.x), model.predict(valid.x), rtol=1e-6, atol=1e-6)


def test_a_saved_model_predicts_the_same_and_holds_no_pickle(fitted, tmp_path):
    fitted.model.save(tmp_path)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    inside = [name for file in files if zipfile.is_zipfile(file) for name in zipfile.ZipFile(file).namelist()]
    assert {file.suffix for file in files} <= SAFE
    assert not [name for name in inside if name.endswith((".pkl", ".pickle", ".joblib"))]
    loaded = models.family(fitted.case.family).load(tmp_path)
    # A loaded net may add in another order: the last bit is its own.
    np.testing.assert_allclose(
        loaded.predict(fitted.valid.x), fitted.model.predict(fitted.valid.x), rtol=1e-6, atol=1e-6
    )


def test_training_tells_of_its_losses_on_training_and_validation_rows(fitted):
    if fitted.case.family in SILENT:
        assert not fitted.told
        return
    epochs = [epoch for epoch, _ in fitted.told]
    assert epochs[0] == 0
    assert epochs == sorted(set(epochs))
    for _, losses in fitted.told:
        assert {"loss", "val_loss"} <= losses.keys()
        assert np.isfinite(list(losses.values())).all()


@pytest.mark.parametrize("fitted", first_kind("binary"), indirect=True)
def test_the_same_seed_gives_the_same_model(fitted):
    train, valid = rows(fitted.case)
    again = fit(fitted.case, train, valid, epochs=enough(fitted.case.family))
    if not hasattr(again, "net"):
        np.testing.assert_array_equal(again.predict(valid.x), fitted.model.predict(valid.x))
        return
    # A net that has predicted a single row before may add in another order: what is the same are its weights.
    for one, other in zip(again.net.get_weights(), fitted.model.net.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(again.predict(valid.x), fitted.model.predict(valid.x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", first_kind("multiclass"))
def test_a_model_is_trained_without_validation_rows_for_a_set_length(case):
    told = []
    train, valid = rows(case)
    setting = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: told.append(epoch), length=3)
    model = models.family(case.family).fit(asked(case, defaults), case.problem, train, None, setting)
    check(case, model.predict(valid.x), VALID)
    model = getattr(model, "head", model)
    if models.entry(case.family).keras and not hasattr(model, "trees"):
        assert told == [0, 1, 2]
    if hasattr(model, "trees"):
        counts = {"xgboost": "num_boosted_rounds", "lightgbm": "current_iteration", "catboost": "tree_count_"}
        count = getattr(
            model.trees, counts[case.family.removeprefix("tfidf_").removeprefix("sequence_").removeprefix("dae_")]
        )
        assert (count() if callable(count) else count) == 3


@pytest.mark.parametrize("case", first_kind("binary", "multiclass"))
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
        # A net is put back to its best epoch on rows that do have the class, which may be the first.
        assert predictions.mean() < 0.5 + 0.25


@pytest.mark.parametrize("case", cases("linear", "xgboost", "random_forest", kinds={"table"}, tasks=("binary",)))
def test_a_training_fold_may_hold_one_row_of_a_class(case):
    y = targets(case.task)
    y[:TRAIN] = np.arange(TRAIN) == 7
    train, valid = rows(case, y)
    check(case, fit(case, train, valid, highest).predict(valid.x), VALID)


@pytest.mark.parametrize("case", first_kind("regression"))
def test_inputs_may_be_constant_at_a_random_point_of_the_space(case):
    train, valid = rows(case)
    if case.columns:
        constant = framed(case).iloc[np.ones(TRAIN, int)].reset_index(drop=True)
    else:
        constant = np.zeros_like(train.x)
    model = fit(case, Rows(constant, train.y), valid, at_random(12))
    check(case, model.predict(valid.x), VALID)
    same = model.predict(constant)
    np.testing.assert_allclose(same, same[0])


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("case", [case for case in first_kind("binary") if case.values[0].kind == "sequence"])
def test_sequences_may_be_of_one_step_or_two_at_a_random_point_of_the_space(case, steps):
    train, valid = rows(case)
    model = fit(case, replace(train, x=train.x[:, :steps]), replace(valid, x=valid.x[:, :steps]), at_random(steps))
    check(case, model.predict(valid.x), VALID)


@pytest.mark.parametrize("case", cases(*EXACT, kinds={"table"}, tasks=("regression",)))
def test_a_constant_target_is_predicted(case):
    y = np.full(TRAIN + VALID, 42.0)
    train, valid = rows(case, y)
    predictions = fit(case, train, valid).predict(valid.x)
    np.testing.assert_allclose(predictions, 42, atol=1e-3)


@pytest.mark.parametrize("suggest", [lowest, highest], ids=["low", "high"])
@pytest.mark.parametrize("case", first_kind("multiclass"))
def test_the_corners_of_a_space_can_be_trained(case, suggest):
    train, valid = rows(case)
    check(case, fit(case, train, valid, suggest).predict(valid.x), VALID)


@pytest.mark.parametrize(
    "family",
    [
        *("constant", "linear", "xgboost", "tfidf_linear", "hog_svm", "hog_trees"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("mlp", "tabm", "dae_mlp", "cnn", "conv1d")),
    ],
)
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_family_is_given_its_part_of_rows_with_images_among_their_columns(family, task, tmp_path):
    case = Case(family, "mixed", task, "log_loss" if CLASSES[task] else "squared_error")
    assert models.entry(family).suits("mixed", texts=True)
    if task not in models.entry(family).tasks:
        return
    train, valid = rows(case)
    setting = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=2)
    if models.entry(family).unlabelled:
        setting = replace(setting, unlabelled=UnlabeledFeatures(pd.concat([train.x, valid.x], ignore_index=True), 5))
    model = models.family(family).fit(asked(case, defaults), case.problem, train, valid, setting)
    predictions = model.predict(valid.x)
    check(case, predictions, VALID)
    model.save(tmp_path)
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} <= SAFE
    loaded = models.module(family).load(tmp_path)
    np.testing.assert_allclose(loaded.predict(valid.x), predictions, rtol=1e-6, atol=1e-6)


def test_families_of_texts_and_images_do_without_the_others():
    assert not models.entry("tfidf_linear").suits("mixed")
    assert not models.entry("rocket").suits("mixed", texts=True)
    assert models.entry("cnn").suits("mixed")


@pytest.mark.parametrize("case", cases("linear", "xgboost", kinds={"image"}, tasks=("binary",)))
def test_a_saved_model_that_asks_for_a_foreign_type_is_refused(case, tmp_path):
    fitted_once(case).model.save(tmp_path)
    file = tmp_path / "view.skops"
    with zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    schema = {**json.loads(contents["schema.json"]), "__class__": "Popen", "__module__": "subprocess"}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, json.dumps(schema) if name == "schema.json" else content)
    with pytest.raises(FamilyError, match=r"must hold known types only. Received: subprocess\.Popen"):
        models.family(case.family).load(tmp_path)


def test_an_unknown_family_is_refused_with_the_nearest_name():
    with pytest.raises(FamilyError, match=r"must be a known family. Received: 'xgbost'. Did you mean 'xgboost'\?"):
        models.entry("xgbost")
    with pytest.raises(FamilyError, match="Known: constant, tfidf_linear, "):
        models.entry("?")


@pytest.mark.parametrize("name", [name for name in models.names() if not models.FAMILIES[name].installed])
def test_a_family_that_is_not_installed_says_how_to_install_it(name):
    with pytest.raises(FamilyError, match=f"must be an installed family. Received: '{name}'. Install it with: pip"):
        models.family(name)
