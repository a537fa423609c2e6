"""Diagnosis of a snapshot: pure functions from an `Environment` to findings."""

from __future__ import annotations

from collections.abc import Iterator

from deeplabstream.doctor import cures
from deeplabstream.doctor.environment import Environment, UsbCamera
from deeplabstream.doctor.findings import (
    PROBLEM,
    WARNING,
    Finding,
    finding,
    ordered,
)
from deeplabstream.doctor.gpu_diagnosis import diagnose_gpu
from deeplabstream.engine.processes.real_time import ALLOW

OLDEST_PYTHON, FIRST_TOO_NEW = (3, 11), (3, 14)
LEAST_MEMORY_GB, LEAST_FREE_GB = 4.0, 1.0
LEAST_SHARED_MB, TIGHT_SHARED_MB = 256.0, 900.0
LEAST_DISK_GB, TIGHT_DISK_GB = 2.0, 20.0
LEAST_WRITE_MB_S, SLOW_WRITE_MB_S = 8.0, 30.0
SLOW_SYNC_MS = 1000.0
"""The recorder syncs its data twice a second; if a sync takes longer, a power cut loses
frames."""
LEAST_USBFS_MB = 256
SMALL_SCREEN = (1024, 700)
LONG_FOLDER = 65
"""Longest path of the program's folder, in letters; beyond, paths of packages exceed
260."""
_TWINS = (
    ("onnxruntime-gpu", "onnxruntime", "onnxruntime"),
    ("onnxruntime-gpu", "onnxruntime-directml", "onnxruntime"),
    ("onnxruntime-directml", "onnxruntime", "onnxruntime"),
    ("onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime"),
    ("opencv-python", "opencv-python-headless", "cv2"),
    ("opencv-python", "opencv-contrib-python", "cv2"),
)
"""Packages that write into the same folder: the one that was installed last is
imported."""
_ONE_OF = {
    "onnxruntime-gpu": ("onnxruntime", "onnxruntime-directml", "onnxruntime-openvino"),
    "onnxruntime": ("onnxruntime-gpu",),
    "opencv-python": ("opencv-python-headless", "opencv-contrib-python"),
}
"""Packages that others can replace."""
_NEEDED = frozenset({
    "annotated-types",
    "av",
    "h5py",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-python",
    "psutil",
    "pydantic",
    "pyqt5",
    "pyqtgraph",
    "pyserial",
})  # fmt: skip
"""Packages without which nothing runs; the others serve single devices or training."""
_NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "sshfs", "fuse.sshfs")
_FAT = ("vfat", "msdos", "fat", "fat32", "fat16")
_SLOW_PLANS = ("power saver", "balanced")


def diagnose(environment: Environment) -> tuple[Finding, ...]:
    """Return all findings, problems first; empty: no problems."""
    checks = (
        _operating_system,
        _python,
        _packages,
        _cpu,
        _memory,
        _shared_memory,
        _output_folder,
        _cameras,
        _serial_ports,
        diagnose_gpu,
        _program_folder,
        _screen,
        _scheduling,
        _antivirus,
        _failures,
    )
    return ordered([result for check in checks for result in check(environment)])


def _operating_system(environment: Environment) -> Iterator[Finding]:
    system = environment.os
    if system.machine.lower() not in ("x86_64", "amd64"):
        yield finding("machine-untested", system=system)
    if system.wsl:
        yield finding("wsl")


def _python(environment: Environment) -> Iterator[Finding]:
    python = environment.python
    text = ".".join(map(str, python.version[:3]))
    if not OLDEST_PYTHON <= python.version[:2] < FIRST_TOO_NEW:
        yield finding(
            "python-version", text=text, cure=cures.python_installer(environment)
        )
    if python.bits < 64:
        yield finding("python-32-bit", cure=cures.python_installer(environment))
    if "WindowsApps" in python.executable and not python.virtual:
        yield finding("python-store", cure=cures.python_installer(environment))


def _packages(environment: Environment) -> Iterator[Finding]:
    packages = environment.packages
    installed = packages.installed
    missing = [
        name
        for name in packages.pins
        if name not in installed
        and not any(other in installed for other in _ONE_OF.get(name, ()))
    ]
    needed = [name for name in missing if name in _NEEDED]
    optional = [name for name in missing if name not in _NEEDED]
    if needed:
        names = ", ".join(needed)
        yield finding(
            "package-missing",
            names=names,
            cure=cures.requirements(environment)
            if environment.program.checkout
            else cures.pip(environment, " ".join(_pinned(environment, needed))),
        )
    if optional:
        yield finding(
            "package-optional",
            names=", ".join(optional),
            cure=cures.pip(environment, " ".join(_pinned(environment, optional))),
        )
    for one, other, folder in _TWINS:
        if one in installed and other in installed:
            yield finding(
                "package-twice",
                one=one,
                other=other,
                folder=folder,
                cure=_only(environment, one, other),
            )
    for name, error in packages.broken.items():
        library = error.partition(":")[0].strip()
        foreign = ".so" in library or "DLL load failed" in error
        yield finding(
            "package-broken",
            name=name,
            error=error,
            cure=cures.system_library(environment, library)
            if foreign
            else cures.pip(environment, f"--force-reinstall {name}"),
        )
    yield from _other_versions(environment)


