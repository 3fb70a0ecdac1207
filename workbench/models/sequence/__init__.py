"""The families for sequences, one file each; those of Keras take texts as well."""
