from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from miniatures import objects

from workbench import features
from workbench.config import ColumnKind
from workbench.features import TextStatistics, Tfidf
from workbench.features.tokenizer import split_words

SHORT = ["a red house", "a red boat", "the old mill", "the old boat"] * 10
UNITS = [("words", 1, 2), ("characters", 2, 4)]


def frame(**columns):
    return pd.DataFrame({name: objects(values) for name, values in columns.items()})


def dense(vectorizer, x):
    return np.asarray(vectorizer.transform(x).todense())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Call NOW!!", ["call", "now", "!", "!"]),
        ("it's £100 😀", ["it", "'", "s", "£", "100", "😀"]),
        ("日本語です", ["日", "本", "語", "で", "す"]),
        ("Очень хорошо", ["очень", "хорошо"]),
        ("<b>x</b>", ["<", "b", ">", "x", "<", "/", "b", ">"]),
        ("\uff21\uff11", ["a1"]),
        ("  \n", []),
    ],
)
def test_texts_are_split_into_words_in_every_script(text, words):
    assert split_words(text, 100) == words


@pytest.mark.parametrize("unit", UNITS)
def test_ngrams_that_are_not_in_the_training_rows_are_ignored(unit):
    vectorizer = Tfidf(*unit).fit(objects(SHORT))
    before = vectorizer.known_.copy()
    known, unseen, empty = dense(vectorizer, objects(["a red boat", "zzqq zqzq", ""]))
    np.testing.assert_array_equal(vectorizer.known_, before)
    assert known.any()
    np.testing.assert_array_equal(unseen, empty)
    extended, plain = dense(Tfidf("words").fit(objects(SHORT)), objects(["a red house xylophone", "a red house"]))
    np.testing.assert_array_equal(extended, plain)


def test_a_vocabulary_holds_words_of_training_rows_only():
    x = frame(note=[*SHORT, "xylophone zeppelin"])
    vectorizer, _ = features.fit_text_vectorizer(
        {"note": "text"}, x[:-1], np.zeros(40), numbers="standard", classes=2, seed=1
    )
    assert set(vectorizer.vocabulary) == {"a", "red", "house", "boat", "the", "old", "mill"}
    indices = vectorizer.transform(x[-1:])[0]
    assert indices[0, :3].tolist() == [2, 1, 1]


def test_tfidf_is_that_of_scikit_learn():
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = ["one two three", "one two", "one", "one one three"] * 3
    ours = Tfidf("words").fit_transform(objects(texts))
    # Tfidf counts the start of a text as a word.
    theirs = TfidfVectorizer(sublinear_tf=True).fit_transform([f"start {text}" for text in texts])
    np.testing.assert_allclose((ours @ ours.T).toarray(), (theirs @ theirs.T).toarray(), rtol=1e-5)


def test_texts_that_are_hashed_in_chunks_are_counted_the_same(monkeypatch):
    from workbench.features import tfidf

    whole = Tfidf("characters", 2, 4).fit_transform(objects(SHORT))
    monkeypatch.setattr(tfidf, "_CHUNK", 50)
    chunked = Tfidf("characters", 2, 4).fit_transform(objects(SHORT))
    assert (whole != chunked).nnz == 0


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    "strange",
    ["", np.nan, "!?", "😀" * 30, "日本語", "12345", "<div></div>", "\ud83d", "x", "long " * 200_000],
    ids=["empty", "missing", "marks", "emojis", "script", "numbers", "html", "surrogate", "letter", "megabyte"],
)
def test_unusual_texts_have_finite_features(unit, strange):
    fitted = Tfidf(*unit).fit(objects(SHORT))
    assert np.isfinite(dense(fitted, objects([strange]))).all()
    matrix = Tfidf(*unit).fit_transform(objects([*SHORT, strange]))
    assert matrix.shape[0] == 41
    assert np.isfinite(matrix.data).all()
    assert np.isfinite(TextStatistics().transform(objects([strange]))).all()


@pytest.mark.parametrize("unit", UNITS)
def test_a_fold_without_any_text_can_be_fitted(unit):
    blank = objects(["", np.nan, " "] * 5)
    assert Tfidf(*unit).fit_transform(blank).shape[0] == 15


