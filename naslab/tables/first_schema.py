"""A first schema, drafted from the columns of a file: guesses for a person to correct."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from naslab.errors import InvalidTable
from naslab.files import read_number
from naslab.tables.header import MOST_OPTIONS
from naslab.tables.rows import read_bytes, read_rows

_SCORE = r"acc|score|perf|auc|f1|map|r2|top1"
_LOSS = r"loss|error|err\b|rmse|mse|perplexity"
_COST = r"_ms\b|latency|seconds|time|energy|_mj\b|watt|flops|macs|params|memory|bytes|size"


def draft_schema(path: Path | str) -> str:
    """A schema in TOML for a file; what was guessed is said in comments.

    A column with a word for a score, a loss or a cost in its name is one; ``test`` in it makes it test data. One with
    a different text in each row is the architecture; without one, every other column of few values is a choice. Raises
    InvalidTable where the file can't be read or holds no column of numbers to be rewarded with.
    """
    path = Path(path)
    header, lines = read_rows(path, read_bytes(path))
    cells = {name: [row[i] for _, row in lines] for i, name in enumerate(header)}
    numbers = [name for name in header if _measured(name, cells[name])]
    rest = [name for name in header if name not in numbers]
    texts = [name for name in rest if len(set(cells[name])) == len(lines) and not _is_number(cells[name])]
    written = ["# Drafted from the file's columns: correct what was guessed, then import it with this schema."]
    if texts:
        written += ['space = "nasbench201"  # guessed: see naslab list spaces', f"architecture = {_quoted(texts[0])}"]
    written.append('provenance = "TODO: where the numbers come from, and their licence"')
    if not texts:
        for name in rest:
            written += _choice(name, cells[name])
    rewards = [name for name in numbers if _role(name) == "reward"]
    for name in numbers:
        written += _column(name)
    truths = [name for name in numbers if _role(name) == "truth"]
    if not rewards + truths:
        raise InvalidTable(f"'{path}' has no column that a search could be rewarded with. Columns: {', '.join(header)}")
    if not rewards:
        written.insert(1, 'protocol = "test-only"  # nothing but test scores was found')
    first = (rewards or truths)[0]
    written += ["", "[tasks.data]", f"reward = {_quoted(first)}", f"truth = {_quoted((truths or rewards)[0])}"]
    return "\n".join(written) + "\n"


def _measured(name: str, cells: Sequence[str]) -> bool:
    return _is_number(cells) and bool(re.search(f"{_SCORE}|{_LOSS}|{_COST}|valid|test", name.lower()))


def _is_number(cells: Sequence[str]) -> bool:
    given = [cell for cell in cells if cell.strip()]
    return bool(given) and all(read_number(cell) is not None for cell in given)


def _role(name: str) -> str:
    if re.search(_COST, name.lower()):
        return "cost"
    return "truth" if "test" in name.lower() else "reward"


def _choice(name: str, cells: Sequence[str]) -> list[str]:
    values = list(dict.fromkeys(cells))
    if len(values) > MOST_OPTIONS or "" in values:
        return ["", f"# {_quoted(name)} was left out: {len(values)} different values, or missing ones"]
    numbers = [read_number(value) for value in values]
    if all(number is not None for number in numbers):
        values = [value for _, value in sorted(zip(numbers, values, strict=True))]
        options = [value if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", value) else _quoted(value) for value in values]
    else:
        options = [_quoted(value) for value in sorted(values)]
    return ["", "[[choices]]", f"name = {_quoted(name)}", f"options = [{', '.join(options)}]"]


def _column(name: str) -> list[str]:
    role, lower = _role(name), name.lower()
    split = "test" if "test" in lower else "train" if "train_" in lower and role != "cost" else "valid"
    epochs = re.search(r"(?:epochs?|ep|@)_?(\d{1,4})|(\d{1,4})_?(?:epochs?|ep)\b", lower)
    metric = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_.-") or "metric"
    best = "min" if role == "cost" or re.search(_LOSS, lower) else "max"
    found = ["", "[[columns]]", f"column = {_quoted(name)}", 'dataset = "data"', f"metric = {_quoted(metric)}"]
    found += [] if role == "cost" else [f'split = "{split}"']
    found += [f'role = "{role}"', 'unit = ""  # TODO', f'direction = "{best}"']
    return found + ([f"epochs = {int(epochs[1] or epochs[2])}"] if epochs and int(epochs[1] or epochs[2]) else [])


def _quoted(text: str) -> str:
    return json.dumps(text)
