"""Collector: a snapshot of this computer, which is complete even if single probes fail."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, TypeVar

from deeplabstream.doctor import child_probe, linux, parsing, windows
from deeplabstream.doctor.commands import CommandRunner, run_command
from deeplabstream.doctor.environment import (
    Computing,
    Cpu,
    Devices,
    Environment,
    Graphics,
    Library,
    Memory,
    NvidiaEncoder,
    NvidiaGpu,
    OnnxRuntime,
    OpenVino,
    OperatingSystem,
    OutputFolder,
    Packages,
    ProbeFailure,
    ProgramFolder,
    ProviderTrial,
    Python,
    Scheduling,
    Screen,
    SerialPort,
    System,
    Torch,
)
from deeplabstream.files.paths import INSTALLED, ROOT

CHILD_S = 12.0
"""How long a library may take to be loaded and to run a small network."""
WHOLE_S = 15.0
"""Time after which the snapshot is finished without the missing parts."""
DISK_BYTES, DISK_S = 48_000_000, 3.0
_PIECE = 4_000_000
_CLOUDS = ("OneDrive", "Dropbox", "Google Drive", "iCloud", "Nextcloud", "Box Sync")
_QUERY = "name,driver_version,compute_cap,memory.total,memory.free"
T = TypeVar("T")


def collect(
    output: Path,
    *,
    run_command: CommandRunner = run_command,
    screen_answers: bool | None = None,
    missing_libraries: Sequence[str] = (),
    whole_s: float = WHOLE_S,
) -> Environment:
    """Take a snapshot of this computer; runs are recorded in the folder `output`.

    The layer above passes the values that the window needs.
    """
    system = _system()
    collector = _Collector(system, run_command)
    tasks: dict[str, _Task[Any]] = {
        "output folder": _Task(lambda: output_folder(output, system)),
        "packages": _Task(collector.packages),
        "operating system": _Task(collector.operating_system),
        "CPU": _Task(collector.cpu),
        "memory": _Task(collector.memory),
        "devices": _Task(collector.devices),
        "GPU": _Task(collector.graphics),
        "power": _Task(collector.scheduling),
        "ONNX Runtime": _Task(collector.onnxruntime),
        "OpenVINO": _Task(collector.openvino),
        "torch": _Task(collector.torch),
        "video encoder": _Task(collector.nvenc),
        "CUDA libraries": _Task(collector.libraries),
    }
    until = perf_counter() + whole_s
    found: dict[str, Any] = {}
    failures: list[ProbeFailure] = []
    for name, task in tasks.items():
        task.wait(until - perf_counter())
        found[name] = task.found
        if task.reason:
            failures.append(ProbeFailure(name, task.reason))
    output_found = found["output folder"]
    if output_found is None:
        output_found = OutputFolder(str(output), "the disk does not answer")
    packages = found["packages"] or Packages()
    broken = collector.broken
    failures += collector.failures
    return Environment(
        os=found["operating system"] or OperatingSystem(system),
        python=_python(),
        packages=replace(packages, broken=broken) if broken else packages,
        cpu=found["CPU"] or Cpu(),
        memory=found["memory"] or Memory(),
        output=output_found,
        devices=found["devices"] or Devices(),
        graphics=found["GPU"] or Graphics(),
        computing=Computing(
            found["ONNX Runtime"] or OnnxRuntime(),
            found["OpenVINO"] or OpenVino(),
            found["torch"] or Torch(),
            found["CUDA libraries"] or (),
            found["video encoder"] or NvidiaEncoder(),
        ),
        program=_program(system),
        screen=_screen(system, screen_answers, missing_libraries, run_command),
        scheduling=found["power"] or Scheduling(),
        failures=tuple(failures),
    )


@dataclass(frozen=True, slots=True)
class TrainingGpus:
    """GPUs that torch can train on."""

    names: tuple[str, ...] = ()
    """In the order of CUDA's numbers."""
    problem: str = ""
    """Why a present GPU cannot be used; empty: it can, or there is none."""