def test_rare_ngrams_are_dropped_unless_all_are_rare():
    assert len(Tfidf("words", rarest=2).fit(objects(["a b", "a c"])).known_) == 2
    assert len(Tfidf("words", rarest=5).fit(objects(["a b", "a c"])).known_) == 2
    assert len(Tfidf("words", rarest=1, most=1).fit(objects(["a b", "a c"])).known_) == 1


def test_statistics_of_shouting_differ_from_those_of_talking():
    shout, talk = TextStatistics().transform(objects(["WIN £1000 NOW!!!", "see you at home then"]))
    assert shout[1] > talk[1]
    assert shout[2] > talk[2]
    assert shout[3] > talk[3]


def test_texts_of_several_columns_are_kept_apart():
    x = frame(title=["red", "old"] * 10, body=["old", "red"] * 10)
    kinds: dict[str, ColumnKind] = {"title": "text", "body": "text"}
    preprocessor = features.sparse_preprocessor(kinds, [Tfidf("words")], remainder=None, statistics=False)
    matrix = preprocessor.fit_transform(x, None)
    assert np.linalg.matrix_rank(matrix.toarray()) == 2
    vectorizer, (indices,) = features.fit_text_vectorizer(kinds, x, np.zeros(20), numbers="standard", classes=2, seed=1)
    assert vectorizer.lengths == {"title": 1, "body": 1}
    assert indices[0].tolist() == indices[1][[0, 3, 2, 1]].tolist()


def test_other_columns_keep_their_zeros_and_missing_values_in_a_sparse_matrix():
    x = frame(note=SHORT).assign(size=[0.0, 1.0, np.nan, 2.0] * 10)
    remainder = features.tree_preprocessor({"size": "number"}, x, categories="ordinal", classes=2, seed=1)
    preprocessor = features.sparse_preprocessor(
        {"note": "text", "size": "number"}, [Tfidf("words")], remainder=remainder, statistics=True
    )
    matrix = preprocessor.fit_transform(x, np.arange(40) % 2)
    last = matrix[:4, [matrix.shape[1] - 1]]
    assert last.nnz == 4
    np.testing.assert_array_equal(last.data, [0, 1, np.nan, 2])


def test_word_indices_are_padded_at_the_end_and_truncated():
    x = frame(note=["one two"] * 19 + ["one " * 1000])
    vectorizer, (indices,) = features.fit_text_vectorizer(
        {"note": "text"}, x, np.zeros(20), numbers="standard", classes=2, seed=1, max_length=16
    )
    assert indices.shape == (20, vectorizer.steps)
    assert vectorizer.steps <= 16
    assert indices.dtype == np.int32
    assert (indices.max(), vectorizer.vocabulary_size) == (4, 5)
    # A text without a word still has its start, so a row is never masked completely.
    (empty,) = vectorizer.transform(frame(note=["", np.nan]))
    assert (empty[:, 0] != features.PADDING).all()
    assert not empty[:, 1:].any()


@pytest.mark.parametrize("rest", [{}, {"size": "number"}])
def test_a_loaded_text_vectorizer_gives_the_same_indices(rest, tmp_path):
    x = frame(note=SHORT).assign(size=np.arange(40.0))
    vectorizer, before = features.fit_text_vectorizer(
        {"note": "text", **rest}, x, np.zeros(40), numbers="standard", classes=2, seed=1
    )
    vectorizer.save(tmp_path)
    for one, other in zip(before, features.TextVectorizer.load(tmp_path).transform(x), strict=True):
        np.testing.assert_allclose(one, other)


def test_target_means_beside_words_are_those_of_other_rows():
    rng = np.random.default_rng(0)
    x = frame(note=SHORT * 10, street=[f"street {n // 2}" for n in range(400)])
    y = rng.integers(0, 2, 400)
    _, (_, remainder) = features.fit_text_vectorizer(
        {"note": "text", "street": "category"}, x, y, numbers="standard", classes=2, seed=1
    )
    # With two rows for each level, means over all rows would leak a row's own target.
    assert abs(np.corrcoef(remainder[:, 0], y)[0, 1]) < 0.2
