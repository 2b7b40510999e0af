"""A person's own table of data: read, split, and made into numbers to train on."""
