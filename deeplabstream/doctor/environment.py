"""Snapshot of a computer: everything that the diagnosis uses, as plain values.

None, an empty text or an empty tuple means: not found, or it could not be seen. A snapshot
is made of this computer by `collection.py`, or written down by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

System: TypeAlias = Literal["linux", "windows", "darwin"]
Version: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """The operating system and how packages are installed on it."""

    system: System
    name: str = ""
    """Full name: `Debian GNU/Linux 12 (bookworm)`."""
    distribution: str = ""
    """The ID of a Linux distribution: debian, ubuntu, fedora."""
    package_manager: str = ""
    """apt, dnf, pacman, zypper, winget or brew."""
    machine: str = "x86_64"
    container: bool = False
    wsl: bool = False


@dataclass(frozen=True, slots=True)
class Python:
    """The Python that runs the program."""

    version: Version
    executable: str = ""
    bits: int = 64
    virtual: bool = True
    """Whether it is a virtual environment."""


@dataclass(frozen=True, slots=True)
class Packages:
    """Python packages: the pins of requirements.txt, and what is installed."""

    pins: Mapping[str, str] = field(default_factory=dict)
    """Pinned version by package, as far as it applies to this operating system."""
    installed: Mapping[str, str] = field(default_factory=dict)
    """Installed version by package, names in lower case with hyphens."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """The error of each package that is installed and cannot be imported."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """The CPU."""

    name: str = ""
    cores: int | None = None
    """Logical cores that this process may use."""
    features: frozenset[str] | None = None
    """avx2, avx512, avx512_vnni, amx, as far as the CPU has them."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Main memory, and on Linux the memory-backed folder /dev/shm."""

    total_gb: float | None = None
    free_gb: float | None = None
    shared_total_mb: float | None = None
    shared_free_mb: float | None = None


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """The folder in which runs are recorded."""

    path: str = ""
    error: str = ""
    """Why nothing can be written into it."""
    free_gb: float | None = None
    write_mb_s: float | None = None
    sync_ms: float | None = None
    """The longest wait until written data are on the disk."""
    file_system: str = ""
    synced_by: str = ""
    """The cloud service that uploads the folder."""


@dataclass(frozen=True, slots=True)
class UsbCamera:
    """A camera that the operating system lists."""

    name: str
    path: str = ""
    accessible: bool = True
    usb_mbps: float | None = None
    """Speed of its USB connection."""
    usb3: bool = False
    """Whether it is a model that is made for USB 3."""
    error: str = ""
    """Fault that the operating system reports."""
    usb_vendor: str = ""
    """Linux: the maker's USB number of a camera that is opened without a camera driver."""


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A serial port."""

    path: str
    name: str = ""
    accessible: bool = True
    group: str = ""
    """The group that owns the device file."""
    error: str = ""
    usb_id: str = ""
    """`vendor:product` in hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Devices:
    """USB cameras, serial ports, and the groups that determine access to them."""

    cameras: tuple[UsbCamera, ...] = ()
    ports: tuple[SerialPort, ...] = ()
    groups: frozenset[str] = frozenset()
    """Groups of this session."""
    member_of: frozenset[str] = frozenset()
    """Groups of the account, which apply from the next session on."""
    services: frozenset[str] = frozenset()
    """Running programs known to open serial ports: ModemManager, brltty."""
    usbfs_mb: int | None = None
    """Memory that Linux gives to all USB transfers together."""


@dataclass(frozen=True, slots=True)
class NvidiaGpu:
    """An NVIDIA GPU as its driver describes it."""

    name: str
    capability: tuple[int, int] | None = None
    total_mb: float | None = None
    free_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Graphics:
    """GPUs and their drivers."""

    nvidia_hardware: tuple[str, ...] = ()
    """NVIDIA devices on the bus, with or without a driver."""
    kernel_driver: str = ""
    """Linux: the kernel driver in use for them: nvidia, nouveau, vfio-pci."""
    nvidia: tuple[NvidiaGpu, ...] = ()
    driver: Version | None = None
    """Version of the NVIDIA driver."""
    error: str = ""
    """Error message of `nvidia-smi`."""
    driver_library: bool | None = None
    """Whether the CUDA driver library (libcuda.so.1, nvcuda.dll) can be loaded."""
    other: tuple[str, ...] = ()
    """GPUs of Intel and AMD."""


