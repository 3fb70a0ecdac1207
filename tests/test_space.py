from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest

from workbench.errors import SpaceError
from workbench.space import Hyperparameter, Space, defaults

# (declare, what may come out, the default); grids are listed whole, other ranges by their two ends.
GRIDS: dict[str, tuple[Callable[[Any], Any], list[Any], Any]] = {
    "int": (lambda hp: hp.Int("x", 2, 5, default=4), [2, 3, 4, 5], 4),
    "int of one value": (lambda hp: hp.Int("x", 3, 3), [3], 3),
    "int step": (lambda hp: hp.Int("x", 1, 10, step=4, default=5), [1, 5, 9], 5),
    "int log step": (lambda hp: hp.Int("x", 8, 64, step=2, sampling="log", default=16), [8, 16, 32, 64], 16),
    "int reverse log step": (
        lambda hp: hp.Int("x", 1, 16, step=2, sampling="reverse_log", default=15),
        [1, 9, 13, 15, 16],
        15,
    ),
    "float step": (lambda hp: hp.Float("x", 0, 1, step=0.2, default=0.6), [0, 0.2, 0.4, 0.6, 0.8, 1.0], 0.6),
    "float step that misses the top": (lambda hp: hp.Float("x", 0.1, 0.35, step=0.1), [0.1, 0.2, 0.3], 0.1),
    "float log step": (
        lambda hp: hp.Float("x", 1e-5, 0.1, step=10, sampling="log", default=1e-3),
        [1e-5, 1e-4, 1e-3, 1e-2, 0.1],
        1e-3,
    ),
    "float reverse log step": (
        lambda hp: hp.Float("x", 1, 8, step=2, sampling="reverse_log", default=7.0),
        [1, 5, 7, 8],
        7.0,
    ),
    "choice": (lambda hp: hp.Choice("x", ["relu", "gelu"], default="gelu"), ["relu", "gelu"], "gelu"),
    "choice without default": (lambda hp: hp.Choice("x", [32, 64, 128]), [32, 64, 128], 32),
    "boolean": (lambda hp: hp.Boolean("x", default=True), [False, True], True),
    "fixed": (lambda hp: hp.Fixed("x", 7), [7], 7),
}
RANGES: dict[str, tuple[Callable[[Any], Any], tuple[Any, Any], Any]] = {
    "int log": (lambda hp: hp.Int("x", 1, 20, sampling="log", default=3), (1, 20), 3),
    "int reverse log": (lambda hp: hp.Int("x", 1, 20, sampling="reverse_log", default=18), (1, 20), 18),
    "float": (lambda hp: hp.Float("x", -1.0, 1.0, default=0.3), (-1.0, 1.0), 0.3),
    "float log": (lambda hp: hp.Float("x", 1e-6, 1.0, sampling="log", default=1e-4), (1e-6, 1.0), 1e-4),
    "float reverse log": (
        lambda hp: hp.Float("x", 0.5, 0.999, sampling="reverse_log", default=0.9),
        (0.5, 0.999),
        0.9,
    ),
    "float of one value": (lambda hp: hp.Float("x", 2.0, 2.0, sampling="reverse_log"), (2.0, 2.0), 2.0),
}
DECLARED = {name: (declare, default) for name, (declare, _, default) in (GRIDS | RANGES).items()}
# So many that each of six points comes up; the seed is fixed.
TRIALS = 150


def from_trial(trial: optuna.Trial) -> Callable[[Hyperparameter], Any]:
    """Answer from an Optuna trial, with the distributions that the search uses."""

    def suggest(question: Hyperparameter) -> Any:
        if question.kind == "categorical":
            return trial.suggest_categorical(question.name, question.choices)
        if question.kind == "int":
            low, high, step = int(question.low), int(question.high), int(question.step or 1)
            return trial.suggest_int(question.name, low, high, step=step, log=question.log)
        return trial.suggest_float(question.name, question.low, question.high, step=question.step, log=question.log)

    return suggest


def in_memory(seed: int = 0) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))


def lowest(question: Hyperparameter) -> Any:
    return question.choices[0] if question.kind == "categorical" else question.low


def highest(question: Hyperparameter) -> Any:
    return question.choices[-1] if question.kind == "categorical" else question.high


def asked(declare: Callable[[Any], Any]) -> list[Hyperparameter]:
    """Return the questions that a declaration asks when it is answered by defaults."""
    questions = []

    def suggest(question: Hyperparameter) -> Any:
        questions.append(question)
        return question.default

    declare(Space(suggest))
    return questions


