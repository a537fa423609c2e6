"""Probes of Linux: kernel files, devices and access rights."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deeplabstream.doctor import parsing
from deeplabstream.doctor.commands import CommandRunner
from deeplabstream.doctor.environment import (
    Devices,
    Scheduling,
    SerialPort,
    UsbCamera,
)
from deeplabstream.engine.processes.real_time import may_lock_memory, may_run_real_time

USB3_CAMERAS = {
    "2676": "Basler",
    "1e10": "FLIR",
    "1ab2": "Allied Vision",
    "20f7": "XIMEA",
    "2ba2": "Daheng",
    "2bdf": "Hikrobot",
}
"""USB numbers of makers whose cameras are made for USB 3."""
_REALSENSE = ("0ad3", "0ad4", "0b07", "0b3a", "0b5b", "0b5c", "0b64", "0b68")
_SERVICES = ("ModemManager", "brltty")
_NICE = 25
"""RLIMIT_NICE that permits the engine's priority: five steps."""
_GPU_CLASSES = ("0x0300", "0x0302", "0x0380")


def text(path: str) -> str:
    """Return a file's text; empty: it cannot be read."""
    try:
        return Path(path).read_text("utf-8", errors="replace")
    except (OSError, ValueError):
        return ""


def in_container() -> bool:
    """Return whether this is a container of Docker, Podman or Kubernetes."""
    marks = ("/.dockerenv", "/run/.containerenv")
    runtimes = ("docker", "kubepods", "containerd", "lxc")
    return any(map(os.path.exists, marks)) or any(
        word in text("/proc/1/cgroup") for word in runtimes
    )


