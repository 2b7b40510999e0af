"""A first schema, drafted from the columns of a file: guesses for a person to correct."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from naslab.errors import InvalidTable
from naslab.files import clipped, read_number
from naslab.tables.header import MOST_OPTIONS
from naslab.tables.patterns import matches
from naslab.tables.rows import is_missing, read_bytes, read_rows

_SCORE = r"acc(?!um)|score|perf(?!ect)|auc|(?<![a-z])(?:f1|m?ap|r2|miou|psnr|ssim)(?![a-z0-9])|top-?1"
_LOSS = r"loss|error|(?<![a-z])err(?![a-z])|rmse|mse|mape|(?<![a-z])(?:mae|ppl|nll|wer|cer)(?![a-z])|perplexity"
_COST = (
    r"(?<![a-z])(?:ms|mj|mb|kb|gb)(?![a-z])|latency|seconds|(?<![a-z])(?:run)?time|energy|watt|flops|macs|params|memory"
    r"|bytes|(?:model|file|disk)[_ ]size"
)
_SPLIT = r"valid(?:ation)?|val|test|train"
_SEEDS, _DATASETS = r"seed|run|trial|rep(?:eat|etition)?", r"data(?:[ _-]?set)?(?:[ _-]?name)?|task"
_SEED = re.compile(rf"^(.*(?:^|[^a-z])(?:{_SEEDS})[_-]?)(\d+)(.*)$", re.IGNORECASE)
_EPOCHS = re.compile(
    r"^(.*?(?:epochs?|(?<![a-z])ep|@)[_-]?)(\d{1,4})(.*)$|^(.*?)(\d{1,4})([_-]?(?:epochs?|ep)(?![a-z]).*)$"
)
_DATASET = re.compile(rf"^(.+?)([/_. -]+(?:\d+ *(?:epochs?|ep)[_ -]*)?(?:{_SPLIT}).*)$", re.IGNORECASE)
_FEWEST_EPOCHS = 3
"""From so many columns on, training lengths become a pattern."""


@dataclass(frozen=True)
class _Name:
    """A column's name with what it tells as placeholders, and what these stand for."""

    pattern: str
    stands_for: Mapping[str, str]

    def with_placeholder(self, name: str, begin: str, value: str, end: str) -> _Name:
        return _Name(f"{begin}{{{name}}}{end}", {**self.stands_for, name: value})

    def of(self, *left: str) -> str:
        """The name with all but some placeholders filled."""
        text = self.pattern
        for name, value in self.stands_for.items():
            text = text if name in left else text.replace(f"{{{name}}}", value)
        return text


def draft_schema(path: Path | str) -> str:
    """A schema in TOML for a file, an entry a line; what was guessed is said in comments.

    A column with a word for a score, a loss or a cost in its name is one; ``test`` in it makes it test data. Columns
    that differ in a seed, in their epochs, or in what stands before the split, become patterns. Where columns called
    ``seed`` or ``dataset`` tell rows of one architecture apart, these are spread. A column with a different text in
    each row is the architecture; without one, every other column of few values is a choice. Raises InvalidTable where
    the file can't be read or holds no column of numbers to be rewarded with.
    """
    path = Path(path)
    header, lines = read_rows(path, read_bytes(path))
    cells = {name: [row[i] for _, row in lines] for i, name in enumerate(header)}
    numbers = [name for name in header if _measured(name, cells[name])]
    rest = [name for name in header if name not in numbers]
    by = _apart(rest, cells, len(lines))
    rest = [name for name in rest if name not in by]
    rows = len(set(zip(*(cells[name] for name in rest), strict=True))) if by and rest else len(lines)
    texts = [name for name in rest if len(set(cells[name])) == rows > 1 and not _is_number(cells[name])]
    written = ["# Drafted from the file's columns: correct what was guessed, then import it with this schema."]
    if texts:
        written += ['space = "nasbench201"  # guessed: see naslab list spaces', f"architecture = {_quoted(texts[0])}"]
    written.append('provenance = "TODO: where the numbers come from, and their licence"')
    if by:
        written.append(f"spread = [{', '.join(map(_quoted, by))}]")
    if not any(_role(name) != "cost" for name in numbers):
        decimals = any(re.fullmatch(r"\d+,\d+", cell.strip()) for column in cells.values() for cell in column)
        raise InvalidTable(
            f"'{path}' has no column that a search could be rewarded with. Columns: {clipped(', '.join(header))}"
            + (". A point begins decimals" if decimals else "")
        )
    names = _names(numbers, by, {name: cells[name][0].strip() for name in by})
    rewards = [name for name in numbers if _role(name) == "reward"]
    truths = [name for name in numbers if _role(name) == "truth"]
    if not rewards:
        written.insert(1, 'protocol = "test-only"  # nothing but test scores was found')
    if not texts:
        written += ["", "choices = [", *_choices({name: cells[name] for name in rest}, rows), "]"]
    several = any("dataset" in names[name].stands_for for name in rewards + truths)
    written += ["", "columns = [", *dict.fromkeys(_column(name, names[name]) for name in numbers), "]", ""]
    first, last = (rewards or truths)[0], (truths or rewards)[0]
    if rewards and truths:  # what was trained longest, and of one dataset
        first = max(rewards, key=lambda name: _length(names[name], name))
        here = [t for t in truths if names[t].stands_for.get("dataset") == names[first].stands_for.get("dataset")]
        last = max(here or truths, key=lambda name: _length(names[name], name))
    used = [_quoted(names[name].of("dataset")) for name in (first, last)]
    task = '[tasks."{dataset}"]  # one for each dataset' if several else "[tasks.data]"
    return "\n".join([*written, task, f"reward = {used[0]}", f"truth = {used[1]}"]) + "\n"


