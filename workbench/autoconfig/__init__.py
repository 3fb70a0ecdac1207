"""`workbench init`: profile the data files, infer the task, and write a study file.

profile         `DataFiles` and `DataProfile`, what the inference knows of the data
discovery       finds the data files
profiling       reads the data files into a profile
images          profiles of folders of images and of tables that name images
sequences       profiles of long tables, whose rows are the steps of sequences
sample_columns  tells the ids of a sample submission from its predictions
target_columns  infers the targets and their tasks
time_series     infers time columns, series, lags and windows
infer           infers the rest of the configuration
column_summary  summarizes the columns, and what becomes of them
draft           writes the commented study file
"""
