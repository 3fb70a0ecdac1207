"""Families for tables, a file each; most accept images and sequences too, flattened."""
