"""Run folder: paths and `run.json` of a run; made once, never overwritten.

`run_schema` lists its files and the columns of its tables.
"""

import json
import os
import platform
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from io import TextIOWrapper
from itertools import count
from pathlib import Path
from typing import Any

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Skeleton, Thresholds
from deeplabstream.files.atomic_replace import replace
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.files.foreign_files import open_regular, read_json
from deeplabstream.files.overwriting import check_new
from deeplabstream.files.paths import ROOT
from deeplabstream.recording.calibration_copy import copy_calibration
from deeplabstream.recording.frame_accounts import FrameCounts
from deeplabstream.recording.run_json import skeleton_facts, skeleton_from
from deeplabstream.recording.run_schema import (
    IMPORTED,
    MOMENTS,
    PULSES,
    QUEUE,
    VERSION,
    current_facts,
)
from deeplabstream.recording.step_reader import read_steps
from deeplabstream.recording.table_reader import (
    RecordedTable,
    camera_table,
    events_table,
    matches_table,
    moments_table,
    pulses_table,
    queue_table,
    read_events,
    triggers_table,
    video_table,
)

LABELLED = ".labelled.mkv"
"""Suffix of videos with drawn poses."""
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)$")
"""Names that Windows reserves for devices, with any ending."""


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """The network that estimated the poses."""

    name: str
    sha256: str
    threshold: float
    """Confidence below which triggers saw NaN; the tables have the points unchanged."""
    provider: str
    """Execution provider: CPUExecutionProvider, CUDAExecutionProvider …"""


@dataclass(frozen=True, slots=True)
class ModelFacts(NetworkFacts):
    """The default network of the cameras."""

    cameras: Mapping[str, NetworkFacts] = field(default_factory=dict)
    """Networks of cameras that have their own, by camera."""
    infrared: NetworkFacts | None = None
    """The network for infrared light; `threshold` is then the higher one of both. None: the
    network is for any light."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts about a run at its start."""

    start_ns: int
    """Start Stream on the run's clock: the zero of `time_s`."""
    cameras: Mapping[str, ImageFormat]
    skeleton: Skeleton | None = None
    model: ModelFacts | None = None
    more: Mapping[str, object] = field(default_factory=dict)
    """Further entries of `run.json`, such as a seed."""


