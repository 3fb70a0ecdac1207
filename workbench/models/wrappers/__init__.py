"""Adapters that make a family of something else: an estimator, a user file, one model a target, one kind of column."""
