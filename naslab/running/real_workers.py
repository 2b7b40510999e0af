"""Evaluations that really run beside each other: the loop of a run with several processes, or on an executor.

The clock is the time since the run began, asking included. A run that was interrupted is told what is recorded in its
order, between the same asks; what was under way is begun again.
"""

from __future__ import annotations

import math
import time

from naslab.optimizers import Query, Wait
from naslab.running.crew import Beside
from naslab.running.session import Session
from naslab.running.trace import Told
from naslab.tasks import Budget


def run_real(session: Session, crew: Beside, budget: Budget, worth: float) -> str:
    """Run until the budget is spent; returns why it ended.

    Args:
        session: The run.
        crew: Who evaluates.
        budget: In evaluations that are begun, or in seconds of the run.
        worth: Seconds on the task's clock per second here.
    """
    limit_asks = budget.amount if budget.unit == "evaluations" else math.inf
    limit_seconds = budget.amount if budget.unit == "s" else math.inf
    open_asks = _replayed(session)
    clock = max((step.told.at for step in session.known.values() if step.told), default=0.0)
    crew.begin()
    begun = time.perf_counter()
    idle = list(range(crew.workers))
    working: dict[int, tuple[int, Query]] = {}
    waiting = list(open_asks.items())
    reason = "budget"

    def now() -> float:
        return clock + (time.perf_counter() - begun) * worth

    while True:
        while idle and now() < limit_seconds:
            if waiting:
                number, query = waiting.pop(0)
            elif session.asks < limit_asks:
                asked = session.ask(bool(working))
                if isinstance(asked, Wait):
                    break
                if asked is None:
                    reason, limit_asks = "finished", 0
                    break
                number, query = session.asks - 1, asked
            else:
                break
            worker = min(idle)
            idle.remove(worker)
            working[number] = worker, query
            crew.start(worker, number, query, session.since(query.trial))
        if not working:
            return reason
        for number, evaluation, retried in crew.wait((limit_seconds - now()) / worth):
            worker, query = working.pop(number)
            at = now()
            if at <= limit_seconds:
                session.tell(number, query, evaluation, Told(session.asks, worker, at), retried)
                idle.append(worker)
        if now() >= limit_seconds:
            return "budget"


def _replayed(session: Session) -> dict[int, Query]:
    """Tell what is recorded in its order, between the asks that were made; returns what was under way then."""
    under_way: dict[int, Query] = {}
    for step in session.recorded:
        assert step.told is not None
        while session.asks < step.told.asked:
            query = session.ask(bool(under_way))
            if not isinstance(query, Query):
                raise session.another(f"evaluation {session.asks + 1} of the recorded run is not asked for")
            under_way[session.asks - 1] = query
        session.tell(step.ask, under_way.pop(step.ask), step.evaluation, step.told, step.retried)
    return under_way
