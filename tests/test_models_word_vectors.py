"""Pretrained word vectors: reading and checking the file, the cache, and embeddings in a net."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import pandas as pd
import pytest
from miniatures import objects

from workbench import config, models
from workbench.config import TrainingConfig, WordVectorsConfig
from workbench.errors import ConfigError, FamilyError
from workbench.models.nn import callbacks, word_vectors
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.study.study_validation import check

STUDY = "name: x\ndata: {train: 'sklearn:wine'}\nfamilies: [linear]\n"
LINES = "red 1 0 2.5\nBlue -1 0 1e-2\nblue 3 3 3\n. . . 7 8 9\nGreen 4 5 6\n"


@pytest.mark.parametrize("form", ["glove", "word2vec", "gzipped"])
def test_only_requested_words_are_read_and_exact_case_has_priority(tmp_path, form):
    file = tmp_path / ("v.txt.gz" if form == "gzipped" else "v.txt")
    text = f"5 3\n{LINES}" if form == "word2vec" else LINES
    file.write_bytes(gzip.compress(text.encode()) if form == "gzipped" else text.encode())
    found = word_vectors.read(file, ["blue", "nothing", "green", "red"])
    np.testing.assert_allclose(found.matrix, [[3.0, 3, 3], [0.0, 0, 0], [4.0, 5, 6], [1.0, 0, 2.5]])
    assert found.known.tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1 2\nb 1\n", "v.txt, line 2: must be a word and 2 numbers, not 1."),
        ("a 1 2\nb 1 2\nc 1 2 3\n", "v.txt, line 3: must be a word and 2 numbers, not 3."),
        ("3 2\nred 1 2 3\n", "v.txt, line 2: must be a word and 2 numbers, not 3."),
        ("a 1 2\nb x 2\n", "v.txt, line 2: must hold numbers after the word. Received: could not convert"),
        ("a 1 nan\n", "v.txt, line 1: must hold finite numbers."),
        ("alone\n", "v.txt, line 1: must be a word and its numbers, not 0."),
        ("", "must hold words and their numbers. Received: 'v.txt', which is empty."),
        ("\x00\xff", "v.txt: must be vectors of words as UTF-8 text. Received: .* has to be written as text"),
    ],
)
def test_a_file_that_does_not_hold_vectors_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "v.txt").write_bytes(text.encode("latin-1"))
    study = tmp_path / "study.yaml"
    study.write_text(f"{STUDY}training: {{word_vectors: {{file: v.txt}}}}\n")
    with pytest.raises(ConfigError, match=f"training.word_vectors.file .*{message}"):
        check(config.load(study))


def test_a_bad_later_line_a_missing_file_and_a_file_without_the_words_are_refused(tmp_path):
    file = tmp_path / "v.txt"
    file.write_text(f"{LINES}last 1 2\n")
    with pytest.raises(FamilyError, match=r"v.txt, line 6: must be a word and 3 numbers, not 2."):
        word_vectors.read(file, ["red"])
    file.write_text(LINES)
    with pytest.raises(FamilyError, match=r"v.txt must have words of the texts. Received: none of rouge, bleu."):
        word_vectors.read(file, ["rouge", "bleu"])
    study = tmp_path / "study.yaml"
    study.write_text(f"{STUDY}training: {{word_vectors: {{file: no.txt}}}}\n")
    with pytest.raises(
        ConfigError, match=r"training.word_vectors.file must name a file that is there. Received: 'no.t"
    ):
        check(config.load(study))
    study.write_text(f"{STUDY}training: {{word_vectors: {{tuned: true}}}}\n")
    with pytest.raises(ConfigError, match=r"training.word_vectors must have a file of vectors"):
        check(config.load(study))
    study.write_text(f"{STUDY}training: {{word_vectors: {{file: v.txt}}}}\n")
    loaded = config.load(study)
    check(loaded)
    assert callbacks.resolve_paths(loaded.training, loaded.resolve).word_vectors.file == str(file)


def test_vectors_are_cached_for_the_same_words_and_the_same_file(tmp_path):
    file, cache = tmp_path / "v.txt", tmp_path / "cache"
    file.write_text(LINES)
    vectors_config = WordVectorsConfig(file=str(file))
    first = word_vectors.load_vectors(vectors_config, ["red", "green"], cache)
    second = word_vectors.load_vectors(vectors_config, ["red", "green"], cache)
    np.testing.assert_array_equal(first.matrix, second.matrix)
    assert len(list(cache.rglob("*.npz"))) == 1
    file.write_text(LINES.replace("2.5", "7.5"))
    assert word_vectors.load_vectors(vectors_config, ["red", "green"], cache).matrix[0, 2] == 7.5
    assert len(list(cache.rglob("*.npz"))) == 2
    assert word_vectors.load_vectors(WordVectorsConfig(), ["red"], cache) is None


def make_texts(rows: int, words: list[list[str]]) -> tuple[pd.DataFrame, np.ndarray]:
    rng, y = np.random.default_rng(0), np.arange(rows) % 2
    return pd.DataFrame(
        {"note": objects(f"it is {rng.choice(words[each])} {rng.choice(words[each])}" for each in y)}
    ), y


@pytest.mark.slow
@pytest.mark.parametrize("tuned", [True, None])
def test_pretrained_vectors_generalise_and_stay_unchanged_unless_tuned(tmp_path, tuned):
    from workbench.space.keras import HyperParameters

    rng, file = np.random.default_rng(1), tmp_path / "v.txt"
    words = [[f"good{number}" for number in range(10)], [f"bad{number}" for number in range(10)]]
    meanings = {word: np.r_[4 * side - 2, rng.normal(size=3)] for side, some in enumerate(words) for word in some}
    file.write_text("".join(f"{word} {' '.join(f'{each:.4f}' for each in m)}\n" for word, m in meanings.items()))
    x, y = make_texts(80, words)
    vectors_config = WordVectorsConfig(file=str(file), tuned=tuned)
    context = FitContext(
        3,
        1,
        lambda epoch, losses, progress=None, of=None: None,
        epochs=15,
        training=TrainingConfig(word_vectors=vectors_config),
    )
    hp = HyperParameters(lambda question: 1 if question.name == "stages" else question.default)
    problem = Problem("text", "binary", 2, {"note": "text"}, "log_loss")
    model: Any = models.get_family("conv1d").fit(hp, problem, Rows(x[:60], y[:60]), Rows(x[60:], y[60:]), context)
    assert hp.values.get("tuned_vectors") == (False if tuned is None else None)
    assert "embedding" not in hp.values
    [embedded] = [layer for layer in model.net.layers if type(layer).__name__ == "Embedding"]
    levels = [word for word in model.preprocessor.vocabulary if word in meanings]
    matrix = embedded.get_weights()[0][-len(model.preprocessor.vocabulary) :]
    given = np.array([meanings[word] for word in levels])
    assert len(levels) > 15
    assert np.allclose(matrix[[model.preprocessor.vocabulary.index(word) for word in levels]], given, atol=1e-4) == (
        not tuned
    )
    assert ((model.predict(x[60:]) > 0.5) == y[60:]).mean() > 0.9
    model.save(tmp_path)
    loaded: Any = models.get_family("conv1d").load(tmp_path)
    np.testing.assert_allclose(loaded.predict(x), model.predict(x), atol=1e-6)
    # The vectors are weights, not part of the net's config.
    assert len(str(loaded.net.get_config())) < 100_000