def training_gpus(run_command: CommandRunner = run_command) -> TrainingGpus:
    """Return the NVIDIA GPUs on which a network can be trained here.

    It may take seconds: torch is loaded in another process where there is a GPU.
    """
    return _Collector(_system(), run_command).training_gpus()


class _Task(Generic[T]):
    """A probe in a thread of its own, which is abandoned when it hangs."""

    def __init__(self, probe: Callable[[], T]) -> None:
        self.found: T | None = None
        self.reason = "no answer in time"
        self._probe = probe
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.found = self._probe()
            self.reason = ""
        except Exception as error:  # an error in one must not stop the others
            self.reason = f"{type(error).__name__}: {error}"

    def wait(self, limit_s: float) -> None:
        """Wait until the probe has ended, no longer than the limit."""
        self._thread.join(max(0.0, limit_s))


@dataclass
class _Collector:
    """Probes of this computer that run commands or other processes."""

    system: System
    run_command: CommandRunner
    broken: dict[str, str] = field(default_factory=dict)
    failures: list[ProbeFailure] = field(default_factory=list)
    _windows_devices: dict[str, Any] | None = None
    _telling: threading.Lock = field(default_factory=threading.Lock)

    def operating_system(self) -> OperatingSystem:
        """Return the system and its package manager."""
        machine = platform.machine()
        if self.system != "linux":
            manager = "winget" if self.system == "windows" else "brew"
            name = f"{platform.system()} {platform.release()} {platform.version()}"
            return OperatingSystem(
                self.system, name, package_manager=manager, machine=machine
            )
        release = parsing.os_release(linux.text("/etc/os-release"))
        managers = {
            "apt-get": "apt",
            "dnf": "dnf",
            "pacman": "pacman",
            "zypper": "zypper",
        }
        manager = next((n for word, n in managers.items() if shutil.which(word)), "")
        return OperatingSystem(
            "linux",
            release.get("PRETTY_NAME", platform.platform()),
            release.get("ID", ""),
            manager,
            machine,
            linux.in_container(),
            "microsoft" in linux.text("/proc/version").lower(),
        )

    def packages(self) -> Packages:
        """Return pins and installed packages, and try to import the packages."""
        lists = () if INSTALLED else (ROOT / "requirements.txt",)
        pins: dict[str, str] = {}
        for file in lists:
            with suppress(OSError):
                pins |= parsing.pins(file.read_text("utf-8"), self.system)
        installed: dict[str, str] = {}
        for distribution in metadata.distributions():
            name = distribution.metadata["Name"]
            if name:
                installed.setdefault(
                    parsing.canonical(str(name)), str(distribution.version)
                )
        if installed:
            answer = self._child("imports")
            self.broken = {str(name): str(why) for name, why in answer.items()}
        return Packages(pins, installed)

    def cpu(self) -> Cpu:
        """Return the CPU's name, cores and features."""
        try:
            cores: int | None = len(os.sched_getaffinity(0))  # type: ignore[attr-defined,unused-ignore]
        except AttributeError:
            cores = os.cpu_count()
        if self.system == "linux":
            name, flags = linux.cpu()
            features = parsing.cpu_features(flags) if flags else None
            return Cpu(name, cores, features)
        if self.system == "windows":
            return Cpu(windows.cpu_name(), cores, windows.cpu_features())
        answer = self.run_command(("sysctl", "-n", "machdep.cpu.brand_string"), 3.0)
        return Cpu(answer.out.strip(), cores)

    def memory(self) -> Memory:
        """Return main and shared memory."""
        if self.system == "linux":
            total, free = linux.memory()
            shared, shared_free = linux.space_mb("/dev/shm")
            return Memory(total, free, shared, shared_free)
        import psutil

        memory = psutil.virtual_memory()
        return Memory(memory.total / 1e9, memory.available / 1e9)

    def devices(self) -> Devices:
        """Return cameras, serial ports, and the access rights to them."""
        if self.system == "windows":
            cameras, faulty = windows.cameras(self.windows_devices())
            return Devices(cameras, (*_ports(), *faulty))
        if self.system == "linux":
            return linux.devices(_ports())
        return Devices(ports=_ports())

    def graphics(self) -> Graphics:
        """Return GPUs and their drivers."""
        hardware: tuple[str, ...] = ()
        other: tuple[str, ...] = ()
        kernel_driver = ""
        if self.system == "linux":
            hardware, kernel_driver, other = linux.graphics(self.run_command)
        elif self.system == "windows":
            hardware, other = windows.graphics(self.windows_devices())
        gpus, driver, error = self._nvidia_smi()
        if not (hardware or gpus or Path("/dev/dxg").exists()):
            return Graphics(kernel_driver=kernel_driver, error=error, other=other)
        answer = self._child("driver")
        loads = answer.get("loads")
        named = tuple(_gpus(answer.get("gpus")))
        if not gpus:
            gpus = named
        elif any(gpu.capability is None for gpu in gpus):
            known = {gpu.name: gpu.capability for gpu in named}
            gpus = tuple(
                replace(gpu, capability=gpu.capability or known.get(gpu.name))
                for gpu in gpus
            )
        return Graphics(
            hardware,
            kernel_driver,
            gpus,
            driver,
            error,
            loads if isinstance(loads, bool) else None,
            other,
        )

    def _nvidia_smi(self) -> tuple[tuple[NvidiaGpu, ...], Any, str]:
        """Return GPUs and driver version, or the error message of nvidia-smi."""
        command = (
            "nvidia-smi",
            f"--query-gpu={_QUERY}",
            "--format=csv,noheader,nounits",
        )
        answer = self.run_command(command, 6.0)
        if answer.code == 127:  # there is no such program
            return (), None, ""
        if "compute_cap" in answer.out and "not a valid field" in answer.out:
            older = _QUERY.replace("compute_cap", "name")
            command = (command[0], f"--query-gpu={older}", command[2])
            answer = self.run_command(command, 6.0)
        gpus, driver = parsing.nvidia_smi(answer.out)
        if gpus:
            return gpus, driver, ""
        output = " ".join(f"{answer.out} {answer.error_output}".split())
        return (), None, answer.error or output[:300] or "it printed nothing"

    def scheduling(self) -> Scheduling:
        """Return priority, power and antivirus."""
        if self.system == "linux":
            return linux.scheduling()
        if self.system == "windows":
            plan = self.run_command(("powercfg", "/getactivescheme"), 5.0)
            return windows.scheduling(
                self.windows_devices(), parsing.power_plan(plan.out), _on_battery()
            )
        return Scheduling(on_battery=_on_battery())

    def openvino(self) -> OpenVino:
        """Return OpenVINO's devices."""
        number = _version("openvino")
        if not number:
            return OpenVino()
        answer = self._child("openvino")
        devices = answer.get("devices")
        return OpenVino(
            str(answer.get("version", number)),
            tuple(map(str, devices)) if isinstance(devices, list) else (),
            "" if answer else "it cannot be loaded",
        )

    def torch(self) -> Torch:
        """Return torch's build, and where there is a GPU, whether it finds it."""
        torch = _torch()
        if torch.cuda and self._nvidia_here():
            available = self._child("torch").get("available")
            return replace(
                torch, available=available if isinstance(available, bool) else None
            )
        return torch

    def training_gpus(self) -> TrainingGpus:
        """Return the GPUs that torch can train on."""
        names = tuple(gpu.name for gpu in _gpus(self._child("driver").get("gpus")))
        if not names:
            return TrainingGpus()
        problem = ""
        if not _torch().cuda:
            problem = f"{names[0]} is not used: torch is built for the CPU"
        elif self._child("torch").get("available") is not True:
            problem = f"{names[0]} is not used: torch does not find it"
        return TrainingGpus(() if problem else names, problem)

    def nvenc(self) -> NvidiaEncoder:
        """Return whether NVIDIA's video encoder works, where there is a GPU."""
        if not (_version("av") and self._nvidia_here()):
            return NvidiaEncoder()
        answer = self._child("nvenc")
        works = answer.get("works")
        return NvidiaEncoder(
            works if isinstance(works, bool) else None, str(answer.get("error", ""))
        )

    def libraries(self) -> tuple[Library, ...]:
        """Return the CUDA libraries that ONNX Runtime or torch would find."""
        return tuple(_libraries(self.system))

    def _nvidia_here(self) -> bool:
        if self.system == "linux":
            return Path("/proc/driver/nvidia").exists() or Path("/dev/dxg").exists()
        return self.system == "windows" and shutil.which("nvidia-smi") is not None

    def onnxruntime(self) -> OnnxRuntime:
        """Return ONNX Runtime, with a small network run on each provider."""
        names = ("onnxruntime-gpu", "onnxruntime", "onnxruntime-directml")
        version = next((v for name in names if (v := _version(name))), "")
        if not version:
            return OnnxRuntime()
        answer, output = self._run_child_probe("onnxruntime")
        if not answer:
            reasons = [f.reason for f in self.failures if f.probe == "onnxruntime"]
            return OnnxRuntime(version, error="; ".join(reasons) or "no answer")
        error = parsing.first_error(output)
        trials = []
        for entry in parsing.entries(answer.get("trials")):
            trial = ProviderTrial(
                str(entry.get("asked")),
                str(entry.get("used", "")),
                entry.get("ms"),
                bool(entry.get("right", True)),
                str(entry.get("error", "")),
            )
            if trial.used != trial.requested and not trial.error:
                trial = replace(trial, error=error)
            trials.append(trial)
        providers = answer.get("providers")
        return OnnxRuntime(
            str(answer.get("version", version)),
            str(answer.get("cuda", "")),
            tuple(map(str, providers)) if isinstance(providers, list) else (),
            tuple(trials),
        )

    def windows_devices(self) -> dict[str, Any]:
        """Return devices and antivirus as PowerShell lists them; it is called once."""
        with self._telling:
            if self._windows_devices is None:
                answer = self.run_command(windows.POWERSHELL, 12.0)
                self._windows_devices = parsing.json_of(answer.out)
                if not self._windows_devices:
                    reason = answer.error or "PowerShell gave no readable answer"
                    self.failures.append(ProbeFailure("Windows", reason))
            return self._windows_devices

    def _child(self, name: str) -> dict[str, Any]:
        return self._run_child_probe(name)[0]

    def _run_child_probe(self, name: str) -> tuple[dict[str, Any], str]:
        """Return a child probe's answer and its error stream; {}: it failed."""
        bare = ["-S"] if sys.flags.no_site else []
        command = (sys.executable, *bare, "-m", child_probe.__name__, name)
        answer = self.run_command(command, CHILD_S, child_probe.FOLDER)
        line = answer.out.rpartition(child_probe.ANSWER)[2]
        found = parsing.json_of(line) if child_probe.ANSWER in answer.out else {}
        if child_probe.ANSWER not in answer.out:
            last = (
                answer.error_output.strip().splitlines() or [f"exit code {answer.code}"]
            )[-1]
            self.failures.append(ProbeFailure(name, answer.error or last))
        return found, answer.error_output


