"""Users' families: the objects that `file.py:Name` may name, and the messages about wrong ones."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pytest
from miniatures import COLUMNS, TRAIN, arrays, table

from workbench import config, models
from workbench.errors import ConfigError, FamilyError
from workbench.home import folder_name
from workbench.models.protocol import FitContext, Loss, Problem, Rows
from workbench.space import Space, defaults
from workbench.study.study_validation import check

LEAN = {name: kind for name, kind in COLUMNS.items() if kind not in ("date", "text")}
ESTIMATORS = """
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

class Coin(ClassifierMixin, BaseEstimator):
    def fit(self, x, y):
        return self
    def predict(self, x):
        return [0] * len(x)

def boosted(hp, problem):
    kind = HistGradientBoostingClassifier if problem.classes else HistGradientBoostingRegressor
    return kind(max_leaf_nodes=hp.Int("leaves", 4, 8), min_samples_leaf=5)

def machine(hp):
    return make_pipeline(StandardScaler(), LinearSVC(C=hp.Float("C", 0.01, 1.0, sampling="log", default=0.1)))

def near(hp):
    return KNeighborsClassifier(5)

def ridge(hp):
    return Ridge()

def coin(hp):
    return Coin()

def foreign(hp):
    return make_pipeline(FunctionTransformer(coin), LogisticRegression())

def nothing(hp):
    return None

def greedy(hp, money):
    return Ridge()
"""
NETS = """
import keras
import keras_tuner

class Tuned(keras_tuner.HyperModel):
    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes

    def build(self, hp):
        model = keras.Sequential([keras.layers.Flatten()])
        kind = hp.Choice("kind", ["wide", "deep"])
        with hp.conditional_scope("kind", ["wide"]):
            if kind == "wide":
                model.add(keras.layers.Dense(hp.Int("units", 16, 64, step=16), activation="relu"))
        with hp.conditional_scope("kind", ["deep"]):
            if kind == "deep":
                for i in range(hp.Int("layers", 2, 3)):
                    model.add(keras.layers.Dense(hp.Int(f"units_{i}", 8, 16, step=8), activation="relu"))
        model.add(keras.layers.Dense(self.num_classes))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(hp.Choice("rate", [1e-2, 1e-3])), loss, metrics=["accuracy"])
        return model

    def fit(self, hp, model, *args, **kwargs):
        batch, epochs = hp.Choice("batch_size", [8, 16]), hp.Int("epochs", 4, 6)
        return model.fit(*args, batch_size=batch, epochs=epochs, **kwargs)

def plain(hp, input_shape, problem):
    layers = [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(hp.Int("units", 8, 16))]
    end = {"binary": "sigmoid", "multiclass": "softmax"}.get(problem.task, "linear")
    return keras.Sequential([*layers, keras.layers.Dense(problem.outputs, activation=end)])

def onehot(hp, classes):
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(classes, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.02), "categorical_crossentropy")
    return model

def wrong(hp):
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(7, activation="softmax")])

def endless(hp, classes):
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(classes)])

class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def layered(hp, classes):
    return keras.Sequential([keras.layers.Flatten(), Twice(), keras.layers.Dense(classes, activation="softmax")])
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(ESTIMATORS)
    (tmp_path / "nets.py").write_text(NETS)
    return tmp_path


def problem_of(kind, task):
    columns = LEAN if kind == "table" else {}
    loss: Loss = "squared_error" if task == "regression" else "log_loss"
    return Problem(kind, task, {"binary": 2, "multiclass": 3, "regression": 0}[task], columns, loss)


def rows(kind, task):
    """Return training and validation rows whose inputs predict the target."""
    classes = problem_of(kind, task).classes
    rng = np.random.default_rng(5)
    y = rng.permutation(np.arange(80) % classes) if classes else 50 + 10 * rng.normal(size=80)
    signal = (y - y.mean()) / y.std()
    x = table(signal=signal)[list(LEAN)] if kind == "table" else arrays(kind, signal=signal)
    return Rows(x[:TRAIN], y[:TRAIN]), Rows(x[TRAIN:], y[TRAIN:])


