"""NAS-Bench-201's table of searches (Dong & Yang 2020): the rows that a comparison of strategies can't make."""
