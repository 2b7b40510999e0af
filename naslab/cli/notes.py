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


def say_idle_placement(
    tasks: Sequence[str], optimizers: Sequence[str], device: str, precision: str, deterministic: bool
) -> None:
    """A device and the like for searches that run no network: they are the same searches as without, recorded so."""
    from naslab.tasks.placement import DEFAULT, Placement

    asked = Placement(device, precision, deterministic)
    if asked == DEFAULT:
        return
    from naslab.optimizers import optimizer_spec
    from naslab.running import constrained_task, placed
    from naslab.tasks import Constraint

    found = [constrained_task(task, Constraint(), asked) for task in tasks]
    specs = [optimizer_spec(each) for each in optimizers]
    idle = [spec.label for spec in specs if all(placed(one, spec) is not one for one in found)]
    if idle:
        given = " ".join(written_placement(device, precision, deterministic))
        print(f"Note: {given} has no effect on {', '.join(idle)}: a table is read, and no network runs.")


def written_placement(device: str, precision: str, deterministic: bool) -> list[str]:
    """What of it was given, as it is given."""
    given = (f"--device {device}", device != "cpu"), (f"--precision {precision}", precision != "float32")
    return [text for text, is_given in (*given, ("--deterministic", deterministic)) if is_given]


def say_one_worker(optimizers: Sequence[str], workers: int) -> None:
    """Strategies that wait for every answer, where there are several workers."""
    if workers == 1:
        return
    from naslab.optimizers import optimizer_spec
    from naslab.running import Execution, execution_of

    several = Execution(simulated=workers)
    alone = [spec.label for spec in map(optimizer_spec, optimizers) if execution_of(spec, several) != several]
    if alone:
        print(f"Note: one worker evaluates for those that wait for every answer: {', '.join(alone)}.")


def say_sources(optimizers: Sequence[str]) -> None:
    """Strategies that read other tasks, which is not in their budget."""
    from naslab.optimizers import optimizer_spec

    for spec in map(optimizer_spec, optimizers):
        if spec.sources:
            print(
                f"Note: {spec.label} reads rewards of {', '.join(spec.sources)}: the budget does not count them, the "
                "trace and the report do."
            )
