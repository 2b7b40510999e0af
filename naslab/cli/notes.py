"""What is said before anything runs: what was given and has no effect."""

from __future__ import annotations

from collections.abc import Sequence


def say_idle_limits(tasks: Sequence[str], maximum: Sequence[str]) -> None:
    """Limits that no architecture exceeds."""
    from naslab.running import constrained_task
    from naslab.tasks import Constraint

    constraint = Constraint.parse(maximum)
    for task in tasks if maximum else ():
        for limit, most in constrained_task(task, constraint).problem.idle_limits():
            print(f"Note: {limit} does not bind on {task}: the most there is, is {most:,.10g}.")


def say_idle_device(tasks: Sequence[str], optimizers: Sequence[str], device: str) -> None:
    """A device for searches that run no network: they are the same searches as on the CPU, and recorded so."""
    if device == "cpu":
        return
    from naslab.optimizers import optimizer_spec
    from naslab.running import constrained_task, device_of
    from naslab.tasks import Constraint

    found = [constrained_task(task, Constraint(), device) for task in tasks]
    specs = [optimizer_spec(each) for each in optimizers]
    idle = [spec.label for spec in specs if all(device_of(one, spec) == "cpu" != one.problem.device for one in found)]
    if idle:
        print(f"Note: --device {device} has no effect on {', '.join(idle)}: a table is read, and no network runs.")