def _pinned(environment: Environment, names: list[str]) -> list[str]:
    return [f"{name}=={environment.packages.pins[name]}" for name in names]


def _only(environment: Environment, one: str, other: str) -> str:
    version = environment.packages.installed[one]
    remove = cures.pip(environment, "").replace(" install ", f" uninstall -y {other}")
    also = cures.pip(environment, f"--force-reinstall --no-deps {one}=={version}")
    return f"{remove} && {also}"


def _other_versions(environment: Environment) -> Iterator[Finding]:
    """Compare versions with the pins, leaving out those of another CUDA generation."""
    from deeplabstream.doctor.gpu_support import GENERATIONS

    packages = environment.packages
    allowed: dict[str, set[str]] = {}
    for generation in GENERATIONS:
        allowed.setdefault("onnxruntime-gpu", set()).add(generation.onnxruntime)
        allowed.setdefault("torch", set()).add(generation.torch)
    others = [
        f"{name} {found} (tested: {pin})"
        for name, pin in packages.pins.items()
        if (found := packages.installed.get(name)) is not None
        and found.partition("+")[0] not in {pin, *allowed.get(name, ())}
    ]
    if others:
        yield finding(
            "package-version",
            names=", ".join(others),
            cure=cures.requirements(environment)
            if environment.program.checkout
            else "Install the versions that are named as tested.",
        )


def _cpu(environment: Environment) -> Iterator[Finding]:
    cpu = environment.cpu
    x86 = environment.os.machine.lower() in ("x86_64", "amd64")
    if x86 and cpu.features is not None and "avx2" not in cpu.features:
        yield finding("cpu-avx2", cpu=f"The CPU {cpu.name}".strip())
    if cpu.cores is not None and cpu.cores < 2:
        yield finding("cpu-cores")


def _memory(environment: Environment) -> Iterator[Finding]:
    memory = environment.memory
    if memory.total_gb is not None and memory.total_gb < LEAST_MEMORY_GB - 0.5:
        yield finding("memory-small", memory=memory, least_gb=LEAST_MEMORY_GB)
    elif memory.free_gb is not None and memory.free_gb < LEAST_FREE_GB:
        yield finding("memory-free", memory=memory)


def _shared_memory(environment: Environment) -> Iterator[Finding]:
    memory = environment.memory
    total, free = memory.shared_total_mb, memory.shared_free_mb
    if total is None or free is None or min(total, free) >= TIGHT_SHARED_MB:
        return
    cure = "sudo mount -o remount,size=2G /dev/shm"
    if environment.os.container:
        cure = "docker run --shm-size=2g ..."
    if total >= TIGHT_SHARED_MB:
        cure = "rm /dev/shm/dls-* (while no rig runs)"
    yield finding(
        "shared-memory",
        total=total,
        free=free,
        severity=PROBLEM if min(total, free) < LEAST_SHARED_MB else WARNING,
        cure=cure,
    )


def _output_folder(environment: Environment) -> Iterator[Finding]:
    output = environment.output
    where = output.path or "the output folder"
    if output.error:
        yield finding("output-unwritable", where=where, output=output)
    if output.free_gb is not None and output.free_gb < TIGHT_DISK_GB:
        yield finding(
            "disk-space",
            output=output,
            where=where,
            severity=PROBLEM if output.free_gb < LEAST_DISK_GB else WARNING,
        )
    speed = output.write_mb_s
    if speed is not None and speed < SLOW_WRITE_MB_S:
        yield finding(
            "disk-slow",
            where=where,
            speed=speed,
            severity=PROBLEM if speed < LEAST_WRITE_MB_S else WARNING,
        )
    elif output.sync_ms is not None and output.sync_ms > SLOW_SYNC_MS:
        yield finding("disk-sync", where=where, output=output)
    if output.file_system.lower() in _NETWORK_FILE_SYSTEMS:
        yield finding("disk-network", where=where, output=output)
    if output.file_system.lower() in _FAT:
        yield finding("disk-fat", where=where)
    if output.synced_by:
        yield finding("disk-synced", output=output, where=where)


