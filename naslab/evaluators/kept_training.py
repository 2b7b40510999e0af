"""The state of a training between two evaluations of its trial, kept in a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from naslab.errors import OutputError
from naslab.files import reason, written_whole


class KeptTraining:
    """What a training needs to go on exactly as if it had not been interrupted.

    Args:
        path: The file. One that is missing, or is no such file, holds nothing: the training begins again.

    Attributes:
        recorded: What the training recorded, epoch by epoch, as plain numbers; empty where the file holds nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: dict[str, Any] = {}
        try:
            held = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
        except Exception:  # whatever is wrong with it, the training begins again
            held = None
        if isinstance(held, dict) and {"model", "optimizer", "generator", "recorded"} <= held.keys():
            self._held = held
        self.recorded: dict[str, Any] = self._held.get("recorded", {})

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> None:
        """Put these into the state that the file holds, if any."""
        if self._held:
            model.load_state_dict(self._held["model"])
            optimizer.load_state_dict(self._held["optimizer"])
            generator.set_state(self._held["generator"])

    def keep(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
        recorded: dict[str, Any],
    ) -> None:
        """Write a state.

        Raises:
            OutputError: It can't be written.
        """
        content = io.BytesIO()  # PyTorch reports a full disk as an error of its own kind
        held = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "generator": generator.get_state()}
        torch.save({**held, "recorded": recorded}, content)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(self.path) as draft:
                draft.write_bytes(content.getbuffer())
        except OSError as error:
            raise OutputError(f"{self.path} can't be written: {reason(error)}") from None
