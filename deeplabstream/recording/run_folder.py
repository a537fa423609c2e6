"""A run's layout on disk: made once, never overwritten, read back by the same names.

2026-11-21_10-58-55/
settings.ini        as used
run.json            versions, model, cameras, skeleton, times, accounts
events.csv          intents, commands, marks, edges of outputs, notes
triggers.csv        one row per change of an answer
CAMERA.csv          one row per frame that came while analysing
CAMERA.mkv          the pictures, nothing drawn on them; CAMERA_2.mkv is a second take
CAMERA.frames.csv   which frame each picture of the video is
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from deeplabstream.core.atomic_replace import replace
from deeplabstream.core.confidence_thresholds import Thresholds
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.overwriting import check_new
from deeplabstream.core.pose import Skeleton
from deeplabstream.recording.frame_accounts import Accounts
from deeplabstream.recording.run_reader import read_steps
from deeplabstream.recording.sound_facts import skeleton_from
from deeplabstream.recording.table_reader import (
    RunTable,
    camera_table,
    events_table,
    pictures_table,
    read_events,
    triggers_table,
)
from deeplabstream.recording.versions import versions

SCHEMA = 1
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)$")
"""What Windows takes for a device, with whatever ending."""


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Which network gave poses."""

    name: str
    sha256: str
    threshold: float
    """Confidence under which triggers saw NaN; the tables hold the raw points."""
    provider: str
    """What computed it: CPUExecutionProvider, CUDAExecutionProvider …"""


@dataclass(frozen=True, slots=True)
class ModelFacts(NetworkFacts):
    """Which network gave the poses of all cameras that have none of their own."""

    cameras: Mapping[str, NetworkFacts] = field(default_factory=dict)
    """Those of cameras that have."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run when it begins."""

    start_ns: int
    """When the stream began, on the run's clock: the zero of every time_s."""
    cameras: Mapping[str, ImageFormat]
    skeleton: Skeleton | None = None
    model: ModelFacts | None = None
    more: Mapping[str, object] = field(default_factory=dict)
    """Whatever else is worth keeping and is made of words and numbers: a seed, say."""


class RunFolder:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(
        cls,
        root: Path,
        started: datetime,
        settings_text: str,
        facts: RunFacts,
        name: str = "",
    ) -> "RunFolder":
        """Make a new folder under `root`, by default named by the time of `started`.

        DeviceError says why there can't be one.
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
        """Make exactly this folder; DeviceError when it exists and is not empty."""
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
        """Where the events are."""
        return self.path / "events.csv"

    @property
    def triggers_path(self) -> Path:
        """Where the changes of triggers are."""
        return self.path / "triggers.csv"

    def table_path(self, camera: str) -> Path:
        """Return where a camera's frames and poses are."""
        return self.path / f"{stem(camera)}.csv"

    def new_video_path(self, camera: str) -> Path:
        """Return where the next take of a camera goes."""
        name = stem(camera)
        for take in count(1):
            path = self.path / (f"{name}_{take}.mkv" if take > 1 else f"{name}.mkv")
            if not (path.exists() or path.with_suffix(".frames.csv").exists()):
                return path
        raise AssertionError("count() never ends")

    @property
    def settings_text(self) -> str:
        """The settings as used."""
        return (self.path / "settings.ini").read_text("utf-8")

    @property
    def facts(self) -> dict[str, Any]:
        """What `run.json` says."""
        text = (self.path / "run.json").read_text("utf-8")
        return dict(json.loads(text))

    @property
    def skeleton(self) -> Skeleton:
        """Return the skeleton of the poses; DeviceError when there were none."""
        words = self.facts["skeleton"]
        if words is None:
            raise DeviceError(f"nothing was analysed in {self.path}")
        return skeleton_from(words)

    @property
    def thresholds(self) -> Thresholds:
        """Return below which confidences triggers saw NaN; 0 when nothing was analysed."""
        model = self.facts["model"] or {"threshold": 0.0}
        own = model.get("cameras", {}).items()
        return Thresholds(
            float(model["threshold"]),
            {camera: float(each["threshold"]) for camera, each in own},
        )

    def steps(self, camera: str) -> Iterator[Step]:
        """Yield the analysed frames in order, as they were written, poses bit by bit."""
        return read_steps(self, camera)

    def events(self) -> list[dict[str, str]]:
        """Return the rows of the events by column."""
        return read_events(self.events_path)

    def tables(self) -> Iterator[RunTable]:
        """Yield all tables of the run."""
        words = self.facts.get("skeleton")
        skeleton = self.skeleton if words else None
        yield events_table(self.events_path)
        yield triggers_table(self.triggers_path)
        for camera in self.facts["cameras"]:
            if (path := self.table_path(camera)).exists():
                yield camera_table(path, skeleton)
        for path in sorted(self.path.glob("*.frames.csv")):
            yield pictures_table(path)

    def update(self, **facts: object) -> None:
        """Change facts in `run.json`: the old file is there until the new one is whole."""
        self._write_json({**self.facts, **facts})

    def finish(self, ended: datetime, how: str, accounts: Sequence[Accounts]) -> None:
        """Say when and how the run ended, and where its frames went."""
        self.update(ended=_utc(ended), how=how, accounting=accounting(accounts))

    def _begin(self, started: datetime, settings_text: str, facts: RunFacts) -> None:
        (self.path / "settings.ini").write_text(settings_text, "utf-8", newline="\n")
        self._write_json(
            {
                "schema": SCHEMA,
                "model": asdict(facts.model) if facts.model else None,
                "skeleton": asdict(facts.skeleton) if facts.skeleton else None,
                **facts.more,
                **versions(),
                "started": _utc(started),
                "ended": None,
                "how": None,
                "start_ns": facts.start_ns,
                "cameras": {name: asdict(form) for name, form in facts.cameras.items()},
                "accounting": [],
            }
        )

    def _write_json(self, facts: Mapping[str, object]) -> None:
        draft = self.path / "run.json.new"
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            json.dump(facts, file, indent=2, ensure_ascii=False, default=str)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        replace(draft, self.path / "run.json")


def accounting(accounts: Sequence[Accounts]) -> list[dict[str, object]]:
    """Return the accounts as `run.json` holds them."""
    return [
        {**asdict(each), "exposed": each.exposed, "closes": each.closes()}
        for each in accounts
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


def stem(camera: str) -> str:
    """Return a camera's name as a file name: what no file system takes becomes %XX."""
    name = re.sub(r'[<>:"/\\|?*%\x00-\x1f]', lambda m: f"%{ord(m[0]):02X}", camera)
    first = name.partition(".")[0].rstrip().lower()
    ours_or_windows = name.lower() in ("events", "triggers") or _DEVICES.match(first)
    return f"camera_{name}" if ours_or_windows else name


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
