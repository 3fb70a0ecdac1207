"""Nets with a branch for each kind of column: shared layers, images on disk, missing values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from miniatures import ALBUM, TRAIN, album, objects

from workbench import features, models
from workbench.config import TrainingConfig
from workbench.data.image_column import ImageArray
from workbench.data.memmap import MemmapArray
from workbench.models.nn import data_loader
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space import Hyperparameter, defaults

PROBLEM = Problem("mixed", "binary", 2, ALBUM, "log_loss")
CONTEXT = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=2)


def rows(**columns: Any) -> tuple[Rows, Rows]:
    signal = np.random.default_rng(1).normal(size=80)
    x = album(signal=signal).assign(**columns)
    y = (signal > 0).astype(int)
    return Rows(x[:TRAIN], y[:TRAIN], np.linspace(0.5, 2, TRAIN)), Rows(x[TRAIN:], y[TRAIN:])


def fit(
    family: str, train: Rows, valid: Rows, problem: Problem = PROBLEM, suggest: Any = defaults, **context: Any
) -> Any:
    from workbench.space.keras import HyperParameters

    return models.get_family(family).fit(HyperParameters(suggest), problem, train, valid, replace(CONTEXT, **context))


def suggesting(**values: Any) -> Any:
    def suggest(hyperparameter: Hyperparameter) -> Any:
        return values.get(hyperparameter.name, defaults(hyperparameter))

    return suggest


def test_levels_and_words_are_those_of_the_training_rows_without_rare_levels():
    train, valid = rows(town=objects(["Rome", "Oslo", "Bern", "once"] + ["Rome", "Oslo"] * 38))
    encoder = features.fit_multi_input(ALBUM, train.x, train.y, numbers="standard", seed=0, max_length=20)
    assert encoder.levels["town"] == ("Oslo", "Rome")
    assert encoder.levels["street"] == ()
    inputs = encoder.transform(valid.x.assign(town=objects(["Paris", np.nan, *["Oslo"] * 18])))
    dense, codes, note, photo, back = inputs
    assert (dense.dtype, codes.dtype, note.dtype) == (np.float32, np.int32, np.int32)
    assert codes[:3, 0].tolist() == [0, 0, 1]
    assert photo.shape == back.shape == (20, 8, 8)
    assert len(note) == 20


def test_shared_columns_have_words_and_levels_in_common():
    n = np.arange(80)
    towns = objects(np.array(["Rome", "Oslo", "Bern"])[n % 3])
    train, _ = rows(street=towns[::-1], town=towns, more=objects(["good tea"] * 40 + ["bad tea"] * 40))
    columns = {**ALBUM, "more": "text"}
    shared = [["town", "street"], ["note", "more"], ["photo", "back"], ["gone", "town"]]
    encoder = features.fit_multi_input(
        columns, train.x, train.y, numbers="standard", seed=0, max_length=20, shared=shared[:3]
    )
    assert encoder.levels["town"] == encoder.levels["street"] == ("Bern", "Oslo", "Rome")
    assert encoder.texts["note"].vocabulary == encoder.texts["more"].vocabulary
    assert {"tea", "house"} <= set(encoder.texts["more"].vocabulary)
    assert [encoder.find_layer_key(name) for name in ("street", "more", "back", "size")] == [
        "town",
        "note",
        "photo",
        "size",
    ]
    # A group with only one column present shares nothing.
    present = {"town": ALBUM["town"], "size": "number"}
    encoder = features.fit_multi_input(
        present, train.x, train.y, numbers="standard", seed=0, max_length=20, shared=shared[:1]
    )
    assert encoder.shared == ()


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["average", "memory"])
def test_shared_columns_go_through_one_branch(reader, tmp_path):
    n = np.arange(80)
    train, valid = rows(street=objects(np.array(["Rome", "Oslo", "Bern"])[n % 3]), more=objects(["good tea"] * 80))
    problem = replace(PROBLEM, columns={**ALBUM, "more": "text"})
    shared = TrainingConfig(shared=(("town", "street"), ("note", "more"), ("photo", "back")))
    suggest = suggesting(text_reader=reader)
    apart = fit("multi_input", train, valid, problem, suggest)
    together = fit("multi_input", train, valid, problem, suggest, training=shared)

    def towers(model: Any) -> int:
        return sum(type(layer).__name__ == "Functional" for layer in model.net.layers)

    def embeddings(model: Any) -> int:
        return sum(type(layer).__name__ == "Embedding" for layer in model.net.layers)

    assert (towers(apart), towers(together)) == (4, 2)
    assert (embeddings(apart), embeddings(together)) == (2, 1)
    assert together.net.count_params() < apart.net.count_params()
    together.save(tmp_path)
    again = models.get_family("multi_input", check=False).load(tmp_path)
    np.testing.assert_allclose(again.predict(valid.x), together.predict(valid.x), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["multi_input", "wide_and_deep"])
def test_large_images_are_read_from_disk_in_batches(family, tmp_path, monkeypatch):
    train, valid = rows()
    np.save(tmp_path / "x.npy", valid.x.photo.array.read())
    photo = ImageArray(MemmapArray(tmp_path / "x.npy", digest="known"))
    model = fit(family, train, valid)
    whole = model.predict(valid.x.assign(photo=photo))
    np.testing.assert_allclose(whole, model.predict(valid.x), rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(data_loader, "MAX_IN_MEMORY_BYTES", 0)
    np.testing.assert_allclose(model.predict(valid.x.assign(photo=photo)), whole, rtol=1e-5, atol=1e-6)
    # Training in batches with weights of the rows.
    again = fit(family, train, valid, suggest=suggesting(merge="add"))
    assert np.isfinite(again.predict(valid.x)).all()


@pytest.mark.slow
def test_missing_and_unknown_values_are_predicted():
    train, valid = rows()
    model = fit("multi_input", train, valid)
    blank = ImageArray(valid.x.photo.array.read(), np.full(20, -1))
    empty: dict[str, Any] = {"size": np.nan, "old": np.nan, "town": objects([np.nan] * 20)}
    strange = valid.x.assign(**empty, street="unseen", note=objects([np.nan] * 20), photo=blank, back=blank)
    predictions = model.predict(strange)
    assert np.isfinite(predictions).all()
    np.testing.assert_allclose(predictions, predictions[0], rtol=1e-4)
    assert model.predict(strange[:1]).shape == (1,)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["size", "town", "note", "photo"])
def test_one_kind_of_columns_beside_another_is_enough(name):
    train, valid = rows()
    names = list(dict.fromkeys([name, "back"]))
    problem = replace(PROBLEM, columns={each: ALBUM[each] for each in names})
    model = fit("multi_input", replace(train, x=train.x[names]), replace(valid, x=valid.x[names]), problem)
    assert model.predict(pd.DataFrame(valid.x[names])).shape == (20,)
