"""What a net of images looks at, held against calculations without its gradients, and against images that tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_models_images import CONVOLUTIONAL, Lazy, pictures

from workbench import models
from workbench.config import PretrainedConfig, TrainingConfig
from workbench.models.nn import inspection
from workbench.models.nn.inspection import ImageInspection, choose_rows, inspect_images
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space import defaults

SIDE, CLASSES = 12, 3
# KerasTuner's residual net takes half a minute to be built, and is built of the same layers.
FAMILIES = [name for name in CONVOLUTIONAL if name != "hyper_resnet"]
HEADS = ("activation", "dense", "nested", "two nets", "logits made probabilities")


def grey(rows: int = 5, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, SIDE, SIDE)).astype(np.float32)


def seen_by(*nets: Any) -> Any:
    """Return a model as families give them, of nets that rows go through one after another."""
    from workbench.models.nn.feature_extractor import FeatureExtractor
    from workbench.models.nn.training import Network

    return Network(FeatureExtractor(nets[0]) if len(nets) > 1 else None, nets[-1], 0.0, 1.0)


def begun(filters: int = 6) -> tuple[Any, Any]:
    """Return the input of a net and its last map."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    start = keras.Input((SIDE, SIDE))
    hidden = layers.Conv2D(4, 3, activation="relu")(layers.Reshape((SIDE, SIDE, 1))(start))
    return start, layers.Conv2D(filters, 3, strides=2, activation="relu", name="last")(hidden)


def averaged(head: str, outputs: int) -> list[Any]:
    """Return nets with a linear layer on the averages of the last map, as families and users build them."""
    import keras
    from keras import layers

    start, last = begun()
    average = layers.GlobalAveragePooling2D()(last)
    name = "softmax" if outputs > 1 else "sigmoid"
    if head == "two nets":
        given = keras.Input(average.shape[1:])
        return [keras.Model(start, average), keras.Model(given, layers.Dense(outputs, name, name="weighted")(given))]
    dense = layers.Dense(outputs, name if head in ("dense", "nested") else None, name="weighted")(average)
    inner = keras.Model(start, layers.Activation(name)(dense) if head == "activation" else dense)
    if head in ("activation", "dense"):
        return [inner]
    outer = keras.Input((SIDE, SIDE))
    hidden = inner(outer)
    return [keras.Model(outer, hidden if head == "nested" else layers.Activation(name)(hidden))]


