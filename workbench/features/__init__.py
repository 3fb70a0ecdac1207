"""Raw columns -> model inputs. Every transformer here is fitted on a fold's training rows only.

views    the views of a table: `codes` for trees, `dense` for linear models and nets, `parts` for nets with embeddings
sparse   the view of a table with texts for models that take sparse matrices
tokens   the view of a table with texts for nets that read: numbers of words
branches  the view of a table for nets with a branch for each kind of column
steps    the view of sequences for nets, and how long each is
summaries  sequences -> what can be said of each as a whole: level, form, parts, echoes, spectrum
kernels  sequences -> how often random convolutions of them exceed thresholds
grams    texts -> tf-idf of words or characters, and what they are about
looks    texts -> how they look, whatever they say
pieces   numbers -> how much of each bin of their range lies below them
words    how texts are cut into words
stored   fitted transformers on disk, without pickle
"""

from __future__ import annotations

from workbench.features.minirocket import MiniRocket
from workbench.features.multi_input_encoder import MultiInputEncoder, as_table, fit_multi_input
from workbench.features.persistence import load, save, untrusted_types
from workbench.features.piecewise_linear import PiecewiseLinearEncoder
from workbench.features.preprocessors import (
    MOST_LEVELS,
    Coding,
    Columns,
    EmptyColumnFiller,
    FeatureCrosses,
    Flatten,
    Inputs,
    OrdinalCodes,
    Scaling,
    TargetMeanEncoder,
    Thumbnails,
    WideAndDeepInputs,
    categorical_columns,
    dense_preprocessor,
    fit_wide_and_deep,
    tree_preprocessor,
)
from workbench.features.sequence_scaler import SequenceScaler, fit_sequence_scaler, sequence_lengths
from workbench.features.sequence_statistics import SequenceStatistics
from workbench.features.sparse import sparse_preprocessor
from workbench.features.text_statistics import TextStatistics
from workbench.features.text_vectorizer import PADDING, TextVectorizer, fit_text_vectorizer
from workbench.features.tfidf import LatentTopics, Tfidf

__all__ = [
    "MOST_LEVELS",
    "PADDING",
    "Coding",
    "Columns",
    "EmptyColumnFiller",
    "FeatureCrosses",
    "Flatten",
    "Inputs",
    "LatentTopics",
    "MiniRocket",
    "MultiInputEncoder",
    "OrdinalCodes",
    "PiecewiseLinearEncoder",
    "Scaling",
    "SequenceScaler",
    "SequenceStatistics",
    "TargetMeanEncoder",
    "TextStatistics",
    "TextVectorizer",
    "Tfidf",
    "Thumbnails",
    "WideAndDeepInputs",
    "as_table",
    "categorical_columns",
    "dense_preprocessor",
    "fit_multi_input",
    "fit_sequence_scaler",
    "fit_text_vectorizer",
    "fit_wide_and_deep",
    "load",
    "save",
    "sequence_lengths",
    "sparse_preprocessor",
    "tree_preprocessor",
    "untrusted_types",
]