def _cameras(environment: Environment) -> Iterator[Finding]:
    devices = environment.devices
    closed = [camera for camera in devices.cameras if not camera.accessible]
    vendors = sorted({camera.usb_vendor for camera in closed if camera.usb_vendor})
    for vendor in vendors:
        names = [_named(camera) for camera in closed if camera.usb_vendor == vendor]
        yield finding("camera-udev", names=", ".join(names), vendor=vendor)
    closed = [camera for camera in closed if not camera.usb_vendor]
    if closed:
        yield _no_access(
            environment, "camera", [_named(camera) for camera in closed], "video"
        )
    for camera in devices.cameras:
        if camera.error:
            yield finding("camera-driver", camera=camera)
        if camera.usb3 and camera.usb_mbps is not None and camera.usb_mbps < 5000:
            yield finding("camera-usb2", camera=camera)
    if (
        devices.usbfs_mb is not None
        and 0 < devices.usbfs_mb < LEAST_USBFS_MB
        and any(camera.usb3 for camera in devices.cameras)
    ):
        yield finding("usb-memory", devices=devices)


def _named(camera: UsbCamera) -> str:
    return f"{camera.name} ({camera.path})" if camera.path else camera.name


def _no_access(
    environment: Environment, device: str, names: list[str], group: str
) -> Finding:
    devices, paths = environment.devices, ", ".join(names)
    if group in devices.member_of and group not in devices.groups:
        return finding(f"{device}-session", names=paths, group=group)
    cure = cures.join_group(group)
    return finding(f"{device}-rights", names=paths, group=group, cure=cure)


def _serial_ports(environment: Environment) -> Iterator[Finding]:
    devices = environment.devices
    by_group: dict[str, list[str]] = {}
    for port in devices.ports:
        if not port.accessible:
            by_group.setdefault(port.group or "dialout", []).append(port.path)
    for group, paths in by_group.items():
        yield _no_access(environment, "serial", paths, group)
    for port in devices.ports:
        if port.error:
            yield finding("serial-driver", name=port.name or port.path, port=port)
    manager = environment.os.package_manager
    if "brltty" in devices.services:
        remove = {
            "dnf": "sudo dnf remove -y brltty",
            "apt": "sudo apt-get remove -y brltty",
        }
        yield finding(
            "serial-brltty",
            cure=remove.get(manager, "sudo systemctl disable --now brltty"),
        )
    if "ModemManager" in devices.services and devices.ports:
        yield finding("serial-modemmanager")


def _program_folder(environment: Environment) -> Iterator[Finding]:
    program = environment.program
    windows = environment.os.system == "windows"
    if windows and len(program.folder) > LONG_FOLDER and not program.long_paths:
        yield finding("path-long", letters=len(program.folder), program=program)
    for what, path in (
        ("program's folder", program.folder),
        ("output folder", environment.output.path),
    ):
        if windows and not path.isascii():
            yield finding("path-letters", what=what, path=path)


def _screen(environment: Environment) -> Iterator[Finding]:
    screen = environment.screen
    linux = environment.os.system == "linux"
    if linux and not screen.display:
        yield finding("screen-none")
        return
    if linux and screen.answers is False:
        yield finding("screen-silent", screen=screen)
    if screen.missing:
        yield finding(
            "screen-libraries",
            names=", ".join(screen.missing),
            cure=cures.system_packages(environment, screen.missing),
        )
    if screen.size is not None and (
        screen.size[0] < SMALL_SCREEN[0] or screen.size[1] < SMALL_SCREEN[1]
    ):
        yield finding("screen-small", screen=screen, least=SMALL_SCREEN)


def _scheduling(environment: Environment) -> Iterator[Finding]:
    found = environment.scheduling
    rights = (found.can_run_real_time, found.can_lock_memory, found.can_raise_priority)
    if False in rights and environment.os.system == "linux":
        yield finding("priority", allow=ALLOW)
    if found.on_battery:
        yield finding("power-battery")
    if found.power_plan.lower() in _SLOW_PLANS:
        yield finding("power-plan", plan=found.power_plan.lower())
    dynamic = found.governor_driver in ("intel_pstate", "amd-pstate-epp", "amd-pstate")
    if found.governor == "powersave" and not dynamic:
        yield finding("power-governor")


def _antivirus(environment: Environment) -> Iterator[Finding]:
    found = environment.scheduling
    if environment.os.system != "windows":
        return
    folder = environment.output.path
    scans = found.real_time_scan and found.exclusions is not None and bool(folder)
    if scans and not any(
        _inside(folder, excluded) for excluded in found.exclusions or ()
    ):
        yield finding("antivirus-scan", folder=folder)
    others = [name for name in found.antivirus if "defender" not in name.lower()]
    if others:
        yield finding(
            "antivirus-other",
            names=", ".join(others),
            where=folder or "the output folder",
        )


def _inside(folder: str, parent: str) -> bool:
    one, other = (
        path.replace("/", "\\").rstrip("\\").lower() for path in (folder, parent)
    )
    return bool(other) and (one == other or one.startswith(other + "\\"))


def _failures(environment: Environment) -> Iterator[Finding]:
    for failure in environment.failures:
        yield finding("not-seen", failure=failure)
