"""How far a run is, in the file that Lightning Pose's app looks at: `train_status.json`.

{"status": "TRAINING", "progress": {"completed": 40, "total": 300, "timestamp": 1763…}}
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from core.clock import Clock, SystemClock
from training.watching import Epoch, Watch

STATUS = "train_status.json"
_EVERY_NS = 1_000_000_000


@dataclass
class Status:
    """Writes the file, once a second at most, and tells `then`; can be sent on."""

    folder: Path
    steps: int
    then: Watch
    clock: Clock = field(default_factory=SystemClock)
    _written_ns: int | None = field(default=None, init=False)

    def __call__(self, epoch: Epoch) -> None:
        """Note a step."""
        now = self.clock.now_ns()
        if self._written_ns is None or now - self._written_ns >= _EVERY_NS:
            self._written_ns = now
            self.write("TRAINING", epoch.step)
        self.then(epoch)

    def write(
        self, status: Literal["TRAINING", "EVALUATING", "COMPLETED"], done: int
    ) -> None:
        """Write the file, whole or not at all; what else is in it stays."""
        file = self.folder / STATUS
        self.folder.mkdir(parents=True, exist_ok=True)
        words = {
            **_read(file),
            "status": status,
            "progress": {
                "completed": done,
                "total": self.steps,
                "timestamp": datetime.now(UTC).timestamp(),
            },
        }
        draft = file.with_name(f"{file.name}.tmp")
        draft.write_text(json.dumps(words, indent=4), "utf-8")
        draft.replace(file)


def _read(file: Path) -> dict[str, object]:
    try:
        words = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return words if isinstance(words, dict) else {}
