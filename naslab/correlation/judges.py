"""The names written after ``--evaluators``, and the evaluators that they stand for.

- ``synflow``, ``zero-cost/synflow``: a zero-cost proxy; ``zero-cost/all`` (or ``zero-cost``): all that are defined for
  the task's rows. Proxies with the same options share their passes.
- ``reward``: the task's own reward; ``reward[epochs=12]``: the same at one of its fidelities.
- ``one-shot``, ``training`` and every other name registered under ``naslab.evaluators`` whose class has
  :meth:`~naslab.evaluators.Evaluator.for_task`; ``package.module:Class`` likewise, or a function
  ``(task, rng, **options)``.

Options stand in brackets: ``one-shot[epochs=20]``, ``naswot[batch=128]``.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from naslab import registry
from naslab.errors import FOREIGN, InvalidValue, NaslabError, PluginError, UnknownEvaluator
from naslab.evaluators import AtFidelity, Evaluation, Evaluator, Fidelity
from naslab.evaluators.zero_cost.counted import CountedParams
from naslab.registry import check_types, checked_options, read_options, split_options
from naslab.space import Architecture
from naslab.tasks import Task

ZERO_COST, REWARD = "zero-cost", "reward"


@dataclass(frozen=True)
class Source:
    """An evaluator, and the scores that are wanted from it.

    Attributes:
        label: As it is written, without the proxy's name: ``"zero-cost[batch=128]"``, ``"one-shot"``.
        target: What is made: a registered name, ``"reward"`` or ``"module:name"``.
        options: What it is made with.
        columns: From the name of a score to the metric that it is; ``""`` is the evaluation's score itself.
    """

    label: str
    target: str
    options: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)


class Hidden(Evaluator):
    """Takes the place of the truth where an evaluator must not see it."""

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        raise PluginError("an evaluator that is to be judged by the truth asked for the truth")


def blind(task: Task) -> Task:
    """The same task without its truth and its test rows: what an evaluator may be made from."""
    return dataclasses.replace(task, truth=Hidden(), test=None)


def sources(written: Sequence[str], task: Task) -> list[Source]:
    """What these names stand for on a task.

    Raises:
        InvalidValue: No name; the same evaluator, or the same proxy with the same options, twice; options that are not
            written well, have the wrong type or name ``proxies``.
        UnknownEvaluator: No evaluator has that name; names the nearest.
        UnknownName: ``zero-cost/`` is followed by no proxy's name.
        UnknownHyperparameter: An evaluator does not take an option.
        PluginError: An evaluator can't be imported, or its class or function can't be made for a task.
    """
    found: dict[str, Source] = {}
    named: set[str] = set()
    for name in written:
        target, parts = split_options(name, "evaluator", "NAME, NAME[key=value,key=value] or MODULE:CLASS")
        bracket = name[len(target) :]
        proxies = _proxies(target, task)
        if proxies is None:
            source = Source(name, target, {}, {name: ""})
        else:
            source = Source(f"{ZERO_COST}{bracket}", ZERO_COST, {}, {f"{proxy}{bracket}": proxy for proxy in proxies})
        factory = _factory(source.target)
        options = read_options(name, parts, factory, "evaluator")
        # A bound method's signature no longer has the class: the two to skip are the task and the generator.
        checked_options(factory, options, target, skip=2)
        check_types(name, factory, options)
        if proxies is not None and "proxies" in options:
            raise InvalidValue(f"evaluator {name!r}: proxies are named before the bracket, {ZERO_COST}/NAME")
        # One of all proxies may be named beside them, but nothing in two spellings.
        once = next(iter(source.columns)) if len(source.columns) == 1 else f"{ZERO_COST}/all{bracket}"
        if once in named:
            raise InvalidValue(f"evaluators: {once!r} is named twice; name each once")
        named.add(once)
        known = found.get(source.label)
        if known is not None:
            source = dataclasses.replace(source, columns={**known.columns, **source.columns})
        found[source.label] = dataclasses.replace(source, options=options)
    if not found:
        raise InvalidValue("which evaluators? Give their names, such as --evaluators synflow,naswot,one-shot")
    return list(found.values())


def build(source: Source, task: Task, rng: np.random.Generator, metrics: Iterable[str]) -> Evaluator:
    """The evaluator of a source, ready to be asked for these metrics.

    Raises:
        NaslabError: The evaluator refuses the task or its options.
        PluginError: It breaks down.
    """
    options, metrics, space = dict(source.options), list(metrics), task.problem.space
    if source.target == ZERO_COST:
        if metrics == ["params"] and not options and not space.ranges:
            return CountedParams(space)
        options["proxies"] = metrics
    try:
        made = _factory(source.target)(blind(task), rng, **options)
    except NaslabError:
        raise
    except FOREIGN as error:
        raise PluginError(f"{source.label!r} can't be made: {type(error).__name__}: {error}") from error
    if not isinstance(made, Evaluator):
        raise PluginError(f"{source.label!r} made {made!r}, which is no naslab.Evaluator")
    return made


def explained(name: str) -> tuple[Any, dict[str, Any]]:
    """The object that documents an evaluator, and its options with their defaults.

    Raises:
        UnknownEvaluator: No evaluator has that name; names the nearest.
        PluginError: It can't be imported, or can't be made for a task.
    """
    from naslab.evaluators.zero_cost.catalogue import OWN_OPTIONS, PROXIES

    proxy = PROXIES.get(name.removeprefix(f"{ZERO_COST}/"))
    if proxy is None:
        _check_known(name)
    it = proxy.function if proxy else _reward if name == REWARD else _loaded(name)
    parameters = list(inspect.signature(_factory(ZERO_COST if proxy else name)).parameters.items())[2:]
    options = {key: each.default for key, each in parameters}
    if proxy:
        options = {k: v for k, v in options.items() if k in ("batch", "cut") or OWN_OPTIONS.get(k) == proxy.name}
    return it, options


def is_stateful(source: Source) -> bool:
    """Whether several processes would each have to train it."""
    owner = _class(source)
    return owner is not None and (owner.stateful or owner.learns)


def unscored(source: Source, task: Task, architectures: Sequence[Architecture]) -> set[Architecture]:
    """The architectures of which an evaluator has no score: of a stored column that was not measured for all."""
    if not getattr(_class(source), "partial", False):
        return set()
    made: Any = build(source, task, np.random.default_rng(0), source.columns.values())
    return {a for a in architectures if made.lacks(a)}


def learns(source: Source) -> bool:
    """Whether the evaluator learns from rewards of architectures."""
    owner = _class(source)
    return owner is not None and owner.learns


def inputs_of(source: Source, task: Task) -> str:
    """What networks are shown, where it matters: the task's rows, or noise."""
    if source.target != ZERO_COST:
        return ""
    return "training rows" if task.problem.train is not None else "gaussian"


