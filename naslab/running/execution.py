"""How the evaluations of a run are carried out: by how many workers, and what happens when one fails."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from naslab.errors import InvalidValue
from naslab.files import read_number


@dataclass(frozen=True)
class Execution:
    """How a run is carried out.

    Attributes:
        simulated: Workers on the recorded clock of a table: what N machines would have done.
        workers: Processes that evaluate at the same time; one is the process of the run itself.
        executor: Evaluates instead of these processes, ``workers`` at a time.
        on_failure: ``"record"`` keeps a failed evaluation as a result with its reason, ``"raise"`` ends the run.
        retries: How often an evaluation that failed is tried again before it counts as failed.
        limit: Seconds of real time after which an evaluation is stopped, its process ended and replaced.

    Raises:
        InvalidValue: A number that makes no sense, or two of these that can't be had together.
    """

    simulated: int = 1
    workers: int = 1
    executor: Executor | None = None
    on_failure: str = "record"
    retries: int = 0
    limit: float | None = None

    def __post_init__(self) -> None:
        for what, number, least in (
            ("simulate_workers", self.simulated, 1),
            ("workers", self.workers, 1),
            ("retries", self.retries, 0),
        ):
            if not isinstance(number, int) or isinstance(number, bool) or number < least:
                raise InvalidValue(f"{what} {number!r}: give a whole number of at least {least}")
        if self.on_failure not in ("record", "raise"):
            raise InvalidValue(f"on_failure {self.on_failure!r}. Allowed: 'record', 'raise'")
        if self.executor is not None:
            check_executor(self.executor)
        if self.limit is not None and self.executor is not None:
            raise InvalidValue(
                "a limit per evaluation needs processes that can be ended; an executor's can't. Fix: leave out the "
                "executor (workers=N starts processes), or the limit"
            )
        if self.simulated > 1 and (self.workers > 1 or self.executor is not None):
            raise InvalidValue("workers that are simulated and real ones: give one of the two")

    @property
    def real(self) -> bool:
        """Whether evaluations really run beside each other."""
        return self.workers > 1 or self.executor is not None

    @property
    def several(self) -> bool:
        """Whether there are several workers, real or simulated: an executor is other than the process of the run."""
        return self.simulated > 1 or self.real

    def alone(self) -> Execution:
        """The same with one worker."""
        return Execution(on_failure=self.on_failure, retries=self.retries, limit=self.limit)

    def entries(self) -> dict[str, Any]:
        """What the header of a trace says about it: only what differs from one worker without limits."""
        found: dict[str, Any] = {}
        if self.simulated > 1:
            found["workers"] = {"simulated": self.simulated}
        elif self.real:
            found["workers"] = {"real": self.workers}
        if self.retries:
            found["retries"] = self.retries
        if self.limit is not None:
            found["evaluation_limit"] = self.limit
        return found


ALONE = Execution()


def parse_limit(text: str | float | None) -> float | None:
    """``"60s"`` or ``60``: seconds.

    Raises:
        InvalidValue: Anything else.
    """
    if text is None:
        return None
    seconds = read_number(str(text).strip().removesuffix("s"))
    if seconds is None or seconds <= 0:
        raise InvalidValue(f"limit {text!r} of an evaluation: give seconds above 0, such as 60s")
    return seconds


def check_executor(executor: object) -> None:
    """Refuse what is no :class:`concurrent.futures.Executor`, naming what to give instead.

    Raises:
        InvalidValue: It is none.
    """
    if isinstance(executor, Executor):
        return
    kind = f"{type(executor).__module__}.{type(executor).__qualname__}"
    fix = {
        "distributed": "give client.get_executor()",
        "submitit": "wrap it in a concurrent.futures.Executor, or use dask_jobqueue's client.get_executor()",
    }.get(kind.partition(".")[0], "give a concurrent.futures.Executor, such as ProcessPoolExecutor(4)")
    raise InvalidValue(f"executor {kind} is no concurrent.futures.Executor. Fix: {fix}")


def execution_options(spec: Mapping[str, Any]) -> list[str]:
    """How a comparison's description says it is carried out, as options of ``naslab compare``."""
    ((kind, count),) = spec.get("workers", {"": 0}).items()
    words = [f"--simulate-workers {count}"] if kind == "simulated" else []
    words += [f"--workers {count} --workers-per-run {count}"] if kind == "real" else []
    words += [f"--retries {spec['retries']}"] if "retries" in spec else []
    words += [f"--evaluation-limit {spec['evaluation_limit']:g}s"] if "evaluation_limit" in spec else []
    return words + ([f"--resume {spec['resume']}"] if "resume" in spec else [])
