"""What a report costs: CPU seconds of imports, of reading the traces and of writing the report, and the page's size.

Makes a comparison of N runs of 150 evaluations (ten strategies on the three datasets of the packaged NAS-Bench-201) in
a temporary folder, or reads one that is there. Each measurement is a fresh process; the least of the repetitions is
told first, all of them in brackets. Wall-clock time is not told: others may use the machine.

    python benchmarks/report.py [--runs 3000] [--folder DIR] [--repetitions 3]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import naslab

TASKS = ("nasbench201/cifar10", "nasbench201/cifar100", "nasbench201/imagenet16-120")
OPTIMIZERS = (
    "random", "regularized-evolution", "regularized-evolution[population=20]", "regularized-evolution[population=50]",
    "local-search", "reinforce", "reinforce[learning_rate=0.1]", "ppo", "tunas", "tabnas",
)  # fmt: skip
"""Quick ones: thirty runs per seed."""


def make(folder: Path, runs: int) -> None:
    """Compare: `runs` of them, rounded up to whole seeds."""
    seeds = -(-runs // (len(TASKS) * len(OPTIMIZERS)))
    naslab.compare([*TASKS], [*OPTIMIZERS], seeds=seeds, budget=150, workers=2, out=folder)


def measure(folder: Path) -> None:
    """Print CPU seconds of the parts, and bytes of the page."""
    times = [time.process_time()]
    import matplotlib.figure  # noqa: F401

    import naslab.analysis.report  # noqa: F401
    from naslab.running.results import Results

    times.append(time.process_time())
    results = Results(folder)
    runs = len(results.frame)
    times.append(time.process_time())
    page = results.report()
    times.append(time.process_time())
    spent = [after - before for before, after in pairwise(times)]
    print(json.dumps({"runs": runs, "seconds": spent, "bytes": page.stat().st_size}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3000)
    parser.add_argument("--folder", type=Path, help="a comparison's folder; its report is written again")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary) / "runs"
        if given.folder is None:
            make(folder, given.runs)
        words = [sys.executable, __file__, "--measure", str(folder)]
        found = [
            json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
            for _ in range(given.repetitions)
        ]
    print(f"{found[0]['runs']:,} runs, a page of {found[0]['bytes'] / 1e6:.2f} MB; CPU seconds:")
    for place, what in enumerate(("imports", "reading", "report")):
        each = [one["seconds"][place] for one in found]
        print(f"{what:8} {min(each):6.2f}  ({', '.join(f'{seconds:.2f}' for seconds in each)})")


if __name__ == "__main__":
    main()
