r"""Correct the poses of a recorded run; the recorded data stay as they are.

    python utils/CorrectPoses.py RUN uncertain
    python utils/CorrectPoses.py RUN swap --frames 900 960 --animals anna bob
    python utils/CorrectPoses.py RUN merge --frames 980 1200 --animals anna bob
    python utils/CorrectPoses.py RUN split --frames 1300 --until end --animals anna bob
    python utils/CorrectPoses.py RUN remove --seconds 12 12.5 --bodyparts snout --why "a hand"
    python utils/CorrectPoses.py RUN set --frames 912 --bodyparts snout --position 203.5 118
    python utils/CorrectPoses.py RUN interpolate --frames 913 930 --bodyparts snout
    python utils/CorrectPoses.py RUN list
    python utils/CorrectPoses.py RUN undo 2

Frames are numbered as in the column `frame` of the camera's table. The corrections are kept
in corrections.json in the run folder, with who, when and why; docs/results.md tells what uses
them.
"""

from functools import partial
from math import inf
from pathlib import Path
from typing import get_args

from deeplabstream.api.corrections import (
    Until,
    correct,
    frames_between,
    frames_until,
    uncertain_places,
    undo_correction,
)
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.programs.program import Program, ProgramGroup
from deeplabstream.recording.pose_corrections import Kind, in_force, read_corrections
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.settings.option_fields import option, program_options

_NAME = "CorrectPoses"


@program_options
class CorrectPoses:
    """The run that is corrected."""

    run: Path = option(positional=True, metavar="RUN")
    """Run folder."""


@program_options
class ListUncertainPlaces(CorrectPoses):
    """The camera whose uncertain places are listed."""

    camera: str = option(default="", metavar="NAME")
    """Camera; default: the only one."""


@program_options
class ChangeCorrections(CorrectPoses):
    """Who changes the corrections of a run, and why."""

    why: str = option(default="", metavar="TEXT")
    """Reason."""
    who: str = option(default="", metavar="NAME")
    """Person; default: the login name."""


@program_options
class CorrectAnimals(ChangeCorrections):
    """Frames and animals that are corrected."""

    frames: tuple[int, ...] = option(default=(), metavar="N")
    """First and last frame, or one frame."""
    seconds: tuple[float, ...] = option(default=(), metavar="S")
    """The same as times since Start Stream."""
    camera: str = option(default="", metavar="NAME")
    """Camera; default: the only one."""
    animals: tuple[str, ...] = option(default=(), metavar="NAME")
    """Animals; default: all."""
    bodyparts: tuple[str, ...] = option(default=(), internal=True)
    """Body parts; default: all."""
    position: tuple[float, float] | None = option(default=None, internal=True)
    """Position in pixels of the image."""
    keep: str = option(default="", internal=True)
    """Animal whose points stay."""

    def __post_init__(self) -> None:
        if bool(self.frames) == bool(self.seconds):
            raise DeepLabStreamError("give either --frames or --seconds")
        if len(self.frames or self.seconds) > 2:
            raise DeepLabStreamError(
                "--frames, --seconds: expected first and last, or one"
            )

    def span(self) -> tuple[int, int]:
        """Return first and last frame; one value is both."""
        if self.frames:
            return self.frames[0], self.frames[-1]
        first_s, last_s = self.seconds[0], self.seconds[-1]
        return frames_between(self.run, first_s, last_s, self.camera)


