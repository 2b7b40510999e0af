"""Errors that a user can act on: what was given, what is allowed, the nearest match, the fix.

Every error raised for bad input derives from :class:`NaslabError`. Its message is one line; the command
line prints ``ClassName: message`` and exits with code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class NaslabError(ValueError):
    """Bad input, described in one line."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses build their message from other arguments, so a worker's error is sent as its message.
        return rebuilt, (type(self), str(self)), self.__dict__


def rebuilt(kind: type[NaslabError], message: str) -> NaslabError:
    """An error of a kind with this message, whatever its kind makes messages of."""
    error = kind.__new__(kind)
    ValueError.__init__(error, message)
    return error


class UnknownName(NaslabError):
    """A name that nothing is registered or defined under."""

    def __init__(self, given: str, known: Iterable[str], *, of: str = "", see: str = "") -> None:
        names = sorted(known)
        nearest = difflib.get_close_matches(given[:200], names, n=1, cutoff=0.5)  # slow for long texts
        if nearest:
            hint = f"Did you mean {nearest[0]!r}?"
        elif names:
            hint = f"Known: {', '.join(names)}."
        else:
            hint = "None is defined."
        whose = f" of {of!r}" if of else ""
        super().__init__(f"{given!r}{whose}. {hint}" + (f" See: {see}" if see else ""))


class UnknownSearchSpace(UnknownName):
    """No search space of this name."""


class UnknownOperation(UnknownName):
    """No operation of this name."""


class UnknownOptimizer(UnknownName):
    """No optimizer of this name."""


class UnknownEvaluator(UnknownName):
    """No evaluator of this name."""


class UnknownTask(UnknownName):
    """No task of this id."""


class UnknownHyperparameter(UnknownName):
    """An optimizer (or a space) does not take this option."""


class UnknownExperiment(UnknownName):
    """No experiment of this name."""


class UnknownTable(UnknownName):
    """No table is stored under this name."""


class MissingTable(NaslabError):
    """A table that has to be imported first; says how."""


class UnknownDataset(UnknownName):
    """No dataset of this name."""


class InvalidDataset(NaslabError):
    """A dataset that is not what it should be."""


class MissingPackage(NaslabError):
    """A Python package that something optional needs; names the command that installs it."""


class UnknownMetric(UnknownName):
    """No cost or column of this name."""


class InvalidValue(NaslabError):
    """A value outside what is allowed."""


class InvalidSpace(NaslabError):
    """A search space whose graph does not make sense; names the node, edge and choice."""


class InvalidArchitecture(NaslabError):
    """An architecture (tuple or string) that the space does not contain."""


class InvalidTable(NaslabError):
    """A table, or a file to import as one, that is damaged or incomplete; names the file, row and column."""


class InvalidLibrary(NaslabError):
    """A library of results that is not there, is damaged, or can't be compared with."""


FOREIGN: tuple[type[BaseException], ...] = (Exception, SystemExit)
"""What code of others may raise. ``SystemExit`` is no ``Exception``: unless it is caught where their code is called,
naslab ends in silence, with the exit code that they chose, perhaps 0."""


class PluginError(NaslabError):
    """A plug-in that can't be loaded, or that breaks the interface.

    Attributes:
        details: The plug-in's own traceback, shortened to its file; may be empty.
    """

    details: str = ""


class OutputError(NaslabError):
    """An output folder or a file in it that can't be used; what was in it is kept."""


class TrainingFailed(NaslabError):
    """A training diverged: a weight, a logit or a loss is not finite."""


class WorkerDied(NaslabError):
    """A worker process ended unexpectedly; what was done is kept."""
