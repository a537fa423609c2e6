"""Dose file: what outputs have given to an animal in the last 24 hours, through power cuts."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import quote

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from deeplabstream.core.errors import DeviceError
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.foreign_files import read_json

_FOLDER = "doses"
_NO_ANIMAL = "without animal"
_DIGITS = 6
_Count = Annotated[int, Field(ge=0)]
_Seconds = Annotated[float, Field(allow_inf_nan=False, ge=0)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class ClockReading:
    """A moment, by the clocks that can tell how long ago it was."""

    utc: datetime
    boot: str
    """Start of the computer (`boot_id`); empty: unknown."""
    monotonic_s: float
    """Time since then, sleep included."""

    def elapsed_s(self, later: "ClockReading") -> float:
        """Return the time until `later`; after a restart of the computer, by its date.

        A date that was set back gives 0: then limits last longer.
        """
        if self.boot and self.boot == later.boot:
            return max(later.monotonic_s - self.monotonic_s, 0.0)
        return max((later.utc - self.utc).total_seconds(), 0.0)


class GivenDose(NamedTuple):
    """A dose: its time on the clock of the file, pulses, and on-time in seconds."""

    time_s: Annotated[float, Field(allow_inf_nan=False)]
    pulses: _Count
    seconds: _Seconds


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class OutputRecord:
    """Doses of one output."""

    given: tuple[GivenDose, ...] = ()
    reserved: tuple[_Count, _Seconds] = (0, 0.0)
    """Pulses and seconds that may have been given since the file was written."""
    largest: tuple[_Count, _Seconds] = (0, 0.0)
    """Pulses and seconds of the largest command."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class DoseFile:
    """Content of a dose file."""

    animal: str
    saved: ClockReading
    clock_s: Annotated[float, Field(allow_inf_nan=False)]
    """Time of `saved` on the clock of the file, which is never set."""
    outputs: Mapping[str, OutputRecord]
    """By output; in an arena, without the arena's name if its animal has one."""


def dose_path(folder: Path, animal: str) -> Path:
    """Return the file of an animal; an empty name: that of all animals without one."""
    return folder / _FOLDER / f"{quote(animal, safe=' ') or _NO_ANIMAL}.json"


class DoseStore:
    """The file of an animal on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> DoseFile | None:
        """Return the content; None: there is no file. DeviceError: it can't be read."""
        try:
            return DoseFile(**read_json(self.path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise DeviceError(
                f"{self.path} can't be read, so it is not known what outputs have given in the "
                "last 24 hours. Move it away when no limit can be exceeded: counting then "
                "starts at 0"
            ) from error

    def write(self, content: DoseFile) -> None:
        """Write it in one step, to the disk; DeviceError: that is not possible."""
        saved = content.saved
        outputs = {
            name: {
                "given": [
                    [round(time_s, _DIGITS), pulses, round(seconds, _DIGITS)]
                    for time_s, pulses, seconds in record.given
                ],
                "reserved": [*record.reserved],
                "largest": [*record.largest],
            }
            for name, record in content.outputs.items()
        }
        plain = {
            "animal": content.animal,
            "saved": {
                "utc": saved.utc.isoformat(),
                "boot": saved.boot,
                "monotonic_s": saved.monotonic_s,
            },
            "clock_s": content.clock_s,
            "outputs": outputs,
        }
        write_json(self.path, plain, through_power_cut=True)
