"""Rack file: names the boxes of a rack, each an ordinary rig with its subject."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.animal_blocks import AnimalBlocks
from deeplabstream.core.errors import SettingsError
from deeplabstream.files import rig_folder
from deeplabstream.settings.alarm_section import AlarmSection
from deeplabstream.settings.animal_blocks_setting import AnimalBlocksSetting
from deeplabstream.settings.arena_layout import with_first_arenas
from deeplabstream.settings.computer_section import ComputerSection
from deeplabstream.settings.daily_span_setting import DailySpanSetting
from deeplabstream.settings.fields import Maker, Section, keys_of
from deeplabstream.settings.ini_editing import set_value
from deeplabstream.settings.ini_reading import SectionTexts, read_sections, read_text
from deeplabstream.settings.loading import BOX, NAME, parse
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.subject import Subject

ALARMS = "Alarms"
COMPUTER = "Computer"
RACK = "Rack"


@settings(frozen=True, kw_only=True)
class RackSection:
    """Settings of the rack."""

    if_window_lost: Literal["stop", "go on"] = Field(
        "stop",
        description="what the boxes do when the window of the rack ends without being "
        "closed, as when it is killed; stop: all are stopped; go on: their experiments "
        "continue, and a new window shows them",
        title="If the window is lost",
    )


@settings(frozen=True, kw_only=True)
class BoxSection(Subject):
    """A box: an ordinary rig. A key of [Session] here replaces that of its settings."""

    rig: Path = Field(description="settings file of the rig, or its rig folder")
    output_directory: Path | None = Field(
        None,
        description="folder in which each run gets a new folder; empty: as in the "
        "settings of the rig",
        title="Output folder",
    )
    restarts: int = Field(
        0,
        ge=0,
        le=1000,
        description="how often the box is restarted after an unexpected end, since it was "
        "started by a user; 0: never",
    )
    resume: bool = Field(
        True,
        description="after a restart, its experiment goes on where it was; no: it starts from "
        "the beginning",
    )
    backoff_s: float = Field(
        10.0,
        ge=1,
        le=3600,
        description="pause before the first restart, in seconds; each further pause is "
        "twice as long, at most an hour",
        title="Pause before a restart (s)",
    )
    start_at: datetime | None = Field(
        None,
        description="date and time by the computer's clock before which the box waits; "
        "empty: none",
    )
    daily: DailySpanSetting | None = Field(
        None,
        description="times of day between which the box runs, each day in a new run; empty: "
        "one run",
    )
    max_hours: float | None = Field(
        None,
        gt=0,
        le=8784,
        description="hours after its start at which a run is stopped; empty: no limit",
        title="Longest run (h)",
    )

    animals: AnimalBlocksSetting | None = Field(
        None,
        description="animals that are in the box one after another, each in a run of its own, "
        "such as m1, m2, or m1 09:00 - 11:00, m2 11:30 - 13:30; empty: one, ANIMAL",
    )
    next_animal: Literal["confirm", "automatic"] = Field(
        "confirm",
        description="what starts the run of the next one of ANIMALS; confirm: a user, by a "
        "start after it was put into the box; automatic: its time, or the end of the run before",
    )

    @field_validator("animals")
    @classmethod
    def _replaces_others(
        cls, animals: AnimalBlocks | None, info: ValidationInfo
    ) -> AnimalBlocks | None:
        if animals is not None and info.data.get("animal"):
            raise ValueError("leave out ANIMAL: ANIMALS has all")
        if animals is not None and info.data.get("daily") is not None:
            raise ValueError("leave out DAILY: give each animal its own time")
        return animals

    @field_validator("start_at")
    @classmethod
    def _is_local(cls, moment: datetime | None) -> datetime | None:
        if moment is not None and moment.tzinfo is not None:
            raise ValueError("must be a local time, without a time zone")
        return moment


@dataclass(frozen=True)
class RackBox:
    """A box of a rack file."""

    name: str
    box: BoxSection
    subject: Mapping[str, str]
    """Keys of [Session] that the rack file gives, and their texts."""
    threads: int = 0
    """Threads of its network if its rig says THREADS = 0; 0: automatic, one per core."""
    arenas: int = 0
    """How many of its arenas are used; 0: all."""

    @property
    def file(self) -> Path:
        """The settings file of its rig."""
        rig = self.box.rig
        return rig / rig_folder.SETTINGS if rig.is_dir() else rig

    def with_animal(self, animal: str) -> "RackBox":
        """Return it with one of its ANIMALS as its subject."""
        return replace(self, subject={**self.subject, "ANIMAL": animal})

    def with_arenas(self, number: int) -> "RackBox":
        """Return it with so many of its arenas; 0: all."""
        return replace(self, arenas=number)

    def settings(self) -> Settings:
        """Return the settings of its rig, with subject, output folder and threads of the box.

        SettingsError has all problems. The plug-ins beside the settings file are in use
        afterwards.
        """
        text, folder = read_text(self.file), self.file.resolve().parent
        for key, word in self.subject.items():
            text = set_value(text, "Session", key, word)
        if self.box.output_directory is not None:
            place = str(self.box.output_directory.resolve())
            text = set_value(text, "Streaming", "OUTPUT_DIRECTORY", place)

        settings = parse(text, folder)
        if self.threads and not settings.pose.threads:
            text = set_value(text, "Pose Estimation", "THREADS", str(self.threads))
            settings = parse(text, folder)
        if self.arenas:
            text = with_first_arenas(text, settings, self.arenas)
            settings = parse(text, folder)
        return settings


@dataclass(frozen=True)
class RackFile:
    """A rack file that was read."""

    path: Path
    boxes: Mapping[str, RackBox]
    rack: RackSection
    alarms: AlarmSection | None = None
    """Where alarms are sent; None: nowhere."""
    computers: Mapping[str, ComputerSection] = field(default_factory=dict)
    """Other computers, shown on the page in the browser only."""


def threads_of_box(boxes: int, cores: int | None = None) -> int:
    """Return the threads of each box's network: the cores are shared equally.

    0, one thread per core, for a single box. With more threads than cores, the networks would
    wait for one another. `cores`: by default those of this computer.

    >>> [threads_of_box(boxes, cores=8) for boxes in (1, 2, 3, 16)]
    [0, 4, 2, 1]
    """
    cores = cores or os.cpu_count() or 1
    return max(1, cores // boxes) if boxes > 1 else 0


def is_rack_file(path: Path) -> bool:
    """Return whether a file names boxes or other computers, and no camera.

    False: it can't be read.
    """
    try:
        titles = read_sections(read_text(path)).texts
    except SettingsError:
        return False
    families = {title.partition(" ")[0] for title in titles}
    return bool({BOX, COMPUTER} & families) and "Camera" not in families


def load_rack(path: Path, only_shown: bool = False) -> RackFile:
    """Return a rack file; SettingsError has all its problems.

    Relative paths in it start at its folder. The settings of the boxes are not read.
    `only_shown`: nothing is run, so a file that names other computers needs no box.
    """
    rack = parse_rack(read_text(path), path)
    if not rack.boxes and not only_shown:
        raise SettingsError([_without_boxes(path)])
    return rack


def parse_rack(text: str, path: Path) -> RackFile:
    """Return the rack of a text that is, or will be, the file at `path`: see `load_rack`.

    A file that names other computers only has no boxes.
    """
    found = read_sections(text)
    problems = [f"{path.name}: {problem}" for problem in found.problems]
    folder = path.resolve().parent
    boxes: dict[str, RackBox] = {}
    rack = _made(RACK, RackSection, found.texts.get(RACK, {}), folder, problems)
    alarms: AlarmSection | None = None
    computers: dict[str, ComputerSection] = {}
    for title, texts in found.texts.items():
        family, _, name = title.partition(" ")
        if title == ALARMS:
            alarms = _made(title, AlarmSection, texts, folder, problems)
        elif title == RACK:
            continue
        elif family not in {BOX, COMPUTER} or not name:
            problems.append(
                f"[{title}]: unknown section; a rack file has [{RACK}], [{ALARMS}], "
                f"[{BOX} NAME] and [{COMPUTER} NAME]"
            )
        elif not NAME.fullmatch(name):
            problems.append(
                f"[{title}]: NAME may contain letters, digits, spaces, - and _ only (it "
                "becomes part of file names)"
            )
        elif family == COMPUTER:
            if computer := _made(title, ComputerSection, texts, folder, problems):
                computers[name] = computer
        elif box := _made(title, BoxSection, texts, folder, problems):
            subject = {k: w for k, w in texts.items() if k in keys_of(Subject)}
            if (
                box.progress_folder is not None
            ):  # relative to the rack file, not the rig
                subject["PROGRESS_FOLDER"] = str(box.progress_folder.resolve())
            boxes[name] = RackBox(name, box, subject)
            problems += _rig_problems(boxes[name])
    if not boxes and not computers and not problems:
        problems.append(_without_boxes(path))
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    threads = threads_of_box(len(boxes))
    shared = {name: replace(box, threads=threads) for name, box in boxes.items()}
    return RackFile(path.resolve(), shared, rack, alarms, computers)


def _without_boxes(path: Path) -> str:
    return f"{path.name}: [{BOX} NAME] is missing; at least one is needed"


def _made(
    title: str, kind: type, texts: SectionTexts, folder: Path, problems: list[str]
) -> Any:
    """Return the object of a section; None, with `problems`, after an error."""
    section = Section[Any](title, kind, texts, folder)
    maker: Maker[Any] | None = section.maker(lambda key: None)
    problems += section.problems
    return maker() if maker is not None else None


def _rig_problems(box: RackBox) -> Iterator[str]:
    if not box.file.is_file():
        what = "has no settings.ini" if box.box.rig.is_dir() else "does not exist"
        yield f"[Box {box.name}] RIG = {box.box.rig}: {what}"
