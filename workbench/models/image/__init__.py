"""The families for images, one file each."""
