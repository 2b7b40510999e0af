"""The network that a search found, saved as files: all that prediction needs, without the training data."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import special
from torch import nn

from naslab.errors import InvalidDataset, InvalidValue, OutputError
from naslab.evaluators.training_objective import TrainingObjective
from naslab.files import is_passing, load_json, unreadable
from naslab.tabular.delimited import Cells, read_cells
from naslab.tabular.preprocessing import Preprocessor, TargetEncoder
from naslab.tabular.reading import known_targets, values_of

NETWORK, PREPROCESSING, TARGET, MODEL = "model.pt2", "preprocessing.json", "target.json", "model.json"
PREDICTION = "prediction"


@dataclass(frozen=True, eq=False)
class Model:
    """A network with the encoders that turn a table into its inputs and its outputs into predictions.

    Attributes:
        network: Maps ``(N, features)``, float32, to ``(N, classes)`` logits or to ``(N, 1)``, the standardised target.
        preprocessor: Turns columns into features.
        target: What is predicted.
        objective: What it was trained for and judged by.
        about: What ``model.json`` says: architecture, scores, settings, versions.
    """

    network: nn.Module
    preprocessor: Preprocessor
    target: TargetEncoder
    objective: TrainingObjective
    about: Mapping[str, Any]

    def predict(self, rows: pd.DataFrame | str | Path) -> pd.DataFrame:
        """Predict for new rows: a frame, or the path of a CSV file.

        Columns may stand in any order; columns that were not trained on are ignored. Missing values and new categories
        are handled as :class:`~naslab.tabular.preprocessing.Preprocessor` says.

        Returns:
            The column ``prediction``: the class, or the number in the target's own unit. A classification also has one
            column ``probability of CLASS`` per class. The index is that of a given frame.

        Raises:
            InvalidDataset: A column is missing, or a cell of a numeric column is no number.
        """
        cells = _cells(rows)
        outputs = self._outputs(cells)
        predicted = self.target.inverse(outputs[:, 0] if self._is_regression else outputs.argmax(axis=1))
        columns: dict[str, NDArray[Any]] = {PREDICTION: predicted}
        if not self._is_regression:
            probabilities = special.softmax(outputs.astype(np.float64), axis=1)
            columns |= {
                f"probability of {c}": p for c, p in zip(self.target.target.classes, probabilities.T, strict=True)
            }
        return pd.DataFrame(columns, index=rows.index if isinstance(rows, pd.DataFrame) else None)

    def score(self, rows: pd.DataFrame | str | Path) -> tuple[float, int] | None:
        """The metric of :attr:`objective` on rows with a known target (errors are not negated), and how many these are.

        None where there is no target column, or it is empty.

        Raises:
            InvalidDataset: As for :meth:`predict`; or a target is a class unknown to training, or no number.
        """
        cells = _cells(rows)
        if self.target.target.name not in cells.header:
            return None
        known, values = known_targets(cells, self.target.target)
        if not len(known):
            return None
        score = self.objective.score(self._outputs(cells)[known], self.target.transform(values))
        return self.objective.sign * score, len(known)

    @property
    def _is_regression(self) -> bool:
        return self.objective.kind == "regression"

    def _outputs(self, cells: Cells) -> NDArray[np.float32]:
        x = self.preprocessor.transform(values_of(cells, self.preprocessor.columns))
        with torch.inference_mode():
            outputs: NDArray[np.float32] = self.network(torch.from_numpy(x)).numpy()
        return outputs


def save_model(
    folder: Path,
    network: nn.Module,
    preprocessor: Preprocessor,
    target: TargetEncoder,
    objective: TrainingObjective,
    about: Mapping[str, Any],
) -> None:
    """Write a model into an existing folder; ``model.json`` is written last: a folder with it holds the whole model.

    The network is saved by ``torch.export``, for any number of rows.
    """
    example = torch.zeros(2, len(preprocessor.features))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export warns about its own internals
        program = torch.export.export(
            network.eval(), (example,), dynamic_shapes=({0: torch.export.Dim("rows", min=1)},)
        )
        torch.export.save(program, folder / NETWORK)
    (folder / PREPROCESSING).write_text(preprocessor.to_json() + "\n", encoding="utf-8")
    (folder / TARGET).write_text(target.to_json() + "\n", encoding="utf-8")
    described = {"objective": {"kind": objective.kind, "metric": objective.metric}, **about}
    draft = folder / f".{MODEL}"
    draft.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    draft.replace(folder / MODEL)


def load_model(folder: str | Path) -> Model:
    """The model that ``naslab search --csv ... --out FOLDER`` saved; the training data is not needed.

    Raises:
        InvalidValue: The folder holds no finished search.
        OutputError: Its files are damaged, another version's, or can't be read.
    """
    folder = Path(folder)
    if not (folder / MODEL).is_file():
        what = "its search is not finished: give its command again" if (folder / "search.json").is_file() else (
            "give the --out of a search: naslab search --csv FILE --target COLUMN --optimizer tabnas --out DIR"
        )  # fmt: skip
        raise InvalidValue(f"{folder} holds no model; {what}")
    try:
        about = load_json(folder / MODEL)
        preprocessor = Preprocessor.from_json((folder / PREPROCESSING).read_text(encoding="utf-8"))
        target = TargetEncoder.from_json((folder / TARGET).read_text(encoding="utf-8"))
        objective = TrainingObjective(**about["objective"], scale=target.scale)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = torch.export.load(io.BytesIO((folder / NETWORK).read_bytes())).module()
    except InvalidDataset as error:
        raise OutputError(f"{folder}: {error}") from None
    except Exception as error:  # whatever a damaged archive makes torch raise
        if is_passing(error):
            where = getattr(error, "filename", None) or folder
            raise OutputError(unreadable(where, error)) from None
        raise OutputError(
            f"{folder} is damaged or was written by another version ({type(error).__name__}); search again"
        ) from None
    return Model(network, preprocessor, target, objective, about)


def _cells(rows: pd.DataFrame | str | Path) -> Cells:
    """The cells of a file, or of a frame as if it were a file."""
    if not isinstance(rows, pd.DataFrame):
        return read_cells(rows, one_column=True)
    text = rows.astype(object).where(rows.notna(), "").map(lambda cell: str(cell).strip())
    return Cells(
        Path("the frame"),
        ",",
        tuple(str(name).strip() for name in rows.columns),
        text.to_numpy().tolist(),
        list(range(2, len(rows) + 2)),
    )
