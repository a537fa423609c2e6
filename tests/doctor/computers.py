"""Computers that are made up: healthy ones, from which tests make broken ones."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

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
    ProgramFolder,
    ProviderTrial,
    Python,
    Scheduling,
    Screen,
    SerialPort,
    Torch,
    UsbCamera,
)
from deeplabstream.doctor.gpu_support import CUDA_12, CUDA_13, Generation

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
PINS: Mapping[str, str] = {
    "numpy": "2.4.6",
    "opencv-python": "5.0.0.93",
    "onnxruntime-gpu": "1.31.1",
    "pyqt5": "5.15.11",
    "pyserial": "3.5",
    "torch": "2.13.0",
    "pypylon": "26.9",
}
RTX_4070 = NvidiaGpu("NVIDIA GeForce RTX 4070", (8, 9), 12282, 11000)
GTX_1080 = NvidiaGpu("NVIDIA GeForce GTX 1080", (6, 1), 8192, 7800)
RTX_5090 = NvidiaGpu("NVIDIA GeForce RTX 5090", (12, 0), 32607, 31000)
B200 = NvidiaGpu("NVIDIA B200", (10, 0), 180000, 179000)
K80 = NvidiaGpu("Tesla K80", (3, 7), 11441, 11000)


def change(environment: Environment, **parts: Any) -> Environment:
    """Return a computer of which fields differ: `part__field=value` or `part=value`."""
    for name, value in parts.items():
        part, _, inner = name.partition("__")
        if inner:
            value = replace(getattr(environment, part), **{inner: value})
        environment = replace(environment, **{part: value})
    return environment


def ran(provider: str, ms: float = 0.05) -> ProviderTrial:
    return ProviderTrial(provider, provider, ms)


def unused(error: str = "") -> ProviderTrial:
    """A trial that asked for CUDA and was computed by the CPU."""
    return ProviderTrial(CUDA, CPU, 0.04, error=error)


def libraries(generation: Generation, *but: str) -> tuple[Library, ...]:
    return tuple(
        Library(name, major, f"site-packages/nvidia/lib{name}.so.{major}")
        for name, major in generation.libraries.items()
        if name not in but
    )


def onnxruntime(generation: Generation, trial: ProviderTrial) -> OnnxRuntime:
    providers = ("TensorrtExecutionProvider", CUDA, CPU)
    number = generation.onnxruntime
    return OnnxRuntime(number, f"{generation.cuda}.0", providers, (ran(CPU), trial))


LINUX = Environment(
    os=OperatingSystem("linux", "Ubuntu 24.04", "ubuntu", "apt"),
    python=Python((3, 11, 7), "/data/rig/.venv/bin/python"),
    packages=Packages(PINS, {**PINS, "openvino": "2026.4.1"}),
    cpu=Cpu("Intel Core i7-12700", 20, frozenset({"avx2"})),
    memory=Memory(32.0, 24.0, 16000.0, 15900.0),
    output=OutputFolder("/data/runs", "", 400.0, 900.0, 4.0, "ext4"),
    devices=Devices(groups=frozenset({"dialout", "video"})),
    computing=Computing(
        OnnxRuntime("1.31.1", "13.0", (CUDA, CPU), (ran(CPU),)),
        OpenVino("2026.4.1", ("CPU",)),
        Torch("2.13.0", "13.0"),
    ),
    program=ProgramFolder("/data/DeepLabStream"),
    screen=Screen(":0", True, (1920, 1080)),
    scheduling=Scheduling(True, None, governor="performance"),
)
"""A lab's Linux computer without a GPU."""

LINUX_GPU = change(
    LINUX,
    graphics=Graphics(
        ("NVIDIA Corporation AD104",), "nvidia", (RTX_4070,), (580, 95, 5), "", True
    ),
    computing=Computing(
        onnxruntime(CUDA_13, ran(CUDA)),
        OpenVino("2026.4.1", ("CPU",)),
        Torch("2.13.0", "13.0", True),
        libraries(CUDA_13),
        NvidiaEncoder(True),
    ),
)
"""The same with a GPU that works."""

PASCAL = change(
    LINUX_GPU,
    graphics__nvidia=(GTX_1080,),
    packages__installed={
        **PINS,
        "onnxruntime-gpu": CUDA_12.onnxruntime,
        "torch": "2.10.0+cu126",
        "nvidia-cudnn-cu12": "9.10.2.21",
    },
    computing=Computing(
        onnxruntime(CUDA_12, ran(CUDA)),
        torch=Torch("2.10.0+cu126", "12.6", True),
        libraries=libraries(CUDA_12),
    ),
)
"""An old GPU with the packages that serve it."""