def fitted(name, kind, task, *, epochs_seen=None, weight=None, **changes):
    """Train one model of `file.py:Name` as a trial does; return it, its space and the validation rows."""
    search_space: Any = Space
    if models.get_entry(name).keras:
        from workbench.space.keras import HyperParameters

        search_space = HyperParameters
    hp, (train, valid) = search_space(defaults), rows(kind, task)
    train = Rows(train.x, train.y, weight)

    def on_epoch(epoch, losses, progress=None, of=None):
        if epochs_seen is not None:
            epochs_seen.append(epoch)

    context = FitContext(3, 1, on_epoch, **{"epochs": 8, **changes})
    model = models.get_family(name).fit(hp, problem_of(kind, task), train, valid, context)
    return model, hp, valid


def check_model(name, model, valid, task, folder):
    """Check that predictions suit the task, correlate with the target, and are the same after loading."""
    predictions = model.predict(valid.x)
    classes = {"binary": 2, "multiclass": 3, "regression": 0}[task]
    assert predictions.shape == ((20, 3) if classes > 2 else (20,))
    assert predictions.dtype == np.float64
    if classes:
        assert predictions.min() >= 0
        assert predictions.max() <= 1
    expected = predictions @ np.arange(3) if classes > 2 else predictions
    assert np.corrcoef(expected, valid.y)[0, 1] > 0.2
    folder.mkdir()
    model.save(folder)
    assert not [file for file in folder.rglob("*") if file.suffix in (".pkl", ".py", ".joblib")]
    np.testing.assert_allclose(
        models.get_family(name, check=False).load(folder).predict(valid.x), predictions, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "kind", "task"),
    [
        ("boosted", "table", "binary"),
        ("boosted", "sequence", "multiclass"),
        ("boosted", "table", "regression"),
        ("machine", "table", "multiclass"),
        ("machine", "image", "binary"),
        ("near", "table", "multiclass"),
        ("ridge", "table", "regression"),
    ],
)
def test_a_function_that_returns_an_estimator_is_a_family(own, tmp_path, name, kind, task):
    family = f"{own}/own.py:{name}"
    assert not models.get_entry(family).keras
    model, hp, valid = fitted(family, kind, task)
    assert set(hp.values) == {"boosted": {"leaves"}, "machine": {"C"}}.get(name, set())
    check_model(family, model, valid, task, tmp_path / "saved")


def test_rows_without_weight_are_ignored(own):
    weight = np.where(rows("table", "binary")[0].y == 1, 1.0, 1e-9)
    model, _, valid = fitted(f"{own}/own.py:machine", "table", "binary", weight=weight)
    assert model.predict(valid.x).mean() > 0.9


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("ridge", "binary", r"own.py:ridge must return a classifier for binary. Received: Ridge."),
        ("coin", "binary", r"own.py:coin must return an estimator of scikit-learn's own types.*Coin"),
        ("foreign", "binary", r"must return an estimator of scikit-learn's own types.*coin"),
        ("nothing", "binary", r"must return a Keras model or an estimator of scikit-learn. Received: NoneType."),
        ("greedy", "regression", r"own.py:greedy must need no arguments but hp, problem. Received: money."),
    ],
)
def test_objects_that_are_no_family_are_refused(own, name, task, message):
    with pytest.raises(FamilyError, match=message):
        fitted(f"{own}/own.py:{name}", "table", task)


def test_an_estimator_whose_fit_has_no_sample_weight_is_refused(own):
    with pytest.raises(FamilyError, match=r"whose fit takes sample_weight, since rows have weights. Received: KNeigh"):
        fitted(f"{own}/own.py:near", "table", "binary", weight=np.ones(TRAIN))


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("own.py:machin", r"families\[1\] must name what own.py defines. Received: 'own.py:machin'. Did you mean 'mac"),
        ("own.py", r"families\[1\] must be file.py:Name. Received: 'own.py'."),
        ("none.py:f", r"families\[1\] must name a file that is there. Received: 'none.py:f'"),
        ("bad.py:f", r"families\[1\] must name a file of Python. Received: 'bad.py:f'"),
    ],
)
def test_a_missing_name_is_refused_before_anything_runs(own, family, message):
    (own / "bad.py").write_text("def")
    (own / "study.yaml").write_text(f"name: x\ndata: {{train: 'sklearn:wine'}}\nfamilies: [linear, '{family}']\n")
    with pytest.raises(ConfigError, match=message):
        check(config.load(own / "study.yaml"))


