"""Progress of training in `train_status.json`, the file that Lightning Pose's app reads.

{"status": "TRAINING", "pid": 4711, "progress": {"completed": 40, "total": 300, …}}

The app shows folders that also have a `config.yaml`. It reports a run as failed when the
process `pid` has ended.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from deeplabstream.core.clock import Clock, SystemClock
from deeplabstream.files.atomic_replace import replace
from deeplabstream.files.foreign_files import read_json
from deeplabstream.training.callbacks import StepHook, StepProgress

STATUS = "train_status.json"
Word: TypeAlias = Literal[
    "STARTED", "TRAINING", "EVALUATING", "COMPLETED", "FAILED", "CANCELED"
]
_EVERY_NS = 1_000_000_000


@dataclass
class TrainStatusFile:
    """Writes the status file, at most once a second, and calls `then`; can be pickled."""

    folder: Path
    steps: int
    then: StepHook
    clock: Clock = field(default_factory=SystemClock)
    pid: int = field(default_factory=os.getpid)
    """Process number of the training; of several processes, the first."""
    _written_ns: int | None = field(default=None, init=False)
    _done: int = field(default=0, init=False)

    def __call__(self, progress: StepProgress) -> None:
        """Record a step."""
        now = self.clock.now_ns()
        if self._written_ns is None or now - self._written_ns >= _EVERY_NS:
            self._written_ns = now
            self.write("TRAINING", progress.step)
        self.then(progress)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Record the start, and an end by an error."""
        self.write("STARTED", 0)
        try:
            yield
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            self.write("CANCELED" if stopped else "FAILED", self._done)
            raise

    def write(self, status: Word, done: int) -> None:
        """Write the file atomically; its other content stays."""
        self._done = done
        file = self.folder / STATUS
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {
            **_read(file),
            "status": status,
            "pid": self.pid,
            "progress": {
                "completed": done,
                "total": self.steps,
                "timestamp": datetime.now(UTC).timestamp(),
            },
        }
        draft = file.with_name(f"{file.name}.tmp")
        draft.write_text(json.dumps(content, indent=4), "utf-8")
        replace(draft, file)


def _read(file: Path) -> dict[str, object]:
    try:
        content = read_json(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