def output_folder(folder: Path, system: System) -> OutputFolder:
    """Return write speed and free space of a folder, or why it is not writable.

    A folder that does not exist yet is judged by the nearest one above it.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    named = str(folder.absolute())
    cloud = next((c for c in _CLOUDS if c.lower() in named.lower()), "")
    kind = (
        parsing.file_system(linux.text("/proc/mounts"), str(place.resolve()))
        if system == "linux"
        else windows.file_system(str(place))
        if system == "windows"
        else ""
    )
    found = OutputFolder(named, file_system=kind, synced_by=cloud)
    try:
        found = replace(found, free_gb=shutil.disk_usage(place).free / 1e9)
        speed, wait = _write(place / f".deeplabstream-doctor-{os.getpid()}", found)
        return replace(found, write_mb_s=speed, sync_ms=wait)
    except OSError as error:
        return replace(found, error=error.strerror or str(error))


def _write(file: Path, found: OutputFolder) -> tuple[float | None, float | None]:
    """Return MB per second and the longest wait for the disk, in ms."""
    room = (found.free_gb or 0.0) * 1e9
    piece = os.urandom(_PIECE)
    written, longest = 0, 0.0
    began = perf_counter()
    try:
        with file.open("wb", buffering=0) as opened:
            if room < 4 * DISK_BYTES:
                opened.write(b"0")
                return None, None
            while written < DISK_BYTES and perf_counter() - began < DISK_S:
                written += opened.write(piece)
                before = perf_counter()
                os.fsync(opened.fileno())
                longest = max(longest, perf_counter() - before)
    finally:
        with suppress(OSError):
            file.unlink()
    return written / 1e6 / (perf_counter() - began), longest * 1e3


def _system() -> System:
    if sys.platform == "win32":
        return "windows"
    return "darwin" if sys.platform == "darwin" else "linux"


def _python() -> Python:
    bits = 64 if sys.maxsize > 2**32 else 32
    virtual = sys.prefix != sys.base_prefix
    return Python(tuple(sys.version_info[:3]), sys.executable, bits, virtual)


def _program(system: System) -> ProgramFolder:
    long_paths = windows.long_paths() if system == "windows" else None
    return ProgramFolder(str(ROOT), not INSTALLED, long_paths)


def _screen(
    system: System,
    answers: bool | None,
    missing: Sequence[str],
    run_command: CommandRunner,
) -> Screen:
    if system == "windows":
        return Screen("windows", True, windows.screen_size())
    if system == "darwin":
        return Screen("macOS", True)
    named = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or ""
    if not named:
        return Screen()
    size = (
        linux.screen_size(run_command) if answers and shutil.which("xdpyinfo") else None
    )
    return Screen(named, answers, size, tuple(missing))


def _ports() -> tuple[SerialPort, ...]:
    try:
        from serial.tools.list_ports import comports
    except ImportError:
        return ()
    found = []
    for port in comports():
        usb = f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None else ""
        access, group = linux.access(port.device)
        found.append(
            SerialPort(
                port.device, str(port.description or ""), access, group, usb_id=usb
            )
        )
    return tuple(found)


def _gpus(answer: object) -> Iterator[NvidiaGpu]:
    for entry in answer if isinstance(answer, list) else []:
        if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], list):
            name, capability = entry
            if len(capability) == 2:
                yield NvidiaGpu(str(name), (int(capability[0]), int(capability[1])))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _torch() -> Torch:
    """Return torch's version and CUDA version without loading it, which takes seconds."""
    number = _version("torch")
    if not number:
        return Torch()
    for place in _site_folders():
        text = linux.text(str(Path(place, "torch", "version.py")))
        for line in text.splitlines():
            if line.startswith("cuda") and "=" in line:
                cuda = line.rpartition("=")[2].strip().strip("'\"")
                return Torch(number, "" if cuda == "None" else cuda)
    return Torch(number)


