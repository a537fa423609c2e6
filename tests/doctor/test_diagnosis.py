"""Broken computers are diagnosed, healthy ones raise no alarm."""

import json
from typing import Any, NamedTuple

import pytest

from deeplabstream.doctor.diagnosis import diagnose
from deeplabstream.doctor.environment import (
    Computing,
    Cpu,
    Devices,
    Environment,
    Graphics,
    Library,
    Memory,
    NvidiaEncoder,
    OnnxRuntime,
    OpenVino,
    OperatingSystem,
    ProbeFailure,
    Python,
    Screen,
    SerialPort,
    Torch,
    UsbCamera,
)
from deeplabstream.doctor.findings import Severity, has_problem
from deeplabstream.doctor.gpu_support import CUDA_12, CUDA_13
from deeplabstream.doctor.summary import summary
from tests.doctor import computers as of
from tests.doctor.computers import (
    B200,
    CPU,
    CUDA,
    GTX_1080,
    HEALTHY,
    K80,
    LAPTOP,
    LINUX,
    LINUX_GPU,
    PASCAL,
    PINS,
    RTX_5090,
    WINDOWS,
    WINDOWS_GPU,
    change,
    libraries,
    onnxruntime,
    unused,
)


class Case(NamedTuple):
    """A broken computer, what is to be found, and a part of the command that cures it."""

    environment: Environment
    key: str
    cure: str
    also: tuple[str, ...] = ()
    """Other findings that are right too."""


def fallen_back(base: Environment = LINUX_GPU, **more: Any) -> Environment:
    """Return a computer where ONNX Runtime computes on the CPU instead of the GPU."""
    ort = onnxruntime(CUDA_13, unused("libcublasLt.so.13: cannot open"))
    return change(base, computing__onnxruntime=ort, **more)


def no_driver(base: Environment = LINUX, **fields: Any) -> Environment:
    given = {"nvidia_hardware": ("NVIDIA Corporation GA104",), "driver_library": False}
    return change(base, graphics=Graphics(**{**given, **fields}))


def devices(base: Environment = LINUX, **fields: Any) -> Environment:
    return change(base, devices=Devices(**fields))


def without(*names: str) -> dict[str, str]:
    return {name: pin for name, pin in PINS.items() if name not in names}


