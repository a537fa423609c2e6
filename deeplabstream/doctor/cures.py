"""Commands that cure findings, for the operating system and its package manager."""

from __future__ import annotations

from collections.abc import Mapping

from deeplabstream.doctor.environment import Environment
from deeplabstream.doctor.gpu_support import Generation

NVIDIA_PAGE = "https://www.nvidia.com/drivers"
_INSTALL = {
    "apt": "sudo apt-get install -y",
    "dnf": "sudo dnf install -y",
    "pacman": "sudo pacman -S --needed",
    "zypper": "sudo zypper install -y",
    "brew": "brew install",
    "winget": "winget install --id",
}
_LIBRARIES: Mapping[str, Mapping[str, str]] = {
    "libGL.so.1": {"apt": "libgl1", "dnf": "mesa-libGL", "pacman": "libglvnd"},
    "libglib-2.0.so.0": {"apt": "libglib2.0-0", "dnf": "glib2", "pacman": "glib2"},
    "libgthread-2.0.so.0": {"apt": "libglib2.0-0", "dnf": "glib2", "pacman": "glib2"},
    "libusb-1.0.so.0": {"apt": "libusb-1.0-0", "dnf": "libusb1", "pacman": "libusb"},
    "libportaudio.so.2": {
        "apt": "libportaudio2",
        "dnf": "portaudio",
        "pacman": "portaudio",
    },
}
"""Packages of system libraries by package manager."""


def pip(environment: Environment, arguments: str) -> str:
    """Return the command that installs Python packages into this environment."""
    return f"{_python(environment)} -m pip install {arguments}"


def requirements(environment: Environment, file: str = "requirements.txt") -> str:
    """Return the command that installs a requirements file of the checkout."""
    return pip(environment, f"-r {_quoted(_joined(environment, file))}")


def gpu_packages(environment: Environment, generation: Generation) -> str:
    """Return the command that installs ONNX Runtime with its CUDA libraries."""
    if environment.program.checkout:
        return requirements(environment, generation.requirements)
    packages = [f'"onnxruntime-gpu[cuda,cudnn]=={generation.onnxruntime}"']
    packages += [f"{name}=={version}" for name, version in generation.wheels.items()]
    return pip(environment, " ".join(packages))


def torch_with_cuda(environment: Environment, generation: Generation) -> str:
    """Return the command that installs a build of torch for the GPU."""
    python = _python(environment)
    if environment.os.system == "linux" and generation.torch_backend in (
        "cu128",
        "cu130",
    ):
        return pip(environment, f"--force-reinstall torch==={generation.torch}")
    return uv_torch(python, generation.torch_backend, generation.torch)


def uv_torch(python: str, backend: str, version: str) -> str:
    """Return the command by which uv installs the build of torch for one CUDA version."""
    return (
        f"uv pip install --python {python} --torch-backend={backend} "
        f"--reinstall-package torch torch=={version}"
    )


def old_torch(environment: Environment, backend: str, version: str) -> str:
    """Return the command that installs torch for a GPU before Turing."""
    return uv_torch(_python(environment), backend, version)


def system_library(environment: Environment, library: str) -> str:
    """Return the command that installs a system library; a sentence where none is known."""
    if environment.os.system == "windows":
        return "winget install --id Microsoft.VCRedist.2015+.x64"
    manager = environment.os.package_manager
    package = _LIBRARIES.get(library, {}).get(manager, "")
    if package and manager in _INSTALL:
        return f"{_INSTALL[manager]} {package}"
    return f"Install the package of your system that has {library}."


def system_packages(environment: Environment, debian: tuple[str, ...]) -> str:
    """Return the command that installs packages whose names on Debian are known."""
    manager = environment.os.package_manager
    if manager == "apt":
        return f"{_INSTALL['apt']} {' '.join(debian)}"
    whole = {
        "dnf": "mesa-libGL libxkbcommon-x11 xcb-util-wm xcb-util-image "
        "xcb-util-keysyms xcb-util-renderutil",
        "pacman": "libxkbcommon-x11 xcb-util-wm xcb-util-image xcb-util-keysyms "
        "xcb-util-renderutil libxcb",
    }
    if manager in whole:
        return f"{_INSTALL[manager]} {whole[manager]}"
    return f"Install the equivalents of the Debian packages {' '.join(debian)}."


def nvidia_driver(environment: Environment) -> str:
    """Return the command that installs or updates the NVIDIA driver."""
    system = environment.os
    if system.wsl:
        return f"Install the driver in Windows, not in WSL: {NVIDIA_PAGE}"
    if system.system == "windows":
        return f"start {NVIDIA_PAGE}"
    if system.container:
        return "docker run --gpus all ... (the driver is that of the host)"
    if system.distribution in ("ubuntu", "linuxmint", "pop"):
        return "sudo ubuntu-drivers install"
    if system.distribution == "debian":
        return (
            "sudo apt-get install -y nvidia-driver firmware-misc-nonfree "
            "(needs non-free in the package sources)"
        )
    if system.package_manager == "dnf":
        return (
            "sudo dnf install -y akmod-nvidia xorg-x11-drv-nvidia-cuda (of RPM Fusion)"
        )
    if system.package_manager == "pacman":
        return "sudo pacman -S --needed nvidia-utils nvidia-open"
    return f"Install the driver from {NVIDIA_PAGE}"


def join_group(group: str) -> str:
    """Return the command that adds the account to a group."""
    return f"sudo usermod -aG {group} $USER (then log out and in)"


def python_installer(environment: Environment) -> str:
    """Return the command that installs a supported Python."""
    commands = {
        "apt": "sudo apt-get install -y python3.11 python3.11-venv",
        "dnf": "sudo dnf install -y python3.11",
        "brew": "brew install python@3.11",
        "winget": "winget install --id Python.Python.3.11 --architecture x64",
    }
    manager = environment.os.package_manager
    return commands.get(manager, "Install Python 3.11 from https://www.python.org")


def _python(environment: Environment) -> str:
    return _quoted(environment.python.executable or "python")


def _joined(environment: Environment, file: str) -> str:
    folder = environment.program.folder
    if not folder:
        return file
    slash = "\\" if environment.os.system == "windows" else "/"
    return f"{folder}{slash}{file}"


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word
