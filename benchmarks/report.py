"""What reading a comparison and writing its report cost: seconds of one process's CPU, imports apart.

Makes the folder first, if it is not there: by default 3,000 runs of NAS-Bench-201's three tasks (about a minute and a
half). Any other folder of `naslab compare` is measured as it is.

    python benchmarks/report.py FOLDER [--seeds 100]
"""

import argparse
import time
from pathlib import Path

TASKS = ("nasbench201/cifar10", "nasbench201/cifar100", "nasbench201/imagenet16-120")
OPTIMIZERS = ("random", "regularized-evolution", "regularized-evolution[population=20]")
OPTIMIZERS += ("regularized-evolution[population=50]", "local-search", "reinforce", "reinforce[learning_rate=0.1]")
OPTIMIZERS += ("ppo", "tunas", "tabnas")
BUDGET = 150


def lap(what: str, since: float) -> float:
    """Print the seconds since then; returns now."""
    now = time.process_time()
    print(f"{what}: {now - since:.1f} s")
    return now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=100)
    given = parser.parse_args()
    begun = time.process_time()
    import naslab.analysis.report  # noqa: F401  (with matplotlib)
    from naslab.running.comparison import compare
    from naslab.running.results import Results

    begun = lap("imports", begun)
    if not (given.folder / "comparison.json").is_file():
        compare(TASKS, OPTIMIZERS, seeds=given.seeds, budget=BUDGET, out=given.folder)
        begun = lap("runs", begun)
    results = Results(given.folder)
    runs = len(results.data.frame)
    begun = lap(f"reading {runs:,} runs", begun)
    page = results.report()
    lap("the report", begun)
    print(f"the page: {page.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