def looks_at_inputs(source: Source) -> bool:
    """Whether any of its scores depends on what networks are shown."""
    if source.target != ZERO_COST:
        return False
    from naslab.evaluators.zero_cost.catalogue import BLIND

    return not set(source.columns.values()) <= set(BLIND)


def _reward(task: Task, rng: np.random.Generator, *, epochs: int | None = None) -> Evaluator:
    """The task's own reward, at a fidelity."""
    allowed = task.problem.fidelities
    if epochs is not None and epochs not in allowed:
        raise InvalidValue(f"reward[epochs={epochs}] of {task.id!r}. Allowed: {', '.join(map(str, allowed)) or 'none'}")
    return AtFidelity(task.reward(), epochs)


def _factory(target: str) -> Callable[..., Any]:
    """A function of a task without truth, a generator and options."""
    if target == REWARD:
        return _reward
    found = _loaded(target)
    if isinstance(found, type):
        if not issubclass(found, Evaluator):
            raise PluginError(f"{target!r} is no evaluator: it must be derived from naslab.Evaluator, or a function")
        return _with_options(found)
    if not callable(found):
        raise PluginError(f"{target!r} is neither an evaluator's class nor a function that makes one")
    made: Callable[..., Any] = found
    return made


def _with_options(owner: type[Evaluator]) -> Callable[..., Any]:
    """The class's ``for_task``; where it takes ``**options``, its signature names those of the constructor."""
    signature = inspect.signature(owner.for_task)
    *own, last = signature.parameters.values()
    if last.kind is not last.VAR_KEYWORD:
        return owner.for_task
    theirs = inspect.signature(owner).parameters.values()
    others = [each for each in theirs if each.kind is each.KEYWORD_ONLY and each.name not in signature.parameters]
    made = functools.partial(owner.for_task)
    made.__signature__ = signature.replace(parameters=[*own, *others])  # type: ignore[attr-defined]
    return made


def _class(source: Source) -> type[Evaluator] | None:
    found = None if source.target == REWARD else _loaded(source.target)
    return found if isinstance(found, type) and issubclass(found, Evaluator) else None


def _loaded(target: str) -> Any:
    return _from_module(target) if ":" in target else registry.load("evaluators", target)


def _proxies(target: str, task: Task) -> list[str] | None:
    """The proxies that a name stands for; None where it names something else."""
    from naslab.evaluators.zero_cost.catalogue import PROXIES, proxies

    family, slash, name = target.partition("/")
    if target != ZERO_COST and not (slash and family == ZERO_COST) and target not in PROXIES:
        _check_known(target)
        return None
    if target in PROXIES:
        return [target]
    if name in ("", "all"):
        rows, graph, first = task.problem.train, task.problem.space.graph, task.problem.space.order[0]
        labels = rows is None or np.issubdtype(rows.y.dtype, np.integer)
        return [p.name for p in proxies("all", images=len(graph.nodes[first]["shape"]) == 3, labels=labels)]
    return [proxy.name for proxy in proxies(name)]


def _check_known(target: str) -> None:
    from naslab.evaluators.zero_cost.catalogue import PROXIES

    if target != REWARD and ":" not in target and target not in registry.entries("evaluators"):
        known = [*PROXIES, REWARD, f"{ZERO_COST}/all", *registry.entries("evaluators")]
        raise UnknownEvaluator(target, known, see="naslab list evaluators")


def _from_module(target: str) -> Any:
    module, _, name = target.rpartition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise PluginError(f"evaluator {target!r}: there is no module {error.name!r}") from None
    except AttributeError:
        raise PluginError(f"evaluator {target!r}: module {module!r} has no {name!r}") from None
    except FOREIGN as error:
        raise PluginError(f"evaluator {target!r} raises on import: {type(error).__name__}: {error}") from error
