"""Exports: every evaluation of a comparison, in the formats of other programs."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from naslab.analysis.formats import to_csv
from naslab.errors import InvalidValue, MissingPackage, OutputError, UnknownName
from naslab.files import reason, written_whole
from naslab.running.optuna_export import write_studies
from naslab.running.results import Results
from naslab.running.workers import Progress


def export(results: Results, to: str, out: str | Path, progress: Progress | None = None) -> Path:
    """Write every evaluation of a comparison into one file.

    Args:
        results: The comparison.
        to: ``"csv"`` or ``"parquet"``: :meth:`~naslab.running.results.Results.steps`, one row per evaluation;
            ``"optuna"``: see :func:`~naslab.running.optuna_export.write_studies`.
        out: A new file.
        progress: Called after every evaluation, where one takes long: for ``"optuna"``.

    Returns:
        Its path.

    Raises:
        UnknownName: There is no such format.
        MissingPackage: ``parquet`` without pyarrow.
        InvalidValue: The comparison has no evaluations.
        OutputError: The file exists, or can't be written; nothing is left of it then.
    """
    path = Path(out)
    if to not in FORMATS:
        raise UnknownName(to, FORMATS, of="--to")
    if to == "parquet" and find_spec("pyarrow") is None:
        raise MissingPackage("parquet needs 'pyarrow', which is not installed. Fix: pip install naslab[parquet]")
    if path.exists():
        raise OutputError(f"{path} exists; give a new file as --out")
    if not any(recorded.steps for _, recorded in results.runs()):
        raise InvalidValue(f"{results.folder} holds no evaluation yet: there is nothing to export")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as draft:
            FORMATS[to](results, draft, progress)
    except OSError as error:
        raise OutputError(f"{path} can't be written: {reason(error)}") from None
    return path


def _write_csv(results: Results, draft: Path, _: Progress | None) -> None:
    draft.write_text(to_csv(results.steps()), encoding="utf-8")


def _write_parquet(results: Results, draft: Path, _: Progress | None) -> None:
    frame = results.steps()
    if not pd.api.types.is_numeric_dtype(frame["fidelity"]):  # names, or names and numbers: a column has one type
        frame["fidelity"] = frame["fidelity"].map(str, na_action="ignore")
    frame.to_parquet(draft, engine="pyarrow", index=False)


FORMATS: dict[str, Callable[[Results, Path, Progress | None], None]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
    "optuna": write_studies,
}
