"""What was asked for, which runs are missing or ended with nothing, and what was controlled."""

from __future__ import annotations

from collections.abc import Mapping

from naslab.analysis import carried_out, practice, tables
from naslab.analysis.contents import Section
from naslab.analysis.data import COMPLETE, ResultsData


def runs_section(data: ResultsData) -> Section:
    """What was asked for, and which runs are missing or ended with nothing."""
    section = Section("Runs")
    complete = int((data.runs["status"] == COMPLETE).sum())
    section.says.append(
        f"{len(data.tasks)} tasks x {len(data.optimizers)} optimizers x {len(data.seeds)} seeds = "
        f"{len(data.runs):,} runs asked for, {complete:,} complete."
    )
    section.says += [
        f"{info.id}: budget {info.budget_text}" + (f"; {info.constraint}" if info.constraint else "") + "; "
        + ("optimum unknown" if info.optimum is None else f"optimum {info.optimum:.6g} {info.unit}".rstrip())
        + f"; judged by {info.metric} ({'higher' if info.sign > 0 else 'lower'} is better)."
        for info in data.tasks.values()
    ]  # fmt: skip
    if complete == len(data.runs):
        section.says.append("No run is missing.")
    section.add(
        "runs-without-result",
        "Runs without a result",
        tables.absent(data),
        "Missing: the run was not finished, or not started; nobody knows how good it would be, and its optimizer is "
        "not ranked or tested on this task. No-feasible: it spent its budget without a feasible architecture. Failed: "
        "none of its scores was a finite number. Medians, interquartile means, ranks, tests and curves count these two "
        "as worse than any other.",
    )
    section.says += carried_out.resumed(data)
    section.add(
        "failed-evaluations",
        "Evaluations that failed",
        carried_out.failed_evaluations(data),
        "By kind: error (the evaluator raised), time limit, died (its process ended), no number. They were told to the "
        "optimizer as failures, and charged; they are not infeasible architectures.",
    )
    section.add(
        "workers",
        "Workers",
        carried_out.busy_workers(data),
        "Runs with several workers: means over n runs of the seconds from a run's start to its last result, and of "
        "the share of them in which workers evaluated.",
    )
    section.add("sources", "What was read of other tasks", carried_out.read_elsewhere(data), carried_out.READ_SAYS)
    return section


def practice_section(data: ResultsData, command: str, environment: Mapping[str, str]) -> Section:
    """The checklist of good practice."""
    section = Section("Good practice")
    found = practice.checklist(data, command, environment)
    answers = found["answer"].value_counts()
    counted = ", ".join(
        f"{answers[each]} {each}"
        for each in (practice.YES, practice.PARTLY, practice.NO, practice.OPEN)
        if each in answers
    )
    section.says.append(f"The checklist of {practice.SOURCE}, filled in from the records: {counted}.")
    section.add(
        "good-practice", "What was controlled, and what was not", found,
        "Items in our words; practice: its number in the paper.",
    )  # fmt: skip
    return section
