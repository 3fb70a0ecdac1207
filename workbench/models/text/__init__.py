"""The families for texts, one file each."""
