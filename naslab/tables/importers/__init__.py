"""Official files of others, each read into a table by one command.

A file here knows one format: which of its fields become which columns of a table. Nothing of a file runs, what it
claims is checked before memory is taken, and nothing is written where it is damaged: one line names the record.
"""
