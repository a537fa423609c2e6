"""How the computer fares under a rig: processors, memory, disk, heat, graphics card."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

NOTE_EVERY = 10
"""One of so many looks goes into the record."""
LEAST_GB, HOT_C, MOST_WAITING = 2.0, 90.0, 1000
"""Beyond these a person is told."""


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """What was found at one moment; None: this computer does not tell."""

    cores: Mapping[str, float]
    """By process: the share of one core that it took since the look before."""
    memory_mb: float
    """Of all the rig's processes together."""
    disk_free_gb: float | None
    hottest_c: float | None
    """The hottest of the processor's sensors."""
    card: float | None
    """The share of the graphics card that is busy."""
    entries_waiting: int = 0
    """Entries of the record that are still to be written."""

    @property
    def worries(self) -> dict[str, str]:
        """What should worry a person: a word for it, and a sentence."""
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
        """All of it in one line, for the record."""
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.cores.items())
        words = [f"cores: {shares}", f"memory {self.memory_mb:.0f} MB"]
        if self.disk_free_gb is not None:
            words.append(f"disk {self.disk_free_gb:.1f} GB free")
        if self.hottest_c is not None:
            words.append(f"{self.hottest_c:.0f} °C")
        if self.card is not None:
            words.append(f"graphics card {self.card:.0%}")
        words.append(f"{self.entries_waiting} entries wait to be recorded")
        return "; ".join(words)


@dataclass
class SystemMonitor:
    """Looks at a rig's processes again and again; a look takes some milliseconds."""

    _known: dict[int, Any] = field(default_factory=dict)
    """By process number: psutil's view of it, which remembers the look before."""
    _card: Any = None
    new_worries: list[str] = field(default_factory=list)
    """What began to worry at the last visit."""
    _worried: set[str] = field(default_factory=set)
    _next_ns: int = 0
    _looks: int = 0

    def __post_init__(self) -> None:
        with suppress(ImportError, OSError):
            import pynvml  # of the package nvidia-ml-py, where there is such a card

            with suppress(pynvml.NVMLError):
                pynvml.nvmlInit()
                self._card = pynvml.nvmlDeviceGetHandleByIndex(0)

    def visit(
        self,
        processes: Sequence[BaseProcess],
        folder: Path,
        now_ns: int,
        entries_waiting: int,
    ) -> SystemStatus | None:
        """Look once a second, however often it is called; None: it is too early."""
        if now_ns < self._next_ns:
            return None
        self._next_ns = now_ns + 1_000_000_000
        self._looks += 1
        vitals = replace(self.look(processes, folder), entries_waiting=entries_waiting)
        worries = vitals.worries
        self.new_worries = [
            text for word, text in worries.items() if word not in self._worried
        ]
        self._worried = set(worries)
        return vitals

    @property
    def notes(self) -> bool:
        """Whether the last visit goes into the record."""
        return self._looks % NOTE_EVERY == 0

    def look(self, processes: Sequence[BaseProcess], folder: Path) -> SystemStatus:
        """Return how the processes fare, and the disk that holds `folder`."""
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
            cores, memory / 1e6, _free_gb(folder), _hottest(psutil), self._busy()
        )

    def _busy(self) -> float | None:
        if self._card is None:
            return None
        import pynvml

        with suppress(pynvml.NVMLError):
            return float(pynvml.nvmlDeviceGetUtilizationRates(self._card).gpu) / 100
        return None


def that_exists(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there already."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _free_gb(folder: Path) -> float | None:
    with suppress(OSError):
        return shutil.disk_usage(that_exists(folder)).free / 1e9
    return None


def _hottest(psutil: Any) -> float | None:
    if not hasattr(psutil, "sensors_temperatures"):  # Windows and macOS don't tell
        return None
    with suppress(OSError):
        found = psutil.sensors_temperatures()
        read = [each.current for sensors in found.values() for each in sensors]
        return max(read, default=None)
    return None