class RunFolder:
    """One run on disk.

    With `corrected`, the frames that `read_frames` reads have the corrections of the run;
    without, they are those that were recorded.
    """

    def __init__(self, path: Path, corrected: bool = False) -> None:
        self.path = path
        self.corrected = corrected

    @classmethod
    def create(
        cls,
        root: Path,
        started: datetime,
        settings_text: str,
        facts: RunFacts,
        name: str = "",
    ) -> "RunFolder":
        """Make a new folder under `root`, named after the time `started` by default.

        DeviceError: it can't be made.
        """
        try:
            name = name or started.strftime("%Y-%m-%d_%H-%M-%S")
            folder = cls(_new_folder(root, name))
            folder._begin(started, settings_text, facts)
        except OSError as error:
            raise DeviceError(
                f"the run folder can't be made in {root}: {error.strerror or error}; "
                "choose another OUTPUT_DIRECTORY"
            ) from error
        return folder

    @classmethod
    def create_at(
        cls, path: Path, started: datetime, settings_text: str, facts: RunFacts
    ) -> "RunFolder":
        """Create exactly this folder; DeviceError when it exists and is not empty."""
        try:
            check_new(path, DeviceError)
            path.mkdir(parents=True, exist_ok=True)
            folder = cls(path)
            folder._begin(started, settings_text, facts)
        except OSError as error:
            raise DeviceError(
                f"the run folder {path} can't be made: {error.strerror or error}"
            ) from error
        return folder

    @property
    def events_path(self) -> Path:
        """Path of the events."""
        return self.path / "events.csv"

    @property
    def triggers_path(self) -> Path:
        """Path of the changes of triggers."""
        return self.path / "triggers.csv"

    @property
    def queue_path(self) -> Path:
        """Path of the table of uncertain frames."""
        return self.path / QUEUE.file

    @property
    def pulses_path(self) -> Path:
        """Path of the numbered pulses."""
        return self.path / PULSES.file

    @property
    def moments_path(self) -> Path:
        """Path of the poses in space."""
        return self.path / MOMENTS.file

    def matches_path(self, camera: str) -> Path:
        """Return the path of a camera's pulses with their frames."""
        return self.path / f"{stem(camera)}.pulses.csv"

    def table_path(self, camera: str) -> Path:
        """Return the path of a camera's frames and poses."""
        return self.path / f"{self.stem(camera)}.csv"

    def stem(self, camera: str) -> str:
        """Return the beginning of the names of a camera's files, as `stem`.

        Runs from before there were pulses have a camera `pulses` under its own name.
        """
        name = stem(camera)
        if camera.lower() != "pulses" or any(self.path.glob(f"{name}.*")):
            return name
        found = {*self.path.glob(f"{camera}.*")}
        if self.pulses_path in found and is_of_pulses(self.pulses_path):
            found.remove(self.pulses_path)
        return camera if found else name

    def video_of(self, table: Path) -> Path:
        """Return the video whose frames `NAME.frames.csv` lists: `NAME.mkv`.

        That of an imported run has the ending of the original.
        """
        imported = self.facts.get(IMPORTED)
        own = imported.get("file") if isinstance(imported, Mapping) else ""
        return self.path / (own or table.name.replace(".frames.csv", ".mkv"))

    @property
    def videos(self) -> list[Path]:
        """Videos of the run without drawings; else the video that it was computed from.

        In the order of their names, `NAME_10` after `NAME_9`. Only files that exist; of a
        damaged `run.json` those in the folder.
        """
        found = {*self.path.glob("*.mkv")}
        analysed = ""
        with suppress(OSError, ValueError, TypeError, KeyError):
            found |= {self.video_of(table) for table in self.path.glob("*.frames.csv")}
            analysed = str(self.facts.get("video") or "")
        own = [video for video in found if not video.name.endswith(LABELLED)]
        if not own and analysed:
            own = [Path(analysed)]
        return sorted((video for video in own if video.is_file()), key=_in_order)

    def new_video_path(self, camera: str) -> Path:
        """Return the path of the next video of a camera; no other camera has its name."""
        name = stem(camera)
        others = {stem(other).lower() for other in self.facts["cameras"]}
        for number in count(1):
            path = self.path / (f"{name}_{number}.mkv" if number > 1 else f"{name}.mkv")
            if number > 1 and path.stem.lower() in others:
                continue
            if not (path.exists() or path.with_suffix(".frames.csv").exists()):
                return path
        raise AssertionError("count() never ends")

    def video_tables(self, camera: str) -> list[Path]:
        """Return the tables of a camera's videos, in their order.

        `NAME_2.frames.csv` is of the camera `NAME_2`, if the run has one.
        """
        name, ending = self.stem(camera), ".frames.csv"
        others = {self.stem(other) for other in self.facts.get("cameras") or ()} - {
            name
        }
        of_camera = re.compile(re.escape(name) + r"(?:_(\d+))?" + re.escape(ending))
        found = []
        for path in self.path.glob(f"*{ending}"):
            match = of_camera.fullmatch(path.name)
            if match and path.name.removesuffix(ending) not in others:
                found.append((int(match[1] or 1), path))
        return [path for _, path in sorted(found)]

    @property
    def settings_text(self) -> str:
        """The settings as used; DeviceError: they can't be read."""
        file = self.path / "settings.ini"
        try:
            with TextIOWrapper(open_regular(file), "utf-8") as content:
                text = content.read()
        except OSError as error:
            reason = error.strerror or str(error)
        except UnicodeDecodeError:
            reason = "it is not UTF-8 text"
        else:
            if "\0" not in text:
                return text
            reason = "it contains NUL characters"
        raise DeviceError(f"{file} can't be read: {reason}. Restore it from a backup")

    @property
    def facts(self) -> dict[str, Any]:
        """Content of `run.json`, with the names of this program's schema."""
        return current_facts(dict(read_json(self.path / "run.json")))

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the poses; DeviceError: nothing was analysed."""
        skeleton = self.facts["skeleton"]
        if skeleton is None:
            raise DeviceError(f"no poses in {self.path}")
        return skeleton_from(skeleton)

    @property
    def thresholds(self) -> Thresholds:
        """Confidences below which triggers saw NaN; 0 when nothing was analysed."""
        model = self.facts["model"] or {"threshold": 0.0}
        own = model.get("cameras", {}).items()
        return Thresholds(
            float(model["threshold"]),
            {camera: float(facts["threshold"]) for camera, facts in own},
        )

    def steps(self, camera: str) -> Iterator[Step]:
        """Yield the analysed frames in order, exactly as they were written."""
        return read_steps(self, camera)

    def events(self) -> list[dict[str, str]]:
        """Return the rows of the events by column."""
        return read_events(self.events_path)

    def tables(self) -> Iterator[RecordedTable]:
        """Yield all tables of the run."""
        skeleton = self.skeleton if self.facts.get("skeleton") else None
        yield events_table(self.events_path)
        yield triggers_table(self.triggers_path)
        cameras = [self.table_path(camera) for camera in self.facts["cameras"]]
        for path in cameras:
            if path.exists():
                yield camera_table(path, skeleton)
        for path in sorted(self.path.glob("*.frames.csv")):
            yield video_table(path)
        if self.queue_path.exists():
            yield queue_table(self.queue_path)
        if self.pulses_path.exists() and self.pulses_path not in cameras:
            yield pulses_table(self.pulses_path)
        for path in sorted(self.path.glob("*.pulses.csv")):
            yield matches_table(path)
        if self.moments_path.exists():
            yield moments_table(self.moments_path)

    def update(self, **facts: object) -> None:
        """Change entries of `run.json` atomically."""
        self._write_json({**self.facts, **facts})

    def replace_settings(self, text: str) -> None:
        """Replace `settings.ini` atomically."""
        self._replace("settings.ini", text)

    def finish(
        self, ended: datetime, how: str, accounts: Sequence[FrameCounts]
    ) -> None:
        """Write time and manner of the run's end, and the frame accounts."""
        self.update(ended=_utc(ended), how=how, accounting=accounting(accounts))

    @contextmanager
    def repairing(self, patience_s: float | None = None) -> Iterator[None]:
        """Prevent other programs from repairing the run during the block.

        DeviceError: one still does after `patience_s`, or the folder can't be written to.
        """
        # Only acquiring the lock may raise this error, not the block: hence no plain
        # `with`.
        with ExitStack() as alone:
            try:
                alone.enter_context(exclusive(self.path / "repair", patience_s))
            except DeviceError as error:
                raise DeviceError(
                    f"{self.path} was killed and can't be repaired: {error}"
                ) from error
            yield

    def _begin(self, started: datetime, settings_text: str, facts: RunFacts) -> None:
        more = dict(facts.more)
        # first: without its copy, the folder must not look like a run
        if isinstance(space := more.get("space"), Mapping):
            hashes = copy_calibration(Path(str(space["CALIBRATION"])), self.path)
            more["space"] = {**space, "sha256": hashes}
        settings = self.path / "settings.ini"
        with settings.open("x", encoding="utf-8", newline="\n") as file:
            file.write(settings_text)  # another program may make the same folder
        self._write_json(
            {
                "schema": VERSION,
                "model": asdict(facts.model) if facts.model else None,
                "skeleton": skeleton_facts(facts.skeleton) if facts.skeleton else None,
                **more,
                **_versions(),
                "started": _utc(started),
                "ended": None,
                "how": None,
                "start_ns": facts.start_ns,
                "cameras": {name: asdict(form) for name, form in facts.cameras.items()},
                "accounting": [],
            }
        )

    def _write_json(self, facts: Mapping[str, object]) -> None:
        text = json.dumps(facts, indent=2, ensure_ascii=False, default=str)
        self._replace("run.json", f"{text}\n")

    def _replace(self, name: str, text: str) -> None:
        # a name that only this program uses
        draft = self.path / f".{name}.{os.getpid()}.new"
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        replace(draft, self.path / name)


