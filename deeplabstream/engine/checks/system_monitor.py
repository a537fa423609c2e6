"""System monitor: CPU, memory, disk, temperature and GPU load during a stream."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

NOTE_EVERY = 10
"""One of this many measurements is written to the record."""
LEAST_GB, HOT_C, MOST_WAITING = 2.0, 90.0, 1000
"""Limits beyond which a warning is given."""


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """Load of the computer at one moment; None: not available on this computer."""

    cores: Mapping[str, float]
    """By process: share of one CPU core since the previous measurement."""
    memory_mb: float
    """Total of all processes of the session."""
    disk_free_gb: float | None
    hottest_c: float | None
    """Highest temperature of the CPU sensors."""
    gpu: float | None
    """GPU load, 0 to 1."""
    entries_waiting: int = 0
    """Journal entries that are not yet written to disk."""

    @property
    def warnings(self) -> dict[str, str]:
        """Warnings: a keyword and a sentence."""
        found = {}
        free = self.disk_free_gb
        if free is not None and free < LEAST_GB:
            found["disk"] = f"only {free:.1f} GB are free on the run's disk"
        if self.hottest_c is not None and self.hottest_c >= HOT_C:
            found["heat"] = (
                f"the computer is {self.hottest_c:.0f} °C hot; it may slow down"
            )
        if self.entries_waiting > MOST_WAITING:
            found["record"] = (
                f"{self.entries_waiting} entries wait to be recorded: is the disk slow?"
            )
        return found

    @property
    def text(self) -> str:
        """All values in one line, for the record."""
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.cores.items())
        values = [f"cores: {shares}", f"memory {self.memory_mb:.0f} MB"]
        if self.disk_free_gb is not None:
            values.append(f"disk {self.disk_free_gb:.1f} GB free")
        if self.hottest_c is not None:
            values.append(f"{self.hottest_c:.0f} °C")
        if self.gpu is not None:
            values.append(f"GPU {self.gpu:.0%}")
        values.append(f"{self.entries_waiting} entries wait to be recorded")
        return "; ".join(values)


@dataclass
class SystemMonitor:
    """Measures the load of the session's processes; a measurement takes some milliseconds."""

    _known: dict[int, Any] = field(default_factory=dict)
    """By process number: psutil's object, which keeps the previous measurement."""
    _gpu: Any = None
    new_warnings: list[str] = field(default_factory=list)
    """Warnings that are new since the previous measurement."""
    _warned: set[str] = field(default_factory=set)
    _next_ns: int = 0
    _count: int = 0

    def __post_init__(self) -> None:
        with suppress(ImportError, OSError):
            import pynvml  # package nvidia-ml-py, on computers with an NVIDIA GPU

            with suppress(pynvml.NVMLError):
                pynvml.nvmlInit()
                self._gpu = pynvml.nvmlDeviceGetHandleByIndex(0)

    def measure_due(
        self,
        processes: Sequence[BaseProcess],
        folder: Path,
        now_ns: int,
        entries_waiting: int,
    ) -> SystemStatus | None:
        """Measure once a second at most; None: the last measurement is too recent."""
        if now_ns < self._next_ns:
            return None
        self._next_ns = now_ns + 1_000_000_000
        self._count += 1
        status = replace(
            self.measure(processes, folder), entries_waiting=entries_waiting
        )
        warnings = status.warnings
        self.new_warnings = [
            text for keyword, text in warnings.items() if keyword not in self._warned
        ]
        self._warned = set(warnings)
        return status

    @property
    def notes(self) -> bool:
        """Whether the last measurement is written into the record."""
        return self._count % NOTE_EVERY == 0

    def measure(self, processes: Sequence[BaseProcess], folder: Path) -> SystemStatus:
        """Return the load of the processes, and the free space of the disk with `folder`."""
        import psutil

        cores: dict[str, float] = {}
        memory = 0
        known: dict[int, Any] = {}
        for process in processes:
            with suppress(psutil.Error, ValueError):
                pid = process.pid or 0
                view = self._known.get(pid) or psutil.Process(pid)
                known[pid] = view
                cores[process.name] = view.cpu_percent() / 100
                memory += view.memory_info().rss
        self._known = known
        return SystemStatus(
            cores, memory / 1e6, free_gb(folder), _hottest(psutil), self._busy()
        )

    def _busy(self) -> float | None:
        if self._gpu is None:
            return None
        import pynvml

        with suppress(pynvml.NVMLError):
            return float(pynvml.nvmlDeviceGetUtilizationRates(self._gpu).gpu) / 100
        return None


def nearest_existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def free_gb(folder: Path) -> float | None:
    """Return the free space, in GB, where a folder is or will be made; None: not known."""
    with suppress(OSError):
        return shutil.disk_usage(nearest_existing(folder)).free / 1e9
    return None


def _hottest(psutil: Any) -> float | None:
    if not hasattr(psutil, "sensors_temperatures"):  # not on Windows and macOS
        return None
    with suppress(OSError):
        found = psutil.sensors_temperatures()
        readings = [sensor.current for sensors in found.values() for sensor in sensors]
        return max(readings, default=None)
    return None
