"""Names to things, through entry points: built-ins and plug-ins are found in the same way.

Groups: ``naslab.search_spaces`` (functions that build a space), ``naslab.optimizers`` (classes), ``naslab.evaluators``
(classes), ``naslab.tasks`` (functions from a task's id to a :class:`naslab.tasks.Task`), ``naslab.rewards`` (functions
from a task to the same task with another reward, asked for by ``task@name``). The description shown by ``naslab list``
stands in square brackets after the object, ``name = package.module:Object [One line.]``, so that listing imports no
plug-in; without it the distribution's summary is shown.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from naslab.errors import (
    PluginError,
    UnknownEvaluator,
    UnknownHyperparameter,
    UnknownName,
    UnknownOptimizer,
    UnknownSearchSpace,
    UnknownTask,
)

if TYPE_CHECKING:
    from naslab.space import SearchSpace

UNKNOWN: Mapping[str, type[UnknownName]] = {
    "search_spaces": UnknownSearchSpace,
    "optimizers": UnknownOptimizer,
    "evaluators": UnknownEvaluator,
    "tasks": UnknownTask,
    "rewards": UnknownName,
}
LISTED_AS = {"search_spaces": "spaces"}


class Entry:
    """A registered name.

    Attributes:
        name: What it is called on the command line.
        description: One line, from the metadata.
        provider: The distribution that registers it, with its version.
    """

    def __init__(self, point: EntryPoint) -> None:
        self._point = point
        self.name = point.name
        self._target, _, bracket = point.value.partition("[")
        summary = point.dist.metadata["Summary"] if point.dist else ""
        self.description = bracket.rstrip().removesuffix("]") or summary or ""
        self.provider = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"

    def load(self) -> Any:
        """Import the object.

        Raises:
            PluginError: Its module can't be imported, or lacks the object.
        """
        try:
            return EntryPoint(self.name, self._target.strip(), self._point.group).load()
        except Exception as error:
            raise PluginError(
                f"{self.name!r} of {self.provider} can't be loaded: {type(error).__name__}: {error}"
            ) from error


@cache
def entries(kind: str) -> dict[str, Entry]:
    """Everything registered under a group, by name.

    Args:
        kind: ``"search_spaces"``, ``"optimizers"``, ``"evaluators"`` or ``"tasks"``.

    Raises:
        PluginError: Two distributions register the same name.
    """
    found: dict[str, Entry] = {}
    for point in entry_points(group=f"naslab.{kind}"):
        entry = Entry(point)
        other = found.setdefault(entry.name, entry)
        if other.provider != entry.provider:
            raise PluginError(
                f"{kind}: both {other.provider} and {entry.provider} register {entry.name!r}; uninstall one of them"
            )
    return dict(sorted(found.items()))


def load(kind: str, name: str) -> Any:
    """The object registered under a name.

    Raises:
        UnknownName: The kind's subclass of it, with the nearest name.
        PluginError: It can't be imported.
    """
    known = entries(kind)
    if name not in known:
        raise UNKNOWN[kind](name, known, see=f"naslab list {LISTED_AS.get(kind, kind)}")
    return known[name].load()


def checked_options(function: Callable[..., Any], options: Mapping[str, Any], what: str, skip: int = 0) -> None:
    """Refuse options that a function does not take.

    Args:
        function: A builder or a class.
        options: Keyword arguments by name.
        what: Whose options they are, for the message.
        skip: How many leading parameters are not options.

    Raises:
        UnknownHyperparameter: Names the option, and the nearest that exists.
    """
    allowed = list(inspect.signature(function).parameters)[skip:]
    for name in options:
        if name not in allowed:
            raise UnknownHyperparameter(name, allowed, of=what)


def search_space(name: str, **options: Any) -> SearchSpace:
    """The search space of this name.

    Args:
        name: See ``naslab list spaces``.
        **options: What its builder takes, such as ``num_classes``.

    Raises:
        UnknownSearchSpace: Nothing is registered under the name.
        UnknownHyperparameter: The builder takes no such option.
    """
    builder = load("search_spaces", name)
    checked_options(builder, options, name)
    space: SearchSpace = builder(**options)
    return space
