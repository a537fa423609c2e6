"""Box load: frames, latencies, CPU time and memory of boxes that run together for a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from deeplabstream.core.clock import Clock, rest
from deeplabstream.core.errors import DeviceError
from deeplabstream.rack.box_process import BoxProcess
from deeplabstream.rack.box_status import BoxStatus
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.table_reader import camera_table

START_S = 180.0
"""Longest time until all boxes run their experiments."""
WARM_UP_S = 2.0
"""Time for which they run before the measurement."""
_AFTER_S = 1.0
"""Time after the measurement in which its last frames are analysed."""
_END_S = 90.0
"""Time after which processes of boxes that have been stopped are killed."""
_TICK_S = 0.1
_RUNNING = "experiment running"
_PROBLEM = "Problem: "


@dataclass(frozen=True)
class CameraLoad:
    """Analysed frames of a camera, and their latencies."""

    box: str
    camera: str
    wished_hz: float
    """Rate of the camera."""
    analysed_hz: float
    share: float
    """Analysed share of the frames that the camera's rate has in the time, at most 1."""
    p50_ms: float
    """From exposure to decision or write; NaN: no frame was analysed."""
    p99_ms: float


@dataclass(frozen=True)
class BoxLoad:
    """Measurement of boxes that ran together."""

    boxes: int
    cameras: tuple[CameraLoad, ...] = ()
    cpu_cores: float = 0.0
    """CPU time of all processes of the boxes, divided by the time."""
    memory_mb: float = 0.0
    """Memory of these processes; on Linux, shared memory counts once."""
    problem: str = ""
    """Why it could not be measured; empty: it was."""


class StoppedError(DeviceError):
    """The user has stopped the measurement."""


class _FailedError(DeviceError):
    """A box has ended, or has not started."""


@dataclass(frozen=True)
class LoadMeasurement:
    """Starts boxes, measures what they do for a time, and ends them."""

    rack: Path
    """Rack file of the boxes, beside which they report their state."""
    command: Callable[[str], Sequence[str]]
    """Returns the command that runs a box."""
    seconds: float
    clock: Clock
    stopped: Callable[[], bool] = field(default=lambda: False)

    def measure(self, names: Sequence[str]) -> BoxLoad:
        """Return the load of these boxes; afterwards none of their processes is left.

        StoppedError: `stopped` has returned True.
        """
        boxes: list[BoxProcess] = []
        try:
            with self._ending(boxes):
                for name in names:
                    command = self.command(name)
                    boxes.append(BoxProcess(self.rack, name, command, self.clock))
                self._await_start(boxes)
                self._rest(boxes, WARM_UP_S)

                processes = [it for box in boxes for it in _processes_of(box.status)]
                began_ns, cpu_s = self.clock.now_ns(), _cpu_s(processes)
                self._rest(boxes, self.seconds)
                ended_ns, cpu_s = self.clock.now_ns(), _cpu_s(processes) - cpu_s
                memory_mb = sum(map(_memory_mb, processes))
                self._rest(boxes, _AFTER_S)
        except _FailedError as error:
            return BoxLoad(len(names), problem=str(error))

        # the records are complete only now
        span_ns = began_ns, ended_ns
        loads = [load for box in boxes for load in _camera_loads(box, span_ns)]
        cores = cpu_s / ((ended_ns - began_ns) / 1e9)
        return BoxLoad(len(names), tuple(loads), cores, memory_mb)

    def _await_start(self, boxes: Sequence[BoxProcess]) -> None:
        give_up_ns = self.clock.now_ns() + round(START_S * 1e9)
        while waiting := [box for box in boxes if not _runs(box)]:
            if self.clock.now_ns() > give_up_ns:
                text = f"[Box {waiting[0].name}] did not start within {START_S:g} s"
                raise _FailedError(text)
            self._watch(boxes)

    def _rest(self, boxes: Sequence[BoxProcess], seconds: float) -> None:
        until_ns = self.clock.now_ns() + round(seconds * 1e9)
        while self.clock.now_ns() < until_ns:
            self._watch(boxes)

    def _watch(self, boxes: Sequence[BoxProcess]) -> None:
        """Wait for a moment; end the measurement if a box has ended or a user asks for it."""
        rest(_TICK_S)
        if self.stopped():
            raise StoppedError("the measurement was stopped")
        for box in boxes:
            box.read()
            if box.exit_code is not None:
                raise _FailedError(f"[Box {box.name}] {_end_of(box)}")

    @contextmanager
    def _ending(self, boxes: Sequence[BoxProcess]) -> Iterator[None]:
        """End all boxes after the block, however it ends."""
        try:
            yield
        finally:
            for box in boxes:
                box.stop()
            give_up_ns = self.clock.now_ns() + round(_END_S * 1e9)
            while left := [box for box in boxes if box.exit_code is None or box.left]:
                if self.clock.now_ns() > give_up_ns:
                    for box in left:
                        box.kill()
                rest(_TICK_S)
                for box in left:
                    box.read()


def _runs(box: BoxProcess) -> bool:
    return box.status is not None and _RUNNING in box.status.state


def _end_of(box: BoxProcess) -> str:
    """Return how a box has ended, and why if it has printed that."""
    if not box.failed:
        return (
            f"{box.state}: its experiment is over before the measurement; choose one that "
            "lasts longer"
        )
    with suppress(OSError):
        for line in box.printed.read_text("utf-8", "replace").splitlines():
            if line.startswith(_PROBLEM):
                return f"{box.state}: {line.removeprefix(_PROBLEM)}"
    return box.state


def _processes_of(status: BoxStatus | None) -> Iterator[psutil.Process]:
    for pid in status.processes.values() if status else ():
        with suppress(psutil.Error):
            yield psutil.Process(pid)


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    """Return the CPU time of processes; one that has ended since counts as none."""
    seconds = 0.0
    for process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def _memory_mb(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        memory = process.memory_full_info()
        return float(getattr(memory, "pss", memory.uss)) / 1e6
    return 0.0


def _camera_loads(box: BoxProcess, span_ns: tuple[int, int]) -> Iterator[CameraLoad]:
    """Yield what the record of a box says on frames that were exposed in a time."""
    if box.status is None or not box.status.run_folder:
        return
    run = RunFolder(Path(box.status.run_folder))
    seconds = (span_ns[1] - span_ns[0]) / 1e9
    for camera, wished_hz in box.status.nominal_rates.items():
        taken_ns = latencies_ns(run, camera, span_ns)
        p50, p99 = (
            np.percentile(taken_ns, (50, 99)) / 1e6 if taken_ns else (np.nan,) * 2
        )
        # the time may hold a part of a period, and so one exposure more
        due = max(1, int(wished_hz * seconds))
        yield CameraLoad(
            box.name,
            camera,
            wished_hz,
            len(taken_ns) / seconds,
            min(1.0, len(taken_ns) / due),
            float(p50),
            float(p99),
        )


def latencies_ns(run: RunFolder, camera: str, span_ns: tuple[int, int]) -> list[int]:
    """Return times from exposure to decision or write of the frames exposed in a time."""
    table = camera_table(run.table_path(camera), None)
    rows = table.select("exposed_ns", "decided_ns", "written_ns")
    return [
        max(int(decided), int(written or 0)) - int(exposed)
        for exposed, decided, written in rows
        if decided and span_ns[0] <= int(exposed) < span_ns[1]
    ]