def test_a_file_is_parsed_and_not_run(own):
    (own / "loud.py").write_text("raise RuntimeError('run')\ndef f(hp): pass\n")
    (own / "study.yaml").write_text(
        "name: x\ndata: {train: 'sklearn:wine'}\nfamilies: ['loud.py:f', 'nets.py:Tuned']\n"
    )
    loaded = config.load(own / "study.yaml")
    check(loaded)
    assert not models.get_entry("loud.py:f", loaded.resolve).keras
    assert models.get_entry("nets.py:Tuned", loaded.resolve).keras
    assert models.resolve_family("nets.py:Tuned", loaded.resolve) == f"{own}/nets.py:Tuned"
    assert models.resolve_family("linear", loaded.resolve) == "linear"
    with pytest.raises(RuntimeError, match="run"):
        fitted(f"{own}/loud.py:f", "table", "binary")


def test_folder_names_of_families_differ_and_have_no_special_characters():
    names = [folder_name(family, 3) for family in ("linear", "a/b.py:N", "a_b.py:N", "a b.py:N")]
    assert names[0] == "linear-3"
    assert len(set(names)) == 4
    assert not [name for name in names if set(name) & set("/: ")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "task"),
    [
        ("Tuned", "table", "multiclass"),
        ("Tuned", "sequence", "multiclass"),
        ("Tuned", "image", "binary"),
        ("plain", "table", "regression"),
        ("plain", "image", "binary"),
        ("onehot", "table", "binary"),
        ("onehot", "sequence", "multiclass"),
    ],
)
def test_a_hypermodel_or_a_build_function_is_a_family(own, tmp_path, name, kind, task):
    family = f"{own}/nets.py:{name}"
    epochs_seen: list[int] = []
    model, hp, valid = fitted(family, kind, task, epochs_seen=epochs_seen, epochs=30)
    if name == "Tuned":
        # Its own fit sets the number of epochs.
        assert hp.values == {"kind": "wide", "units": 16, "rate": 0.01, "batch_size": 8, "epochs": 4}
        assert epochs_seen == [0, 1, 2, 3]
    check_model(family, model, valid, task, tmp_path / "saved")


@pytest.mark.slow
def test_no_training_is_longer_than_the_study_allows(own):
    epochs_seen: list[int] = []
    fitted(f"{own}/nets.py:Tuned", "table", "binary", epochs_seen=epochs_seen, epochs=2)
    assert epochs_seen == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong", r"nets.py:wrong must make a net whose output is \(rows, 3\) for 3 classes. Received: \(rows, 7\)."),
        ("endless", r"nets.py:endless must make a net whose outputs are probabilities. Received: values from -"),
    ],
)
def test_outputs_that_do_not_suit_the_task_are_refused(own, name, message):
    with pytest.raises(FamilyError, match=message):
        fitted(f"{own}/nets.py:{name}", "table", "multiclass")


@pytest.mark.slow
def test_layers_that_the_file_defines_need_the_file_to_predict(own, tmp_path):
    family = f"{own}/nets.py:layered"
    model, _, valid = fitted(family, "table", "multiclass", epochs=30)
    check_model(family, model, valid, "multiclass", tmp_path / "saved")
    with pytest.raises(FamilyError, match=r"gone.py:layered must be there to load its nets, which have layers of its"):
        models.get_family("gone.py:layered", check=False).load(tmp_path / "saved")


@pytest.mark.slow
def test_a_hypermodel_runs_in_a_study_beside_boosted_trees_and_joins_the_blend(own):
    import workbench

    (own / "broken.py").write_text("import nowhere_to_be_found\ndef f(hp): pass\n")
    (own / "study.yaml").write_text(
        textwrap.dedent("""
        name: own
        data: {train: 'sklearn:wine'}
        folds: {kind: stratified, folds: 3}
        families: [xgboost, 'nets.py:Tuned', 'own.py:machine', 'broken.py:f']
        search: {trials: 7, workers: 1}
        """)
    )
    study = workbench.open(str(own / "study.yaml"), str(own / "home"))
    study.run()
    board = study.leaderboard()
    assert set(board["family"]) == {"constant", "xgboost", "nets.py:Tuned", "own.py:machine", "broken.py:f"}
    broken = board[board["family"] == "broken.py:f"]
    assert len(broken) <= 3
    assert broken["reason"].str.contains("ModuleNotFoundError: No module named 'nowhere_to_be_found'").all()
    tuned = board[board["family"] == "nets.py:Tuned"]
    assert (tuned["state"] == "complete").any()
    document = study.ensemble(method="uniform").document
    assert {"xgboost", "nets.py:Tuned", "own.py:machine"} <= {member["family"] for member in document["members"]}