def _measured(name: str, cells: Sequence[str]) -> bool:
    return _is_number(cells) and bool(
        re.search(f"{_SCORE}|{_LOSS}|{_COST}|valid|test|(?<![a-z])val(?![a-z])", name.lower())
    )


def _is_number(cells: Sequence[str]) -> bool:
    given = [cell for cell in cells if not is_missing(cell)]
    return bool(given) and all(read_number(cell) is not None for cell in given)


def _role(name: str) -> str:
    if re.search(_COST, name.lower()):
        return "cost"
    return "truth" if "test" in name.lower() else "reward"


def _apart(rest: Sequence[str], cells: Mapping[str, Sequence[str]], rows: int) -> list[str]:
    """The columns that tell rows about one architecture apart: called a dataset or a seed, where rows repeat."""
    by = [name for name in rest if re.fullmatch(f"{_DATASETS}|{_SEEDS}", name, re.IGNORECASE)]
    others = [cells[name] for name in rest if name not in by]
    return by if by and others and len(set(zip(*others, strict=True))) < rows else []


def _names(numbers: Sequence[str], by: Sequence[str], first: Mapping[str, str]) -> dict[str, _Name]:
    """The names of the columns of numbers, with placeholders where several tell the same of different trainings."""
    found = {name: _Name(name, {}) for name in numbers}
    scores = [name for name in numbers if _role(name) != "cost"]
    stems = Counter(stem for name in scores if (stem := _ending(name)))
    for name in numbers:
        seeded, ending = _SEED.match(name), _ending(name)
        if seeded:
            found[name] = found[name].with_placeholder("seed", *seeded.groups())
        elif ending and stems[ending] > 1:
            found[name] = found[name].with_placeholder("seed", ending, name.removeprefix(ending), "")
    lengths = Counter((m[0], m[2]) for name in numbers if (m := _epochs(found[name].pattern)))
    for name in numbers:
        if (m := _epochs(found[name].pattern)) and lengths[m[0], m[2]] >= _FEWEST_EPOCHS:
            found[name] = found[name].with_placeholder("epochs", *m)
    if by:
        kinds = ["seed" if re.fullmatch(_SEEDS, name, re.IGNORECASE) else "dataset" for name in by]
        stated = dict(zip(kinds, (first[name] for name in by), strict=True))
        prefix = "/".join(f"{{{kind}}}" for kind in kinds)
        return {name: _Name(f"{prefix}/{each.pattern}", {**each.stands_for, **stated}) for name, each in found.items()}
    return _with_datasets(found, scores)


def _with_datasets(found: dict[str, _Name], scores: Sequence[str]) -> dict[str, _Name]:
    """The names, with a placeholder for the dataset where several are told apart by it; nested ones also for seeds."""
    places: dict[tuple[int, str], list[set[str]]] = {}
    for name in scores:
        *folders, last = found[name].pattern.split("/")
        seen = places.setdefault((len(folders), last), [set() for _ in folders])
        for values, folder in zip(seen, folders, strict=True):
            values.add(folder)
    datasets: set[str] = set()
    for name in scores:
        *folders, last = found[name].pattern.split("/")
        varied = [i for i, values in enumerate(places[len(folders), last]) if len(values) > 1]
        digits = [i for i in varied if all(value.isdigit() for value in places[len(folders), last][i])]
        others = [i for i in varied if i not in digits]
        for kind, where in (("seed", digits), ("dataset", others)):
            if len(where) == 1 and kind not in found[name].stands_for:
                pieces = found[name].pattern.split("/")
                value, pieces[where[0]] = pieces[where[0]], f"{{{kind}}}"
                found[name] = _Name("/".join(pieces), {**found[name].stands_for, kind: value})
        datasets.add(found[name].stands_for.get("dataset", ""))
    if datasets == {""}:  # written into one word with the split
        begins = {
            name: m for name in scores if (m := _DATASET.match(found[name].pattern)) and not re.search(r"[{/]", m[1])
        }
        datasets = {m[1] for m in begins.values()}
        if len(datasets) > 1:
            for name, m in begins.items():
                found[name] = found[name].with_placeholder("dataset", "", m[1], m[2])
    for name, each in found.items():  # costs of one of these datasets
        of = next((d for d in datasets if d and re.match(re.escape(d) + "[/_. -]", each.pattern)), "")
        if name not in scores and of and len(datasets) > 1:
            found[name] = each.with_placeholder("dataset", "", of, each.pattern.removeprefix(of))
    return found


