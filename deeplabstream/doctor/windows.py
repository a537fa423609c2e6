"""Probes of Windows: its device manager, Defender, power plan and registry.

What PowerShell tells is parsed from text, so that tests can run on recorded answers.
"""

from __future__ import annotations

import sys
from typing import Any

from deeplabstream.doctor import parsing
from deeplabstream.doctor.environment import Scheduling, SerialPort, UsbCamera

_SCRIPT = """
$ErrorActionPreference = 'SilentlyContinue'
[Console]::OutputEncoding = [Text.Encoding]::UTF8
$classes = "PNPClass='Camera' OR PNPClass='Image' OR PNPClass='Ports' OR PNPClass='Display'"
$filter = "$classes OR (ConfigManagerErrorCode<>0 AND PNPDeviceID LIKE 'USB%')"
@{
  devices = @(Get-CimInstance Win32_PnPEntity -Filter $filter |
    Select-Object Name, PNPClass, ConfigManagerErrorCode, PNPDeviceID)
  realtime = (Get-MpComputerStatus).RealTimeProtectionEnabled
  exclusions = (Get-MpPreference).ExclusionPath
  antivirus = @(Get-CimInstance -Namespace root/SecurityCenter2 -ClassName AntiVirusProduct |
    ForEach-Object { $_.displayName })
} | ConvertTo-Json -Compress -Depth 4
"""
POWERSHELL = ("powershell", "-NoProfile", "-NonInteractive", "-Command", _SCRIPT)
_AVX2, _AVX512F = 40, 41
_REMOTE = 4
_USB_SERIAL = ("1a86", "10c4", "0403", "067b", "2341", "2e8a", "16c0")
"""USB numbers of makers of serial chips and boards."""


def cameras(
    report: dict[str, Any],
) -> tuple[tuple[UsbCamera, ...], tuple[SerialPort, ...]]:
    """Return cameras, and boards without a driver, from PowerShell's output."""
    found: list[UsbCamera] = []
    boards: list[SerialPort] = []
    for device in parsing.entries(report.get("devices")):
        name = str(device.get("Name") or "A device without a name")
        kind = str(device.get("PNPClass") or "")
        error = parsing.pnp_error(device.get("ConfigManagerErrorCode"))
        number = str(device.get("PNPDeviceID") or "").lower()
        if kind in ("Camera", "Image"):
            found.append(UsbCamera(name, error=error))
        elif error and any(f"vid_{vendor}" in number for vendor in _USB_SERIAL):
            boards.append(SerialPort("", name, error=error))
    return tuple(found), tuple(boards)


def graphics(report: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return GPUs of NVIDIA and of others, from PowerShell's output."""
    nvidia, other = [], []
    for device in parsing.entries(report.get("devices")):
        name = str(device.get("Name") or "")
        number = str(device.get("PNPDeviceID") or "").upper()
        if "VEN_10DE" in number and device.get("PNPClass") in ("Display", None):
            nvidia.append(name)
        elif device.get("PNPClass") == "Display" and (
            "VEN_8086" in number or "VEN_1002" in number
        ):
            other.append(name)
    return tuple(nvidia), tuple(other)


def scheduling(
    report: dict[str, Any], plan: str, on_battery: bool | None
) -> Scheduling:
    """Return power plan and antivirus from the output of PowerShell and powercfg."""
    scan = report.get("realtime")
    products = report.get("antivirus")
    names = products if isinstance(products, list) else [products]
    return Scheduling(
        on_battery=on_battery,
        power_plan=plan,
        antivirus=tuple(str(name) for name in names if name),
        real_time_scan=scan if isinstance(scan, bool) else None,
        exclusions=parsing.exclusions(report.get("exclusions")) if report else None,
    )


def cpu_name() -> str:
    """Return the CPU's name."""
    place = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
    return str(_registry(place, "ProcessorNameString") or "").strip()


def cpu_features() -> frozenset[str] | None:
    """Return the CPU's features that Windows reports."""
    if sys.platform == "win32":
        from ctypes import WinDLL

        has = WinDLL("kernel32").IsProcessorFeaturePresent
        found = {"avx2": bool(has(_AVX2)), "avx512": bool(has(_AVX512F))}
        return frozenset(name for name, present in found.items() if present)
    return None


def long_paths() -> bool | None:
    """Return whether paths of more than 260 letters are allowed."""
    value = _registry(
        r"SYSTEM\CurrentControlSet\Control\FileSystem", "LongPathsEnabled"
    )
    return bool(value) if isinstance(value, int) else None


def screen_size() -> tuple[int, int] | None:
    """Return the size of the first screen."""
    if sys.platform == "win32":
        from ctypes import WinDLL

        user = WinDLL("user32")
        return int(user.GetSystemMetrics(0)), int(user.GetSystemMetrics(1))
    return None


def file_system(folder: str) -> str:
    r"""Return a folder's file system; cifs: a network drive.

    >>> file_system(r"\\server\share\runs")
    'cifs'
    """
    if folder.startswith("\\\\"):
        return "cifs"
    if sys.platform == "win32":
        from ctypes import WinDLL, create_unicode_buffer

        kernel, root = WinDLL("kernel32"), f"{folder[:2]}\\"
        if kernel.GetDriveTypeW(root) == _REMOTE:
            return "cifs"
        name = create_unicode_buffer(64)
        if kernel.GetVolumeInformationW(root, None, 0, None, None, None, name, 64):
            return name.value
    return ""


def _registry(place: str, name: str) -> object:
    """Return a registry value of HKEY_LOCAL_MACHINE; None: missing."""
    if sys.platform == "win32":
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
                value: object = winreg.QueryValueEx(key, name)[0]
                return value
        except OSError:
            return None
    return None
