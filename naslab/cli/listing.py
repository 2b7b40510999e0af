"""What ``naslab list`` shows: names, one line each; or for one name, what it is and its options."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from naslab import registry
from naslab.errors import InvalidValue, UnknownName

KINDS = {
    "spaces": "search_spaces",
    "operations": "operations",
    "optimizers": "optimizers",
    "evaluators": "evaluators",
    "tasks": "tasks",
}
EXPERIMENTS = "experiments"
DESCRIBED = ("spaces", "operations", "optimizers", "evaluators")


def rows(kind: str = "") -> list[tuple[str, str, str, str]]:
    """Kind, name, what it is, and who provides it.

    Args:
        kind: One of :data:`KINDS`, or experiments; all where empty. Single proxies are listed only for
            ``evaluators``, because their modules import PyTorch.

    Raises:
        UnknownName: There is no such kind.
    """
    if kind and kind not in (*KINDS, EXPERIMENTS):
        raise UnknownName(kind, [*KINDS, EXPERIMENTS])
    found: list[tuple[str, str, str, str]] = []
    for shown, group in KINDS.items():
        if kind in ("", shown):
            known = registry.entries(group)
            found += [(shown, e.name, e.description, e.provider) for e in known.values()]
            if shown == "tasks":
                found += _stored_tasks(known)
                modes = registry.entries("rewards").values()
                found += [(shown, f"TASK@{e.name}", e.description, e.provider) for e in modes]
            if shown == "evaluators":
                found.append((shown, "reward", "The task's own reward; reward[epochs=12] at a fidelity.", "naslab"))
    if kind == "evaluators":
        found += _proxies()
    if kind in ("", EXPERIMENTS):
        from naslab.studies.reproduce import experiments

        found += [(EXPERIMENTS, e.name, e.title, f"naslab reproduce {e.name}") for e in experiments()]
    return found


def shown(kind: str = "") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows of what ``naslab list`` prints: of tasks alone also what each offers.

    Raises:
        UnknownName: There is no such kind.
    """
    if kind != "tasks":
        return ("kind", "name", "what it is", "provider"), [*rows(kind)]
    from naslab.tasks.facts import table_facts

    facts = {
        name: (f"{each.size:,}", each.objectives, each.fidelities, each.clock) for name, each in table_facts().items()
    }
    headings = ("name", "size", "objectives", "fidelities", "clock", "what it is", "provider")
    return headings, [(name, *facts.get(name, ("",) * 4), what, by) for _, name, what, by in rows(kind)]


def described(kind: str, name: str) -> str:
    """The documentation of what is registered under a name, and its options with their defaults.

    Raises:
        UnknownName: There is no such name.
        InvalidValue: Things of this kind have no options.
    """
    if kind not in DESCRIBED:
        raise InvalidValue(f"naslab list {kind} {name}: options are shown of {', '.join(DESCRIBED)}")
    if kind in ("spaces", "operations"):
        it = registry.load(KINDS[kind], name)
        options = {key: each.default for key, each in inspect.signature(it).parameters.items()}
    elif kind == "optimizers":
        from naslab.optimizers import optimizer_spec

        spec = optimizer_spec(name)
        it, options = spec.factory, spec.describe()["hyperparameters"]
    else:
        from naslab.correlation.judges import explained

        it, options = explained(name)
    return "\n".join([inspect.getdoc(it) or "It has no documentation.", "", _written(name, options)])


def _written(name: str, options: Mapping[str, Any]) -> str:
    if not options:
        return f"{name} has no options."
    listed = [f"  {key}={_plain(value)}" for key, value in options.items()]
    return "\n".join([f"Options, written {name}[key=value,key=value], with their defaults:", *listed])


def _plain(value: Any) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _stored_tasks(registered: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    from naslab.tasks import stored_task_ids

    ids = stored_task_ids().items()
    return [("tasks", i, what, f"table {i.partition('/')[0]}") for i, what in ids if i not in registered]


def _proxies() -> list[tuple[str, str, str, str]]:
    from naslab.evaluators.zero_cost.catalogue import PROXIES

    lines = {name: (inspect.getdoc(each.function) or "").partition("\n")[0] for name, each in PROXIES.items()}
    return [("evaluators", name, line, "zero-cost") for name, line in lines.items()]
