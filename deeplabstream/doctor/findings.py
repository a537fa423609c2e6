"""Findings about the computer: what it is, why it matters, and the command that cures it.

`FINDINGS` has the texts of all of them; `diagnosis` and `gpu_diagnosis` find which apply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Severity(Enum):
    """Severity of a finding."""

    PROBLEM = "problem"
    """Something does not work, or runs differently from the settings without a
    message."""
    WARNING = "warning"
    """It works, but slower or with a risk."""
    NOTE = "note"
    """Information; no action is needed."""


PROBLEM, WARNING, NOTE = Severity.PROBLEM, Severity.WARNING, Severity.NOTE


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about the computer that a user should know."""

    key: str
    """Its name in the JSON report, which never changes."""
    severity: Severity
    area: str
    """Subject of the finding, such as GPU, memory or serial ports."""
    what: str
    why: str = ""
    cure: str = ""
    """One command for this computer, or one action where no command helps."""

    def to_json(self) -> dict[str, str]:
        """Return the finding as a JSON object."""
        return {
            "key": self.key,
            "severity": self.severity.value,
            "area": self.area,
            "what": self.what,
            "why": self.why,
            "cure": self.cure,
        }

    def lines(self) -> list[str]:
        """Return the finding as lines of text."""
        lines = [f"{self.severity.value.upper():<8} {self.area}: {self.what}"]
        if self.why:
            lines.append(f"         {self.why}")
        if self.cure:
            lines.append(f"         -> {self.cure}")
        return lines


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings, the most severe first."""
    rank = list(Severity)
    return tuple(sorted(findings, key=lambda finding: rank.index(finding.severity)))


def has_problem(findings: Sequence[Finding]) -> bool:
    """Return whether one of the findings is a problem."""
    return any(finding.severity is PROBLEM for finding in findings)


def not_examined(findings: Sequence[Finding]) -> list[str]:
    """Return the areas that could not be examined."""
    return [finding.area for finding in findings if finding.key == "not-seen"]


class FindingTexts(NamedTuple):
    """The texts of a finding; `{name}` stands for a value of this computer."""

    severity: Severity
    area: str
    what: str
    why: str = ""
    cure: str = ""


_PHRASES = {
    "on_cpu": "Networks run on the CPU instead, which is much slower.",
    "slow_training": "Networks are trained on the CPU, which takes days instead of hours.",
}
# fmt: off
FINDINGS = {
    "machine-untested": FindingTexts(WARNING, "operating system",
        "The CPU is of the kind {system.machine}.",
        "The program is tested on x86-64 only.",
        "Use a computer with an Intel or AMD CPU for experiments."),
    "wsl": FindingTexts(WARNING, "operating system",
        "This is the Linux inside of Windows (WSL).",
        "It has no USB cameras and no serial ports, and its timing is poor.",
        "Start run.bat in Windows."),
    "python-version": FindingTexts(PROBLEM, "Python",
        "Python {text} is used; the program needs 3.11, 3.12 or 3.13.",
        "Its packages have no builds for other versions."),
    "python-32-bit": FindingTexts(PROBLEM, "Python",
        "This Python is a 32-bit program.",
        "Its packages have builds for 64 bits only."),
    "python-store": FindingTexts(WARNING, "Python",
        "This Python comes from the Microsoft Store.",
        "It redirects files that programs write and finds no libraries beside it."),
    "package-missing": FindingTexts(PROBLEM, "packages",
        "Not installed: {names}.",
        "The program does not start without them."),
    "package-optional": FindingTexts(NOTE, "packages",
        "Not installed: {names}.",
        "Only the devices and functions that use them are missing."),
    "package-twice": FindingTexts(PROBLEM, "packages",
        "{one} and {other} are both installed.",
        "They share the folder {folder}: which one is used is chance, and a GPU may not "
        "be found."),
    "package-broken": FindingTexts(PROBLEM, "packages",
        "{name} is installed and cannot be imported: {error}",
        "The program does not start, or the devices that need it do not open."),
    "package-version": FindingTexts(WARNING, "packages",
        "Other versions than the tested ones: {names}.",
        "They may work, but nothing was tested with them."),
    "cpu-avx2": FindingTexts(PROBLEM, "CPU",
        "{cpu} has no AVX2.",
        "Networks run several times slower, and newer packages may end at once.",
        "Use a computer with a CPU of 2015 or later; in a virtual machine, choose the CPU"
        " type host."),
    "cpu-cores": FindingTexts(WARNING, "CPU",
        "Only one CPU core may be used.",
        "Camera, network and recorder wait for each other; frames are skipped.",
        "Use a computer with four cores or more."),
    "memory-small": FindingTexts(PROBLEM, "memory",
        "The computer has {memory.total_gb:.1f} GB of memory.",
        "Camera buffers and networks need {least_gb:g} GB at least.",
        "Add memory."),
    "memory-free": FindingTexts(WARNING, "memory",
        "Only {memory.free_gb:.1f} GB of memory are free.",
        "The system may move a running rig to the disk, which takes seconds.",
        "Close other programs."),
    "shared-memory": FindingTexts(WARNING, "shared memory",
        "/dev/shm has {total:.0f} MB, {free:.0f} MB of them free.",
        "Frames go from the cameras to the network and the recorder through it."),
    "output-unwritable": FindingTexts(PROBLEM, "output folder",
        "{where} cannot be written: {output.error}.",
        "Nothing would be recorded.",
        "Choose another OUTPUT_DIRECTORY in [Streaming] of settings.ini, or get the right"
        " to write there."),
    "disk-space": FindingTexts(WARNING, "output folder",
        "{output.free_gb:.1f} GB are free in {where}.",
        "An hour of video of one camera takes 1 to 20 GB.",
        "Delete or move old runs, or choose another OUTPUT_DIRECTORY."),
    "disk-slow": FindingTexts(WARNING, "output folder",
        "{where} is written with {speed:.0f} MB/s.",
        "The recorder falls behind with large or fast cameras.",
        "Choose an OUTPUT_DIRECTORY on an internal SSD."),
    "disk-sync": FindingTexts(WARNING, "output folder",
        "Data are on the disk of {where} after {output.sync_ms:.0f} ms.",
        "So much more than half a second would be lost in a power failure.",
        "Choose an OUTPUT_DIRECTORY on an internal SSD."),
    "disk-network": FindingTexts(WARNING, "output folder",
        "{where} is on a network drive ({output.file_system}).",
        "When the network stops, so does the recording.",
        "Choose an OUTPUT_DIRECTORY on a disk of this computer and copy afterwards."),
    "disk-fat": FindingTexts(PROBLEM, "output folder",
        "{where} is on a FAT file system.",
        "A video ends at 4 GB there.",
        "Format the disk as exFAT, NTFS or ext4."),
    "disk-synced": FindingTexts(WARNING, "output folder",
        "{output.synced_by} uploads {where}.",
        "It opens videos while they are written, and takes disk and network time.",
        "Choose an OUTPUT_DIRECTORY outside of that folder."),
    "camera-udev": FindingTexts(PROBLEM, "cameras",
        "No right to open {names}.",
        "Linux gives industrial cameras to the administrator alone.",
        'echo \'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{vendor}", MODE="0666"\' | sudo tee '
        "/etc/udev/rules.d/99-deeplabstream.rules (then plug it in again)"),
    "camera-session": FindingTexts(PROBLEM, "cameras", "No right to open {names}.",
        "The account is in the group {group}, but this session is older than that.",
        "Log out and in."),
    "camera-rights": FindingTexts(PROBLEM, "cameras", "No right to open {names}.",
        "The account is not in the group {group}, which owns the device."),
    "serial-session": FindingTexts(PROBLEM, "serial ports", "No right to open {names}.",
        "The account is in the group {group}, but this session is older than that.",
        "Log out and in."),
    "serial-rights": FindingTexts(PROBLEM, "serial ports", "No right to open {names}.",
        "The account is not in the group {group}, which owns the device."),
    "camera-driver": FindingTexts(PROBLEM, "cameras",
        "{camera.name}: {camera.error}.",
        "The camera cannot be opened.",
        "Install the driver of its maker, or plug it into another port."),
    "camera-usb2": FindingTexts(PROBLEM, "cameras",
        "{camera.name} is made for USB 3 and runs at {camera.usb_mbps:g} Mbit/s.",
        "It gives a small part of its frames, or none.",
        "Plug it into a USB 3 port, with the cable of its maker."),
    "usb-memory": FindingTexts(WARNING, "cameras",
        "Linux gives {devices.usbfs_mb} MB to all USB transfers together.",
        "Industrial USB 3 cameras lose frames with so little.",
        "echo 1000 | sudo tee /sys/module/usbcore/parameters/usbfs_memory_mb"),
    "serial-driver": FindingTexts(PROBLEM, "serial ports",
        "{name}: {port.error}.",
        "The board has no port until its driver is installed.",
        "Install the driver of the USB chip (CH340, CP210x, FTDI) from its maker."),
    "serial-brltty": FindingTexts(PROBLEM, "serial ports",
        "brltty, the driver of Braille displays, is running.",
        "It takes boards with a CH340 or CP210x chip away from programs."),
    "serial-modemmanager": FindingTexts(WARNING, "serial ports",
        "ModemManager is running.",
        "It sends modem commands to every new board in its first seconds.",
        "sudo systemctl disable --now ModemManager"),
    "path-long": FindingTexts(PROBLEM, "program folder",
        "The program's folder has {letters} letters: {program.folder}",
        "Windows allows 260 for a whole path; packages cannot be installed.",
        "reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\FileSystem /v LongPathsEnabled /t "
        "REG_DWORD /d 1 /f (as administrator)"),
    "path-letters": FindingTexts(WARNING, "program folder",
        "The {what} has letters beyond English ones: {path}",
        "Camera SDKs and some packages cannot open files there on Windows.",
        "Use a folder such as C:\\DeepLabStream."),
    "screen-none": FindingTexts(NOTE, "screen",
        "There is no display (DISPLAY is not set).",
        "The window cannot be shown; `deeplabstream run --headless` needs none (in a checkout: "
        "`app.py --headless`)."),
    "screen-silent": FindingTexts(PROBLEM, "screen",
        "The display {screen.display} does not answer.",
        "The window cannot be shown.",
        "Log in at the computer itself, or connect with ssh -X."),
    "screen-libraries": FindingTexts(PROBLEM, "screen",
        "System libraries of the window are missing: {names}.",
        "Qt ends the program without them."),
    "screen-small": FindingTexts(WARNING, "screen",
        "The screen has {screen.size[0]}x{screen.size[1]} pixels.",
        "The window needs {least[0]}x{least[1]}.",
        "Set a higher resolution or a smaller scale."),
    "priority": FindingTexts(NOTE, "priority",
        "The account may not use real-time priority or lock memory.",
        "Under load from other programs, latency has longer tails.",
        "{allow}; then log in again (docs/latency.md)"),
    "power-battery": FindingTexts(WARNING, "power",
        "The computer runs on battery.",
        "It slows CPU and GPU down, and may sleep in the middle of a run.",
        "Plug in the power supply."),
    "power-plan": FindingTexts(WARNING, "power",
        "The power plan of Windows is {plan}.",
        "It lowers the CPU's clock between frames; latency grows and varies.",
        "powercfg /setactive SCHEME_MIN"),
    "power-governor": FindingTexts(WARNING, "power",
        "The CPU runs at its lowest clock (governor powersave).",
        "Networks run several times slower.",
        "echo performance | sudo tee "
        "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"),
    "antivirus-scan": FindingTexts(WARNING, "antivirus",
        "Windows Defender scans every file that is written into {folder}.",
        "Writing waits for the scan; the recorder may fall behind.",
        "powershell Add-MpPreference -ExclusionPath '{folder}' (as administrator)"),
    "antivirus-other": FindingTexts(NOTE, "antivirus",
        "Another antivirus program is installed: {names}.",
        "It may scan videos while they are written; this can't be checked.",
        "Exclude {where} in its settings."),
    "not-seen": FindingTexts(NOTE, "{failure.probe}",
        "This could not be examined: {failure.reason}"),
    "gpu-memory": FindingTexts(WARNING, "GPU",
        "Only {gpu.free_mb:.0f} MB of memory are free on {gpu.name}.",
        "A network may not fit, and then runs on the CPU.",
        "nvidia-smi (it lists the programs that use the memory; close them)"),
    "gpu-container": FindingTexts(PROBLEM, "GPU",
        "{name} is not passed into this container.",
        "{on_cpu}"),
    "gpu-driver-mismatch": FindingTexts(PROBLEM, "GPU",
        "The NVIDIA driver was updated, and the old one is still running.",
        "{on_cpu}",
        "sudo reboot"),
    "gpu-driver-hangs": FindingTexts(PROBLEM, "GPU",
        "nvidia-smi gives {error}: the driver of {name} hangs.",
        "A program that uses the GPU would hang too."),
    "gpu-nouveau": FindingTexts(PROBLEM, "GPU",
        "{name} runs with nouveau, which has no CUDA.",
        "{on_cpu}"),
    "gpu-passed-through": FindingTexts(PROBLEM, "GPU",
        "{name} is reserved for virtual machines (vfio-pci).",
        "{on_cpu}",
        "Remove vfio-pci for this GPU from /etc/modprobe.d and restart the computer."),
    "gpu-driver-stopped": FindingTexts(PROBLEM, "GPU",
        "The NVIDIA driver is installed and does not run for {name}.",
        "{on_cpu} After an update of the kernel it must be rebuilt; with Secure Boot its "
        "module must be signed."),
    "gpu-not-served": FindingTexts(PROBLEM, "GPU",
        "The NVIDIA driver finds no GPU, although {name} is in the computer.",
        "The driver is too new for it, or the GPU has failed or has no power.",
        "Install driver branch 580 for GPUs before Turing, 470 for Kepler."),
    "gpu-unreadable": FindingTexts(NOTE, "GPU",
        "nvidia-smi could not be read: {error}",
        "The GPU may work; its driver version is not known."),
    "gpu-driver-missing": FindingTexts(PROBLEM, "GPU",
        "{name} has no NVIDIA driver.",
        "{on_cpu}"),
    "gpu-driver-library": FindingTexts(PROBLEM, "GPU",
        "The driver of {name} runs, but its CUDA library is missing.",
        "{on_cpu}"),
    "gpu-not-tried": FindingTexts(WARNING, "GPU",
        "No network could be run by ONNX Runtime {found.version}: {found.error}",
        "Whether {gpu.name} computes is not known.",
        "Close other programs, or restart the computer, and run this again."),
    "gpu-onnxruntime": FindingTexts(PROBLEM, "GPU",
        "ONNX Runtime {found.version} is built for {built}.",
        "{on_cpu} {gpu.name} stays unused."),
    "gpu-unsupported": FindingTexts(PROBLEM, "GPU",
        "No published build of ONNX Runtime runs on {named}.",
        "{on_cpu}",
        "Set RUNTIME = openvino in [Pose Estimation], or use another GPU."),
    "gpu-packages": FindingTexts(PROBLEM, "GPU",
        "ONNX Runtime {version} for CUDA {generation.cuda} has no code for {named}.",
        "{on_cpu} The packages for CUDA {fits.cuda} serve this GPU."),
    "gpu-driver-old": FindingTexts(PROBLEM, "GPU",
        "The NVIDIA driver {version} is too old for ONNX Runtime {onnxruntime.version}.",
        "{on_cpu} CUDA {generation.cuda} needs driver {least} or newer{remedy}."),
    "gpu-cudnn-new": FindingTexts(PROBLEM, "GPU",
        "cuDNN {text} no longer serves {described}.",
        "{on_cpu} cuDNN 9.10 is the last one that does."),
    "gpu-cudnn": FindingTexts(PROBLEM, "GPU", "cuDNN is missing: {names}.",
        "{on_cpu} The package onnxruntime-gpu comes without them."),
    "gpu-cuda-libraries": FindingTexts(PROBLEM, "GPU", "CUDA libraries are missing: {names}.",
        "{on_cpu} The package onnxruntime-gpu comes without them."),
    "gpu-memory-full": FindingTexts(PROBLEM, "GPU",
        "The memory of {gpu.name} is full.",
        "{on_cpu}",
        "nvidia-smi (it lists the programs that use the memory; close them)"),
    "gpu-no-kernel": FindingTexts(PROBLEM, "GPU",
        "ONNX Runtime {environment.computing.onnxruntime.version} has no code for "
        "{described}.",
        "{on_cpu}"),
    "gpu-wrong-result": FindingTexts(PROBLEM, "GPU",
        "{gpu.name} computes a wrong result.",
        "Poses would be wrong.",
        "Update the NVIDIA driver; if that does not help, the GPU is faulty."),
    "gpu-provider-unused": FindingTexts(PROBLEM, "GPU",
        "ONNX Runtime was asked for {gpu.name} and did not use it: {said}",
        "{on_cpu}"),
    "torch-cpu": FindingTexts(WARNING, "training",
        "torch {torch.version} is built for the CPU alone.",
        "{slow_training}"),
    "torch-no-kernel": FindingTexts(WARNING, "training",
        "torch {torch.version} for CUDA {torch.cuda} has no code for {described}.",
        "{slow_training}"),
    "torch-gpu-unused": FindingTexts(WARNING, "training",
        "torch {torch.version} for CUDA {torch.cuda} finds no GPU.",
        "{slow_training}"),
    "torch-other-cuda": FindingTexts(WARNING, "training",
        "torch is built for CUDA {torch.cuda}, ONNX Runtime for CUDA "
        "{environment.computing.onnxruntime.cuda}.",
        "Each needs its own libraries; take both from one generation."),
    "tensorrt-version": FindingTexts(WARNING, "TensorRT",
        "TensorRT {majors[0]} is installed; ONNX Runtime loads TensorRT "
        "{generation.tensorrt}.",
        "RUNTIME = tensorrt does not work; auto takes another runtime."),
    "nvenc": FindingTexts(NOTE, "video encoder",
        "The video encoder of {gpu.name} does not work: {encoder.error}",
        "CODEC = h264_nvenc cannot be used; CODEC = h264 works."),
    "intel-gpu-unused": FindingTexts(NOTE, "GPU",
        "OpenVINO does not find {name}.",
        "RUNTIME = openvino-gpu cannot be used; openvino runs on the CPU."),
    "directml": FindingTexts(NOTE, "GPU",
        "{name} can run networks by DirectML.",
        "The package onnxruntime-gpu serves NVIDIA GPUs alone.",
        "{remove} && {add}"),
}
# fmt: on
"""All findings by their key."""


def finding(
    key: str,
    /,
    *,
    severity: Severity | None = None,
    why: str = "",
    cure: str = "",
    **values: object,
) -> Finding:
    """Return the finding of a key, with the values of this computer in its texts.

    `severity`, `why` and `cure` replace those of the table; they are not filled in.
    """
    row, known = FINDINGS[key], {**_PHRASES, **values}
    return Finding(
        key,
        severity or row.severity,
        row.area.format_map(known),
        row.what.format_map(known),
        why or row.why.format_map(known),
        cure or row.cure.format_map(known),
    )