ARDUINO = SerialPort("/dev/ttyACM0", "Arduino Uno", False, "dialout")
SMI_STOPPED = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make "
    "sure that the latest NVIDIA driver is installed and running."
)
BROKEN = {
    "Python too old": Case(
        change(LINUX, python=Python((3, 9, 2))), "python-version", "python3.11"
    ),
    "Python too new": Case(
        change(WINDOWS, python=Python((3, 14, 0))),
        "python-version",
        "winget install --id Python.Python.3.11",
    ),
    "32-bit Python": Case(
        change(WINDOWS, python=Python((3, 11, 9), bits=32)), "python-32-bit", "x64"
    ),
    "Python of the store": Case(
        change(
            WINDOWS,
            python=Python(
                (3, 11, 9), "C:\\Program Files\\WindowsApps\\python.exe", virtual=False
            ),
        ),
        "python-store",
        "winget",
    ),
    "package missing": Case(
        change(LINUX, packages__installed=without("opencv-python")),
        "package-missing",
        "-m pip install -r /data/DeepLabStream/requirements.txt",
    ),
    "package missing, installed program": Case(
        change(LINUX, packages__installed=without("numpy"), program__checkout=False),
        "package-missing",
        "pip install numpy==2.4.6",
    ),
    "other version": Case(
        change(LINUX, packages__installed={**PINS, "numpy": "1.26.4"}),
        "package-version",
        "requirements.txt",
    ),
    "two ONNX Runtimes": Case(
        change(LINUX, packages__installed={**PINS, "onnxruntime": "1.31.1"}),
        "package-twice",
        "uninstall -y onnxruntime",
    ),
    "two OpenCVs": Case(
        change(
            LINUX, packages__installed={**PINS, "opencv-python-headless": "5.0.0.93"}
        ),
        "package-twice",
        "--no-deps opencv-python==5.0.0.93",
    ),
    "system library missing": Case(
        change(
            LINUX,
            packages__broken={
                "opencv-python": "libGL.so.1: cannot open shared object file: No such file"
            },
        ),
        "package-broken",
        "sudo apt-get install -y libgl1",
    ),
    "Visual C++ missing": Case(
        change(
            WINDOWS,
            packages__broken={
                "av": "DLL load failed while importing _core: The specified module could "
                "not be found."
            },
        ),
        "package-broken",
        "winget install --id Microsoft.VCRedist.2015+.x64",
    ),
    "CPU without AVX2": Case(
        change(LINUX, cpu=Cpu("Common KVM processor", 8, frozenset())),
        "cpu-avx2",
        "host",
    ),
    "one core": Case(change(LINUX, cpu__cores=1), "cpu-cores", "four cores"),
    "ARM": Case(
        change(LINUX, os__machine="aarch64"), "machine-untested", "Intel or AMD"
    ),
    "WSL": Case(change(LINUX, os__wsl=True), "wsl", "run.bat"),
    "2 GB of memory": Case(
        change(LINUX, memory=Memory(2.0, 1.5, 900.0, 900.0)), "memory-small", "memory"
    ),
    "memory used up": Case(
        change(LINUX, memory__free_gb=0.3), "memory-free", "Close other programs"
    ),
    "shared memory of Docker": Case(
        change(of.CONTAINER, memory__shared_total_mb=64.0, memory__shared_free_mb=64.0),
        "shared-memory",
        "docker run --shm-size=2g",
    ),
    "shared memory full": Case(
        change(LINUX, memory__shared_free_mb=100.0), "shared-memory", "rm /dev/shm"
    ),
    "output folder without rights": Case(
        change(LINUX, output__error="Permission denied"),
        "output-unwritable",
        "OUTPUT_DIRECTORY",
    ),
    "disk full": Case(
        change(LINUX, output__free_gb=0.6), "disk-space", "Delete or move"
    ),
    "slow disk": Case(change(LINUX, output__write_mb_s=4.0), "disk-slow", "SSD"),
    "slow sync": Case(change(LINUX, output__sync_ms=3000.0), "disk-sync", "SSD"),
    "network drive": Case(
        change(LINUX, output__file_system="nfs4"), "disk-network", "copy afterwards"
    ),
    "FAT": Case(change(LINUX, output__file_system="vfat"), "disk-fat", "exFAT"),
    "OneDrive": Case(
        change(WINDOWS, output__synced_by="OneDrive"), "disk-synced", "outside"
    ),
    "camera without rights": Case(
        devices(cameras=(UsbCamera("C920", "/dev/video0", False),)),
        "camera-rights",
        "sudo usermod -aG video $USER",
    ),
    "industrial camera without rights": Case(
        devices(
            cameras=(
                UsbCamera(
                    "Basler",
                    "/dev/bus/usb/004/002",
                    False,
                    5000,
                    True,
                    usb_vendor="2676",
                ),
            )
        ),
        "camera-udev",
        'ATTR{idVendor}=="2676"',
    ),
    "USB 3 camera at USB 2": Case(
        devices(cameras=(UsbCamera("Basler", "", True, 480, True),)),
        "camera-usb2",
        "USB 3 port",
    ),
    "little memory for USB": Case(
        devices(cameras=(UsbCamera("Basler", "", True, 5000, True),), usbfs_mb=16),
        "usb-memory",
        "usbfs_memory_mb",
    ),
    "camera stopped by Windows": Case(
        devices(
            WINDOWS,
            cameras=(
                UsbCamera(
                    "USB Video", error="Windows has stopped it because it failed"
                ),
            ),
        ),
        "camera-driver",
        "driver",
    ),
    "serial port without rights": Case(
        devices(ports=(ARDUINO,)), "serial-rights", "sudo usermod -aG dialout $USER"
    ),
    "serial port, session too old": Case(
        devices(ports=(ARDUINO,), member_of=frozenset({"dialout"})),
        "serial-session",
        "Log out and in",
    ),
    "board without a driver": Case(
        devices(
            WINDOWS,
            ports=(
                SerialPort("", "USB2.0-Serial", error="its driver is not installed"),
            ),
        ),
        "serial-driver",
        "CH340",
    ),
    "brltty": Case(
        devices(services=frozenset({"brltty"})), "serial-brltty", "remove -y brltty"
    ),
    "ModemManager": Case(
        devices(
            ports=(SerialPort("/dev/ttyACM0"),), services=frozenset({"ModemManager"})
        ),
        "serial-modemmanager",
        "disable --now ModemManager",
    ),
    "no driver": Case(no_driver(), "gpu-driver-missing", "sudo ubuntu-drivers install"),
    "no driver, Debian": Case(
        change(no_driver(), os__distribution="debian"),
        "gpu-driver-missing",
        "apt-get install -y nvidia-driver",
    ),
    "no driver, Windows": Case(
        no_driver(WINDOWS), "gpu-driver-missing", "start https://www.nvidia.com"
    ),
    "nouveau": Case(
        no_driver(kernel_driver="nouveau"), "gpu-nouveau", "ubuntu-drivers install"
    ),
    "GPU reserved for virtual machines": Case(
        no_driver(kernel_driver="vfio-pci"), "gpu-passed-through", "vfio-pci"
    ),
    "driver stopped": Case(
        no_driver(error=SMI_STOPPED), "gpu-driver-stopped", "ubuntu-drivers install"
    ),
    "driver stopped, Fedora": Case(
        change(
            no_driver(error=SMI_STOPPED),
            os=OperatingSystem("linux", "Fedora 42", "fedora", "dnf"),
        ),
        "gpu-driver-stopped",
        "sudo modprobe nvidia",
    ),
    "driver updated without a restart": Case(
        no_driver(
            error="Failed to initialize NVML: Driver/library version mismatch",
            driver_library=True,
        ),
        "gpu-driver-mismatch",
        "sudo reboot",
    ),
    "driver hangs": Case(
        no_driver(error="no answer within 6 s", driver_library=None),
        "gpu-driver-hangs",
        "sudo reboot",
    ),
    "GPU too old for its driver": Case(
        no_driver(error="No devices were found"), "gpu-not-served", "470 for Kepler"
    ),
    "container without the GPU": Case(
        no_driver(of.CONTAINER), "gpu-container", "docker run --gpus all"
    ),
    "driver without CUDA": Case(
        change(LINUX_GPU, graphics__driver_library=False, os__distribution="debian"),
        "gpu-driver-library",
        "sudo apt-get install -y libcuda1",
    ),
    "driver too old for CUDA 13": Case(
        fallen_back(graphics__driver=(550, 120)),
        "gpu-driver-old",
        "requirements-gpu-cuda12.txt",
    ),
    "driver too old for all": Case(
        fallen_back(graphics__driver=(470, 256, 2)),
        "gpu-driver-old",
        "ubuntu-drivers install",
    ),
    "Blackwell with an old driver": Case(
        change(
            fallen_back(graphics__driver=(560, 35, 3)), graphics__nvidia=(RTX_5090,)
        ),
        "gpu-driver-old",
        "ubuntu-drivers install",
    ),
    "Pascal with packages for CUDA 13": Case(
        fallen_back(graphics__nvidia=(GTX_1080,)),
        "gpu-packages",
        "requirements-gpu-cuda12.txt",
        ("torch-no-kernel",),
    ),
    "Pascal with packages for CUDA 13, installed program": Case(
        fallen_back(graphics__nvidia=(GTX_1080,), program__checkout=False),
        "gpu-packages",
        '"onnxruntime-gpu[cuda,cudnn]==1.26.0"',
        ("torch-no-kernel",),
    ),
    "Pascal with a new cuDNN": Case(
        change(
            PASCAL,
            packages__installed={
                **PASCAL.packages.installed,
                "nvidia-cudnn-cu12": "9.14.0.64",
            },
            computing__onnxruntime=onnxruntime(CUDA_12, unused()),
        ),
        "gpu-cudnn-new",
        "nvidia-cudnn-cu12==9.10.2.21",
    ),
    "Kepler": Case(
        fallen_back(graphics__nvidia=(K80,)),
        "gpu-unsupported",
        "RUNTIME = openvino",
        ("torch-no-kernel",),
    ),
    "Blackwell of data centres with packages for CUDA 13": Case(
        fallen_back(graphics__nvidia=(B200,)),
        "gpu-packages",
        "requirements-gpu-cuda12.txt",
    ),
    "CUDA libraries missing": Case(
        fallen_back(computing__libraries=()),
        "gpu-cuda-libraries",
        "-r /data/DeepLabStream/requirements-gpu.txt",
    ),
    "libraries of CUDA 12 with packages for CUDA 13": Case(
        fallen_back(computing__libraries=libraries(CUDA_12)),
        "gpu-cuda-libraries",
        "requirements-gpu.txt",
    ),
    "cuDNN missing": Case(
        fallen_back(computing__libraries=libraries(CUDA_13, "cudnn")),
        "gpu-cudnn",
        "requirements-gpu.txt",
    ),
    "ONNX Runtime for the CPU": Case(
        change(
            LINUX_GPU,
            packages__installed={**without("onnxruntime-gpu"), "onnxruntime": "1.31.1"},
            computing__onnxruntime=OnnxRuntime("1.31.1", "", (CPU,), (of.ran(CPU),)),
        ),
        "gpu-onnxruntime",
        "requirements-gpu.txt",
    ),
    "ONNX Runtime for CUDA 11": Case(
        change(
            LINUX_GPU,
            packages__installed={**PINS, "onnxruntime-gpu": "1.18.0"},
            computing__onnxruntime=OnnxRuntime(
                "1.18.0", "11.8", (CUDA, CPU), (unused(),)
            ),
        ),
        "gpu-onnxruntime",
        "requirements-gpu.txt",
        (
            "package-version",
            "torch-other-cuda",
        ),
    ),
    "provider not used for a reason that is not known": Case(
        fallen_back(), "gpu-provider-unused", "requirements-gpu.txt"
    ),
    "ONNX Runtime hangs": Case(
        change(
            LINUX_GPU,
            computing__onnxruntime=OnnxRuntime("1.31.1", error="no answer within 12 s"),
        ),
        "gpu-not-tried",
        "run this again",
    ),
    "no kernel": Case(
        change(
            LINUX_GPU,
            graphics__nvidia=(of.NvidiaGpu("NVIDIA GPU"),),
            computing__onnxruntime=onnxruntime(
                CUDA_13,
                of.ProviderTrial(
                    CUDA,
                    CUDA,
                    error="CUDA error cudaErrorNoKernelImageForDevice:no kernel image is "
                    "available for execution on the device",
                ),
            ),
        ),
        "gpu-no-kernel",
        "requirements-gpu-cuda12.txt",
    ),
    "GPU memory full": Case(
        change(
            LINUX_GPU,
            computing__onnxruntime=onnxruntime(
                CUDA_13,
                of.ProviderTrial(CUDA, "", error="CUDA failure 2: out of memory"),
            ),
        ),
        "gpu-memory-full",
        "nvidia-smi",
    ),
    "GPU memory nearly full": Case(
        change(
            LINUX_GPU,
            graphics__nvidia=(of.NvidiaGpu("NVIDIA RTX A2000", (8, 6), 6138, 300),),
        ),
        "gpu-memory",
        "nvidia-smi",
    ),
    "wrong result": Case(
        change(
            LINUX_GPU,
            computing__onnxruntime=onnxruntime(
                CUDA_13, of.ProviderTrial(CUDA, CUDA, 0.1, right=False)
            ),
        ),
        "gpu-wrong-result",
        "driver",
    ),
    "torch for the CPU, Windows": Case(
        change(WINDOWS_GPU, computing__torch=Torch("2.13.0", "")),
        "torch-cpu",
        "--torch-backend=cu130",
    ),
    "torch for the CPU, Linux": Case(
        change(LINUX_GPU, computing__torch=Torch("2.13.0+cpu", "")),
        "torch-cpu",
        "torch===2.13.0",
    ),
    "torch finds no GPU": Case(
        change(LINUX_GPU, computing__torch=Torch("2.13.0", "13.0", False)),
        "torch-gpu-unused",
        "torch",
    ),
    "torch without code for Pascal": Case(
        change(PASCAL, computing__torch=Torch("2.10.0", "12.8", False)),
        "torch-no-kernel",
        "--torch-backend=cu126",
    ),
    "torch of another CUDA": Case(
        change(LINUX_GPU, computing__torch=Torch("2.10.0", "12.8", True)),
        "torch-other-cuda",
        "torch===2.13.0",
    ),
    "TensorRT 11": Case(
        change(
            LINUX_GPU,
            computing__libraries=(
                *libraries(CUDA_13),
                Library("nvinfer", 11, "libnvinfer.so.11"),
            ),
        ),
        "tensorrt-version",
        '"tensorrt-cu13==10.*"',
    ),
    "long path": Case(
        change(WINDOWS, program__folder="C:\\" + "a-long-name\\" * 15),
        "path-long",
        "LongPathsEnabled",
    ),
    "letters beyond English": Case(
        change(WINDOWS, program__folder="D:\\Versuche Müller"),
        "path-letters",
        "C:\\DeepLabStream",
    ),
    "display does not answer": Case(
        change(LINUX, screen=Screen(":1", False)), "screen-silent", "ssh -X"
    ),
    "libraries of the window missing": Case(
        change(LINUX, screen__missing=("libxcb-xinerama0",)),
        "screen-libraries",
        "sudo apt-get install -y libxcb-xinerama0",
    ),
    "small screen": Case(
        change(LINUX, screen__size=(800, 600)), "screen-small", "resolution"
    ),
    "battery": Case(
        change(LAPTOP, scheduling__on_battery=True), "power-battery", "Plug in"
    ),
    "balanced power plan": Case(
        change(WINDOWS, scheduling__power_plan="balanced"),
        "power-plan",
        "powercfg /setactive SCHEME_MIN",
    ),
    "governor": Case(
        change(
            LINUX,
            scheduling__governor="powersave",
            scheduling__governor_driver="acpi-cpufreq",
        ),
        "power-governor",
        "scaling_governor",
    ),
    "Defender scans": Case(
        change(WINDOWS, scheduling__exclusions=("C:\\other",)),
        "antivirus-scan",
        "Add-MpPreference -ExclusionPath 'D:\\runs'",
    ),
}
NOTES = {
    "no display": Case(change(LINUX, screen=Screen()), "screen-none", ""),
    "optional package": Case(
        change(LINUX, packages__installed=without("pypylon")),
        "package-optional",
        "pypylon",
    ),
    "no right to a priority": Case(
        change(LINUX, scheduling__can_raise_priority=False), "priority", "nice"
    ),
    "no right to real-time priority": Case(
        change(LINUX, scheduling__can_run_real_time=False), "priority", "rtprio"
    ),
    "no right to lock memory": Case(
        change(LINUX, scheduling__can_lock_memory=False), "priority", "memlock"
    ),
    "encoder": Case(
        change(
            LINUX_GPU, computing__nvenc=NvidiaEncoder(False, "no capable devices found")
        ),
        "nvenc",
        "",
    ),
    "Intel GPU without its runtime": Case(
        change(LAPTOP, computing__openvino=OpenVino("2026.4.1", ("CPU",))),
        "intel-gpu-unused",
        "intel.com",
    ),
    "AMD GPU without DirectML": Case(
        change(WINDOWS, graphics=Graphics(other=("AMD Radeon RX 6600",))),
        "directml",
        "onnxruntime-directml==1.24.4",
    ),
    "other antivirus": Case(
        change(WINDOWS, scheduling__antivirus=("Sophos Endpoint",)),
        "antivirus-other",
        "Exclude D:\\runs",
    ),
    "nvidia-smi unreadable": Case(
        change(LINUX_GPU, graphics__error="<html>", graphics__driver=None),
        "gpu-unreadable",
        "",
    ),
    "probe failed": Case(
        change(LINUX, failures=(ProbeFailure("torch", "no answer within 12 s"),)),
        "not-seen",
        "",
    ),
}


