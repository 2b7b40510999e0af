"""How an optimizer is named: ``name``, ``name[key=value,key=value]``, ``package.module:Class`` or ``./file.py:Class``.

This text is the variant's name and label, and keys its seeds.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from naslab import registry
from naslab.errors import FOREIGN, InvalidValue, NaslabError, PluginError, UnknownName
from naslab.optimizers.base import AskTell, GradientSearch, Optimizer
from naslab.optimizers.fingerprint import code_sha256
from naslab.registry import check_types, read_options, split_options
from naslab.tasks import Problem


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer that can be built for any problem.

    Attributes:
        label: As it was written.
        factory: Its class.
        options: Hyperparameters that were given.
    """

    label: str
    factory: type[AskTell] | type[GradientSearch]
    options: dict[str, Any]

    @property
    def unit(self) -> str:
        """What it works in: ``"epochs"`` or ``"evaluations"``."""
        return "epochs" if issubclass(self.factory, GradientSearch) else "evaluations"

    @property
    def sources(self) -> tuple[str, ...] | None:
        """Ids of the tasks whose rewards it is to read, ``a+b`` in its option ``sources``; None where it has none.

        Raises:
            InvalidValue: One of them is empty.
        """
        declared = inspect.signature(self.factory).parameters.get("sources")
        if declared is None or not isinstance(declared.default, str):
            return None
        text = str(self.options.get("sources", declared.default))
        found = tuple(part.strip() for part in text.split("+")) if text else ()
        if not all(found):
            raise InvalidValue(f"{self.label!r}: sources={text!r} names an empty task; write sources=TASK+TASK")
        return found

    def build(self, problem: Problem, rng: np.random.Generator) -> AskTell | GradientSearch:
        """A fresh optimizer.

        Raises:
            NaslabError: It refuses its hyperparameters or the problem; or it learns from gradients, and the problem has
                a limit or an objective that only evaluations tell.
            PluginError: It raises anything else.
        """
        if self.unit == "epochs":
            problem.require_known_limits(self.label)
            problem.require_known_objectives(self.label)
        try:
            return self.factory(problem, rng, **self.options)
        except NaslabError:
            raise
        except FOREIGN as error:
            raise plugin_error(f"{self.label!r} can't be built", error, self.factory) from error

    def build_black_box(self, problem: Problem, rng: np.random.Generator) -> AskTell:
        """A fresh black-box optimizer.

        Raises:
            InvalidValue: It is a gradient search.
        """
        optimizer = self.build(problem, rng)
        if not isinstance(optimizer, AskTell):
            raise InvalidValue(f"{self.label!r} learns from gradients, not from evaluations: it can't be asked")
        return optimizer

    def describe(self) -> dict[str, Any]:
        """What a trace's header records: label, hyperparameters with their defaults, and the hash of a plug-in's
        file, or of the code of a class that has none."""
        defaults = {
            name: parameter.default
            for name, parameter in list(inspect.signature(self.factory).parameters.items())[2:]
            if parameter.default is not parameter.empty
        }
        described = {"name": self.label, "hyperparameters": {**defaults, **self.options}}
        file = inspect.getsourcefile(self.factory) if ".py:" in self.label else None
        if file:
            described["file_sha256"] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        elif self.factory.__module__ == "__main__":
            described["code_sha256"] = code_sha256(self.factory)
        return described


def optimizer_spec(name: str | type[Optimizer]) -> OptimizerSpec:
    """What a name stands for; see the module's documentation.

    Raises:
        UnknownOptimizer, UnknownHyperparameter: They give the nearest name.
        InvalidValue: The text is malformed, or a value has the wrong type.
        PluginError: A plug-in that can't be imported or does not implement the interface.
    """
    if not isinstance(name, str):
        return _checked(f"{name.__module__}:{name.__qualname__}", name, {})
    if not name.strip():
        raise InvalidValue("an optimizer's name is empty: is there a comma too many?")
    if name.partition("[")[0].endswith(".py"):
        raise InvalidValue(f"optimizer {name!r}: say which class of the file, {name.partition('[')[0]}:CLASS")
    target, parts = split_options(name, "optimizer", "NAME, NAME[key=value,key=value], MODULE:CLASS or ./FILE.py:CLASS")
    factory = registry.load("optimizers", target) if ":" not in target else _from_module(target)
    options = read_options(name, parts, factory, "optimizer")
    return _checked(name, factory, options)


def plugin_error(what: str, error: BaseException, factory: Any) -> PluginError:
    """A plug-in's failure in one line; :attr:`details` is its traceback, shortened to its own file."""
    try:
        file = inspect.getsourcefile(factory)
    except TypeError:
        file = str(factory)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if file and Path(frame.filename).resolve() == Path(file).resolve()]
    failure = PluginError(f"{what}: {type(error).__name__}: {error}".replace("\n", " "))
    if isinstance(error, SyntaxError):
        failure.details = "".join(traceback.format_exception_only(error))
    else:
        failure.details = "".join(traceback.format_list(own))
    return failure


def _checked(label: str, factory: Any, options: dict[str, Any]) -> OptimizerSpec:
    if not (isinstance(factory, type) and issubclass(factory, Optimizer)):
        raise PluginError(f"{label!r} is no optimizer: it must be a class derived from naslab.AskTell")
    missing = sorted(getattr(factory, "__abstractmethods__", ()))
    if missing:
        raise PluginError(f"{label!r} lacks {', '.join(f'{method}()' for method in missing)}")
    if not issubclass(factory, AskTell | GradientSearch):
        raise PluginError(f"{label!r} is neither a black-box optimizer (naslab.AskTell) nor a gradient search")
    registry.checked_options(factory, options, label.partition("[")[0], skip=2)
    check_types(label, factory, options)
    return OptimizerSpec(label, factory, options)


def _from_module(target: str) -> Any:
    source, _, attribute = target.rpartition(":")
    module = _module_from_file(Path(source)) if source.endswith(".py") else _module(source)
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            classes: Sequence[str] = [n for n, v in vars(module).items() if isinstance(v, type)]
            raise PluginError(f"{source} has no class {UnknownName(attribute, classes)}")
        found = getattr(found, part)
    return found


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise PluginError(f"module {name!r} can't be found; for a file write ./file.py:Class") from None
        raise plugin_error(f"module {name!r} can't be imported", error, _origin(name)) from error
    except FOREIGN as error:
        raise plugin_error(f"module {name!r} can't be imported", error, _origin(name)) from error


def _origin(name: str) -> str:
    try:
        spec = importlib.util.find_spec(name)
    except FOREIGN:  # finding a submodule imports its package, which may be what raises
        return _origin(name.rpartition(".")[0]) if "." in name else name
    return str(spec.origin) if spec else name


def _module_from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"plug-in file {str(path)!r} does not exist")
    # The path is in the module's name, so that two files of one name are two modules; workers use the same name.
    name = f"naslab_plugin_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, FOREIGN):
            raise
        raise plugin_error(f"plug-in {str(path)!r} raises on import", error, str(path.resolve())) from error
    return module
