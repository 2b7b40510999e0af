"""A search on a table of one's own: from a CSV file to a network that keeps a limit, and its predictions."""