WINDOWS = change(
    LINUX,
    os=OperatingSystem("windows", "Windows 11", "", "winget", "AMD64"),
    python=Python((3, 12, 4), "C:\\DeepLabStream\\.venv\\Scripts\\python.exe"),
    memory=Memory(32.0, 20.0),
    output=OutputFolder("D:\\runs", "", 400.0, 600.0, 8.0, "NTFS"),
    devices=Devices(
        (UsbCamera("Logitech BRIO"),), (SerialPort("COM3", "Arduino Uno"),)
    ),
    program=ProgramFolder("C:\\DeepLabStream", long_paths=False),
    screen=Screen("windows", True, (2560, 1440)),
    scheduling=Scheduling(
        on_battery=False,
        power_plan="high performance",
        antivirus=("Windows Defender",),
        real_time_scan=True,
        exclusions=("D:\\runs",),
    ),
)
WINDOWS_GPU = change(
    WINDOWS,
    graphics=Graphics((RTX_4070.name,), "", (RTX_4070,), (581, 42), "", True),
    computing=Computing(
        onnxruntime(CUDA_13, ran(CUDA)),
        torch=Torch("2.13.0+cu130", "13.0", True),
        libraries=libraries(CUDA_13),
        nvenc=NvidiaEncoder(True),
    ),
)
CONTAINER = change(
    LINUX,
    os=OperatingSystem("linux", "Debian 12", "debian", "apt", container=True),
    screen=Screen(),
    devices=Devices(),
    scheduling=Scheduling(False),
)
RIG = change(
    LINUX_GPU,
    devices=Devices(
        (
            UsbCamera("Basler acA1300-200um", "/dev/bus/usb/004/002", True, 5000, True),
            UsbCamera("HD Webcam C920", "/dev/video0"),
        ),
        (SerialPort("/dev/ttyACM0", "Arduino Uno", True, "dialout"),),
        frozenset({"dialout", "video"}),
        frozenset({"dialout", "video"}),
        frozenset(),
        1000,
    ),
)
"""A rig with an industrial camera, a webcam and a board."""
LAPTOP = change(
    WINDOWS,
    graphics=Graphics(other=("Intel(R) Iris(R) Xe Graphics",)),
    computing__openvino=OpenVino("2026.4.1", ("CPU", "GPU")),
)
DIRECTML = change(
    WINDOWS,
    packages__installed={
        **{name: pin for name, pin in PINS.items() if name != "onnxruntime-gpu"},
        "onnxruntime-directml": "1.24.4",
    },
    graphics=Graphics(other=("AMD Radeon RX 7800 XT",)),
    computing__onnxruntime=OnnxRuntime(
        "1.24.4",
        "",
        ("DmlExecutionProvider", CPU),
        (ran(CPU), ran("DmlExecutionProvider")),
    ),
)
MAC = change(
    LINUX,
    os=OperatingSystem("darwin", "macOS 14", "", "brew", "x86_64"),
    memory=Memory(16.0, 9.0),
    output=OutputFolder("/Volumes/data/runs", "", 200.0, 500.0, 5.0),
    packages__installed={**PINS, "onnxruntime": "1.31.1"} | {"openvino": "2026.4.1"},
    screen=Screen("macOS", True),
)
MAC = change(
    MAC,
    packages__installed={
        name: version
        for name, version in MAC.packages.installed.items()
        if name != "onnxruntime-gpu"
    },
)
BLACKWELL = change(LINUX_GPU, graphics__nvidia=(RTX_5090,))

HEALTHY: Mapping[str, Environment] = {
    "Linux without a GPU": LINUX,
    "Linux with a GPU": LINUX_GPU,
    "Linux with a GPU before Turing": PASCAL,
    "Linux with a Blackwell GPU": BLACKWELL,
    "Windows without a GPU": WINDOWS,
    "Windows with a GPU": WINDOWS_GPU,
    "container without a screen": CONTAINER,
    "rig with cameras and a board": RIG,
    "laptop with an Intel GPU": LAPTOP,
    "Windows with an AMD GPU and DirectML": DIRECTML,
    "macOS": MAC,
}
