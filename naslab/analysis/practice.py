"""The field's checklist of good practice, filled in from what is recorded: what was controlled, and what was not."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from naslab.analysis.carried_out import UTILISATION
from naslab.analysis.data import COMPLETE, ResultsData
from naslab.analysis.intervals import FEWEST
from naslab.analysis.tables import BASELINE, ranges

SOURCE = "Lindauer & Hutter 2020, Best Practices for Scientific Research on Neural Architecture Search, JMLR 21(243)"
YES, NO, PARTLY, OPEN = "yes", "no", "partly", "to be said by the author"


def checklist(data: ResultsData, command: str, environment: Mapping[str, str]) -> pd.DataFrame:
    """Lindauer and Hutter's fourteen best practices by number, in our words: ``practice, item, answer, why``.

    "yes" and "no" are read from the runs; what no record can tell is left to the author, and says so.
    """
    tables = [task for task in data.tasks if _is_table(data, task)]
    trained = [task for task in data.tasks if task not in tables]
    differ = [name for name, value in environment.items() if " and " in value]
    timed = any(info.budget_unit == "s" for info in data.tasks.values())
    measured = UTILISATION in data.frame or (timed and bool(trained))
    n, budgets = len(data.seeds), list(dict.fromkeys(info.budget_text for info in data.tasks.values()))
    missing = int((data.runs["status"] != COMPLETE).sum())
    tuned = [name for name in data.optimizers if "[" in name]
    rows: list[tuple[str, str, str]] = [
        (
            "Code of the training behind the final numbers is public",
            (PARTLY if tables else YES) if command else OPEN,
            (
                "The command below makes every run again; the environment names versions and the hash of each table."
                + (" Trainings that a table recorded are not repeated: their makers have the code." if tables else "")
            )
            if command
            else "No command is recorded.",
        ),
        (
            "Code, hyperparameters and seeds of the strategies are public",
            OPEN if any(name.startswith("./") or ":" in name for name in data.optimizers) else YES,
            f"Options stand in the names, all others in each trace's header; seeds {ranges(data.seeds)}. naslab's own "
            "strategies are public; the code of a plug-in is its author's to release.",
        ),
        ("Code is released as it was used, before it is cleaned up", OPEN, "No record tells."),
        (
            "All strategies search the same space, on the same data and split, with the same training",
            YES,
            "A task is all of these; each strategy ran on "
            + ("each task." if len(data.tasks) > 1 else "the one task.")
            + (
                f" Limits: {'; '.join(dict.fromkeys(i.constraint for i in data.tasks.values() if i.constraint))}."
                if any(i.constraint for i in data.tasks.values())
                else ""
            ),
        ),
        ("Parts of a new strategy are ablated", OPEN, "A comparison does not know which strategy is new."),
        (
            "All strategies have the same budget and are judged alike",
            YES,
            f"{'; '.join(budgets)} for every run; the judge is not seen by the strategies.",
        ),
        ("Quality is compared over time", YES, "Under Anytime performance."),
        (
            "Random search and random sampling are among the strategies",
            PARTLY if BASELINE in data.optimizers else NO,
            "Random search is; its first evaluation, the value of one random sample, is not shown apart."
            if BASELINE in data.optimizers
            else f"They are not: add {BASELINE} to --optimizers.",
        ),
        (
            "Runs are repeated, with their seeds and their spread",
            YES if n >= FEWEST and not missing else PARTLY if n > 1 else NO,
            f"{n} run{'s' if n > 1 else ''} of each strategy on each task"
            + (", paired by seed" if data.paired else "")
            + (f"; {missing:,} without a result." if missing else "."),
        ),
        (
            "Tabular or surrogate benchmarks are used for depth, and real trainings beside them",
            YES if trained and tables else PARTLY if tables else NO,
            f"The truth of every architecture that can be found is known on {len(tables)} of {len(data.tasks)} tasks."
            + (" Tasks of one space are no independent sample." if _shared(data) else ""),
        ),
        (
            "Hardware, library versions and run time do not confound",
            PARTLY if differ or measured else YES,
            f"Runs differ in {', '.join(differ)}."
            if differ
            else "Time was measured while it ran: it depends on the machine."
            if measured
            else "One version of everything that is recorded; costs are recorded or counted, not measured.",
        ),
        (
            "How hyperparameters were tuned, and what that took, is reported",
            OPEN,
            (f"Given by hand: {', '.join(tuned)}; all others are the defaults. " if tuned else "All are the defaults. ")
            + "What was tried before is not recorded here.",
        ),
        (
            "The time of the whole method is reported, not of the search alone",
            PARTLY,
            "Counted is what identifying an architecture charges, to the end; strategies' own time is not part of a "
            "recorded clock, and what is found is not trained anew.",
        ),
        (
            "All details of the setup are reported",
            PARTLY,
            "Under Runs and Reproduce; every evaluation is in the traces. "
            + ("" if environment else "Versions are not recorded. ")
            + "The hardware is the author's to state.",
        ),
    ]
    numbered = [(str(number), *row) for number, row in enumerate(rows, 1)]
    return pd.DataFrame(numbered, columns=["practice", "item", "answer", "why"])


def _is_table(data: ResultsData, task: str) -> bool:
    return data.tasks[task].optimum is not None or any(known == task for known, _ in data.landscapes)


def _shared(data: ResultsData) -> bool:
    spaces = [info.cells for info in data.tasks.values() if info.cells]
    return len(set(spaces)) < len(spaces)
