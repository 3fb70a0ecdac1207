"""What was learnt from other images: where it may come from, and what stays as it is in each of the three ways."""

from __future__ import annotations

import re

import numpy as np
import pytest

from workbench import config, models
from workbench.config import PretrainedConfig, TrainingConfig
from workbench.errors import ConfigError, FamilyError
from workbench.models.nn import backbones
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.study.study_validation import check

STUDY = "name: x\ndata: {train: 'sklearn:digits'}\nfamilies: [pretrained]\n"
PROBLEM = Problem("image", "binary", 2, {}, "log_loss")


def pictures(rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return noise of bytes with a bright bar somewhere: lying or standing by the class, thick from the third on."""
    rng, y = np.random.default_rng(seed), np.arange(rows) % classes
    x = rng.integers(0, 60, (rows, 12, 12), dtype=np.uint8)
    for image, kind, place in zip(x, y, rng.integers(0, 9, rows), strict=True):
        (image.T if kind % 2 else image)[place : place + 1 + kind // 2] += 150
    return x, y


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A small net with batch normalisation, trained on four other classes, with a top that has to go."""
    import keras
    from keras import layers

    # Names of layers begin anew, whatever other tests have built before.
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    x, y = pictures(240, 4)
    net = keras.Sequential(
        [
            keras.Input((12, 12), dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Reshape((12, 12, 1)),
            layers.Conv2D(8, 3, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax"),
        ]
    )
    net.compile("adam", "sparse_categorical_crossentropy")
    net.fit(x, y, epochs=3, verbose=0)
    file = tmp_path_factory.mktemp("base") / "own.keras"
    net.save(file)
    return file


def places(rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return noise of bytes with a lying bar whose height in the image is the class, of two."""
    rng, y = np.random.default_rng(seed), np.arange(rows) % classes
    x = rng.integers(0, 60, (rows, 12, 12), dtype=np.uint8)
    for image, kind in zip(x, y, strict=True):
        image[3 + 5 * kind] += 150
    return x, y


def fit(
    asked: PretrainedConfig,
    told: dict,
    *,
    epochs: int = 3,
    rows: int = 60,
    cache=None,
    length=None,
    watch=None,
    drawn=pictures,
):
    from workbench.space.keras import HyperParameters

    x, y = drawn(rows + 20, 2, seed=5)
    hp = HyperParameters(lambda question: told.get(question.name, question.default))
    setting = FitContext(
        3,
        1,
        watch or (lambda epoch, losses, progress=None, of=None: None),
        epochs=epochs,
        length=length,
        training=TrainingConfig(pretrained=asked),
        cache=cache,
    )
    valid = Rows(x[rows:], y[rows:]) if length is None else None
    model = models.family("pretrained").fit(hp, PROBLEM, Rows(x[:rows], y[:rows]), valid, setting)
    return model, hp, x[rows:]


def base_of(net):
    """Return the weights of the base that is in a net, by the names of its layers."""
    inner = next(layer for layer in net.get_layer("base").layers if hasattr(layer, "layers"))
    return {layer.name: layer.get_weights() for layer in inner.layers if layer.weights}


def same(left, right) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("", r"training.pretrained must say what the family 'pretrained' starts from. Received: nothing."),
        (
            "{base: MobileNetV9}",
            "training.pretrained.base must be an architecture .*MobileNetV9'. Did you mean 'Mo",
        ),
        ("{base: no.keras}", "training.pretrained.base must name a file that is there. Received: 'no.keras'"),
        ("{base: MobileNetV2}", "training.pretrained.weights must be a file, a folder, imagenet or none. Received: no"),
        ("{base: MobileNetV2, weights: no.h5}", "weights must name a file that is there. Received: 'no.h5'"),
        ("{base: MobileNetV2, weights: study.yaml}", "weights must be a file that ends with .weights.h5, .h5, .keras."),
        ("{base: MobileNetV2, weights: .}", r"must be a folder with a file such as MobileNetV2.weights.h5. Received"),
        ("{weights: here.h5}", "weights must go with a base: whose are they"),
        ("{base: here.keras, weights: none}", "weights must be left out: a model of your own brings its weights."),
        ("{bse: a}", r"training.pretrained.bse is not a key of a study file. Did you mean 'base'\?"),
        ("{base: VGG16, weights: none, similar: 1}", "training.pretrained.similar must be true or false"),
    ],
)
def test_a_base_that_cannot_be_is_refused_by_its_key(tmp_path, asked, message):
    for name in ("here.h5", "here.keras"):
        (tmp_path / name).touch()
    study = tmp_path / "study.yaml"
    study.write_text(f"{STUDY}training: {{pretrained: {asked}}}\n" if asked else STUDY)
    with pytest.raises(ConfigError, match=message):
        check(config.load(study))


def test_a_base_and_its_weights_are_those_beside_the_study(tmp_path):
    (tmp_path / "VGG16.weights.h5").touch()
    study = tmp_path / "study.yaml"
    study.write_text(f"{STUDY}training: {{pretrained: {{weights: .}}}}\n")
    loaded = config.load(study)
    check(loaded)
    assert backbones.resolve_paths(loaded.training.pretrained, loaded.resolve).weights == str(tmp_path)


def test_weights_that_cannot_be_fetched_are_missed_before_work_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # A proxy at which nobody listens.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    asked = PretrainedConfig(base="MobileNetV2", weights="imagenet")
    with pytest.raises(FamilyError, match=r"must be within reach for Keras to fetch weights. Received: .*refused"):
        backbones.check_reachable(asked)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5").touch()
    backbones.check_reachable(asked)


@pytest.mark.slow
def test_every_architecture_is_one_of_keras_applications():
    import keras

    there = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(backbones.ARCHITECTURES) == there


@pytest.mark.slow
def test_features_are_extracted_once_and_kept_for_the_next_trial(own, tmp_path):
    asked = PretrainedConfig(base=str(own))
    first, _, x = fit(asked, {"way": "features"}, cache=tmp_path)
    kept = sorted(tmp_path.rglob("*.npy"))
    assert len(kept) == 2
    # What is kept is used: were the base asked again, the next trial would not see the change.
    shifted = [np.load(file) + 1 for file in kept]
    for file, matrix in zip(kept, shifted, strict=True):
        np.save(file, matrix)
    again, _, _ = fit(asked, {"way": "features"}, cache=tmp_path)
    assert sorted(tmp_path.rglob("*.npy")) == kept
    assert any(np.array_equal(again.view.transform(x), matrix) for matrix in shifted)
    plain = fit(asked, {"way": "features"})[0].view.transform(x)
    np.testing.assert_allclose(first.view.transform(x) - 1, plain, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["features", "frozen"])
def test_a_base_of_ones_own_stays_as_it_was_while_the_head_learns(own, way, tmp_path):
    import keras

    before = {layer.name: layer.get_weights() for layer in keras.saving.load_model(own).layers if layer.weights}
    model, _, x = fit(
        PretrainedConfig(base=str(own)), {"way": way, "cut": 1.0, "learning_rate": 0.01}, epochs=30, rows=200
    )
    net = model.view.net if way == "features" else model.net
    after = base_of(net)
    assert after.keys() < before.keys()
    assert all(same(weights, before[name]) for name, weights in after.items())
    predictions = model.predict(x)
    assert predictions[1::2].mean() > predictions[::2].mean() + 0.2
    model.save(tmp_path)
    np.testing.assert_allclose(models.family("pretrained").load(tmp_path).predict(x), predictions, atol=1e-6)


@pytest.mark.slow
def test_a_frozen_base_says_the_same_of_an_image_while_the_head_learns(tmp_path):
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    inner = keras.Sequential([keras.Input((12, 12, 4)), layers.Conv2D(4, 3), layers.SpatialDropout2D(0.5)])
    net = keras.Sequential([keras.Input((12, 12)), layers.Reshape((12, 12, 1)), layers.RandomTranslation(0.2, 0.2)])
    for layer in (layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.Dropout(0.5), inner):
        net.add(layer)
    net.save(tmp_path / "base.keras")
    model, _, x = fit(PretrainedConfig(base=str(tmp_path / "base.keras")), {"way": "frozen", "cut": 1.0}, epochs=1)
    base = model.net.get_layer("base")
    seen = x[..., None].astype("float32")
    np.testing.assert_array_equal(base(seen, training=True), base(seen, training=False))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["features", "frozen", "tuned"])
def test_a_head_learns_where_in_an_image_something_is(own, way):
    model, _, x = fit(PretrainedConfig(base=str(own)), {"way": way, "cut": 1.0}, epochs=20, rows=200, drawn=places)
    predictions = model.predict(x)
    assert predictions[1::2].min() > predictions[::2].max()


@pytest.mark.slow
def test_a_value_that_is_rare_among_few_images_is_not_blown_up(tmp_path):
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    net = keras.Sequential([keras.Input((12, 12)), layers.Reshape((12, 12, 1)), layers.Conv2D(4, 3)])
    kernel, bias = net.layers[-1].get_weights()
    net.layers[-1].set_weights([kernel * [1.0, 0.5, 1.0, 1e-3], bias])
    net.save(tmp_path / "base.keras")
    model, _, _ = fit(PretrainedConfig(base=str(tmp_path / "base.keras")), {"way": "features", "cut": 1.0}, epochs=1)
    spread = np.asarray(next(layer for layer in model.net.layers if isinstance(layer, layers.Rescaling)).scale)
    assert spread.max() / spread.min() < 10


@pytest.mark.slow
def test_the_head_is_trained_first_then_the_top_as_well_and_never_what_normalises(own):
    import keras

    before = {layer.name: layer.get_weights() for layer in keras.saving.load_model(own).layers if layer.weights}
    asked, told = PretrainedConfig(base=str(own)), {"way": "tuned", "cut": 1.0, "head_epochs": 2, "rate_share": 0.3}
    epochs: list[int] = []
    head, _, _ = fit(asked, told, length=2, watch=lambda epoch, losses, progress=None, of=None: epochs.append(epoch))
    assert epochs == [0, 1]
    assert all(same(weights, before[name]) for name, weights in base_of(head.net).items())
    epochs.clear()
    tuned, _, _ = fit(
        asked,
        {**told, "unfrozen": 0.3},
        length=5,
        watch=lambda epoch, losses, progress=None, of=None: epochs.append(epoch),
    )
    assert epochs == [0, 1, 2, 3, 4]
    changed = [name for name, weights in base_of(tuned.net).items() if not same(weights, before[name])]
    assert changed == ["conv2d_1"]
    whole, _, _ = fit(asked, {**told, "unfrozen": 1.0}, length=5)
    changed = [name for name, weights in base_of(whole.net).items() if not same(weights, before[name])]
    assert changed == ["conv2d", "conv2d_1"]


@pytest.mark.slow
def test_what_is_tried_first_follows_from_rows_and_likeness(own):
    few, hp, _ = fit(PretrainedConfig(base=str(own), similar=True), {}, epochs=1)
    assert (hp.values["way"], hp.values["cut"]) == ("tuned", 0.75)
    assert few.view is None
    _, hp, _ = fit(PretrainedConfig(base=str(own)), {}, epochs=1)
    assert (hp.values["way"], hp.values["cut"]) == ("features", 0.75)
    _, hp, _ = fit(PretrainedConfig(base=str(own)), {}, epochs=1, rows=2000)
    assert (hp.values["way"], hp.values["cut"]) == ("tuned", 1.0)


@pytest.mark.slow
def test_weights_of_an_architecture_come_from_a_file_or_a_folder_and_must_fit(own, tmp_path):
    import keras

    keras.utils.set_random_seed(5)
    net = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(64, 64, 3))
    net.save_weights(tmp_path / "MobileNetV2.weights.h5")
    wanted = {layer.name: layer.get_weights() for layer in net.layers if layer.weights}
    for asked in (
        {"base": "MobileNetV2", "weights": str(tmp_path / "MobileNetV2.weights.h5")},
        {"weights": str(tmp_path)},
    ):
        model, hp, x = fit(PretrainedConfig(**asked), {"way": "features"}, epochs=1)
        assert hp.values.get("base", "MobileNetV2") == "MobileNetV2"
        found = base_of(model.view.net)
        assert all(same(weights, wanted[name]) for name, weights in found.items())
        assert model.predict(x).shape == (20,)
    with pytest.raises(FamilyError, match=rf"{re.escape(str(own))}: must hold weights of MobileNetV2 without its top."):
        fit(PretrainedConfig(base="MobileNetV2", weights=str(own)), {}, epochs=1)
