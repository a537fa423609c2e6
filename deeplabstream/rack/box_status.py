"""Box status: what a running box reports to its rack, in a small file beside the rack file."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, field
from pathlib import Path

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from deeplabstream.core.clock import Clock
from deeplabstream.core.light_cycle import LightMoment
from deeplabstream.files.atomic_replace import (
    RewrittenFile,
    atomic_file,
    sync_folder,
)
from deeplabstream.files.foreign_files import read_json
from deeplabstream.ipc.ring import RingSpec

PRINTED = "printed.txt"
"""What a box has printed, in its folder; the part or start before has `EARLIER`."""
EARLIER = "printed before.txt"
SILENCE_NS = 5_000_000_000
"""A box whose report is older does not answer."""
NOT_STARTED = "not started"
STARTING = "starting"
SILENT = "does not answer"
ENDED = "ended"
"""States of a box besides those that it reports."""
STOPPED = "a user has stopped it"
FINISHED = "its experiment has ended"
"""Reasons for which a run is not repeated by itself."""


def rack_folder(rack: Path) -> Path:
    """Return the folder of what a rack and its boxes report, beside the rack file."""
    return rack.with_suffix(".boxes")


def box_folder(rack: Path, box: str) -> Path:
    """Return the folder of a box's status and printed text."""
    return rack_folder(rack) / box


def status_file(rack: Path, box: str) -> Path:
    """Return the file of a box's status."""
    return box_folder(rack, box) / "status.json"


def restart_file(rack: Path, box: str) -> Path:
    """Return the file that tells a restarted box about its end before."""
    return box_folder(rack, box) / "restart.json"


def over_file(rack: Path, box: str) -> Path:
    """Return the file that says why the last run of a box must not be repeated by itself.

    It is written when a run ends in order or a user stops the box, and removed at a start.
    """
    return box_folder(rack, box) / "over.txt"


def note_over(rack: Path, box: str, why: str) -> None:
    """Write why the last run of a box must not be repeated, so that a power cut keeps it.

    Where that is impossible, the run is repeated and noted, as without the file.
    """
    file = over_file(rack, box)
    with suppress(OSError):
        if why == STOPPED:
            _write_stopped(file)
            return
        with atomic_file(file, through_power_cut=True) as draft:
            draft.write_text(why, encoding="utf-8")


def _write_stopped(file: Path) -> None:
    """Write `STOPPED` without a draft: the answer to a user's stop waits for it.

    An empty file, which a power cut may leave, is read as the same.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as written:
        written.write(STOPPED.encode())
        written.flush()
        os.fsync(written.fileno())
    sync_folder(file.parent)


def animal_file(rack: Path, box: str) -> Path:
    """Return the file with the last one of ANIMALS that was in a box."""
    return box_folder(rack, box) / "animal.txt"


def waiting_file(rack: Path, box: str) -> Path:
    """Return the file in which the rack says what a box waits for; it exists meanwhile."""
    return box_folder(rack, box) / "waiting.txt"


@dataclass(frozen=True)
class BoxAlarm:
    """An alarm of a box."""

    text: str
    urgent: bool
    """Whether something has failed; False: a warning, and all goes on."""
    time_ns: int
    """Time by `SystemClock`; no two alarms have the same."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class BoxStatus:
    """State of a box at one moment; written once a second while its session is polled."""

    number: int
    """Number of the report; one that does not grow means that the box does not answer."""
    state: str
    """Phase and running parts, such as `streaming, analysing, recording`."""
    rates: Mapping[str, float]
    """Analysed frames per second since the last report, by analysed camera."""
    trials: int
    """Marks of the experiment that start a trial."""
    latency_ms: tuple[float, float] | None
    """p50 and p99 from exposure to decision or write of the last frames; None: none yet."""
    lost: int | None
    """Frames lost by the cameras; None: a camera can't count them."""
    lost_to_video: int
    """Frames that are missing in the videos."""
    skipped: int
    """Frames that were delivered and not analysed while an analysis ran."""
    disk_free_gb: float | None
    """Free space of the run's disk; None: not measured."""
    alarm: str
    """Last alarm or error; empty: none."""
    alarms: tuple[BoxAlarm, ...] = ()
    """The last alarms, oldest first; one that occurs again is there again."""
    alarm_count: int = 0
    """Alarms since the start of the box."""
    run_folder: str
    """Folder of the run; empty: there is none yet."""
    nominal_rates: Mapping[str, float] = field(default_factory=dict)
    """Frame rate of each analysed camera by its driver, if it is known."""
    left_out_px: Mapping[str, float | None] = field(default_factory=dict)
    """Error of each camera of [Space] by leaving it out, median of the last moments; None: not
    known; none without points in space."""
    animal: str = ""
    """Animal of the run; empty: none is given."""
    finished: bool = False
    """Whether the experiment has run to its planned end."""
    processes: Mapping[str, int]
    """Numbers of the processes, by name."""
    rings: Mapping[str, RingSpec] = field(default_factory=dict)
    """Rings in which the newest frames are, by camera; none when there is no stream."""
    steps: Mapping[str, RingSpec] = field(default_factory=dict)
    """Rings in which poses and triggers of the newest analysed frames are, by camera."""
    light: LightMoment | None = None
    """Place of the report in the light cycle of the room; None: not known, or no stream."""
    ended: bool = False
    """Whether this is the last report of a box that was not killed."""

    @property
    def figures(self) -> dict[str, str]:
        """Texts of the figures, by their names; empty: not known."""
        latency = self.latency_ms and "{:.1f}/{:.1f}".format(*self.latency_ms)
        disk = "" if self.disk_free_gb is None else f"{self.disk_free_gb:.0f}"
        return {
            "frames/s": self._rates,
            "light": str(self.light or ""),
            "trials": str(self.trials),
            "p50/p99 ms": latency or "",
            "lost": "?" if self.lost is None else str(self.lost + self.lost_to_video),
            "disk GB": disk,
        }

    @property
    def _rates(self) -> str:
        """Analysed frames/s of each camera, and its nominal rate: `29.9 of 30`.

        With more cameras: `top 29.9 of 30, side 30.0 of 30`.
        """
        nominal = {name: f" of {rate:g}" for name, rate in self.nominal_rates.items()}
        return ", ".join(
            f"{name if len(self.rates) > 1 else ''} {rate:.1f}{nominal.get(name, '')}".strip()
            for name, rate in self.rates.items()
        )

    def write(self, file: RewrittenFile) -> None:
        """Write it in one step; DeviceError: it can't be written."""
        file.write_json(asdict(self))


def read_status(file: Path) -> BoxStatus | None:
    """Return the status in a file; None: there is none, or it can't be read."""
    try:
        return BoxStatus(**read_json(file))
    except (OSError, ValueError, TypeError):
        return None


class StatusReader:
    """Reads the status of a box again and again, and notes when it last changed."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self._file, self._clock = file, clock
        self.changed_ns = clock.now_ns()
        """Time of the last change, or at which the reader was made."""
        self.status: BoxStatus | None = None
        """Last report; None: there is none yet."""

    def read(self) -> None:
        """Read the newest report; one that can't be read leaves the last one."""
        status = read_status(self._file)
        if status is not None and status != self.status:
            self.status, self.changed_ns = status, self._clock.now_ns()

    @property
    def silent(self) -> bool:
        """Whether a box that has reported before does not answer."""
        silent_ns = self._clock.now_ns() - self.changed_ns
        return self.status is not None and silent_ns >= SILENCE_NS
