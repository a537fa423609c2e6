"""Diagnosis of a snapshot: pure functions from an `Environment` to findings."""

from __future__ import annotations

from collections.abc import Iterator

from deeplabstream.doctor import cures
from deeplabstream.doctor.environment import Environment, UsbCamera
from deeplabstream.doctor.findings import Finding, Severity, ordered
from deeplabstream.doctor.gpu_diagnosis import diagnose_gpu
from deeplabstream.engine.processes.real_time import ALLOW

OLDEST_PYTHON, FIRST_TOO_NEW = (3, 11), (3, 14)
LEAST_MEMORY_GB, LEAST_FREE_GB = 4.0, 1.0
LEAST_SHARED_MB, TIGHT_SHARED_MB = 256.0, 900.0
LEAST_DISK_GB, TIGHT_DISK_GB = 2.0, 20.0
LEAST_WRITE_MB_S, SLOW_WRITE_MB_S = 8.0, 30.0
SLOW_SYNC_MS = 1000.0
"""The recorder writes twice a second what has come; a longer wait loses frames' safety."""
LEAST_USBFS_MB = 256
SMALL_SCREEN = (1024, 700)
LONG_FOLDER = 65
"""Letters of the program's folder, from which files of its packages pass 260 letters."""
PROBLEM, WARNING, NOTE = Severity.PROBLEM, Severity.WARNING, Severity.NOTE
_TWINS = (
    ("onnxruntime-gpu", "onnxruntime", "onnxruntime"),
    ("onnxruntime-gpu", "onnxruntime-directml", "onnxruntime"),
    ("onnxruntime-directml", "onnxruntime", "onnxruntime"),
    ("onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime"),
    ("opencv-python", "opencv-python-headless", "cv2"),
    ("opencv-python", "opencv-contrib-python", "cv2"),
)
"""Packages that write into the same folder: the one that was written last is imported."""
_ONE_OF = {
    "onnxruntime-gpu": ("onnxruntime", "onnxruntime-directml", "onnxruntime-openvino"),
    "onnxruntime": ("onnxruntime-gpu",),
    "opencv-python": ("opencv-python-headless", "opencv-contrib-python"),
}
"""Packages in whose place another one serves."""
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
"""Without one of these nothing runs; the others serve single devices or training."""
_NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "sshfs", "fuse.sshfs")
_FAT = ("vfat", "msdos", "fat", "fat32", "fat16")
_SLOW_PLANS = ("power saver", "balanced")


def diagnose(environment: Environment) -> tuple[Finding, ...]:
    """Return everything that was found, problems first; empty: all is well."""
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
    return ordered([finding for check in checks for finding in check(environment)])


def _operating_system(environment: Environment) -> Iterator[Finding]:
    system = environment.os
    if system.machine.lower() not in ("x86_64", "amd64"):
        yield Finding(
            "machine-untested",
            WARNING,
            "operating system",
            f"The CPU is of the kind {system.machine}.",
            "The program is tested on x86-64 only.",
            "Use a computer with an Intel or AMD CPU for experiments.",
        )
    if system.wsl:
        yield Finding(
            "wsl",
            WARNING,
            "operating system",
            "This is the Linux inside of Windows (WSL).",
            "It has no USB cameras and no serial ports, and its timing is poor.",
            "Start run.bat in Windows.",
        )


def _python(environment: Environment) -> Iterator[Finding]:
    python = environment.python
    text = ".".join(map(str, python.version[:3]))
    area = "Python"
    if not OLDEST_PYTHON <= python.version[:2] < FIRST_TOO_NEW:
        yield Finding(
            "python-version",
            PROBLEM,
            area,
            f"Python {text} is used; the program needs 3.11, 3.12 or 3.13.",
            "Its packages have no builds for other versions.",
            cures.python_installer(environment),
        )
    if python.bits < 64:
        yield Finding(
            "python-32-bit",
            PROBLEM,
            area,
            "This Python is a 32-bit program.",
            "Its packages have builds for 64 bits only.",
            cures.python_installer(environment),
        )
    if "WindowsApps" in python.executable and not python.virtual:
        yield Finding(
            "python-store",
            WARNING,
            area,
            "This Python comes from the Microsoft Store.",
            "It redirects files that programs write and finds no libraries beside it.",
            cures.python_installer(environment),
        )