@program_options
class SwitchAnimals(CorrectAnimals):
    """Frames and animals that get other names."""

    until: str = option(default="", choices=get_args(Until))
    """From the first frame to the end of the run, or to the next uncertain place."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.until and len(self.frames or self.seconds) > 1:
            raise DeepLabStreamError("--until: give the first frame or time only")

    def span(self) -> tuple[int, int]:
        """Return first and last frame."""
        if not self.until:
            return super().span()
        until: Until = "end" if self.until == "end" else "next"
        if self.frames:
            first = self.frames[0]
        else:
            first, _ = frames_between(self.run, self.seconds[0], inf, self.camera)
        return frames_until(self.run, first, until, self.animals, self.camera)


@program_options
class MergeAnimals(SwitchAnimals):
    """Frames, and two names of one animal: the second becomes the first."""

    keep: str = option(default="", metavar="NAME")
    """Animal whose points stay where both have some; default: the first."""


@program_options
class SplitAnimals(SwitchAnimals):
    """Frames, and two names: the first animal becomes the second."""

    keep: str = option(default="", metavar="NAME")
    """The second animal: its old points become those of the first; default: removed."""


@program_options
class CorrectBodyParts(CorrectAnimals):
    """Frames, animals and body parts that are corrected."""

    bodyparts: tuple[str, ...] = option(default=(), metavar="NAME")
    """Body parts; default: all."""


@program_options
class SetBodyParts(CorrectBodyParts):
    """Body parts, and their right position."""

    position: tuple[float, float] = option(metavar=("X", "Y"))
    """Position in pixels of the image."""


@program_options
class UndoCorrection(ChangeCorrections):
    """A correction that does not count any more."""

    number: int = option(positional=True, metavar="NUMBER")
    """Number in the list."""


def _correct(kind: Kind, options: CorrectAnimals) -> int:
    number = correct(
        options.run,
        kind,
        options.span(),
        animals=options.animals,
        bodyparts=options.bodyparts,
        position=options.position,
        keep=options.keep,
        camera=options.camera,
        why=options.why,
        who=options.who,
    )
    print(f"{number}: {read_corrections(options.run)[number - 1]}")
    return 0


def _undo(options: UndoCorrection) -> int:
    undo_correction(options.run, options.number, options.why, options.who)
    print(f"undone: {options.number}")
    return 0


def _list(options: CorrectPoses) -> int:
    open_run_folder(options.run, print, check_tables=False)
    corrections = read_corrections(options.run)
    used = in_force(corrections)
    for number, correction in enumerate(corrections, start=1):
        is_undone = number not in used and correction.kind != "undo"
        details = filter(None, (correction.who, correction.when, correction.why))
        note = "; ".join(details)
        print(
            f"{number}: {correction}{' (undone)' if is_undone else ''}"
            f"{f'  [{note}]' if note else ''}"
        )
    if not corrections:
        print(f"{options.run}: no corrections")
    return 0


def _uncertain(options: ListUncertainPlaces) -> int:
    places = uncertain_places(options.run, options.camera)
    for place in places:
        print(place)
    remaining = sum(not place.checked for place in places)
    if places:
        print(f"{remaining} of {len(places)} to check")
    else:
        print(f"{options.run}: no uncertain places")
    return 0


def _program(
    kind: Kind, options: type[CorrectAnimals], about: str
) -> Program[CorrectAnimals]:
    return Program(options, partial(_correct, kind), about, _NAME)


PROGRAM = ProgramGroup(
    {
        "uncertain": Program(
            ListUncertainPlaces,
            _uncertain,
            "places where animals may have the wrong name, or are missing",
            _NAME,
        ),
        "swap": _program("swap", CorrectAnimals, "two animals have each other's names"),
        "switch": _program(
            "switch",
            SwitchAnimals,
            "as swap, and ambiguous frames stay ambiguous: for long spans",
        ),
        "merge": _program(
            "merge",
            MergeAnimals,
            "two names are one animal, the first; the second is missing",
        ),
        "split": _program(
            "split",
            SplitAnimals,
            "the first animal is the second one; the first is missing",
        ),
        "confirm": _program(
            "confirm",
            CorrectAnimals,
            "the names are right, though identity was ambiguous",
        ),
        "check": _program(
            "check",
            CorrectAnimals,
            "the uncertain places in the frames are as they should be",
        ),
        "remove": _program(
            "remove", CorrectBodyParts, "the points are wrong, and none is known"
        ),
        "set": _program("set", SetBodyParts, "a point is at --position"),
        "interpolate": _program(
            "interpolate",
            CorrectBodyParts,
            "the points lie on the line between the nearest known ones",
        ),
        "undo": Program(
            UndoCorrection, _undo, "a correction does not count any more", _NAME
        ),
        "list": Program(CorrectPoses, _list, "all corrections of the run", _NAME),
    },
    __doc__,
    _NAME,
    CorrectPoses,
)
