"""Studies behind ``naslab reproduce``: experiments that are more than a comparison of strategies."""