def _ending(name: str) -> str:
    """What stands before a number that a name ends with, unless it is a training's length, or part of a word."""
    match = re.match(r"^(.*[_/ -])\d+$", name)
    return match[1] if match and not _epochs(name) else ""


def _epochs(pattern: str) -> tuple[str, str, str] | None:
    """What stands before a name's number of epochs, the number, and what follows; None where it has none."""
    match = _EPOCHS.match(pattern)
    if match is None or not int(match[2] or match[5]):
        return None
    begin, number, end = match.groups()[:3] if match[2] else match.groups()[3:]
    return begin, number, end


def _length(name: _Name, column: str) -> int:
    found = _epochs(column)
    return int(name.stands_for.get("epochs", found[1] if found else 0))


def _choices(columns: Mapping[str, Sequence[str]], rows: int) -> list[str]:
    """An entry for each column; one for those that differ in a number alone and have the same options."""
    why = {name: _left_out(cells, rows) for name, cells in columns.items()}
    options = {name: f"[{', '.join(_options(set(cells)))}]" for name, cells in columns.items() if not why[name]}
    pattern = {name: re.sub(r"\d+", "{i}", name) for name in columns}
    written: dict[str, None] = {}
    for name in columns:
        if why[name]:
            written[f"  # {_quoted(name)} was left out: {why[name]}"] = None
            continue
        alike = [each for each in options if (pattern[each], options[each]) == (pattern[name], options[name])]
        others = any(matches(pattern[name], each) for each in columns if each not in alike)
        one = len(alike) > 1 and pattern[name].count("{i}") == 1 and not others
        written[f"  {{ {_named(pattern[name] if one else name)}, options = {options[name]} }},"] = None
    return list(written)


def _left_out(cells: Sequence[str], rows: int) -> str:
    """Why a column is no choice; nothing where it may be one."""
    values = set(cells)
    if len(values) == rows > 1 and all(value.isdigit() for value in values):
        return "a number for each row"
    few = len(values) <= MOST_OPTIONS and "" not in values
    return "" if few else f"{len(values)} different values, or missing ones"


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


def _column(column: str, name: _Name) -> str:
    """An entry; the same for columns that differ in seed, epochs or dataset alone."""
    role, lower = _role(column), column.lower()
    split = "test" if "test" in lower else "train" if "train" in lower and role != "cost" else "valid"
    epochs = _epochs(column)
    clock = role == "cost" and re.search(r"train.*(?:seconds|time)", lower)
    metric = "train_seconds" if clock else _metric(name.pattern, cost=role == "cost")
    best = "min" if role == "cost" or re.search(_LOSS, lower) else "max"
    found = [f"column = {_quoted(name.pattern)}"]
    if "dataset" in name.stands_for:
        found.append('dataset = "{dataset}"')
    elif role != "cost" or clock:
        found.append('dataset = "data"')
    found += ['seed = "{seed}"'] if "seed" in name.stands_for else []
    found += [f"metric = {_quoted(metric)}"] + ([] if role == "cost" else [f'split = "{split}"'])
    unit = "seconds" if clock else _unit(lower)
    found += [f'role = "{role}"', f"unit = {_quoted(unit)}", f'direction = "{best}"']
    if "epochs" in name.stands_for:
        found.append('epochs = "{epochs}"')
    elif epochs:
        found.append(f"epochs = {int(epochs[1])}")
    return f"  {{ {', '.join(found)} }},"


def _metric(pattern: str, *, cost: bool) -> str:
    """What a column is of: its name without placeholders, split, and the words for seeds and epochs."""
    if not cost:
        pattern = re.sub(_SPLIT, "", pattern.rpartition("/")[2] or pattern, flags=re.IGNORECASE)
        pattern = re.sub(r"(?<![0-9a-z])\d{1,4}[_-]?(?:epochs?|ep)(?![a-z])|(?:epochs?|ep|@)[_-]?\d{1,4}", "", pattern)
    words = rf"(?:{_SEEDS}|epochs?|ep|@)?[_-]?\{{(?:seed|epochs)\}}[_-]?(?:epochs?|ep)?|\{{dataset\}}"
    text = re.sub(words, "", pattern, flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_.-") or "score"


def _unit(name: str) -> str:
    """A unit that a column's name ends with; otherwise it is the person's to state."""
    units = {"ms": "ms", "seconds": "seconds", "s": "seconds", "mj": "mJ", "mb": "MB", "kb": "KB", "gb": "GB", "w": "W"}
    return units.get(next(iter(re.findall(r"[a-z]+", name)[-1:]), ""), "TODO")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