def test_there_are_enough_computers() -> None:
    assert len(BROKEN) >= 40
    assert len(HEALTHY) >= 10


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_computer_is_diagnosed_by_one_finding(name: str) -> None:
    environment, key, cure, also = BROKEN[name]
    found = [
        each for each in diagnose(environment) if each.severity is not Severity.NOTE
    ]
    assert [each.key for each in found] == [key, *also]
    assert cure in found[0].cure
    assert found[0].what
    assert found[0].why


@pytest.mark.parametrize("name", NOTES)
def test_what_is_worth_knowing_is_a_note(name: str) -> None:
    environment, key, cure, _ = NOTES[name]
    found = [each for each in diagnose(environment) if each.key == key]
    assert [each.severity for each in found] == [Severity.NOTE]
    assert cure in found[0].cure
    assert not has_problem(diagnose(environment))


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_computer_raises_no_alarm(name: str) -> None:
    found = diagnose(HEALTHY[name])
    assert [each for each in found if each.severity is not Severity.NOTE] == []


def test_problems_come_before_warnings_and_notes() -> None:
    worst = change(
        LINUX,
        screen=Screen(),
        memory__free_gb=0.2,
        output__error="Read-only file system",
    )
    assert [each.severity for each in diagnose(worst)] == [
        Severity.PROBLEM,
        Severity.WARNING,
        Severity.NOTE,
    ]


@pytest.mark.parametrize("name", [*BROKEN, *NOTES])
def test_every_computer_has_a_summary_and_a_report(name: str) -> None:
    environment = {**BROKEN, **NOTES}[name].environment
    assert summary(environment)
    report = [environment.to_json(), *(f.to_json() for f in diagnose(environment))]
    assert json.loads(json.dumps(report))[0]["os"]["system"] == environment.os.system
    assert all(line.strip() for f in diagnose(environment) for line in f.lines())


def test_of_several_causes_the_deepest_alone_is_told() -> None:
    """A GPU without a driver is not told to install CUDA libraries too."""
    bare = change(
        no_driver(),
        computing=Computing(onnxruntime(CUDA_13, unused()), torch=Torch("2")),
    )
    assert [each.key for each in diagnose(bare)] == ["gpu-driver-missing"]


def test_a_gpu_that_computes_is_believed_whatever_the_versions_say() -> None:
    odd = change(LINUX_GPU, graphics__driver=(500,), computing__libraries=())
    assert diagnose(odd) == ()
