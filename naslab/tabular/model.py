"""The network that a search found, saved as files: all that prediction needs, without the training data.

A folder may come from anyone. What is read of it is JSON, checked value by value, and one array of plain numbers; the
network is compiled here from its widths. Nothing in the folder can run.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import special
from torch import nn

from naslab.compiler import compile_network
from naslab.errors import InvalidDataset, InvalidValue, OutputError, TrainingFailed
from naslab.evaluators.training_objective import METRICS, TrainingObjective
from naslab.files import unreadable, written_whole
from naslab.search_spaces.mlp import mlp
from naslab.space import Architecture
from naslab.tabular.delimited import Cells, read_cells
from naslab.tabular.frames import cells_of_frame
from naslab.tabular.preprocessing import Preprocessor, TargetEncoder
from naslab.tabular.reading import Values, values_of
from naslab.tabular.stored import Damaged, Stored, check_size, read_text, read_weights, shapes_of, write_weights
from naslab.tabular.targets import known_targets

EXPORTED = "model.pt2"
"""For other programs. naslab never loads it: loading such a file can run whatever it holds."""
WEIGHTS, PREPROCESSING, TARGET, MODEL = "weights.npy", "preprocessing.json", "target.json", "model.json"
FORMAT = 2
PREDICTION = "prediction"
T = TypeVar("T")


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
        """Predict for new rows: a frame, or the path of a CSV file. The same rows give the same predictions both ways.

        Columns may stand in any order; columns that were not trained on are ignored. Missing values and new categories
        are handled as :class:`~naslab.tabular.preprocessing.Preprocessor` says; a UserWarning per column and reason
        tells what share of the cells is unlike any in training.

        Returns:
            The column ``prediction``: the class, or the number in the target's own unit. A classification also has one
            column ``probability of CLASS`` per class. The index is that of a given frame.

        Raises:
            InvalidDataset: A column is missing, or a cell of a numeric column is no number.
        """
        values, remarks = values_of(_cells(rows), self.preprocessor.columns)
        for says in (*remarks, *self.preprocessor.remarks(values)):
            warnings.warn(says, UserWarning, stacklevel=2)
        outputs = self._outputs(values)
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
        outputs = self._outputs(values_of(cells, self.preprocessor.columns)[0])
        score = self.objective.score(outputs[known], self.target.transform(values))
        return self.objective.sign * score, len(known)

    @property
    def _is_regression(self) -> bool:
        return self.objective.kind == "regression"

    def _outputs(self, values: Values) -> NDArray[np.float32]:
        x = self.preprocessor.transform(values)
        with torch.inference_mode():
            outputs: NDArray[np.float32] = self.network(torch.from_numpy(x)).numpy()
        return outputs


def save_model(
    folder: Path,
    network: nn.Module,
    architecture: Architecture,
    options: Mapping[str, Any],
    preprocessor: Preprocessor,
    target: TargetEncoder,
    objective: TrainingObjective,
    about: Mapping[str, Any],
) -> None:
    """Write a model into an existing folder; ``model.json`` is written last: a folder with it holds the whole model.

    The network is also saved by ``torch.export``, for any number of rows, for other programs.

    Args:
        folder: Where to.
        network: As :func:`naslab.compiler.compile_network` made it.
        architecture: Its widths' places among the options.
        options: Of the space ``mlp``: ``depth`` and ``widths``, the same for every layer.
        preprocessor: What its inputs are made by.
        target: What its outputs are.
        objective: What it was trained for.
        about: Further contents of ``model.json``.

    Raises:
        TrainingFailed: The network has values that are not finite.
    """
    if not all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values()):
        raise TrainingFailed("every network that was trained diverged: its weights are not finite, nothing was saved")
    example = torch.zeros(2, len(preprocessor.features))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export warns about its own internals
        program = torch.export.export(
            network.eval(), (example,), dynamic_shapes=({0: torch.export.Dim("rows", min=1)},)
        )
        torch.export.save(program, folder / EXPORTED)
    with written_whole(folder / WEIGHTS) as draft:
        write_weights(draft, network)
    for name, text in ((PREPROCESSING, preprocessor.to_json()), (TARGET, target.to_json())):
        with written_whole(folder / name) as draft:
            draft.write_text(text + "\n", encoding="utf-8")
    features, outputs = _sizes(preprocessor, target)
    described = {
        "format": FORMAT,
        "objective": {"kind": objective.kind, "metric": objective.metric},
        "network": {
            "space": "mlp",
            "options": {"in_features": features, "out_features": outputs, **options},
            "architecture": list(architecture),
            "tensors": shapes_of(network),
        },
        **about,
    }
    with written_whole(folder / MODEL) as draft:
        draft.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


def load_model(folder: str | Path) -> Model:
    """The model that ``naslab search --csv ... --out FOLDER`` saved; the training data is not needed.

    A folder from elsewhere is safe to load: no file of it is executed or unpickled, and what does not fit is refused.

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
    about = _read(folder / MODEL, lambda path: _of_format(Stored.parse(read_text(path))))
    preprocessor = _read(folder / PREPROCESSING, lambda path: Preprocessor.from_json(read_text(path)))
    target = _read(folder / TARGET, lambda path: TargetEncoder.from_json(read_text(path)))
    objective = _read(folder / MODEL, lambda _: _objective(about.object("objective"), target))
    described, sizes = _read(folder / MODEL, lambda _: _layers(about.object("network"), preprocessor, target))
    numbers = sum((before + 1) * after for before, after in pairwise(sizes))
    _read(folder / WEIGHTS, lambda path: check_size(path, numbers))
    # One width per layer: the network is the same, and choices that were not made cost nothing.
    space = mlp(sizes[0], sizes[-1], widths=[(width,) for width in sizes[1:-1]])
    network = compile_network(space, (0,) * (len(sizes) - 2)).eval()
    _read(folder / WEIGHTS, lambda path: read_weights(path, network, described.object("tensors").values))
    return Model(network, preprocessor, target, objective, about.values)


