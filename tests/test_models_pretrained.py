"""The family `pretrained`: sources of the backbone and its weights, and what stays frozen in each of the three ways."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from workbench import config, models
from workbench.config import PretrainedConfig, TrainingConfig
from workbench.errors import ConfigError, FamilyError
from workbench.models.nn import backbone_config
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.study.study_validation import check

STUDY = "name: x\ndata: {train: 'sklearn:digits'}\nfamilies: [pretrained]\n"
PROBLEM = Problem("image", "binary", 2, {}, "log_loss")


def make_bars(rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return byte noise with a bright bar at a random position: its direction and width are the class."""
    rng, y = np.random.default_rng(seed), np.arange(rows) % classes
    x = rng.integers(0, 60, (rows, 12, 12), dtype=np.uint8)
    for image, kind, place in zip(x, y, rng.integers(0, 9, rows), strict=True):
        (image.T if kind % 2 else image)[place : place + 1 + kind // 2] += 150
    return x, y


@pytest.fixture(scope="module")
def backbone_file(tmp_path_factory):
    """The file of a small net with batch normalisation and a top, trained on four other classes."""
    import keras
    from keras import layers

    # Layer names restart, whatever other tests have built before.
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    x, y = make_bars(240, 4)
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


def make_positions(rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return byte noise with a horizontal bar whose vertical position is the class, of two."""
    rng, y = np.random.default_rng(seed), np.arange(rows) % classes
    x = rng.integers(0, 60, (rows, 12, 12), dtype=np.uint8)
    for image, kind in zip(x, y, strict=True):
        image[3 + 5 * kind] += 150
    return x, y


def fit(
    pretrained: PretrainedConfig,
    chosen: dict[str, Any],
    *,
    epochs: int = 3,
    rows: int = 60,
    cache=None,
    length=None,
    on_epoch=None,
    make_images=make_bars,
):
    from workbench.space.keras import HyperParameters

    x, y = make_images(rows + 20, 2, seed=5)
    hp = HyperParameters(lambda question: chosen.get(question.name, question.default))
    context = FitContext(
        3,
        1,
        on_epoch or (lambda epoch, losses, progress=None, of=None: None),
        epochs=epochs,
        length=length,
        training=TrainingConfig(pretrained=pretrained),
        cache=cache,
    )
    valid = Rows(x[rows:], y[rows:]) if length is None else None
    model = models.get_family("pretrained").fit(hp, PROBLEM, Rows(x[:rows], y[:rows]), valid, context)
    return model, hp, x[rows:]


def get_backbone_weights(net):
    """Return the weights of the backbone inside a net by layer name."""
    inner = next(layer for layer in net.get_layer("base").layers if hasattr(layer, "layers"))
    return {layer.name: layer.get_weights() for layer in inner.layers if layer.weights}


def same(left, right) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(
    ("pretrained", "message"),
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
def test_an_invalid_pretrained_section_is_refused_by_its_key(tmp_path, pretrained, message):
    for name in ("here.h5", "here.keras"):
        (tmp_path / name).touch()
    study = tmp_path / "study.yaml"
    study.write_text(f"{STUDY}training: {{pretrained: {pretrained}}}\n" if pretrained else STUDY)
    with pytest.raises(ConfigError, match=message):
        check(config.load(study))


def test_relative_paths_of_weights_are_relative_to_the_study_file(tmp_path):
    (tmp_path / "VGG16.weights.h5").touch()
    study = tmp_path / "study.yaml"
    study.write_text(f"{STUDY}training: {{pretrained: {{weights: .}}}}\n")
    loaded = config.load(study)
    check(loaded)
    assert backbone_config.resolve_paths(loaded.training.pretrained, loaded.resolve).weights == str(tmp_path)


def test_weights_that_cannot_be_downloaded_are_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # No proxy listens on this port.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    pretrained = PretrainedConfig(base="MobileNetV2", weights="imagenet")
    with pytest.raises(FamilyError, match=r"must be within reach for Keras to fetch weights. Received: .*refused"):
        backbone_config.check_reachable(pretrained)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5").touch()
    backbone_config.check_reachable(pretrained)


@pytest.mark.slow
def test_every_architecture_is_one_of_keras_applications():
    import keras

    names = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(backbone_config.ARCHITECTURES) == names


@pytest.mark.slow
def test_features_are_extracted_once_and_cached_for_the_next_trial(backbone_file, tmp_path):
    pretrained = PretrainedConfig(base=str(backbone_file))
    first, _, x = fit(pretrained, {"way": "features"}, cache=tmp_path)
    cached = sorted(tmp_path.rglob("*.npy"))
    assert len(cached) == 2
    # The next trial reads the cached features: it sees the shifted values.
    shifted = [np.load(file) + 1 for file in cached]
    for file, matrix in zip(cached, shifted, strict=True):
        np.save(file, matrix)
    second, _, _ = fit(pretrained, {"way": "features"}, cache=tmp_path)
    assert sorted(tmp_path.rglob("*.npy")) == cached
    assert any(np.array_equal(second.preprocessor.transform(x), matrix) for matrix in shifted)
    plain = fit(pretrained, {"way": "features"})[0].preprocessor.transform(x)
    np.testing.assert_allclose(first.preprocessor.transform(x) - 1, plain, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["features", "frozen"])
def test_a_custom_backbone_stays_unchanged_while_the_head_trains(backbone_file, way, tmp_path):
    import keras

    before = {
        layer.name: layer.get_weights() for layer in keras.saving.load_model(backbone_file).layers if layer.weights
    }
    model, _, x = fit(
        PretrainedConfig(base=str(backbone_file)), {"way": way, "cut": 1.0, "learning_rate": 0.01}, epochs=30, rows=200
    )
    net = model.preprocessor.net if way == "features" else model.net
    after = get_backbone_weights(net)
    assert after.keys() < before.keys()
    assert all(same(weights, before[name]) for name, weights in after.items())
    predictions = model.predict(x)
    assert predictions[1::2].mean() > predictions[::2].mean() + 0.2
    model.save(tmp_path)
    np.testing.assert_allclose(models.get_family("pretrained").load(tmp_path).predict(x), predictions, atol=1e-6)


@pytest.mark.slow
def test_a_frozen_backbone_is_deterministic_during_training(tmp_path):
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
    images = x[..., None].astype("float32")
    np.testing.assert_array_equal(base(images, training=True), base(images, training=False))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["features", "frozen", "tuned"])
def test_a_head_learns_positions_in_an_image(backbone_file, way):
    losses: dict[int, float] = {}
    model, _, x = fit(
        PretrainedConfig(base=str(backbone_file)),
        {"way": way, "cut": 1.0},
        epochs=20,
        rows=200,
        on_epoch=lambda epoch, found, progress=None, of=None: losses.update({epoch + 1: found["val_loss"]}),
        make_images=make_positions,
    )
    predictions = model.predict(x)
    assert predictions[1::2].min() > predictions[::2].max()
    # The stages go on through both trainings of `tuned`, of which the first has six epochs.
    assert model.length == min(losses, key=lambda length: losses[length])
    for length in (3, 9):
        stage = model.truncate(length).predict(x)
        loss = -np.log(np.where(np.arange(20) % 2, stage, 1 - stage)).mean()
        assert loss == pytest.approx(losses[length], rel=1e-3)


@pytest.mark.slow
def test_a_feature_that_is_rare_in_few_images_is_not_scaled_up_too_far(tmp_path):
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    net = keras.Sequential([keras.Input((12, 12)), layers.Reshape((12, 12, 1)), layers.Conv2D(4, 3)])
    kernel, bias = net.layers[-1].get_weights()
    net.layers[-1].set_weights([kernel * [1.0, 0.5, 1.0, 1e-3], bias])
    net.save(tmp_path / "base.keras")
    model, _, _ = fit(PretrainedConfig(base=str(tmp_path / "base.keras")), {"way": "features", "cut": 1.0}, epochs=1)
    scale = np.asarray(next(layer for layer in model.net.layers if isinstance(layer, layers.Rescaling)).scale)
    assert scale.max() / scale.min() < 10


@pytest.mark.slow
def test_the_head_is_trained_first_then_the_top_without_batch_normalisation(backbone_file):
    import keras

    before = {
        layer.name: layer.get_weights() for layer in keras.saving.load_model(backbone_file).layers if layer.weights
    }
    pretrained, chosen = (
        PretrainedConfig(base=str(backbone_file)),
        {"way": "tuned", "cut": 1.0, "head_epochs": 2, "rate_share": 0.3},
    )
    epochs: list[int] = []
    head, _, _ = fit(
        pretrained, chosen, length=2, on_epoch=lambda epoch, losses, progress=None, of=None: epochs.append(epoch)
    )
    assert epochs == [0, 1]
    assert all(same(weights, before[name]) for name, weights in get_backbone_weights(head.net).items())
    epochs.clear()
    tuned, _, _ = fit(
        pretrained,
        {**chosen, "unfrozen": 0.3},
        length=5,
        on_epoch=lambda epoch, losses, progress=None, of=None: epochs.append(epoch),
    )
    assert epochs == [0, 1, 2, 3, 4]
    changed = [name for name, weights in get_backbone_weights(tuned.net).items() if not same(weights, before[name])]
    assert changed == ["conv2d_1"]
    whole, _, _ = fit(pretrained, {**chosen, "unfrozen": 1.0}, length=5)
    changed = [name for name, weights in get_backbone_weights(whole.net).items() if not same(weights, before[name])]
    assert changed == ["conv2d", "conv2d_1"]


@pytest.mark.slow
def test_the_default_way_follows_from_the_number_of_rows_and_the_similarity(backbone_file):
    few, hp, _ = fit(PretrainedConfig(base=str(backbone_file), similar=True), {}, epochs=1)
    assert (hp.values["way"], hp.values["cut"]) == ("tuned", 0.75)
    assert few.preprocessor is None
    _, hp, _ = fit(PretrainedConfig(base=str(backbone_file)), {}, epochs=1)
    assert (hp.values["way"], hp.values["cut"]) == ("features", 0.75)
    _, hp, _ = fit(PretrainedConfig(base=str(backbone_file)), {}, epochs=1, rows=2000)
    assert (hp.values["way"], hp.values["cut"]) == ("tuned", 1.0)


@pytest.mark.slow
def test_weights_of_an_architecture_come_from_a_file_or_a_folder_and_must_match(backbone_file, tmp_path):
    import keras

    keras.utils.set_random_seed(5)
    net = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(64, 64, 3))
    net.save_weights(tmp_path / "MobileNetV2.weights.h5")
    expected = {layer.name: layer.get_weights() for layer in net.layers if layer.weights}
    for pretrained in (
        PretrainedConfig(base="MobileNetV2", weights=str(tmp_path / "MobileNetV2.weights.h5")),
        PretrainedConfig(weights=str(tmp_path)),
    ):
        model, hp, x = fit(pretrained, {"way": "features"}, epochs=1)
        assert hp.values.get("base", "MobileNetV2") == "MobileNetV2"
        found = get_backbone_weights(model.preprocessor.net)
        assert all(same(weights, expected[name]) for name, weights in found.items())
        assert model.predict(x).shape == (20,)
    with pytest.raises(
        FamilyError, match=rf"{re.escape(str(backbone_file))}: must hold weights of MobileNetV2 without its top."
    ):
        fit(PretrainedConfig(base="MobileNetV2", weights=str(backbone_file)), {}, epochs=1)