@pytest.mark.parametrize("name", DECLARED)
def test_the_default_is_answered_as_it_was_declared(name):
    declare, default = DECLARED[name]
    answer = declare(Space(defaults))
    assert answer == pytest.approx(default)
    assert type(answer) is type(default)


@pytest.mark.parametrize("name", DECLARED)
def test_a_trial_that_is_given_the_default_answers_it_too(name):
    declare, default = DECLARED[name]
    study = in_memory()
    study.enqueue_trial({question.name: question.default for question in asked(declare)})
    assert declare(Space(from_trial(study.ask()))) == pytest.approx(default)


@pytest.mark.parametrize("name", GRIDS)
def test_a_trial_reaches_every_point_of_a_grid_and_no_other(name):
    declare, points, default = GRIDS[name]
    study = in_memory()
    answers = [declare(Space(from_trial(study.ask()))) for _ in range(TRIALS)]
    assert sorted(set(answers)) == pytest.approx(sorted(points))
    assert {type(a) for a in answers} == {type(default)}


@pytest.mark.parametrize("name", RANGES)
def test_a_trial_stays_inside_a_range(name):
    declare, (low, high), default = RANGES[name]
    study = in_memory()
    answers = [declare(Space(from_trial(study.ask()))) for _ in range(TRIALS)]
    assert low <= min(answers) <= max(answers) <= high
    assert {type(a) for a in answers} == {type(default)}
    # The thirds of a range are all seen: nothing is cut off.
    assert low == high or len({int(3 * (a - low) / (high - low) * 0.999) for a in answers}) == 3


@pytest.mark.parametrize("name", DECLARED)
def test_the_ends_of_what_is_asked_are_the_ends_of_what_is_declared(name):
    declare, _ = DECLARED[name]
    ends = [declare(Space(lowest)), declare(Space(highest))]
    expected = GRIDS[name][1] if name in GRIDS else RANGES[name][1]
    if isinstance(expected[0], str):
        assert ends == [expected[0], expected[-1]]
    else:
        assert sorted(ends) == pytest.approx([min(expected), max(expected)])
        assert min(expected) <= min(ends)
        assert max(ends) <= max(expected)


