"""Work in other processes, which end with the process that started them and leave Ctrl-C to it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeAlias

from naslab.errors import InvalidValue, PluginError, WorkerDied

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with the amount done, the total, and what was done last."""


def do_in_processes(
    function: Callable[..., Any],
    work: Mapping[Any, tuple[Any, ...]],
    workers: int,
    done: Callable[[Any, Any], None],
    *,
    begin: Callable[..., None] | None = None,
    begin_with: tuple[Any, ...] = (),
    environment: Mapping[str, str] | None = None,
    device: str = "cpu",
    executor: Executor | None = None,
    what: str = "",
) -> None:
    """Call a function once for each piece of work.

    Processes are fresh: a forked one would inherit threads and locks of PyTorch and of the caller. When anything goes
    wrong, waiting work is dropped, and the processes started here are ended.

    Args:
        function: What is done.
        work: Arguments of each piece, by a key.
        workers: Processes.
        done: Is called here with the key and the result of each, as they come.
        begin: What each process does first.
        begin_with: Arguments of ``begin``.
        environment: Variables that processes start with.
        device: Where networks run there. Of ``"cuda"`` without a number each process sees one GPU, in turn.
        executor: Works instead; it must already have what `begin` and `environment` would set up.
        what: What is done, for the message: ``"scoring by 'synflow'"``.

    Raises:
        WorkerDied: A process ended unexpectedly.
        PluginError: Something that was called there tried to end the program.
    """
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    cards = visible_cards() if device == "cuda" else []
    first = None if begin is None else packed((begin, begin_with))
    taken = context.Value("i", 0) if cards else None
    # Another executor may run threads, to which nothing is sent.
    calls = {key: (function, *arguments) for key, arguments in work.items()}
    if executor is None:
        calls = {key: (_call, packed(call)) for key, call in calls.items()}
    pool = executor or ProcessPoolExecutor(workers, context, start_worker, (first, taken, cards))
    try:
        with interrupts_held(), _variables(environment or {}):
            futures = {pool.submit(*call): key for key, call in calls.items()}
        for future in as_completed(futures):
            done(futures[future], _result(future))
    except BrokenProcessPool:
        doing = f" while {what}" if what else ""
        raise WorkerDied(
            f"a worker process ended unexpectedly{doing} (out of memory? a script that calls naslab outside "
            '`if __name__ == "__main__":`?); what is done is kept: the same command again continues, perhaps with '
            "fewer workers"
        ) from None
    except BaseException:
        if executor is None:  # don't wait for what is under way: it is done again, or goes on from what it has written
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
        raise
    finally:
        if executor is None:
            pool.shutdown(cancel_futures=True)


def packed(work: object) -> bytes:
    """Something as it is sent to another process, which ``pickle.loads`` reads.

    What a fresh process can't import is sent by value: a class of a notebook, a function in a function.

    Raises:
        InvalidValue: It can't be sent.
    """
    import cloudpickle  # which costs 17 ms where nothing is sent

    try:
        return bytes(cloudpickle.dumps(work))
    except (pickle.PicklingError, AttributeError, TypeError, ValueError) as error:
        raise InvalidValue(
            f"a task or an optimizer can't be sent to a worker process ({error}): leave out what belongs to this "
            "process alone (open files, locks, generators), or use workers=1"
        ) from None


def _call(work: bytes) -> Any:
    function, *arguments = pickle.loads(work)
    return function(*arguments)


def _result(future: Future[Any]) -> Any:
    try:
        return future.result()
    except SystemExit as error:  # of code that a worker called: here, it would end naslab as if all were well
        raise PluginError(f"something that a worker process called ended the program: SystemExit: {error}") from error


def start_worker(first: bytes | None = None, taken: Any = None, cards: Sequence[str] = ()) -> None:
    """For an executor's ``initializer``: leave Ctrl-C to the parent, and end when the parent ends, however it ends.

    A worker of a killed process would otherwise wait for work for ever. A worker may end at any moment.

    Args:
        first: What it does first, a function and its arguments, packed.
        taken: How many workers have a GPU already; shared by all.
        cards: The GPUs. A worker sees the next one alone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if cards:  # before anything looks for GPUs
        with taken.get_lock():
            os.environ["CUDA_VISIBLE_DEVICES"] = cards[taken.value % len(cards)]
            taken.value += 1
    if first is not None:
        function, arguments = pickle.loads(first)
        function(*arguments)


def visible_cards() -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls the GPUs that PyTorch sees here."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",")[:count] if named else [str(i) for i in range(count)]


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C waits while workers are started: they inherit the mask; otherwise it would end them with a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _variables(settings: Mapping[str, str]) -> Iterator[None]:
    """Environment variables, set for as long as processes are started."""
    before = {key: os.environ.get(key) for key in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
