"""Prints the traces of an optimizer on the toy tasks, for a check in a fresh process."""

import sys

from naslab.testing.optimizers import print_traces

print_traces(sys.argv[1])
