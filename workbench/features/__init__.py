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

from workbench.features.minirocket import Kernels
from workbench.features.multi_input_encoder import Branches, branches, tabled
from workbench.features.persistence import foreign, load, save
from workbench.features.piecewise_linear import Pieces
from workbench.features.preprocessors import (
    MOST_LEVELS,
    Codes,
    Coding,
    Columns,
    Crosses,
    Flatten,
    Inputs,
    Means,
    Parts,
    Present,
    Scaling,
    Thumbnails,
    categorical,
    codes,
    dense,
    parts,
)
from workbench.features.sequence_scaler import Steps, lengths, steps
from workbench.features.sequence_statistics import Summaries
from workbench.features.sparse import sparse
from workbench.features.text_statistics import Looks
from workbench.features.text_vectorizer import PADDING, Tokens, tokens
from workbench.features.tfidf import Grams, Topics

__all__ = [
    "MOST_LEVELS",
    "PADDING",
    "Branches",
    "Codes",
    "Coding",
    "Columns",
    "Crosses",
    "Flatten",
    "Grams",
    "Inputs",
    "Kernels",
    "Looks",
    "Means",
    "Parts",
    "Pieces",
    "Present",
    "Scaling",
    "Steps",
    "Summaries",
    "Thumbnails",
    "Tokens",
    "Topics",
    "branches",
    "categorical",
    "codes",
    "dense",
    "foreign",
    "lengths",
    "load",
    "parts",
    "save",
    "sparse",
    "steps",
    "tabled",
    "tokens",
]
