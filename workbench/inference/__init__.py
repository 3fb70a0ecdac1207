"""Predict new rows with a saved ensemble; neither the training data nor the home is needed."""
