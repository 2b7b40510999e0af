"""Runs: the loops, their traces, comparisons of many runs and their results, output folders and worker processes.

This wing runs optimizers, which know only a problem, and writes folders of traces. What the results mean is decided in
:mod:`naslab.analysis`. Comparisons and results (:mod:`naslab.running.comparison`,
:mod:`naslab.running.results`) load pandas and are therefore imported from their files.
"""

from naslab.running.callbacks import Callback
from naslab.running.execution import Execution
from naslab.running.kept import Kept
from naslab.running.loop import run, second_worth
from naslab.running.output import check_folder, claimed_folder
from naslab.running.runs import (
    SearchResult,
    constrained_task,
    default_budget,
    execution_of,
    informed,
    placed,
    run_one,
    search,
)
from naslab.running.seeds import TrialGenerator, seed_sequence
from naslab.running.software import machine, placement_entries, versions
from naslab.running.trace import Recorded, Step, Trace, differences, read, trace_path
from naslab.running.workers import Progress, do_in_processes

__all__ = [
    "Callback",
    "Execution",
    "Kept",
    "Progress",
    "Recorded",
    "SearchResult",
    "Step",
    "Trace",
    "TrialGenerator",
    "check_folder",
    "claimed_folder",
    "constrained_task",
    "default_budget",
    "differences",
    "do_in_processes",
    "execution_of",
    "informed",
    "machine",
    "placed",
    "placement_entries",
    "read",
    "run",
    "run_one",
    "search",
    "second_worth",
    "seed_sequence",
    "trace_path",
    "versions",
]
