"""GLUE: the task table, reading and preparing the tasks' files, metrics, tables, submission."""
