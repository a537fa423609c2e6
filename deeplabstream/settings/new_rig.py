"""New rig: the settings of a first closed loop, from a few choices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files import rig_folder
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.pose.model.model_folder import DESCRIPTION
from deeplabstream.settings.example_rig import make_rig
from deeplabstream.settings.fields import keys_of, label_of
from deeplabstream.settings.loading import kinds_of

CAMERA, TRIGGER, OUTPUT, EXPERIMENT = "camera", "region", "stimulus", "first loop"


@dataclass(frozen=True)
class RigChoices:
    """A user's choices for a first rig, in the terms of settings.ini."""

    camera: Mapping[str, str] = field(
        default_factory=lambda: {"KIND": "SimulatedCamera"}
    )
    name: str = CAMERA
    """Name of the camera."""
    others: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Sections of further cameras, by name."""
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
            f"Camera {self.name}": self.camera,
            **{f"Camera {name}": keys for name, keys in self.others.items()},
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

    def summary(self, camera: str, network: str) -> dict[str, str]:
        """Return the choices in words, by subject; `camera` and `network` describe these."""
        side = "outside" if self.outside else "inside"
        dwell = f" for {self.dwell_s:g} s" if self.dwell_s else ""
        kind = self.output["KIND"]
        known = keys_of(kinds_of("Output")[kind])
        named = {label_of(key, info): key for key, (_, info) in known.items()}
        given = [
            f"{label}: {self.output[key]}"
            for label, key in named.items()
            if key in self.output
        ]
        pause = f", then at least {self.rest_s:g} s off" if self.rest_s else ""
        return {
            "Camera": ", ".join([camera, *self.others]),
            "Network": network,
            "Trigger": f"true while the {self.bodypart} is {side} the region{dwell}",
            "Region": f"{self.region}, in pixels of the image",
            "Output": ", ".join([kind, *given]),
            "Output is on": f"while the trigger is true, at most {self.max_on_s:g} s{pause}",
            "Experiment": f"ends after {self.minutes:g} min",
        }

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
