"""What `import naslab` and `naslab --help` take beyond Python's own start: fresh processes, in turn.

python benchmarks/import_time.py [--repetitions 15]
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import naslab": [sys.executable, "-c", "import naslab"],
    "naslab --help": [str(Path(sys.executable).parent / "naslab"), "--help"],
    "import numpy, networkx": [sys.executable, "-c", "import numpy, networkx"],
    "import torch": [sys.executable, "-c", "import torch"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=15)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(parser.parse_args().repetitions):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - started)
    start = times["python -c pass"]
    print(f"{'command':24} {'seconds':>8} {'beyond start':>13}")
    for name, seconds in times.items():
        beyond = statistics.median(s - p for s, p in zip(seconds, start, strict=True))
        print(f"{name:24} {statistics.median(seconds):8.3f} {beyond:13.3f}")


if __name__ == "__main__":
    main()
