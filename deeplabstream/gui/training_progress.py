"""Training progress: steps, losses and errors from the output of a training."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from deeplabstream.startup.progress import format_duration

Points: TypeAlias = Sequence[Sequence[float] | None]
"""x, y of each body part; None: not found."""


@dataclass
class TrainingProgress:
    """Parses the output of `TrainNetwork.py --tell`, in parts."""

    networks: int = 1
    """Number of networks that are trained one after the other, with different seeds."""
    network: int = 0
    """Index of the network that is trained now."""

    step: int = 0
    steps: int = 0
    left_s: float | None = None
    """Estimated time left for this network, s."""
    losses: list[tuple[int, float]] = field(default_factory=list)
    errors: list[tuple[int, float]] = field(default_factory=list)
    """Step and median distance to the labels in the held-out frames, px."""
    found: Mapping[str, Points] = field(default_factory=dict)
    """Latest predictions in some held-out frames, by name."""
    messages: list[str] = field(default_factory=list)
    """Lines of the output that are not JSON."""
    silent: bool = False
    """Whether no message was printed since the last step."""
    _rest: str = ""

    def take(self, text: str) -> None:
        """Parse a part of the output; an incomplete last line is kept."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            values = _parse_line(line)
            if found := _NETWORK.fullmatch(line.strip()):
                self._begin_network(int(found[1]))
            if values is None:
                self.messages += [line.strip()] if line.strip() else []
                self.silent = self.silent and not line.strip()
            elif "loss" in values:
                self.step, self.steps = int(values["step"]), int(values["steps"])
                self.left_s, self.silent = values.get("left_s"), True
                self.losses.append((self.step, float(values["loss"])))
            else:
                self.found = values["found"]
                if values["error_px"] is not None:
                    self.errors.append((int(values["step"]), float(values["error_px"])))

    @property
    def sentence(self) -> str:
        """Description of the progress."""
        if not self.step:
            return self.messages[-1] if self.messages else "starting …"
        done = f"step {self.step} of {self.steps}"
        if self.networks > 1:
            done = f"network {self.network + 1} of {self.networks}, {done}"
        left_s = self._left_s
        return done if left_s is None else f"{done}, {format_duration(left_s)} left"

    @property
    def _left_s(self) -> float | None:
        """Estimated time left for this network and those after it, s."""
        if self.left_s is None or self.networks < 2 or self.steps <= self.step:
            return self.left_s
        rest = self.steps - self.step
        later = (self.networks - 1 - self.network) * self.steps
        return self.left_s * (rest + later) / rest

    def _begin_network(self, network: int) -> None:
        """Start new curves, unless training of the same network is continued."""
        if network != self.network:
            self.network = network
            self.losses, self.errors, self.step, self.left_s = [], [], 0, None


RECORD = "progress.jsonl"
"""File in the folder of a network with options and output of its training."""
_NETWORK = re.compile(r"seed (\d+):")
"""Line at the start of the training of an ensemble's network."""


@dataclass
class Record:
    """Record of a training, to show and continue it later."""

    labels: str = ""
    """Folder of the labels; empty: there is no record."""
    options: dict[str, str] = field(default_factory=dict)
    """Options that belong to the network: `size`, `backbone`, `seeds` …"""
    progress: TrainingProgress = field(default_factory=TrainingProgress)

    @property
    def line(self) -> str:
        """The first line of the record's file."""
        return json.dumps({"labels": self.labels, "options": self.options}) + "\n"


def read_record(folder: Path) -> Record:
    """Return the record of a training; empty if there is none."""
    try:
        first, _, rest = (folder / RECORD).read_text("utf-8").partition("\n")
        values = json.loads(first)
        options = {str(name): str(option) for name, option in values["options"].items()}
        record = Record(str(values["labels"]), options)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Record()
    record.progress.networks = len(options.get("seeds", "0").split(","))
    record.progress.take(rest + "\n")
    return record if "size" in options else Record()


def _parse_line(line: str) -> dict[str, Any] | None:
    """Return the content of a JSON line; None: it is a message."""
    if not line.startswith("{"):
        return None
    try:
        values = json.loads(line)
    except ValueError:
        return None
    whole = {"step", "steps", "loss"} <= values.keys() or {"error_px", "found"} <= set(
        values
    )
    return dict(values) if whole else None