def _read(path: Path, read: Callable[[Path], T]) -> T:
    """What is read of a file; whatever is wrong with it is one line that names the file."""
    try:
        return read(path)
    except Damaged as error:
        raise OutputError(f"{path} is damaged: {error}; search again") from None
    except InvalidDataset as error:
        raise OutputError(f"{path}: {error}") from None
    except OSError as error:
        raise OutputError(unreadable(path, error)) from None


def _of_format(about: Stored) -> Stored:
    found = about.values.get("format")
    if found is None:
        raise InvalidDataset("an older naslab wrote this model, in a form that is not safe to load. Search again.")
    if found != FORMAT:
        raise InvalidDataset(f"the model is of format {str(found)[:20]!r}; this naslab reads {FORMAT}. Search again.")
    return about


def _objective(stored: Stored, target: TargetEncoder) -> TrainingObjective:
    kind = target.target.kind
    stored.text("kind", kind)
    return TrainingObjective(kind, stored.text("metric", *METRICS[kind]), scale=target.scale)


def _layers(network: Stored, preprocessor: Preprocessor, target: TargetEncoder) -> tuple[Stored, list[int]]:
    """The network's description, and how many numbers there are between its layers, from input to output."""
    network.text("space", "mlp")
    options, architecture = network.object("options"), network.wholes("architecture")
    widths, depth = options.wholes("widths", least=1), options.whole("depth", least=1)
    sizes = _sizes(preprocessor, target)
    if (options.whole("in_features"), options.whole("out_features")) != sizes:
        raise Damaged("its network does not fit the columns and the target")
    if len(architecture) != depth or any(place >= len(widths) for place in architecture):
        raise network.wrong("architecture", "one place among the widths per layer")
    return network, [sizes[0], *(widths[place] for place in architecture), sizes[1]]


def _sizes(preprocessor: Preprocessor, target: TargetEncoder) -> tuple[int, int]:
    """How many inputs and outputs a network has."""
    return len(preprocessor.features), len(target.target.classes) or 1


def _cells(rows: pd.DataFrame | str | Path) -> Cells:
    return cells_of_frame(rows) if isinstance(rows, pd.DataFrame) else read_cells(rows, one_column=True)
