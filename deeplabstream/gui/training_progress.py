"""Training progress: steps, losses and errors from the output of a training."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

Points: TypeAlias = Sequence[Sequence[float] | None]
"""x, y of each body part; None: not found."""


@dataclass
class TrainingProgress:
    """Takes the words of `TrainNetwork.py --tell`, in pieces as they come."""

    step: int = 0
    steps: int = 0
    left_s: float | None = None
    """Seconds that it will still take."""
    losses: list[tuple[int, float]] = field(default_factory=list)
    errors: list[tuple[int, float]] = field(default_factory=list)
    """Step and median distance to the labels in the held-out pictures, px."""
    found: Mapping[str, Points] = field(default_factory=dict)
    """What was found last in some of these pictures, by their names."""
    words: list[str] = field(default_factory=list)
    """Lines that are for people."""
    silent: bool = False
    """Whether nothing was said for people since the last step."""
    _rest: str = ""

    def take(self, text: str) -> None:
        """Take what was said; a line that has no end yet is waited for."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            values = _parse_line(line)
            if values is None:
                self.words += [line.strip()] if line.strip() else []
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
        """How far it is."""
        if not self.step:
            return self.words[-1] if self.words else "starting …"
        done = f"step {self.step} of {self.steps}"
        return done if self.left_s is None else f"{done}, {in_words(self.left_s)} left"


RECORD = "progress.jsonl"
"""In the folder of a network: what a training was started with, and all that it told."""


@dataclass
class Record:
    """What the window keeps of a training, to show and continue it later."""

    labels: str = ""
    """Folder of the labels; empty: there is no record."""
    options: dict[str, str] = field(default_factory=dict)
    """Options that belong to the network: `size`, `backbone`, `held-out`."""
    progress: TrainingProgress = field(default_factory=TrainingProgress)

    @property
    def line(self) -> str:
        """The first line of the file."""
        return json.dumps({"labels": self.labels, "options": self.options}) + "\n"


def read_record(folder: Path) -> Record:
    """Return what is kept of a training; an empty record where nothing is."""
    try:
        first, _, rest = (folder / RECORD).read_text("utf-8").partition("\n")
        words = json.loads(first)
        options = {str(name): str(word) for name, word in words["options"].items()}
        record = Record(str(words["labels"]), options)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Record()
    record.progress.take(rest + "\n")
    return record if {"size", "backbone"} <= options.keys() else Record()


def in_words(seconds: float) -> str:
    """Return a time as a person says it.

    >>> in_words(5), in_words(100), in_words(7300)
    ('5 s', '2 min', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"


def _parse_line(line: str) -> dict[str, Any] | None:
    """Return what a line of JSON tells; None: it is for people."""
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