def test_logarithmic_samplings_are_dense_at_opposite_ends():
    def median(sampling):
        study = in_memory()
        answers = [Space(from_trial(study.ask())).Float("x", 1, 100, sampling=sampling) for _ in range(TRIALS)]
        return sorted(answers)[TRIALS // 2]

    assert median("log") < 20 < 40 < median("linear") < 60 < 80 < median("reverse_log")


def test_a_default_beside_the_grid_is_answered_by_the_nearest_point():
    assert Space(defaults).Int("x", 0, 10, step=5, default=6) == 5
    assert Space(defaults).Float("x", 0.0, 0.5, step=0.2, default=0.5) == pytest.approx(0.4)
    assert Space(defaults).Int("y", 8, 64, step=2, sampling="log", default=30) == 32


def test_a_hyperparameter_without_default_starts_at_its_low_end():
    assert Space(defaults).Int("x", 3, 9) == 3
    assert Space(defaults).Float("y", 0.1, 1.0, sampling="log") == pytest.approx(0.1)


def test_none_may_be_a_choice():
    assert Space(defaults).Choice("x", ["a", None]) is None
    assert Space(highest).Choice("x", ["a", None]) is None
    assert Space(lowest).Choice("x", ["a", None]) == "a"


def test_values_hold_every_answer_under_its_plain_name():
    hp = Space(defaults)
    hp.Choice("model", ["deep"])
    with hp.conditional_scope("model", ["deep"]):
        hp.Int("units", 8, 64, step=2, sampling="log", default=32)
    assert hp.values == {"model": "deep", "units": 32}


def test_a_name_is_asked_once():
    questions = asked(lambda hp: [hp.Int("x", 1, 9, default=4), hp.Int("x", 1, 9, default=5)])
    assert len(questions) == 1
    hp = Space(defaults)
    assert [hp.Int("x", 1, 9, default=4), hp.Int("x", 1, 9, default=5)] == [4, 4]


def conditional(hp: Any) -> dict[str, Any]:
    values = {"model": hp.Choice("model", ["flat", "deep"])}
    with hp.conditional_scope("model", ["deep"]):
        values["norm"] = hp.Choice("norm", ["batch", "layer"])
        with hp.conditional_scope("norm", ["batch", "layer"]):
            values["momentum"] = hp.Float("momentum", 0.5, 0.9)
        values["units"] = hp.Int("units", 8, 16)
    with hp.conditional_scope("model", ["flat"]):
        values["rate"] = hp.Float("rate", 0.0, 1.0, default=0.5)
    return values


def test_what_is_declared_under_a_condition_that_does_not_hold_is_none_and_not_asked():
    assert conditional(Space(defaults)) == {
        "model": "flat", "norm": None, "momentum": None, "units": None, "rate": 0.5,
    }  # fmt: skip
    assert [question.name for question in asked(conditional)] == ["model", "rate [model=flat]"]
    hp = Space(highest)
    assert conditional(hp)["rate"] is None
    assert hp.values == {"model": "deep", "norm": "layer", "momentum": 0.9, "units": 16}


def test_a_question_names_the_conditions_it_is_under():
    names = []

    def suggest(question: Hyperparameter) -> Any:
        names.append(question.name)
        return highest(question)

    conditional(Space(suggest))
    assert names == ["model", "norm [model=deep]", "momentum [model=deep] [norm=batch|layer]", "units [model=deep]"]


def test_one_name_may_stand_under_two_conditions_with_other_choices():
    def declare(hp):
        model = hp.Choice("model", ["a", "b"])
        with hp.conditional_scope("model", ["a"]):
            of_a = hp.Choice("units", [1, 2])
        with hp.conditional_scope("model", ["b"]):
            of_b = hp.Choice("units", [30, 40])
        return model, of_a, of_b

    study, seen = in_memory(), set()
    for _ in range(40):
        trial = study.ask()
        seen.add(declare(Space(from_trial(trial))))
        study.tell(trial, 0.0)
    assert seen == {("a", 1, None), ("a", 2, None), ("b", None, 30), ("b", None, 40)}
    names = {name for trial in study.trials for name in trial.params}
    assert names == {"model", "units [model=a]", "units [model=b]"}


def test_a_scope_may_name_one_value_without_a_list_as_in_kerastuner():
    hp = Space(highest)
    hp.Choice("model", ["flat", "deep"])
    with hp.conditional_scope("model", "deep"):
        assert hp.Int("units", 1, 4) == 4


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda hp: hp.Int("x", 5, 2), r"'x' must have low <= default <= high. Received: 5, 5, 2\."),
        (lambda hp: hp.Int("x", 1, 5, default=9), r"low <= default <= high. Received: 1, 9, 5\."),
        (lambda hp: hp.Float("x", 0, 1, default=float("nan")), "low <= default <= high"),
        (lambda hp: hp.Float("x", 0, 1, sampling="log"), "log sampling needs low > 0 and step > 1. Received: 0, None"),
        (lambda hp: hp.Float("x", 1, 9, step=1, sampling="log"), "needs low > 0 and step > 1. Received: 1, 1"),
        (lambda hp: hp.Float("x", -1, 9, sampling="reverse_log"), "reverse_log sampling needs low > 0"),
        (lambda hp: hp.Float("x", 0, 1, step=0), r"'x' must have step > 0. Received: 0\."),
        (lambda hp: hp.Int("x", 0, 1, step=-1), r"'x' must have step > 0. Received: -1\."),
        (lambda hp: hp.Int("x", 1, 9, sampling="lgo"), "must have sampling linear, log, reverse_log. Received: 'lgo'"),
        (lambda hp: hp.Choice("x", []), r"'x' must have at least one choice"),
        (lambda hp: hp.Choice("x", ["a"], default="b"), r"default among \['a'\]. Received: 'b'"),
        (lambda hp: hp.conditional_scope("y", [1]).__enter__(), "'y' must be declared before its conditional scope"),
    ],
)
def test_a_hyperparameter_that_cannot_be_answered_is_refused(declare, message):
    with pytest.raises(SpaceError, match=message):
        declare(Space(defaults))


def keras_space(suggest: Callable[[Hyperparameter], Any]) -> Any:
    from workbench.space.keras import HyperParameters

    return HyperParameters(suggest)


@pytest.mark.slow
@pytest.mark.parametrize("name", DECLARED)
def test_kerastuners_defaults_are_kept(name):
    import keras_tuner

    declare, default = DECLARED[name]
    plain, answered = keras_tuner.HyperParameters(), keras_space(defaults)
    assert declare(plain) == declare(answered) == pytest.approx(default)
    assert list(plain.values) == list(answered.values) == ["x"]


@pytest.mark.slow
@pytest.mark.parametrize("name", GRIDS)
def test_kerastuners_grids_are_reached_from_a_trial(name):
    declare, points, _ = GRIDS[name]
    study = in_memory()
    answers = {declare(keras_space(from_trial(study.ask()))) for _ in range(TRIALS)}
    assert sorted(answers) == pytest.approx(sorted(points))


@pytest.mark.slow
@pytest.mark.parametrize("name", RANGES)
def test_kerastuners_ranges_are_kept_by_a_trial(name):
    declare, (low, high), _ = RANGES[name]
    study = in_memory()
    answers = [declare(keras_space(from_trial(study.ask()))) for _ in range(TRIALS)]
    assert low <= min(answers) <= max(answers) <= high


