"""The families for sequences, one file each; the Keras families take texts, too."""
