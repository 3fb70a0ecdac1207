"""Families made of something else, and wrappers that extend what a family accepts.

sklearn_estimator  a preprocessor and a scikit-learn estimator as a model
custom             a user's family, `file.py:Name`
user_code          the files of such families: parsed, or run
modality           tables with images, for a family that accepts the table or the images
multi_output       several targets, for a family that learns one at a time
"""