@pytest.mark.slow
def test_the_light_space_asks_the_questions_that_kerastuners_asks():
    def declare(hp):
        conditional(hp)
        for number, (declare_one, _) in enumerate(DECLARED.values()):
            declare_one(_Renamed(hp, f"x{number}"))

    def recorded(questions: list[Hyperparameter]) -> Callable[[Hyperparameter], Any]:
        def suggest(question: Hyperparameter) -> Any:
            questions.append(question)
            return highest(question)

        return suggest

    light: list[Hyperparameter] = []
    heavy: list[Hyperparameter] = []
    declare(Space(recorded(light)))
    declare(keras_space(recorded(heavy)))
    assert [question.name for question in light] == [question.name for question in heavy]
    assert light == heavy


class _Renamed:
    """Hyperparameters under another name, so that many declarations of `x` fit into one space."""

    def __init__(self, hp: Any, name: str) -> None:
        self.hp, self.name = hp, name

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda _, *args, **options: getattr(self.hp, method)(self.name, *args, **options)


@pytest.mark.slow
def test_kerastuners_scopes_and_parents_reach_the_trials_names():
    names = []

    def suggest(question: Hyperparameter) -> Any:
        names.append(question.name)
        return highest(question)

    hp = keras_space(suggest)
    with hp.name_scope("tower"):
        hp.Choice("model", ["flat", "deep"])
        with hp.conditional_scope("model", ["deep"]):
            assert hp.Int("units", 1, 4) == 4
        assert hp.Int("bins", 1, 4, parent_name="model", parent_values=["flat"]) is None
    assert names == ["tower/model", "tower/units [tower/model=deep]"]
    assert hp.values == {"tower/model": "deep", "tower/units": 4}
    assert hp.get("tower/units") == 4
    assert hp.copy().values == hp.values


@pytest.mark.slow
def test_one_name_under_two_conditions_of_kerastuner_gets_two_names_in_the_trial():
    def declare(hp):
        hp.Choice("model", ["a", "b"])
        with hp.conditional_scope("model", ["a"]):
            of_a = hp.Choice("units", ["one", "two"])
        with hp.conditional_scope("model", ["b"]):
            of_b = hp.Choice("units", ["three", "four"])
        return of_a, of_b

    study, seen = in_memory(), set()
    for _ in range(40):
        trial = study.ask()
        seen.add(declare(keras_space(from_trial(trial))))
        study.tell(trial, 0.0)
    assert seen == {("one", None), ("two", None), (None, "three"), (None, "four")}
    assert {name for trial in study.trials for name in trial.params} == {"model", "units [model=a]", "units [model=b]"}


@pytest.mark.slow
def test_a_model_is_rebuilt_from_its_finished_trial():
    study = in_memory(3)
    trial = study.ask()
    first = keras_space(from_trial(trial))
    for number, (declare, _) in enumerate(DECLARED.values()):
        declare(_Renamed(first, f"x{number}"))
    study.tell(trial, 0.0)
    params = study.trials[0].params
    again = keras_space(lambda question: params[question.name])
    for number, (declare, _) in enumerate(DECLARED.values()):
        declare(_Renamed(again, f"x{number}"))
    assert again.values == first.values


@pytest.mark.slow
@pytest.mark.parametrize("name", ["HyperResNet", "HyperXception"])
def test_kerastuners_own_models_build_and_train_from_a_trial(name):
    import keras_tuner
    import numpy as np

    hypermodel = getattr(keras_tuner.applications, name)(input_shape=(32, 32, 3), classes=10)
    study = in_memory(1)
    # The shallowest of the ResNets: the others take a minute to build.
    study.enqueue_trial({"version": "v1", "conv3_depth": 4, "conv4_depth": 6})
    trial = study.ask()
    hp = keras_space(from_trial(trial))
    model = hypermodel.build(hp)
    assert model.output_shape == (None, 10)
    assert len(trial.params) == len(hp.values) > 3
    # The same answers build the same net.
    rebuilt = hypermodel.build(keras_space(lambda question: trial.params[question.name]))
    assert rebuilt.count_params() == model.count_params()
    if name == "HyperResNet":
        rng = np.random.default_rng(0)
        x, y = rng.random((8, 32, 32, 3)), np.eye(10)[rng.integers(0, 10, 8)]
        # One step does not pay for tracing a net of this depth.
        model.run_eagerly = True
        history = model.fit(x, y, batch_size=8, epochs=1, verbose=0)
        assert np.isfinite(history.history["loss"]).all()
