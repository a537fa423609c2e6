"""Rack check: problems of the boxes' rigs, and devices and folders that two boxes use."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from deeplabstream.core.errors import SettingsError
from deeplabstream.engine.checks.settings_check import rig_problems
from deeplabstream.files import rig_folder
from deeplabstream.plugins.camera import Camera
from deeplabstream.plugins.device_address import DeviceAddress
from deeplabstream.plugins.input import Input
from deeplabstream.plugins.output import Output
from deeplabstream.plugins.remote import RemoteControl
from deeplabstream.settings.rack_file import RackBox, RackFile, load_rack
from deeplabstream.settings.sections import Settings


def rack_problems(file: Path) -> list[str]:
    """Return the problems of a rack file and of all rigs that it names."""
    try:
        checked_rigs(load_rack(file, only_shown=True))
    except SettingsError as error:
        return list(error.problems)
    return []


def check_box(rack: RackFile, name: str) -> None:
    """Check a box before its start; SettingsError has the problems that name it.

    The rack file and rigs may have changed since the rack checked them. Problems of other
    boxes do not stop this one.
    """
    try:
        checked_rigs(rack)
    except SettingsError as error:
        if own := [text for text in error.problems if f"[Box {name}]" in text]:
            raise SettingsError(own) from None


def checked_rigs(rack: RackFile) -> dict[str, Settings]:
    """Return the settings of each box; SettingsError has all problems. No device is opened.

    Two boxes must not share a camera, a port, a line or a folder of runs: all are checked,
    as one that is not started now may be started later.
    """
    rigs: dict[str, Settings] = {}
    problems: list[str] = []
    for name, box in rack.boxes.items():
        with rig_folder.used(box.file.resolve().parent):
            try:
                rigs[name] = box.settings()
                found = [*rig_problems(rigs[name]), *_experiment_problems(rigs[name])]
            except SettingsError as error:
                found = list(error.problems)
        problems += [f"[Box {name}] {_short(box, rack)}: {text}" for text in found]
    problems += _shared(rigs)
    if problems:
        raise SettingsError(problems)
    return rigs


def _short(box: RackBox, rack: RackFile) -> str:
    """Return the settings file of a box as seen from the rack file."""
    file, folder = box.file.resolve(), rack.path.parent
    return str(file.relative_to(folder) if file.is_relative_to(folder) else file)


def _experiment_problems(rig: Settings) -> Iterator[str]:
    """Yield a problem if a rig has no experiment: a box runs until its experiment ends."""
    try:
        rig.new_experiment()
    except SettingsError as error:
        yield from error.problems


def _shared(rigs: Mapping[str, Settings]) -> Iterator[str]:
    """Yield a problem for each device or folder that more than one box uses."""
    users: dict[DeviceAddress, dict[str, str]] = {}
    for box, rig in rigs.items():
        for section, device in _devices(rig):
            # the first section of a box stands for all that share the device
            users.setdefault(_resolved(device), {}).setdefault(box, section)
        folder = DeviceAddress("output folder", str(rig.output_directory))
        section = "[Streaming] OUTPUT_DIRECTORY"
        users.setdefault(_resolved(folder), {}).setdefault(box, section)

    for device, sections in users.items():
        if len(sections) > 1:
            places = [f"[Box {box}] {section}" for box, section in sections.items()]
            shown = ", ".join(places[:-1])
            yield (
                f"{shown} and {places[-1]} use the same {device.kind} {device.name}: "
                "each box needs its own"
            )


def _devices(rig: Settings) -> Iterator[tuple[str, DeviceAddress]]:
    """Yield the devices of a rig, each with the section that uses it."""
    controls = {
        name: remote
        for name, remote in rig.remotes.items()
        if isinstance(remote, RemoteControl)
    }
    plugins: dict[str, Camera | Output | Input | RemoteControl] = {
        **{f"[Camera {name}]": camera for name, camera in rig.cameras.items()},
        **{f"[Output {name}]": output for name, output in rig.outputs.items()},
        **{f"[Input {name}]": device for name, device in rig.inputs.items()},
        **{f"[Remote {name}]": control for name, control in controls.items()},
    }
    for section, plugin in plugins.items():
        for device in plugin.occupied:
            yield section, device


def _resolved(device: DeviceAddress) -> DeviceAddress:
    """Return the device with the path to which links lead; names of Windows in one case."""
    name = device.name
    if Path(name).is_absolute():
        name = os.path.realpath(name)
    return DeviceAddress(device.kind, os.path.normcase(name))
