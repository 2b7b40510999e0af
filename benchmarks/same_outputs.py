"""Whether a change to the code changed what naslab writes.

A fixed set of commands, with budgets in evaluations and epochs, writes about a hundred traces, the frames of reports,
scores, a study and a model: `run` it with either version. `compare` then lists the files that differ, byte by byte, and
ends with code 1 if there are any.
Left out is what may differ between two runs of one version: measured seconds, checkpoints, and figures of seconds.

    PYTHONPATH=. python benchmarks/same_outputs.py run /tmp/after
    python benchmarks/same_outputs.py compare /tmp/before /tmp/after
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

TASKS = (
    "nasbench201/cifar10 nasbench201/cifar100 nasbench201/imagenet16-120 "
    "pocket-cell/mnist pocket-mlp/mnist pocket-mlp/segments"
)
BLACK_BOX = "random,regularized-evolution,local-search,reinforce,optuna-tpe"
POLICIES = "tabnas,tunas,ppo,relax,optuna-nsgaii"
JUDGES = "params,naswot,kernel-ridge,path-kernel,tnasp[epochs=3]"
COMMANDS = f"""
compare {TASKS} --optimizers {BLACK_BOX} --budget 40 --seeds 2 --out strategies
compare pocket-mlp/segments --optimizers {POLICIES} --max params=3000 --budget 60 --seeds 2 --out limits
compare pocket-cell/mnist --optimizers predictor-guided,bananas,nasbowl,naswot,area --budget 24 --seeds 1 --out models
search pocket-cell/mnist --optimizer darts[epochs=2,batch=64] --out darts
search pocket-cell/mnist --optimizer enas[epochs=2,batch=64] --out enas
search pocket-cell/mnist --optimizer robust-darts[epochs=2,batch=64] --out robust-darts
compare pocket-mlp/segments@live --optimizers random,regularized-evolution --budget 3 --seeds 2 --out live
compare pocket-mlp/segments@shared --optimizers tabnas,random --max params=3000 --budget 30 --seeds 2 --out shared
correlate pocket-mlp/segments --evaluators {JUDGES} --architectures 40 --out correlate
reproduce gradient-estimators --out estimators
search --csv table.csv --target label --space mlp --optimizer tabnas --max params=600 --budget 60 --out own
predict own table.csv --out predicted.csv
list
"""
VARYING = ("times.jsonl", "*.seconds", "*.pt", "*.pt2", "*seconds*", "*.pdf", "*.png", "*.svg", "*.html", "said.txt")


def table() -> str:
    """Two hundred rows of two classes, without randomness."""
    rows = [
        (i * 37 % 101, i * 53 % 89, "abc"[i % 3], "yes" if i * 37 % 101 > i * 53 % 89 else "no") for i in range(200)
    ]
    return "width,height,colour,label\n" + "".join(f"{a},{b},{c},{d}\n" for a, b, c, d in rows)


def run(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "table.csv").write_text(table())
    source = str(Path.cwd())
    for line in COMMANDS.strip().splitlines():
        words = shlex.split(line)
        code = f"import sys; sys.path.insert(0, {source!r}); from naslab.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True, check=False
        )
        print(f"{done.returncode}  naslab {line}")
        with (folder / "said.txt").open("a") as said:
            said.write(f"$ naslab {line}\n{done.stdout}{done.stderr}")
        if done.returncode:
            sys.exit(done.stderr)


def files(folder: Path) -> dict[str, Path]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): p for p in found if not any(p.match(pattern) for pattern in VARYING)}


def content(path: Path) -> bytes:
    """What must be the same: all of a file, but for the seconds that were measured for a score."""
    found = path.read_bytes()
    return re.sub(rb'"(seconds|making)":(\[[^]]*\]|[^,}]*)', b"", found) if path.parent.name == "scores" else found


def compare(before: Path, after: Path) -> int:
    one, other = files(before), files(after)
    differing = [name for name in one.keys() & other.keys() if content(one[name]) != content(other[name])]
    for name in sorted(differing):
        print(f"differs: {name}")
    for name in sorted(one.keys() ^ other.keys()):
        print(f"only {'before' if name in one else 'after'}: {name}")
    print(f"{len(one)} files before, {len(other)} after, {len(differing)} differ")
    return int(bool(differing) or one.keys() != other.keys())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["run", folder]:
            run(Path(folder).resolve())
        case ["compare", before, after]:
            sys.exit(compare(Path(before), Path(after)))
        case _:
            sys.exit(__doc__)