def _packages(environment: Environment) -> Iterator[Finding]:
    packages, area = environment.packages, "packages"
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
        yield Finding(
            "package-missing",
            PROBLEM,
            area,
            f"Not installed: {names}.",
            "The program does not start without them.",
            cures.requirements(environment)
            if environment.program.checkout
            else cures.pip(environment, " ".join(_pinned(environment, needed))),
        )
    if optional:
        yield Finding(
            "package-optional",
            NOTE,
            area,
            f"Not installed: {', '.join(optional)}.",
            "Only the devices and functions that use them are missing.",
            cures.pip(environment, " ".join(_pinned(environment, optional))),
        )
    for one, other, folder in _TWINS:
        if one in installed and other in installed:
            yield Finding(
                "package-twice",
                PROBLEM,
                area,
                f"{one} and {other} are both installed.",
                f"They share the folder {folder}: which one is used is chance, and a GPU "
                "may not be found.",
                _only(environment, one, other),
            )
    for name, error in packages.broken.items():
        library = error.partition(":")[0].strip()
        foreign = ".so" in library or "DLL load failed" in error
        yield Finding(
            "package-broken",
            PROBLEM,
            area,
            f"{name} is installed and cannot be imported: {error}",
            "The program does not start, or the devices that need it do not open.",
            cures.system_library(environment, library)
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
        yield Finding(
            "package-version",
            WARNING,
            "packages",
            f"Other versions than the tested ones: {', '.join(others)}.",
            "They may work, but nothing was tested with them.",
            cures.requirements(environment)
            if environment.program.checkout
            else "Install the versions that are named as tested.",
        )


def _cpu(environment: Environment) -> Iterator[Finding]:
    cpu, area = environment.cpu, "CPU"
    x86 = environment.os.machine.lower() in ("x86_64", "amd64")
    if x86 and cpu.features is not None and "avx2" not in cpu.features:
        yield Finding(
            "cpu-avx2",
            PROBLEM,
            area,
            f"The CPU {cpu.name} has no AVX2.".replace("  ", " "),
            "Networks run several times slower, and newer packages may end at once.",
            "Use a computer with a CPU of 2015 or later; in a virtual machine, choose "
            "the CPU type host.",
        )
    if cpu.cores is not None and cpu.cores < 2:
        yield Finding(
            "cpu-cores",
            WARNING,
            area,
            "Only one CPU core may be used.",
            "Camera, network and recorder wait for each other; frames are skipped.",
            "Use a computer with four cores or more.",
        )


def _memory(environment: Environment) -> Iterator[Finding]:
    memory, area = environment.memory, "memory"
    if memory.total_gb is not None and memory.total_gb < LEAST_MEMORY_GB - 0.5:
        yield Finding(
            "memory-small",
            PROBLEM,
            area,
            f"The computer has {memory.total_gb:.1f} GB of memory.",
            f"Camera buffers and networks need {LEAST_MEMORY_GB:g} GB at least.",
            "Add memory.",
        )
    elif memory.free_gb is not None and memory.free_gb < LEAST_FREE_GB:
        yield Finding(
            "memory-free",
            WARNING,
            area,
            f"Only {memory.free_gb:.1f} GB of memory are free.",
            "The system may move a running rig to the disk, which takes seconds.",
            "Close other programs.",
        )


def _shared_memory(environment: Environment) -> Iterator[Finding]:
    memory, area = environment.memory, "shared memory"
    total, free = memory.shared_total_mb, memory.shared_free_mb
    if total is None or free is None or min(total, free) >= TIGHT_SHARED_MB:
        return
    cure = "sudo mount -o remount,size=2G /dev/shm"
    if environment.os.container:
        cure = "docker run --shm-size=2g ..."
    if total >= TIGHT_SHARED_MB:
        cure = "rm /dev/shm/psm_* (while no rig runs)"
    yield Finding(
        "shared-memory",
        PROBLEM if min(total, free) < LEAST_SHARED_MB else WARNING,
        area,
        f"/dev/shm has {total:.0f} MB, {free:.0f} MB of them free.",
        "Frames go from the cameras to the network and the recorder through it.",
        cure,
    )


def _output_folder(environment: Environment) -> Iterator[Finding]:
    output, area = environment.output, "output folder"
    where = output.path or "the output folder"
    if output.error:
        yield Finding(
            "output-unwritable",
            PROBLEM,
            area,
            f"{where} cannot be written: {output.error}.",
            "Nothing would be recorded.",
            "Choose another OUTPUT_DIRECTORY in [Streaming] of settings.ini, or get the "
            "right to write there.",
        )
    if output.free_gb is not None and output.free_gb < TIGHT_DISK_GB:
        yield Finding(
            "disk-space",
            PROBLEM if output.free_gb < LEAST_DISK_GB else WARNING,
            area,
            f"{output.free_gb:.1f} GB are free in {where}.",
            "An hour of video of one camera takes 1 to 20 GB.",
            "Delete or move old runs, or choose another OUTPUT_DIRECTORY.",
        )
    speed = output.write_mb_s
    if speed is not None and speed < SLOW_WRITE_MB_S:
        yield Finding(
            "disk-slow",
            PROBLEM if speed < LEAST_WRITE_MB_S else WARNING,
            area,
            f"{where} is written with {speed:.0f} MB/s.",
            "The recorder falls behind with large or fast cameras.",
            "Choose an OUTPUT_DIRECTORY on an internal SSD.",
        )
    elif output.sync_ms is not None and output.sync_ms > SLOW_SYNC_MS:
        yield Finding(
            "disk-sync",
            WARNING,
            area,
            f"Data are on the disk of {where} after {output.sync_ms:.0f} ms.",
            "So much more than half a second would be lost in a power failure.",
            "Choose an OUTPUT_DIRECTORY on an internal SSD.",
        )
    if output.file_system.lower() in _NETWORK_FILE_SYSTEMS:
        yield Finding(
            "disk-network",
            WARNING,
            area,
            f"{where} is on a network drive ({output.file_system}).",
            "When the network stops, so does the recording.",
            "Choose an OUTPUT_DIRECTORY on a disk of this computer and copy afterwards.",
        )
    if output.file_system.lower() in _FAT:
        yield Finding(
            "disk-fat",
            PROBLEM,
            area,
            f"{where} is on a FAT file system.",
            "A video ends at 4 GB there.",
            "Format the disk as exFAT, NTFS or ext4.",
        )
    if output.synced_by:
        yield Finding(
            "disk-synced",
            WARNING,
            area,
            f"{output.synced_by} uploads {where}.",
            "It opens videos while they are written, and takes disk and network time.",
            "Choose an OUTPUT_DIRECTORY outside of that folder.",
        )


def _cameras(environment: Environment) -> Iterator[Finding]:
    devices, area = environment.devices, "cameras"
    closed = [each for each in devices.cameras if not each.accessible]
    vendors = sorted({each.usb_vendor for each in closed if each.usb_vendor})
    for vendor in vendors:
        names = [_named(each) for each in closed if each.usb_vendor == vendor]
        yield Finding(
            "camera-udev",
            PROBLEM,
            area,
            f"No right to open {', '.join(names)}.",
            "Linux gives industrial cameras to the administrator alone.",
            f'echo \'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{vendor}", MODE="0666"\' | sudo '
            "tee /etc/udev/rules.d/99-deeplabstream.rules (then plug it in again)",
        )
    closed = [each for each in closed if not each.usb_vendor]
    if closed:
        yield _no_access(
            environment, "camera", area, [_named(each) for each in closed], "video"
        )
    for camera in devices.cameras:
        if camera.error:
            yield Finding(
                "camera-driver",
                PROBLEM,
                area,
                f"{camera.name}: {camera.error}.",
                "The camera cannot be opened.",
                "Install the driver of its maker, or plug it into another port.",
            )
        if camera.usb3 and camera.usb_mbps is not None and camera.usb_mbps < 5000:
            yield Finding(
                "camera-usb2",
                PROBLEM,
                area,
                f"{camera.name} is made for USB 3 and runs at {camera.usb_mbps:g} Mbit/s.",
                "It gives a small part of its frames, or none.",
                "Plug it into a USB 3 port, with the cable of its maker.",
            )
    if (
        devices.usbfs_mb is not None
        and 0 < devices.usbfs_mb < LEAST_USBFS_MB
        and any(camera.usb3 for camera in devices.cameras)
    ):
        yield Finding(
            "usb-memory",
            WARNING,
            area,
            f"Linux gives {devices.usbfs_mb} MB to all USB transfers together.",
            "Industrial USB 3 cameras lose frames with so little.",
            "echo 1000 | sudo tee /sys/module/usbcore/parameters/usbfs_memory_mb",
        )


def _named(camera: UsbCamera) -> str:
    return f"{camera.name} ({camera.path})" if camera.path else camera.name


def _no_access(
    environment: Environment, key: str, area: str, names: list[str], group: str
) -> Finding:
    devices = environment.devices
    what = f"No right to open {', '.join(names)}."
    if group in devices.member_of and group not in devices.groups:
        why = (
            f"The account is in the group {group}, but this session is older than that."
        )
        return Finding(f"{key}-session", PROBLEM, area, what, why, "Log out and in.")
    why = f"The account is not in the group {group}, which owns the device."
    return Finding(f"{key}-rights", PROBLEM, area, what, why, cures.join_group(group))


def _serial_ports(environment: Environment) -> Iterator[Finding]:
    devices, area = environment.devices, "serial ports"
    by_group: dict[str, list[str]] = {}
    for port in devices.ports:
        if not port.accessible:
            by_group.setdefault(port.group or "dialout", []).append(port.path)
    for group, paths in by_group.items():
        yield _no_access(environment, "serial", area, paths, group)
    for port in devices.ports:
        if port.error:
            yield Finding(
                "serial-driver",
                PROBLEM,
                area,
                f"{port.name or port.path}: {port.error}.",
                "The board has no port until its driver is installed.",
                "Install the driver of the USB chip (CH340, CP210x, FTDI) from its maker.",
            )
    manager = environment.os.package_manager
    if "brltty" in devices.services:
        remove = {
            "dnf": "sudo dnf remove -y brltty",
            "apt": "sudo apt-get remove -y brltty",
        }
        yield Finding(
            "serial-brltty",
            PROBLEM,
            area,
            "brltty, the driver of Braille displays, is running.",
            "It takes boards with a CH340 or CP210x chip away from programs.",
            remove.get(manager, "sudo systemctl disable --now brltty"),
        )
    if "ModemManager" in devices.services and devices.ports:
        yield Finding(
            "serial-modemmanager",
            WARNING,
            area,
            "ModemManager is running.",
            "It sends modem commands to every new board in its first seconds.",
            "sudo systemctl disable --now ModemManager",
        )


def _program_folder(environment: Environment) -> Iterator[Finding]:
    program, area = environment.program, "program folder"
    windows = environment.os.system == "windows"
    if windows and len(program.folder) > LONG_FOLDER and not program.long_paths:
        yield Finding(
            "path-long",
            PROBLEM,
            area,
            f"The program's folder has {len(program.folder)} letters: {program.folder}",
            "Windows allows 260 for a whole path; packages cannot be installed.",
            "reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\FileSystem /v "
            "LongPathsEnabled /t REG_DWORD /d 1 /f (as administrator)",
        )
    for what, path in (
        ("program's folder", program.folder),
        ("output folder", environment.output.path),
    ):
        if windows and not path.isascii():
            yield Finding(
                "path-letters",
                WARNING,
                area,
                f"The {what} has letters beyond English ones: {path}",
                "Camera SDKs and some packages cannot open files there on Windows.",
                "Use a folder such as C:\\DeepLabStream.",
            )


def _screen(environment: Environment) -> Iterator[Finding]:
    screen, area = environment.screen, "screen"
    linux = environment.os.system == "linux"
    if linux and not screen.asked:
        yield Finding(
            "screen-none",
            NOTE,
            area,
            "There is no display (DISPLAY is not set).",
            "The window cannot be shown; `app.py --headless` runs without one.",
        )
        return
    if linux and screen.answers is False:
        yield Finding(
            "screen-silent",
            PROBLEM,
            area,
            f"The display {screen.asked} does not answer.",
            "The window cannot be shown.",
            "Log in at the computer itself, or connect with ssh -X.",
        )
    if screen.missing:
        yield Finding(
            "screen-libraries",
            PROBLEM,
            area,
            f"System libraries of the window are missing: {', '.join(screen.missing)}.",
            "Qt ends the program without them.",
            cures.system_packages(environment, screen.missing),
        )
    if screen.size is not None and (
        screen.size[0] < SMALL_SCREEN[0] or screen.size[1] < SMALL_SCREEN[1]
    ):
        yield Finding(
            "screen-small",
            WARNING,
            area,
            f"The screen has {screen.size[0]}x{screen.size[1]} pixels.",
            f"The window needs {SMALL_SCREEN[0]}x{SMALL_SCREEN[1]}.",
            "Set a higher resolution or a smaller scale.",
        )


def _scheduling(environment: Environment) -> Iterator[Finding]:
    found, area = environment.scheduling, "power"
    rights = (found.can_run_real_time, found.can_lock_memory, found.can_raise_priority)
    if False in rights and environment.os.system == "linux":
        yield Finding(
            "priority",
            NOTE,
            "priority",
            "The account may not use real-time priority or lock memory.",
            "Under load from other programs, latency has longer tails.",
            f"{ALLOW}; then log in again (docs/latency.md)",
        )
    if found.on_battery:
        yield Finding(
            "power-battery",
            WARNING,
            area,
            "The computer runs on battery.",
            "It slows CPU and GPU down, and may sleep in the middle of a run.",
            "Plug in the power supply.",
        )
    if found.power_plan.lower() in _SLOW_PLANS:
        yield Finding(
            "power-plan",
            WARNING,
            area,
            f"The power plan of Windows is {found.power_plan.lower()}.",
            "It lowers the CPU's clock between frames; latency grows and varies.",
            "powercfg /setactive SCHEME_MIN",
        )
    dynamic = found.governor_driver in ("intel_pstate", "amd-pstate-epp", "amd-pstate")
    if found.governor == "powersave" and not dynamic:
        yield Finding(
            "power-governor",
            WARNING,
            area,
            "The CPU runs at its lowest clock (governor powersave).",
            "Networks run several times slower.",
            "echo performance | sudo tee "
            "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        )


def _antivirus(environment: Environment) -> Iterator[Finding]:
    found, area = environment.scheduling, "antivirus"
    if environment.os.system != "windows":
        return
    folder = environment.output.path
    scans = found.real_time_scan and found.exclusions is not None and bool(folder)
    if scans and not any(_inside(folder, each) for each in found.exclusions or ()):
        yield Finding(
            "antivirus-scan",
            WARNING,
            area,
            f"Windows Defender scans every file that is written into {folder}.",
            "Writing waits for the scan; the recorder may fall behind.",
            f"powershell Add-MpPreference -ExclusionPath '{folder}' (as administrator)",
        )
    others = [name for name in found.antivirus if "defender" not in name.lower()]
    if others:
        yield Finding(
            "antivirus-other",
            NOTE,
            area,
            f"Another antivirus program is installed: {', '.join(others)}.",
            "It may scan videos while they are written; this can't be checked.",
            f"Exclude {folder or 'the output folder'} in its settings.",
        )


def _inside(folder: str, parent: str) -> bool:
    one, other = (
        each.replace("/", "\\").rstrip("\\").lower() for each in (folder, parent)
    )
    return bool(other) and (one == other or one.startswith(other + "\\"))


def _failures(environment: Environment) -> Iterator[Finding]:
    for failure in environment.failures:
        yield Finding(
            "not-seen",
            NOTE,
            failure.probe,
            f"This could not be examined: {failure.reason}",
        )