def _site_folders() -> list[str]:
    paths: Mapping[str, str] = sysconfig.get_paths()
    return [*dict.fromkeys([paths["platlib"], paths["purelib"]])]


def _libraries(system: System) -> Iterator[Library]:
    """Yield the CUDA libraries that ONNX Runtime or torch would find, each once."""
    seen: set[tuple[str, int]] = set()
    for folder in _library_folders(system):
        with suppress(OSError):
            for file in sorted(Path(folder).iterdir()):
                library = parsing.cuda_library(file.name, str(file))
                if library and (library.name, library.major) not in seen:
                    seen.add((library.name, library.major))
                    yield library


def _library_folders(system: System) -> Iterator[str]:
    for site in _site_folders():
        for top in ("nvidia", "tensorrt_libs"):
            for folder, _, _ in os.walk(Path(site, top)):
                yield folder
        yield str(Path(site, "torch", "lib"))
    variable = "PATH" if system == "windows" else "LD_LIBRARY_PATH"
    yield from filter(None, os.environ.get(variable, "").split(os.pathsep))
    if system == "windows":
        yield str(Path(os.environ.get("CUDA_PATH", "C:\\"), "bin"))
        return
    yield from map(str, sorted(Path("/usr/local").glob("cuda*/lib64")))
    yield from ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib")


def _on_battery() -> bool | None:
    with suppress(ImportError, OSError, AttributeError):
        import psutil

        battery = psutil.sensors_battery()
        return None if battery is None else not battery.power_plugged
    return None
