"""Capacity run: measures growing numbers of a rack's boxes, without their devices."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from deeplabstream.core.clock import Clock
from deeplabstream.core.errors import DeviceError
from deeplabstream.files.exclusive_writing import BeingWrittenError, exclusive
from deeplabstream.rack.box_load import BoxLoad, LoadMeasurement
from deeplabstream.rack.capacity import RatedLoad, copies, find_capacity, rated
from deeplabstream.rack.simulated_box import simulated
from deeplabstream.settings.ini_editing import add_section
from deeplabstream.settings.rack_file import RackFile
from deeplabstream.settings.sections import Settings


@dataclass
class CapacityRun:
    """Measures simulated copies of boxes; each measurement has a rack file of its own."""

    rack: RackFile
    rigs: Mapping[str, Settings]
    """Settings of the boxes that are copied, in their order."""
    command: Callable[[Path, str, int], Sequence[str]]
    """Returns the command that runs a simulated box of a rack file with so many of its arenas; 0:
    all."""
    seconds: float
    clock: Clock
    stopped: Callable[[], bool]
    _alone: dict[str, dict[str, float]] = field(default_factory=dict)
    """p50 in ms by camera of each box that was measured alone."""

    def measure(self, most: int) -> Iterator[tuple[int, RatedLoad]]:
        """Yield how many boxes are carried so far, and each measurement: see `find_capacity`.

        DeviceError: the rack runs, or a box can't be started. StoppedError: it was stopped.
        """
        with self._place() as place:
            yield from find_capacity(most, lambda number: self._rate(place, number))

    def boxes_with_arenas(self) -> list[str]:
        """Return the boxes with several arenas; of those that cost the same, the first."""
        found: list[str] = []
        for name, rig in self.rigs.items():
            known = [_costs(self.rigs[other]) for other in found]
            if len(rig.arenas) > 1 and _costs(rig) not in known:
                found.append(name)
        return found

    def measure_arenas(self, box: str) -> Iterator[tuple[int, RatedLoad]]:
        """Yield how many arenas of a box are carried so far, and each measurement.

        The last measurement is that of all arenas, unless they were measured before. Errors are
        those of `measure`.
        """
        most, tried, carried = len(self.rigs[box].arenas), 0, 0
        one: dict[tuple[str, str], float] = {}

        def rate(number: int) -> RatedLoad:
            name = f"1 {box}"
            load = self._load(place / f"{number} arenas", [(name, box)], number)
            if number == 1:
                # of one arena, the measurement is its own reference
                one.update({(name, camera): ms for camera, ms in _p50_of(load).items()})
            return rated(load, one, number)

        with self._place() as place:
            for carried, found in find_capacity(most, rate):
                tried = max(tried, found.arenas)
                yield carried, found
            if tried < most:
                yield carried, rate(most)

    @contextmanager
    def _place(self) -> Iterator[Path]:
        """Hold the rack, and yield a folder for the measurements; errors: see `measure`."""
        try:
            with (
                exclusive(self.rack.path, 0.0),
                TemporaryDirectory(
                    ignore_cleanup_errors=True, prefix="capacity-"
                ) as folder,
            ):
                yield Path(folder)
        except BeingWrittenError as error:
            raise DeviceError(f"{self.rack.path} runs as a rack: stop it") from error
        except OSError as error:
            raise DeviceError(f"a box can't be started: {error}") from error

    def _rate(self, place: Path, number: int) -> RatedLoad:
        named = copies([*self.rigs], number)
        alone: dict[tuple[str, str], float] = {}
        for name, source in named:
            p50_ms = self._p50_alone(place, source) if number > 1 else {}
            alone |= {(name, camera): ms for camera, ms in p50_ms.items()}
        load = self._load(place / f"{number}", named)
        if number == 1:
            # of one box, the measurement is its own reference
            ((name, source),) = named
            self._alone[source] = _p50_of(load)
            alone = {(name, camera): ms for camera, ms in _p50_of(load).items()}
        return rated(load, alone)

    def _p50_alone(self, place: Path, source: str) -> dict[str, float]:
        """Return the p50 of a box alone; boxes with equal cameras and network have the same."""
        for known, p50_ms in self._alone.items():
            if _costs(self.rigs[known]) == _costs(self.rigs[source]):
                return p50_ms
        named = [(f"1 {source}", source)]
        self._alone[source] = _p50_of(self._load(place / f"alone {source}", named))
        return self._alone[source]

    def _load(
        self, folder: Path, named: Sequence[tuple[str, str]], arenas: int = 0
    ) -> BoxLoad:
        """Measure the boxes; their records are removed afterwards."""
        folder.mkdir()
        with TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as inner:
            rack = Path(inner) / "rack.ini"
            rack.write_text(self._rack_text(named), "utf-8")
            measurement = LoadMeasurement(
                rack,
                lambda name: self.command(rack, name, arenas),
                self.seconds,
                self.clock,
                self.stopped,
            )
            return measurement.measure([name for name, _ in named])

    def _rack_text(self, named: Sequence[tuple[str, str]]) -> str:
        text = ""
        for name, source in named:
            box = self.rack.boxes[source]
            keys = {
                **box.subject,
                "RIG": str(box.file.resolve()),
                "OUTPUT_DIRECTORY": f"runs/{name}",
            }
            text = add_section(text, f"Box {name}", keys)
        return text


def _p50_of(load: BoxLoad) -> dict[str, float]:
    return {camera.camera: camera.p50_ms for camera in load.cameras}


def _costs(rig: Settings) -> tuple[object, ...]:
    """Return what decides on the latency of a box alone."""
    cameras = dict(simulated(rig).cameras)
    return rig.model, rig.pose, cameras, rig.arenas, rig.animals
