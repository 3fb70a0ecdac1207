"""Families for tables with a column of texts, a file each."""