def accounting(accounts: Sequence[FrameCounts]) -> list[dict[str, object]]:
    """Return the accounts as `run.json` holds them."""
    return [
        {**asdict(account), "exposed": account.exposed, "closes": account.is_balanced()}
        for account in accounts
    ]


def _new_folder(root: Path, name: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        path = root / (name if number == 1 else f"{name}_{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise AssertionError("count() never ends")


def _in_order(video: Path) -> tuple[str, int, str]:
    """Return the key that sorts the parts of a recording by their numbers."""
    name, _, number = video.stem.rpartition("_")
    if name and number.isdecimal():
        return name, int(number), video.name
    return video.stem, 1, video.name


def stem(camera: str) -> str:
    """Return a camera's name as a file name; characters that are not allowed become %XX."""
    name = re.sub(r'[<>:"/\\|?*%\x00-\x1f]', lambda m: f"%{ord(m[0]):02X}", camera)
    first = name.partition(".")[0].rstrip().lower()
    ours_or_windows = name.lower() in (
        "events",
        "pulses",
        "triggers",
    ) or _DEVICES.match(first)
    return f"camera_{name}" if ours_or_windows else name


def is_of_pulses(table: Path) -> bool:
    """Return whether a table has numbered pulses, not the frames of a camera."""
    with open_regular(table) as lines:
        return lines.readline().startswith(PULSES.names[0].encode())


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


@cache
def _versions() -> dict[str, object]:
    """Return the versions of the program, Python, the system and all packages.

    The program's is None where its `pyproject.toml` was not copied along.
    """
    packages = {package.name: package.version for package in distributions()}
    return {
        "application": application_version(),
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }


def application_version(project: Path = ROOT / "pyproject.toml") -> str | None:
    """Return the version of the checkout, or of the installed package; None: unknown."""
    if project.is_file():
        # a checkout that is being merged must not keep a run from being recorded
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(tomllib.loads(project.read_text("utf-8"))["project"]["version"])
        return None
    try:
        return version("DeepLabStream")
    except PackageNotFoundError:
        return None
