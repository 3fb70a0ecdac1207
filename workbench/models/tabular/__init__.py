"""The families for tables, one file each."""
