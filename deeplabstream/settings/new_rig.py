"""New rig: the settings of a first closed loop, from a few choices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files import rig_folder
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.pose.model.model_folder import DESCRIPTION
from deeplabstream.settings.example_rig import make_rig

CAMERA, TRIGGER, OUTPUT, EXPERIMENT = "camera", "region", "stimulus", "first loop"


@dataclass(frozen=True)
class RigChoices:
    """A user's choices for a first rig, in the terms of settings.ini."""

    camera: Mapping[str, str] = field(
        default_factory=lambda: {"KIND": "SimulatedCamera"}
    )
    model: str = "arena"
    bodypart: str = "snout"
    region: str = "circle 160 240 70"
    outside: bool = False
    """Whether the output is on while the body part is outside the region."""
    dwell_s: float = 0.0
    """Minimum dwell time before the trigger is true."""
    output: Mapping[str, str] = field(
        default_factory=lambda: {"KIND": "SimulatedOutput"}
    )
    max_on_s: float = 5.0
    """Longest time that the output is on at once."""
    rest_s: float = 5.0
    """Pause after each time on: the output is off, also while the trigger is true."""
    minutes: float = 10.0

    def text(self) -> str:
        """Return the settings file."""
        trigger = {
            "KIND": "OutsideRegion" if self.outside else "InsideRegion",
            "BODYPARTS": self.bodypart,
            "REGION": self.region,
        }
        if self.dwell_s:
            trigger["MIN_DWELL_S"] = f"{self.dwell_s:g}"
        seconds = f"{self.max_on_s:g}"
        sections: dict[str, Mapping[str, str]] = {
            "Pose Estimation": {"MODEL": self.model},
            "Experiment": {
                "EXP_NAME": EXPERIMENT,
                "EXP_TIME_S": f"{60 * self.minutes:g}",
            },
            f"Camera {CAMERA}": self.camera,
            f"Trigger {TRIGGER}": trigger,
            f"Output {OUTPUT}": {**self.output, "MAX_ON_S": seconds},
            f"Experiment {EXPERIMENT}": {
                "KIND": "Conditional",
                "TRIGGER": TRIGGER,
                "OUTPUT": OUTPUT,
                "MAX_ON_S": seconds,
                "REST_S": f"{self.rest_s:g}",
                "TRIALS": "10000",
                "MAX_TOTAL_S": f"{60 * self.minutes:g}",
            },
        }
        lines = [
            "# A first closed loop. All keys: docs/settings.md, or Help in the window."
        ]
        for title, keys in sections.items():
            lines += ["", f"[{title}]", *(f"{key} = {keys[key]}" for key in keys)]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> Path:
        """Make the rig folder and return its settings file; DeepLabStreamError: why not."""
        file = make_rig(folder) / rig_folder.SETTINGS
        try:
            with atomic_file(file) as draft:
                draft.write_text(self.text(), encoding="utf-8", newline="\n")
        except OSError as error:
            reason = error.strerror or error
            raise DeepLabStreamError(f"Can't write {file}: {reason}") from error
        return file


def model_folders() -> list[Path]:
    """Return the networks that MODEL can name, those of the rig in use first."""
    found: dict[str, Path] = {}
    for place in rig_folder.model_places():
        for file in sorted(place.glob(f"*/{DESCRIPTION}")):
            found.setdefault(file.parent.name, file.parent)
    return list(found.values())
