"""Objects by name, through entry points: built-ins and plug-ins are found in the same way.

Groups: ``naslab.search_spaces`` (functions that build a space), ``naslab.operations`` (the dataclasses that stand on a
space's edges), ``naslab.optimizers`` (classes), ``naslab.evaluators`` (classes), ``naslab.tasks`` (functions from a
task's id to a :class:`naslab.tasks.Task`), ``naslab.rewards`` (functions from a task to the same task with another
reward, asked for by ``task@name``). The description shown by ``naslab list`` stands in square brackets after it,
``name = package.module:Object [One line.]``, so that listing imports no plug-in; without it the distribution's summary
is shown.

Whatever has a name may have options, ``name[key=value,key=value]``: optimizers, predictors and evaluators are written
in the same way, and read here.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from naslab.errors import (
    FOREIGN,
    InvalidValue,
    NaslabError,
    PluginError,
    UnknownEvaluator,
    UnknownHyperparameter,
    UnknownName,
    UnknownOperation,
    UnknownOptimizer,
    UnknownSearchSpace,
    UnknownTask,
)
from naslab.files import clipped, read_number, read_whole
from naslab.files.structured import DEEPEST

if TYPE_CHECKING:
    from naslab.ops import Operation
    from naslab.space import SearchSpace

UNKNOWN: Mapping[str, type[UnknownName]] = {
    "search_spaces": UnknownSearchSpace,
    "operations": UnknownOperation,
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

    @property
    def module(self) -> str:
        """The module of the object, without importing it."""
        return self._target.partition(":")[0].strip()

    def load(self) -> Any:
        """Import the object.

        Raises:
            PluginError: Its module can't be imported, or lacks the object.
        """
        try:
            return EntryPoint(self.name, self._target.strip(), self._point.group).load()
        except FOREIGN as error:
            raise PluginError(
                f"{self.name!r} of {self.provider} can't be loaded: {type(error).__name__}: {error}"
            ) from error


@cache
def entries(kind: str) -> dict[str, Entry]:
    """Everything registered under a group, by name.

    Args:
        kind: ``"search_spaces"``, ``"operations"``, ``"optimizers"``, ``"evaluators"``, ``"tasks"`` or ``"rewards"``.

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
        UnknownName: A subclass of it, by kind; gives the nearest name.
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
        NaslabError: The builder refuses an option.
        PluginError: The builder breaks down.
    """
    builder = load("search_spaces", name)
    checked_options(builder, options, name)
    given = ", ".join(f"{key}={clipped(value)}" for key, value in options.items())
    space: SearchSpace = called(
        f"search space {name!r} can't be made with {given or 'its defaults'}", builder, **options
    )
    return space


def operation(written: str, **attributes: Any) -> Operation:
    """An operation by name.

    Args:
        written: ``"conv"``, or with attributes: ``"conv[kernel=5,order=conv-bn]"``. See ``naslab list operations``.
        **attributes: More attributes, which may be choices.

    Raises:
        UnknownOperation: Nothing is registered under the name.
        UnknownHyperparameter: The operation has no such attribute.
        NaslabError: The operation refuses an attribute.
        PluginError: The operation breaks down.
    """
    name, parts = split_options(written, "operation")
    factory = load("operations", name)
    given = {**read_options(written, parts, factory, "operation"), **attributes}
    checked_options(factory, given, name)
    made: Operation = called(f"operation {written!r}", factory, **given)
    return made


def called(what: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a registered function returns.

    Args:
        what: Is wrong if it fails, for the message.
        function: Of others, perhaps.
        *arguments: Its arguments.
        **options: Likewise.

    Raises:
        NaslabError: As it raises it.
        PluginError: It raises anything else, or tries to end the program.
    """
    try:
        return function(*arguments, **options)
    except NaslabError:
        raise
    except FOREIGN as error:
        said = " ".join(str(error).split())
        raise PluginError(f"{what}: {type(error).__name__}: {said}") from error


def parse_list(text: str) -> list[str]:
    """Split ``a,b[c=1,d=2],e`` at the commas outside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def split_options(written: str, what: str, forms: str = "NAME or NAME[key=value,key=value]") -> tuple[str, list[str]]:
    """The name, and the options as they were written.

    Args:
        written: Such as ``"kernel-ridge[target=raw]"``.
        what: ``"optimizer"``, ``"predictor"``: for messages.
        forms: How it may be written.

    Raises:
        InvalidValue: It has another form.
    """
    name, bracket, rest = written.partition("[")
    if not name or (bracket and not rest.endswith("]")):
        raise InvalidValue(f"{what} {written!r}: write {forms}")
    return name, parse_list(rest[:-1]) if bracket else []


def read_options(written: str, parts: Sequence[str], factory: Any, what: str) -> dict[str, Any]:
    """Options by name, as numbers, texts or truth values.

    Args:
        written: The whole text, for messages.
        parts: Each ``key=value``.
        factory: The class that takes them: an option whose default is a text is read as text.
        what: As for :func:`split_options`.

    Raises:
        InvalidValue: A part without ``=``, or a key given twice.
    """
    texts = _texts(factory)
    options: dict[str, Any] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidValue(f"{what} {written!r}: hyperparameters are written key=value, not {part!r}")
        if key.strip() in options:
            raise InvalidValue(f"{what} {written!r}: {key.strip()} is given twice; give each hyperparameter once")
        literal = _literal(value.strip())
        # "none" may be a name: an option whose default is a name is read as text.
        options[key.strip()] = value.strip() if key.strip() in texts and not isinstance(literal, str) else literal
    return options


def check_types(label: str, factory: Any, options: Mapping[str, Any]) -> None:
    """Refuse values of another type than the default's (an integer may stand for a number).

    Raises:
        InvalidValue: Names option, value and default.
    """
    parameters = inspect.signature(factory).parameters
    for key, value in options.items():
        default = parameters[key].default
        if default is parameters[key].empty or default is None:
            continue
        allowed: tuple[type, ...] = (int, float) if isinstance(default, float) else (type(default),)
        if not isinstance(value, allowed) or isinstance(value, bool) != isinstance(default, bool):
            raise InvalidValue(
                f"{label!r}: {key}={value!r} is no {type(default).__name__} (the default is {default!r})"
            )


def _texts(factory: Any) -> set[str]:
    """Hyperparameters whose default is a text."""
    if not isinstance(factory, type):
        return set()
    return {name for name, each in inspect.signature(factory).parameters.items() if isinstance(each.default, str)}


_WORDS = {"true": True, "True": True, "false": False, "False": False, "none": None, "None": None}
_LONGEST_LITERAL = 10_000
# Python reads 1_0 as 10, and 0x10 as 16.
_NO_NUMBER = re.compile(r"[0-9]_|\b0[xXoObB]")


def _literal(text: str) -> Any:
    """A truth value, a number, or a list or quoted text in Python's notation; else the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    whole, number = read_whole(text), read_number(text)
    if whole is not None or number is not None:
        return number if whole is None else whole
    if text[:1] not in tuple("([{'\"") or len(text) > _LONGEST_LITERAL:
        return text
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", text)  # what stands in quotes is text
    if _NO_NUMBER.search(bare) or bare.count("[") + bare.count("(") + bare.count("{") > DEEPEST:
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