def parts(nets: list[Any]) -> tuple[Any, Any]:
    """Return the net from images to the last map, and the weights of the layer on its averages."""
    import keras

    leaves = {leaf.name: leaf for leaf in inspection.leaf_layers(nets)}
    inner = next(
        net for net in [*nets, *nets[0].layers] if any(each.name == "last" for each in getattr(net, "layers", []))
    )
    return keras.Model(inner.input, leaves["last"].output), leaves["weighted"].kernel.numpy()


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_with_a_linear_layer_on_averages_the_heat_is_the_class_activation_map(head: str) -> None:
    nets, x = averaged(head, CLASSES), grey()
    to_map, weights = parts(nets)
    classes = np.arange(len(x)) % CLASSES
    plain = np.einsum("nijk,kn->nij", to_map(x).numpy(), weights[:, classes])
    assert (plain.max(axis=(1, 2)) > 0).all()
    expected = np.maximum(plain, 0) / plain.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(inspection.grad_cam(nets, x, classes), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_of_two_classes_with_one_output_what_speaks_for_one_speaks_against_the_other(head: str) -> None:
    nets, x = averaged(head, 1), grey()
    to_map, weights = parts(nets)
    plain = to_map(x).numpy() @ weights[:, 0]
    for number, sign in ((1, 1), (0, -1)):
        expected = np.maximum(sign * plain, 0)
        found = inspection.grad_cam(nets, x, np.full(len(x), number))
        strongest = expected.max(axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(found, expected / np.where(strongest > 0, strongest, 1), atol=1e-5)


@pytest.mark.slow
def test_on_a_head_that_is_not_linear_the_weights_are_the_slopes_of_the_score() -> None:
    import keras
    from keras import layers

    start, last = begun()
    hidden = layers.Dense(8, "gelu")(layers.Flatten()(last))
    net = keras.Model(start, layers.Dense(CLASSES, "softmax")(hidden))
    x, classes = grey(3), np.array([0, 1, 2])
    (w1, b1), (w2, b2) = (layer.get_weights() for layer in net.layers[-2:])
    maps = keras.Model(start, last)(x).numpy().astype(float)

    def score(image: int, raised: np.ndarray) -> float:
        inner = (maps[image] + raised).reshape(-1) @ w1 + b1
        active = np.asarray(keras.activations.gelu(inner))
        return float((active @ w2 + b2)[classes[image]])

    step = 1e-4
    for image in range(len(x)):
        slopes = [score(image, step * unit) - score(image, -step * unit) for unit in np.eye(maps.shape[3])]
        expected = np.maximum(maps[image] @ np.array(slopes), 0)
        found = inspection.grad_cam([net], x, classes)[image]
        np.testing.assert_allclose(found, expected / max(expected.max(), 1e-12), atol=2e-3)


@pytest.mark.slow
def test_a_class_that_is_as_good_as_certain_has_heat() -> None:
    nets, x = averaged("activation", CLASSES), grey()
    last = nets[0].get_layer("weighted")
    last.set_weights([1e4 * weight for weight in last.get_weights()])
    sure = np.asarray(nets[0](x)).argmax(axis=1)
    assert np.asarray(nets[0](x)).max(axis=1) == pytest.approx(1, abs=0)
    assert inspection.grad_cam(nets, x, sure).max(axis=(1, 2)) == pytest.approx(1)


def striped(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return noise with a patch of stripes somewhere, standing or lying ones by the class; and the patch's middle."""
    rng, y = np.random.default_rng(seed), np.arange(rows) % 2
    x = rng.integers(0, 90, (rows, 15, 15), dtype=np.uint8)
    at = rng.integers(0, 10, (rows, 2))
    for image, kind, (top, left) in zip(x, y, at, strict=True):
        patch = image[top : top + 5, left : left + 5]
        (patch.T if kind else patch)[::2] = 230
    return x, y, at + 2.5


@pytest.mark.slow
def test_heat_lands_on_the_patch_that_tells_the_class() -> None:
    from workbench.space.keras import HyperParameters

    x, y, middles = striped(500)
    told = {"stride": 1, "blocks": 2, "batch_size": 32}
    hp = HyperParameters(lambda question: told.get(question.name, question.default))
    setting = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=12)
    train, valid = Rows(x[:400], y[:400]), Rows(x[400:], y[400:])
    model = models.family("cnn").fit(hp, Problem("image", "binary", 2, {}, "log_loss"), train, valid, setting)
    predicted = (model.predict(valid.x) > 0.5).astype(int)
    assert (predicted == valid.y).mean() > 0.95
    heat = inspection.grad_cam(list(model.nets.values()), valid.x, predicted)
    side = 15 / heat.shape[1]
    hottest = np.stack(np.unravel_index(heat.reshape(100, -1).argmax(axis=1), heat.shape[1:]), axis=1)
    off = np.abs((hottest + 0.5) * side - middles[400:]).max(axis=1)
    # A patch reaches 2.5 pixels from its middle, and the window of a place a little further.
    assert (off < 2.5 + side).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_convolutions_is_looked_into_and_stays_as_it_is(family: str, tmp_path: Path) -> None:
    x, y = pictures(48, 16, 16), np.arange(48) % 2
    model = fitted(family, x, y)
    before = model.predict(x)
    found = inspect_images(model, x, y, before, classes=2)
    assert found is not None
    assert found.heat.ndim == 3
    assert (found.heat >= 0).all()
    assert found.heat.max() <= 1
    assert found.heat.shape[1] * found.heat.shape[2] > 1
    assert np.array_equal(model.predict(x), before)
    for leaf in inspection.leaf_layers(list(model.nets.values())):
        assert "call" not in vars(leaf)
    check(found)
    found.save(tmp_path / inspection.FILE)
    again = ImageInspection.load(tmp_path / inspection.FILE)
    check(again)
    assert (again.layers, again.filters_in_all) == (found.layers, found.filters_in_all)
    for name in ("images", "heat", "truth", "predicted", "probability", "filters"):
        assert np.array_equal(getattr(again, name), getattr(found, name))
    for told, kept in zip(found.activations, again.activations, strict=True):
        np.testing.assert_allclose(kept, told, atol=1e-3)


def fitted(family: str, x: np.ndarray, y: np.ndarray, task: Any = "binary", **training: Any) -> Any:
    if models.entry(family).keras:
        from workbench.space.keras import HyperParameters as Asked
    else:
        from workbench.space import Space as Asked  # type: ignore[assignment]
    few = {"stages": 2, "num_residual_blocks": 2, "sep_num_filters": 128, **training}
    hp = Asked(lambda question: few.get(question.name, defaults(question)))
    problem = Problem(
        "image", task, 2 if task == "binary" else 0, {}, "log_loss" if task == "binary" else "squared_error"
    )
    known = TrainingConfig(pretrained=PretrainedConfig(base="MobileNetV2", weights="none"))
    setting = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=1, training=known)
    return models.family(family).fit(hp, problem, Rows(x, y), Rows(x, y), setting)


def check(found: ImageInspection) -> None:
    count = len(found.images)
    assert found.images.dtype == np.uint8
    assert len(found.truth) == len(found.predicted) == len(found.probability) == count == 6
    assert found.filters.shape[3] in (1, 3)
    assert np.abs(found.filters).max() == pytest.approx(1)
    assert 1 <= len(found.layers) == len(found.activations) <= 4
    for channels in found.activations:
        assert channels.ndim == 3
        assert channels.min() >= 0
        assert channels.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("way", ["features", "frozen", "tuned"])
def test_a_base_that_has_learnt_before_is_looked_into(way: str) -> None:
    x, y = pictures(24, 32, 32, 3), np.arange(24) % 2
    model = fitted("pretrained", x, y, way=way, cut=0.5, head_epochs=2)
    found = inspect_images(model, x, y, model.predict(x), classes=2)
    assert found is not None
    check(found)
    # Colours come in as they are, and the base's last map has places.
    assert found.filters.shape[1:] == (3, 3, 3)
    assert found.heat.shape[1:] > (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["mlp", "hog_trees"])
def test_models_without_convolutions_of_places_have_nothing_to_show(family: str) -> None:
    x, y = pictures(24, 16, 16), np.arange(24) % 2
    model = fitted(family, x, y)
    assert inspect_images(model, x, y, model.predict(x), classes=2) is None


@pytest.mark.slow
def test_where_values_are_predicted_there_are_filters_and_no_heat() -> None:
    x = pictures(24, 16, 16)
    y = x.mean(axis=(1, 2))
    model = fitted("cnn", x, y, task="regression")
    predictions = model.predict(x)
    found = inspect_images(model, x, y, predictions, classes=0)
    assert found is not None
    assert found.heat.shape == (0, 0, 0)
    off = np.abs(found.truth - found.predicted)
    assert off[:3].max() <= np.sort(np.abs(y - predictions))[3]
    assert off[3] == np.abs(y - predictions).max()
    check(found)


@pytest.mark.slow
def test_of_images_on_disk_those_that_are_shown_are_read_in_their_order() -> None:
    nets, x = averaged("dense", CLASSES), grey(40)
    read: list[int] = []
    predictions = np.asarray(nets[0](x))
    y = np.roll(predictions.argmax(axis=1), 1)
    found = inspect_images(seen_by(*nets), Lazy(x, read), y, predictions, classes=CLASSES)
    assert found is not None
    assert read == [6]
    rows = choose_rows(y, predictions.argmax(axis=1), predictions.max(axis=1))
    low, high = x[rows].min(), x[rows].max()
    np.testing.assert_allclose(found.images[..., 0], 255 * (x[rows] - low) / (high - low), atol=0.51)


def test_right_images_are_of_many_classes_and_the_surest_and_so_are_wrong_ones() -> None:
    y = np.array([0, 0, 0, 1, 2, 2, 1, 0, 1, 2])
    predicted = np.array([0, 0, 0, 1, 2, 2, 2, 1, 0, 0])
    sure = np.array([0.99, 0.98, 0.97, 0.6, 0.7, 0.65, 0.5, 0.9, 0.8, 0.7])
    assert choose_rows(y, predicted, sure).tolist() == [0, 4, 3, 7, 8, 9]
    # Without wrong ones all are right: one of each class, then the surest of all.
    right = predicted == y
    assert choose_rows(y[right], predicted[right], sure[right]).tolist() == [0, 4, 3, 1, 2, 5]
    # And without right ones all are wrong.
    assert choose_rows(y[~right], predicted[~right], sure[~right]).tolist() == [1, 2, 3, 0]


def test_of_values_the_best_and_the_worst_are_shown() -> None:
    y, predicted = np.zeros(8), np.array([0.1, -0.2, 5, 0.3, -9, 1, 2, 7])
    assert choose_rows(y, predicted, np.full(8, np.nan)).tolist() == [0, 1, 3, 4, 7, 2]
    assert choose_rows(y[:1], predicted[:1], np.full(1, np.nan)).tolist() == [0]


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True])
def test_convolutions_in_layers_and_nets_of_the_users_own_are_found(whole: bool) -> None:
    import keras
    from keras import layers

    class Block(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.parts = [layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()]

        def call(self, x: Any) -> Any:
            return self.parts[1](self.parts[0](x))

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.all = [layers.Reshape((SIDE, SIDE, 1)), Block(), layers.GlobalAveragePooling2D()]
            self.top = layers.Dense(CLASSES, activation="softmax")

        def call(self, x: Any) -> Any:
            for layer in self.all:
                x = layer(x)
            return self.top(x)

    keras.utils.set_random_seed(2)
    if whole:
        net = Net()
    else:
        start = keras.Input((SIDE, SIDE))
        last = Block()(layers.Reshape((SIDE, SIDE, 1))(start))
        net = keras.Model(start, layers.Dense(CLASSES, "softmax")(layers.GlobalAveragePooling2D()(last)))
    x = grey(30)
    predictions = np.asarray(net(x))
    found = inspect_images(seen_by(net), x, predictions.argmax(axis=1), predictions, classes=CLASSES)
    assert found is not None
    assert found.heat.shape == (6, 10, 10)
    assert found.filters.shape == (4, 3, 3, 1)
