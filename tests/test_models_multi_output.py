"""The contract of every family for several targets: two classes, three classes and a value at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from miniatures import TRAIN, VALID
from test_models import CLASSES, LEARNERS, Case, cases, enough, rows, space

from workbench import models
from workbench.models import protocol
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space import defaults

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# Nets share the layer of the outputs; these differ in what lies before it.
NETS = {"mlp", "tabm", "dae_xgboost", "wide_and_deep", "multi_input", "gru"}


def one_each(*families: str) -> list[Any]:
    """Return a parameter for some families on their first kind of data, or for all but similar nets."""
    names = [name for name in families or models.family_names() if name in NETS or not models.FAMILIES[name].keras]
    return [cases(name, kinds={models.FAMILIES[name].kinds[0]})[0] for name in names]


def multi_target(case: Case) -> tuple[Problem, Rows, Rows]:
    """Return a problem of several targets that the family claims, predictable from the same inputs, and its rows."""
    train, valid = rows(Case(case.family, case.kind, "regression", "squared_error"))
    level = np.concatenate([train.y, valid.y])
    values = {
        "binary": (level > np.median(level)).astype(float),
        "multiclass": np.digitize(level, np.quantile(level, [1 / 3, 2 / 3])).astype(float),
        "regression": level,
    }
    tasks = [
        task for task in ("regression", "binary", "multiclass", "binary") if task in models.FAMILIES[case.family].tasks
    ]
    losses: dict[str, protocol.Loss] = {"regression": "squared_error"}
    targets = tuple(
        Problem(case.kind, task, CLASSES[task], case.columns, losses.get(task, "log_loss"), name=f"{task} {place}")
        for place, task in enumerate(tasks)
    )
    whole = Problem(case.kind, "multitarget", 0, case.columns, "squared_error", targets=targets)
    y = np.column_stack([values[task] for task in tasks])
    return whole, Rows(train.x, y[:TRAIN], train.sample_weight), Rows(valid.x, y[TRAIN:], valid.sample_weight)


def split_outputs(problem: Problem, predictions: np.ndarray) -> list[np.ndarray]:
    return [predictions[:, columns] for _, columns in problem.iter_targets()]


def fit(case: Case, problem: Problem, train: Rows, valid: Rows | None, on_epoch: Any = None, **options: Any) -> Any:
    # Several targets share a net's hidden layers, which takes longer to learn than one target.
    context = FitContext(
        3,
        1,
        on_epoch or (lambda epoch, losses, progress=None, of=None: None),
        epochs=2 * enough(case.family),
        **options,
    )
    return models.get_family(case.family).fit(space(case, defaults), problem, train, valid, context)


@pytest.mark.parametrize("case", one_each())
def test_families_learn_several_targets(case, tmp_path):
    problem, train, valid = multi_target(case)
    reports: list[tuple[int, dict[str, float]]] = []
    model = fit(
        case, problem, train, valid, lambda epoch, losses, progress=None, of=None: reports.append((epoch, losses))
    )
    predictions = model.predict(valid.x)
    assert predictions.shape == (VALID, problem.outputs)
    assert predictions.dtype == np.float64
    assert np.isfinite(predictions).all()
    for place, (target, own) in enumerate(zip(problem.targets, split_outputs(problem, predictions), strict=True)):
        if target.classes:
            assert own.min() >= 0
            assert own.max() <= 1
        if target.outputs > 1:
            np.testing.assert_allclose(own.sum(axis=1), 1, atol=1e-6)
        if case.family in LEARNERS:
            truth = valid.y[:, place]
            column = own[:, 0] if target.outputs == 1 else own @ np.arange(target.outputs)
            assert np.corrcoef(column, truth)[0, 1] > 0.1, target.name
        if target.task == "regression":
            assert abs(own.mean() - train.y[:, place].mean()) < 3 * train.y[:, place].std()
    for _, losses in reports:
        assert {f"{name}_loss" for name in problem.reported_targets} <= losses.keys()
        assert np.isfinite(list(losses.values())).all()
    model.save(tmp_path)
    loaded = models.get_family(case.family).load(tmp_path)
    np.testing.assert_allclose(loaded.predict(valid.x), predictions, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", one_each("linear", "xgboost"))
def test_separate_models_equal_those_of_each_target_alone(case):
    problem, train, valid = multi_target(case)
    together = split_outputs(problem, fit(case, problem, train, valid).predict(valid.x))
    for place, (target, own) in enumerate(zip(problem.targets, together, strict=True)):
        kind = np.int64 if target.classes else np.float64
        alone = [Rows(part.x, part.y[:, place].astype(kind), part.sample_weight) for part in (train, valid)]
        expected = fit(case, target, *alone).predict(valid.x)
        np.testing.assert_array_equal(own if target.outputs > 1 else own[:, 0], expected)


@pytest.mark.parametrize("case", one_each("xgboost"))
def test_separate_trainings_are_reported_as_one(case):
    problem, train, valid = multi_target(case)
    reports = []
    fit(case, problem, train, valid, lambda epoch, losses, progress=None, of=None: reports.append((epoch, losses)))
    assert [epoch for epoch, _ in reports] == sorted({epoch for epoch, _ in reports})
    assert {"loss", "val_loss", "regression_0_loss", "val_multiclass_2_loss"} <= reports[0][1].keys()
    assert reports[-1][1]["val_loss"] == pytest.approx(
        np.mean([reports[-1][1][f"val_{name}_loss"] for name in problem.reported_targets])
    )
    model = fit(case, problem, train, None, length=7)
    assert {one.trees.num_boosted_rounds() for one in model.models} == {7}


@pytest.mark.slow
def test_a_net_with_too_few_units_learns_the_target_of_more_weight_better():
    import keras

    from workbench.models.nn import heads

    x = np.random.default_rng(0).normal(size=(400, 2)).astype("float32")
    y = x.astype(np.float64)
    errors = []
    for weights in ((1.0, 20.0), (20.0, 1.0)):
        targets = tuple(
            Problem("table", "regression", 0, {}, "squared_error", name=name, weight=weight)
            for name, weight in zip("ab", weights, strict=True)
        )
        problem = Problem("table", "multitarget", 0, {}, "squared_error", targets=targets)
        keras.utils.set_random_seed(1)
        start = keras.Input((2,))
        net = keras.Model(start, heads.build_output_layer(keras.layers.Dense(1)(start), problem))
        net.compile(keras.optimizers.Adam(0.05), heads.build_loss(problem, mixup=False))
        net.fit(x, y, epochs=30, batch_size=50, verbose=0)
        errors.append(((net.predict(x, verbose=0) - y) ** 2).mean(axis=0))
    assert errors[0][1] < errors[0][0]
    assert errors[1][0] < errors[1][1]


@pytest.mark.slow
def test_the_joint_loss_is_the_weighted_mean_of_the_losses_of_each_target():
    from workbench.models.nn import heads

    targets = (
        Problem("table", "binary", 2, {}, "log_loss", name="a", weight=2.0),
        Problem("table", "binary", 2, {}, "log_loss", name="b"),
        Problem("table", "multiclass", 3, {}, "log_loss", name="c", weight=0.5),
        Problem("table", "regression", 0, {}, "absolute_error", name="d"),
        Problem("table", "regression", 0, {}, "squared_error", name="e", weight=3.0),
    )
    problem = Problem("table", "multitarget", 0, {}, "squared_error", targets=targets)
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(3), 6)
    predicted = np.column_stack([rng.uniform(0.1, 0.9, (6, 2)), shares, rng.normal(size=(6, 2))]).astype("float32")
    y = np.column_stack([rng.integers(0, 2, (6, 2)), rng.integers(0, 3, 6), rng.normal(size=(6, 2))])
    p = predicted.astype(float)
    cross = -(y[:, :2] * np.log(p[:, :2]) + (1 - y[:, :2]) * np.log(1 - p[:, :2]))
    each = [cross[:, 0], cross[:, 1], -np.log(p[np.arange(6), 2 + y[:, 2].astype(int)])]
    each += [np.abs(y[:, 3] - p[:, 5]), (y[:, 4] - p[:, 6]) ** 2]
    expected = np.average(each, axis=0, weights=[target.weight for target in targets])
    loss = heads.build_loss(problem, mixup=False)
    assert callable(loss)
    found = np.asarray(loss(y.astype("float32"), predicted))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    for metric, own in zip(heads.build_target_losses(problem), each, strict=True):
        np.testing.assert_allclose(np.asarray(metric(y.astype("float32"), predicted)), own, rtol=1e-4)
