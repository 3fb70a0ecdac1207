"""Prediction of new rows with a saved ensemble; neither the training data nor the home is needed.

predictor   `Predictor`: reader, members, aggregation and submission layout; its folder
pyfunc      the script that MLflow runs to load a Predictor
"""