@dataclass(frozen=True, slots=True)
class Library:
    """A CUDA, cuDNN or TensorRT library on the disk."""

    name: str
    """Without prefix and ending: cublasLt, cudart, cudnn, nvinfer."""
    major: int
    path: str


@dataclass(frozen=True, slots=True)
class ProviderTrial:
    """A small network, run on one execution provider of ONNX Runtime."""

    requested: str
    used: str = ""
    """The provider that was used."""
    ms: float | None = None
    right: bool = True
    """Whether the result was the expected one."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class OnnxRuntime:
    """Version of ONNX Runtime, and its execution providers."""

    version: str = ""
    cuda: str = ""
    """The CUDA version that it was built for; empty: for the CPU only."""
    providers: tuple[str, ...] = ()
    """Providers that it was built with; not all of them work."""
    trials: tuple[ProviderTrial, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class OpenVino:
    """Version of OpenVINO, and its devices."""

    version: str = ""
    devices: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Torch:
    """Version of torch, and whether it can use a GPU."""

    version: str = ""
    cuda: str = ""
    """The CUDA version that it was built for; empty: for the CPU only."""
    available: bool | None = None
    """Whether it finds a GPU; None: not tried."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class NvidiaEncoder:
    """NVIDIA's video encoder, tried on a few frames; only where there is a GPU."""

    works: bool | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Computing:
    """Libraries that run networks."""

    onnxruntime: OnnxRuntime = OnnxRuntime()
    openvino: OpenVino = OpenVino()
    torch: Torch = Torch()
    libraries: tuple[Library, ...] = ()
    nvenc: NvidiaEncoder = NvidiaEncoder()


@dataclass(frozen=True, slots=True)
class ProgramFolder:
    """Location of the program."""

    folder: str = ""
    checkout: bool = True
    """A checkout with requirements files, not an installed package."""
    long_paths: bool | None = None
    """Windows: whether paths of more than 260 letters are allowed."""


@dataclass(frozen=True, slots=True)
class Screen:
    """The display."""

    display: str = ""
    """DISPLAY or WAYLAND_DISPLAY; empty on Linux: no display is meant."""
    answers: bool | None = None
    size: tuple[int, int] | None = None
    missing: tuple[str, ...] = ()
    """Debian packages of system libraries that Qt needs and that are missing."""


@dataclass(frozen=True, slots=True)
class Scheduling:
    """Priority, power and antivirus: what may delay a running rig."""

    can_raise_priority: bool | None = None
    can_run_real_time: bool | None = None
    """Linux: whether SCHED_FIFO is allowed."""
    can_lock_memory: bool | None = None
    """Linux: whether memory may be locked without limit."""
    on_battery: bool | None = None
    power_plan: str = ""
    """Windows: balanced, high performance, power saver, or the name of another plan."""
    governor: str = ""
    """Linux: the CPU frequency governor."""
    governor_driver: str = ""
    antivirus: tuple[str, ...] = ()
    """Names of antivirus programs that are registered."""
    real_time_scan: bool | None = None
    """Whether Windows Defender scans files when they are written."""
    exclusions: tuple[str, ...] | None = None
    """Folders that Windows Defender excludes; None: not reported."""


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """A part of the snapshot that could not be taken."""

    probe: str
    reason: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Snapshot of a computer."""

    os: OperatingSystem
    python: Python
    packages: Packages = field(default_factory=Packages)
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    output: OutputFolder = OutputFolder()
    devices: Devices = Devices()
    graphics: Graphics = Graphics()
    computing: Computing = Computing()
    program: ProgramFolder = ProgramFolder()
    screen: Screen = Screen()
    scheduling: Scheduling = Scheduling()
    failures: tuple[ProbeFailure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the snapshot as JSON values."""
        found = _plain(asdict(self))
        return dict(found)


_JSON_NAMES = {"requested": "asked", "display": "asked"}
"""Keys of the JSON report that are not those of the fields."""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            _JSON_NAMES.get(key, str(key)): _plain(item) for key, item in value.items()
        }
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
