"""The Keras parts that the families share: input layers, the training loop, heads, callbacks."""