def cpu() -> tuple[str, list[str]]:
    """Return the CPU's name and flags."""
    name, flags = "", ""
    for line in text("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name" and not name:
            name = value.strip()
        if key.strip() == "flags" and not flags:
            flags = value
    return name, flags.split()


def memory() -> tuple[float | None, float | None]:
    """Return total and free memory in GB, that of a container if it is limited."""
    total, free = parsing.memory_info(text("/proc/meminfo"))
    limit = text("/sys/fs/cgroup/memory.max").strip()
    if limit.isdigit() and total is not None:
        most = int(limit) / 1e9
        used = text("/sys/fs/cgroup/memory.current").strip()
        left = most - int(used) / 1e9 if used.isdigit() else most
        total = min(total, most)
        free = min(free, max(left, 0.0)) if free is not None else left
    return total, free


def space_mb(folder: str) -> tuple[float | None, float | None]:
    """Return size and free space of a file system, in MB."""
    if sys.platform == "win32":
        return None, None
    try:
        found = os.statvfs(folder)
    except OSError:
        return None, None
    return found.f_blocks * found.f_frsize / 1e6, found.f_bavail * found.f_frsize / 1e6


def access(path: str) -> tuple[bool, str]:
    """Return whether a device may be opened, and the group that owns it."""
    if sys.platform == "win32" or not path.startswith("/"):
        return True, ""
    import grp

    group = ""
    with suppress(OSError, KeyError):
        group = grp.getgrgid(Path(path).stat().st_gid).gr_name
    return os.access(path, os.R_OK | os.W_OK), group


def devices(ports: tuple[SerialPort, ...]) -> Devices:
    """Return cameras, serial ports and access rights."""
    now, member = _groups()
    limit = text("/sys/module/usbcore/parameters/usbfs_memory_mb").strip()
    return Devices(
        (*_webcams(), *_industrial_cameras()),
        ports,
        now,
        member,
        frozenset(_services()),
        int(limit) if limit.isdigit() else None,
    )


def _groups() -> tuple[frozenset[str], frozenset[str]]:
    """Return the groups of this session and those of the account."""
    if sys.platform == "win32":
        return frozenset(), frozenset()
    import grp
    import pwd

    now = set()
    for number in os.getgroups():
        with suppress(KeyError):
            now.add(grp.getgrgid(number).gr_name)
    member = set()
    with suppress(KeyError):
        account = pwd.getpwuid(os.getuid())
        member = {
            group.gr_name for group in grp.getgrall() if account.pw_name in group.gr_mem
        }
        member.add(grp.getgrgid(account.pw_gid).gr_name)
    return frozenset(now), frozenset(member)


def _services() -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/comm"):
        name = text(str(file)).strip()
        if name in _SERVICES:
            yield name


def _webcams() -> Iterator[UsbCamera]:
    for folder in sorted(Path("/sys/class/video4linux").glob("video*")):
        if text(str(folder / "index")).strip() not in ("", "0"):
            continue  # metadata of a camera that has been listed
        path = f"/dev/{folder.name}"
        name = text(str(folder / "name")).strip() or folder.name
        yield UsbCamera(name, path, access(path)[0])


def _industrial_cameras() -> Iterator[UsbCamera]:
    for folder in sorted(Path("/sys/bus/usb/devices").glob("*")):
        vendor = text(str(folder / "idVendor")).strip()
        product = text(str(folder / "idProduct")).strip()
        realsense = vendor == "8086" and product in _REALSENSE
        if vendor not in USB3_CAMERAS and not realsense:
            continue
        maker = USB3_CAMERAS.get(vendor, "RealSense")
        name = f"{maker} {text(str(folder / 'product')).strip()}".strip()
        speed = text(str(folder / "speed")).strip()
        numbers = [text(str(folder / word)).strip() for word in ("busnum", "devnum")]
        path = "/dev/bus/usb/" + "/".join(number.zfill(3) for number in numbers)
        fast = float(speed) if speed.replace(".", "").isdigit() else None
        yield UsbCamera(name, path, access(path)[0], fast, True, usb_vendor=vendor)


def graphics(
    run_command: CommandRunner,
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Return NVIDIA devices, their kernel driver, and GPUs of Intel and AMD."""
    nvidia, other, driver = [], [], ""
    makers = {"0x8086": "Intel", "0x1002": "AMD"}
    for folder in sorted(Path("/sys/bus/pci/devices").glob("*")):
        kind = text(str(folder / "class")).strip()
        if not kind.startswith(_GPU_CLASSES):
            continue
        vendor = text(str(folder / "vendor")).strip()
        if vendor == "0x10de":
            nvidia.append(_pci_name(folder.name, run_command) or "An NVIDIA GPU")
            with suppress(OSError):
                driver = (folder / "driver").resolve(strict=True).name
        elif vendor in makers:
            other.append(_pci_name(folder.name, run_command) or f"{makers[vendor]} GPU")
    return tuple(nvidia), driver, tuple(other)


def _pci_name(address: str, run_command: CommandRunner) -> str:
    """Return the name of a device by lspci, which is not everywhere."""
    answer = run_command(("lspci", "-s", address), 3.0)
    line = answer.out.strip().splitlines()[0] if answer.out.strip() else ""
    return line.partition(": ")[2].partition(" (rev")[0].strip()


def screen_size(run_command: CommandRunner) -> tuple[int, int] | None:
    """Return the size of the X display by xdpyinfo."""
    for line in run_command(("xdpyinfo",), 3.0).out.splitlines():
        tokens = line.split()
        if tokens[:1] == ["dimensions:"] and len(tokens) > 1:
            width, _, height = tokens[1].partition("x")
            if width.isdigit() and height.isdigit():
                return int(width), int(height)
    return None


def scheduling() -> Scheduling:
    """Return priority and power."""
    if sys.platform == "win32":
        return Scheduling()
    import resource

    may = None
    if sys.platform == "linux":
        may = os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_NICE)[0] >= _NICE
    frequency = "/sys/devices/system/cpu/cpu0/cpufreq"
    return Scheduling(
        may,
        may_run_real_time(),
        may_lock_memory(),
        _on_battery(),
        governor=text(f"{frequency}/scaling_governor").strip(),
        governor_driver=text(f"{frequency}/scaling_driver").strip(),
    )


def _on_battery() -> bool | None:
    """Return whether no mains supply is connected; None: there is none."""
    mains = []
    for folder in Path("/sys/class/power_supply").glob("*"):
        if text(str(folder / "type")).strip() == "Mains":
            mains.append(text(str(folder / "online")).strip())
    return all(state == "0" for state in mains) if mains else None
