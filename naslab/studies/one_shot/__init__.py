"""One-shot search on pocket cells: every strategy at equal seconds, collapse, sensitivity, ranking."""
