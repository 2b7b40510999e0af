"""A first schema, drafted from the columns of a file: guesses for a person to correct."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from naslab.errors import InvalidTable
from naslab.files import read_number
from naslab.tables.header import MOST_OPTIONS
from naslab.tables.rows import read_bytes, read_rows

_SCORE = r"acc|score|perf|auc|f1|map|r2|top1"
_LOSS = r"loss|error|err\b|rmse|mse|perplexity"
_COST = r"_ms\b|latency|seconds|time|energy|_mj\b|watt|flops|macs|params|memory|bytes|size"
_SPLIT = r"valid(?:ation)?|val|test|train"
_SEED = re.compile(r"^(.*(?:^|[^a-z])(?:seed|run|trial|rep)[_-]?)(\d+)(.*)$", re.IGNORECASE)
_DATASET = re.compile(rf"^(.+?)([/_. -]+(?:\d+ *(?:epochs?|ep)[_ -]*)?(?:{_SPLIT}).*)$", re.IGNORECASE)


def draft_schema(path: Path | str) -> str:
    """A schema in TOML for a file, an entry a line; what was guessed is said in comments.

    A column with a word for a score, a loss or a cost in its name is one; ``test`` in it makes it test data. Columns
    that differ in a seed, or in what stands before the split, become patterns. A column with a different text in each
    row is the architecture; without one, every other column of few values is a choice. Raises InvalidTable where the
    file can't be read or holds no column of numbers to be rewarded with.
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
    scores = {name: _patterns(name) for name in numbers if _role(name) != "cost"}
    if not scores:
        raise InvalidTable(f"'{path}' has no column that a search could be rewarded with. Columns: {', '.join(header)}")
    several = len({dataset for _, dataset, _ in scores.values()} - {""}) > 1
    rewards = [name for name in scores if _role(name) == "reward"]
    truths = [name for name in scores if _role(name) == "truth"]
    if not rewards:
        written.insert(1, 'protocol = "test-only"  # nothing but test scores was found')
    if not texts:
        written += ["", "choices = [", *_choices({name: cells[name] for name in rest}), "]"]
    written += ["", "columns = [", *dict.fromkeys(_column(name, several) for name in numbers), "]", ""]
    first, last = (rewards or truths)[0], (truths or rewards)[0]
    if several:
        dataset = scores[first][1]
        last = next((name for name in truths if scores[name][1] == dataset), first)
        used = [json.dumps(_with_dataset(name, scores[name][1]), ensure_ascii=False) for name in (first, last)]
        written += ['[tasks."{dataset}"]  # one for each dataset', f"reward = {used[0]}", f"truth = {used[1]}"]
    else:
        written += ["[tasks.data]", f"reward = {_quoted(first)}", f"truth = {_quoted(last)}"]
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


def _patterns(name: str) -> tuple[str, str, str]:
    """A column's name with its seed as a placeholder, its dataset, and its seed; empty where it names none."""
    seeded = _SEED.match(name)
    pattern = f"{seeded[1]}{{seed}}{seeded[3]}" if seeded else name
    of_data = _DATASET.match(pattern)
    return pattern, of_data[1] if of_data and "{" not in of_data[1] else "", seeded[2] if seeded else ""


def _with_dataset(name: str, dataset: str) -> str:
    return "{dataset}" + name.removeprefix(dataset)


def _choices(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """An entry for each column; one for those that differ in a number alone and have the same options."""
    found: dict[str, tuple[str, list[str]]] = {}
    for name, cells in columns.items():
        values = list(dict.fromkeys(cells))
        if len(values) > MOST_OPTIONS or "" in values:
            found[name] = f"  # {_quoted(name)} was left out: {len(values)} different values, or missing ones", []
            continue
        found[name] = f"options = [{', '.join(_options(values))}] }},", [name]
    alike: dict[tuple[str, str], list[str]] = {}
    for name, (text, _) in found.items():
        alike.setdefault((re.sub(r"\d+", "{i}", name) if name.count("{") == 0 else name, text), []).append(name)
    written, done = [], set[str]()
    for name, (text, described) in found.items():
        pattern = re.sub(r"\d+", "{i}", name)
        group = alike[pattern, text]
        as_pattern = len(group) > 1 and pattern.count("{i}") == 1 and not any(
            re.fullmatch(re.escape(pattern).replace(re.escape("{i}"), "[^/]+?"), each)
            for each in columns
            if each not in group
        )  # fmt: skip
        if not described:
            written.append(text)
        elif not as_pattern:
            written.append(f"  {{ {_named(name)}, {text}")
        elif pattern not in done:
            done.add(pattern)
            written.append(f"  {{ {_named(pattern)}, {text}")
    return written


def _named(column: str) -> str:
    """The name of a choice, and its column where that can't be the name."""
    name = re.sub(r"[=;\s]+", "_", column).strip("_") or "choice"
    return f"name = {_quoted(name)}" + (f", column = {_quoted(column)}" if name != column else "")


def _options(values: Iterable[str]) -> list[str]:
    """Options as TOML, in order: numbers as numbers, where they read back as they were written."""
    given = list(values)
    numbers = [read_number(value) for value in given]
    if any(number is None for number in numbers):
        return [_quoted(value) for value in sorted(given)]
    ascending = [value for _, value in sorted(zip(numbers, given, strict=True))]
    return [value if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", value) else _quoted(value) for value in ascending]


def _column(name: str, several: bool) -> str:
    """An entry; the same for columns that differ in seed or dataset alone."""
    role, lower = _role(name), name.lower()
    pattern, dataset, seed = _patterns(name)
    of_data = several and bool(dataset)
    if of_data:
        pattern = _with_dataset(pattern, dataset)
    split = "test" if "test" in lower else "train" if "train" in lower and role != "cost" else "valid"
    epochs = re.search(r"(?:epochs?|ep|@)_?(\d{1,4})|(\d{1,4})_?(?:epochs?|ep)\b", lower)
    metric = re.sub(
        rf"\{{seed\}}|\{{dataset\}}|(?:seed|run|trial|rep)(?=[_-]?\{{seed)|{_SPLIT}" if role != "cost" else r"^$",
        "",
        pattern,
        flags=re.IGNORECASE,
    )
    metric = re.sub(r"[^A-Za-z0-9.-]+", "_", metric).strip("_.-") or "score"
    best = "min" if role == "cost" or re.search(_LOSS, lower) else "max"
    found = [f"column = {_quoted(pattern)}"]
    if of_data:
        found.append('dataset = "{dataset}"')
    elif role != "cost":
        found.append('dataset = "data"')
    found += ['seed = "{seed}"'] if seed else []
    found += [f"metric = {_quoted(metric)}"] + ([] if role == "cost" else [f'split = "{split}"'])
    found += [f'role = "{role}"', f"unit = {_quoted(_unit(lower))}", f'direction = "{best}"']
    found += [f"epochs = {int(epochs[1] or epochs[2])}"] if epochs and int(epochs[1] or epochs[2]) else []
    return f"  {{ {', '.join(found)} }},"


def _unit(name: str) -> str:
    """A unit that a column's name ends with; otherwise it is the person's to state."""
    units = {"ms": "ms", "seconds": "seconds", "s": "seconds", "mj": "mJ", "mb": "MB", "kb": "KB", "gb": "GB", "w": "W"}
    return units.get(re.split(r"[_ ]", name)[-1], "TODO")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
