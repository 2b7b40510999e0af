"""An example of every command, shown by its ``--help``."""

from __future__ import annotations

import typer

EXAMPLES = {
    "list": "naslab list tasks\nnaslab list optimizers regularized-evolution",
    "compare": (
        "naslab compare nasbench201/cifar10 pocket-mlp/segments \\\n"
        "  --optimizers random,regularized-evolution,./mine.py:Mine \\\n"
        "  --budget 150 --seeds 20 --workers 2 --out runs/first"
    ),
    "search": (
        "naslab search nasbench201/cifar10 --optimizer local-search \\\n"
        "  --budget 12000s --max params=500000 --out runs/one\n"
        "naslab search --csv mine.csv --target price --space mlp \\\n"
        "  --optimizer tabnas --max params=5000 --out runs/mine"
    ),
    "predict": "naslab predict runs/mine new.csv --out predictions.csv",
    "correlate": (
        "naslab correlate nasbench201/cifar10 --evaluators params,synflow,nwot \\\n"
        "  --architectures 200 --out runs/proxies"
    ),
    "reproduce": "naslab reproduce nasbench201-search --workers 2",
    "report": "naslab report runs/first",
    "status": "naslab status runs/first --watch",
    "show": "naslab show runs/first/runs/nasbench201--cifar10/random/0.jsonl",
    "merge": "naslab merge runs/first runs/second --out runs/both",
    "export": "naslab export runs/first --to csv --out evaluations.csv",
    "importance": "naslab importance fcnet/protein-structure --out runs/importance",
    "leaderboard": "naslab leaderboard pocket-mlp/segments",
    "cite": "naslab cite nasbench201/cifar10",
    "baselines build": "naslab baselines build --out runs/library --workers 2",
    "table import": (
        "naslab table import mine.csv --schema mine.toml --name mine\n"
        "naslab table import nasbench_only108.tfrecord \\\n"
        "  --format nasbench101 --name nb101"
    ),
    "table join": "naslab table join mine costs.csv --schema costs.toml",
    "table schema": "naslab table schema mine.csv > mine.toml",
    "table build": "naslab table build pocket-mlp/segments --workers 2 --verify 50",
}


def show_examples(app: typer.Typer, group: str = "") -> None:
    """Give every command of an application its example."""
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        lines = EXAMPLES[f"{group} {name}".strip()].replace("\n", "\n  ")
        command.epilog = f"\b\nExample:\n  {lines}"
    for each in app.registered_groups:
        assert each.typer_instance is not None
        show_examples(each.typer_instance, f"{group} {each.name}".strip())
