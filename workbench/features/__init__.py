"""Raw columns -> model inputs. Every transformer is fitted on a fold's training rows only.

preprocessors          tables, images and sequences for trees (`tree_preprocessor`) and for linear models and nets
                       (`dense_preprocessor`)
encoders               categories -> target means, indices for embeddings, crosses
array_transformers     images and sequences -> matrices
number_centering       large numbers of a small spread -> numbers that float32 tells apart
piecewise_linear       numbers -> piecewise linear encoding
wide_and_deep_encoder  a table -> the inputs of a wide-and-deep net
multi_input_encoder    a table -> the inputs of a net with a branch for each kind of column
sparse                 a table with texts -> a sparse matrix
tokenizer              how texts are split into words
tfidf                  texts -> tf-idf of words or characters, and latent topics
text_statistics        texts -> statistics of their characters
text_vectorizer        texts -> sequences of word indices
sequence_scaler        sequences -> standard scores for nets, and the lengths of sequences
sequence_statistics    sequences -> level, shape, autocorrelations and spectrum
minirocket             sequences -> shares of steps at which random convolutions exceed thresholds
hog                    images -> histograms of oriented gradients
persistence            fitted transformers on disk, without pickle
"""

from __future__ import annotations

from workbench.features.array_transformers import EmptyColumnImputer, Flatten, SequenceStandardizer, Thumbnails
from workbench.features.encoders import CategoryIndexEncoder, FeatureCrosses, TargetMeanEncoder
from workbench.features.minirocket import MiniRocket
from workbench.features.multi_input_encoder import MultiInputEncoder, as_table, fit_multi_input
from workbench.features.persistence import find_untrusted_types, load, save
from workbench.features.piecewise_linear import PiecewiseLinearEncoder
from workbench.features.preprocessors import (
    MAX_LEVELS,
    CategoryEncoding,
    ColumnKinds,
    Inputs,
    NumberScaling,
    categorical_columns,
    dense_preprocessor,
    native_columns,
    tree_preprocessor,
)
from workbench.features.sequence_scaler import SequenceScaler, fit_sequence_scaler, sequence_lengths
from workbench.features.sequence_statistics import SequenceStatistics
from workbench.features.sparse import sparse_preprocessor
from workbench.features.text_statistics import TextStatistics
from workbench.features.text_vectorizer import PADDING, TextVectorizer, fit_text_vectorizer
from workbench.features.tfidf import LatentTopics, Tfidf
from workbench.features.wide_and_deep_encoder import WideAndDeepEncoder, fit_wide_and_deep

__all__ = [
    "MAX_LEVELS",
    "PADDING",
    "CategoryEncoding",
    "CategoryIndexEncoder",
    "ColumnKinds",
    "EmptyColumnImputer",
    "FeatureCrosses",
    "Flatten",
    "Inputs",
    "LatentTopics",
    "MiniRocket",
    "MultiInputEncoder",
    "NumberScaling",
    "PiecewiseLinearEncoder",
    "SequenceScaler",
    "SequenceStandardizer",
    "SequenceStatistics",
    "TargetMeanEncoder",
    "TextStatistics",
    "TextVectorizer",
    "Tfidf",
    "Thumbnails",
    "WideAndDeepEncoder",
    "as_table",
    "categorical_columns",
    "dense_preprocessor",
    "find_untrusted_types",
    "fit_multi_input",
    "fit_sequence_scaler",
    "fit_text_vectorizer",
    "fit_wide_and_deep",
    "load",
    "native_columns",
    "save",
    "sequence_lengths",
    "sparse_preprocessor",
    "tree_preprocessor",
]
