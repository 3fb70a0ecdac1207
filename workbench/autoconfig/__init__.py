"""What `workbench init` does: looks at the data files, infers the task, and writes a study file."""
