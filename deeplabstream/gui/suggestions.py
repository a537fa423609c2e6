"""Suggestions for a field: networks, body parts, names of sections, devices found now."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from pydantic.fields import FieldInfo

from deeplabstream.core.command import CameraName, InputName, OutputName, TriggerName
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.engine.behaviour_classifiers import read_classifiers
from deeplabstream.engine.checks.settings_check import network_skeleton
from deeplabstream.gui.settings_document import Document
from deeplabstream.plugins.pair_trigger import ALL, ANY, DirectedPairs
from deeplabstream.pose.background.background_detector import BACKGROUND
from deeplabstream.pose.model.model_opening import known_models
from deeplabstream.settings.actor_triggers import actor_trigger_problem
from deeplabstream.settings.validation_messages import leaves

Suggested: TypeAlias = Mapping[str, str]
"""Values for a field, each with a remark or an empty text."""
Suggest: TypeAlias = Callable[[], Suggested]
"""Function that looks for suggestions; it can take seconds."""

_FAMILIES = {
    OutputName: "Output",
    TriggerName: "Trigger",
    InputName: "Input",
    CameraName: "Camera",
}
_NAMING = {"CAMERA": "Camera", "EXP_NAME": "Experiment"}
"""Family of the section that a key names."""


def suggestions_for(
    document: Document,
    names: Callable[[str], Sequence[str]],
    kind: type | None,
    key: str,
    info: FieldInfo,
) -> Suggest | None:
    """Return a function that finds values for a key; None: there is none.

    `names` returns the NAMEs of the sections of a family, such as `Output`.

    The type of the field (a name of a section) or the key (MODEL, BODYPARTS, CAMERA,
    PORT …) decides, also for plug-ins of a lab.
    """
    types = leaves(info.annotation)
    family = _NAMING.get(key) or next(
        (_FAMILIES[name] for name in types if name in _FAMILIES), None
    )
    if family == "Trigger":
        return lambda: {
            **dict.fromkeys(names(family), ""),
            **dict.fromkeys(_actor_triggers(document), ""),
        }
    if family == "Output":
        return lambda: dict.fromkeys(_with_names_in_arenas(names(family)), "")
    if family is not None:
        return lambda: dict.fromkeys(names(family), "")
    if types != {str} and not (key == "SOURCE" and str in types):
        return None
    on_pairs = kind is not None and issubclass(kind, DirectedPairs)
    found: Mapping[str, Suggest] = {
        "MODEL": _networks,
        "INFRARED_MODEL": _networks,
        "DETECTOR": _networks,
        "BODYPARTS": lambda: _bodyparts(document),
        "ANIMAL": lambda: _animals(document),
        "ACTOR": lambda: _animals_of_pairs(document),
        "TARGET": lambda: (_animals_of_pairs if on_pairs else _animals)(document),
        "TARGET_BODYPARTS": lambda: _bodyparts(document),
        "BEHAVIOUR": lambda: _behaviours(document),
        "PORT": serial_ports,
        "SOURCE": lambda: _devices(kind, key),
        "SERIAL": lambda: _devices(kind, key),
    }
    if key in ("SOURCE", "SERIAL") and not hasattr(kind, "connected_devices"):
        return None
    return found.get(key)


def _with_names_in_arenas(outputs: Sequence[str]) -> list[str]:
    """Return NAME of each output NAME.ARENA, for the experiment of all arenas; then all."""
    names = [name.partition(".")[0] for name in outputs if "." in name]
    return [*names, *outputs]


def _networks() -> Suggested:
    without_network = {BACKGROUND: "small animals, without a network"}
    return dict.fromkeys(known_models(), "") | without_network


def _bodyparts(document: Document) -> Suggested:
    skeleton = _skeleton(document)
    return dict.fromkeys(skeleton.bodyparts if skeleton else (), "")


def _animals(document: Document) -> Suggested:
    """Return the names of the animals, or their numbers."""
    names = document.values.get("Animals", {}).get("NAMES", "")
    if parts := [part.strip() for part in names.split(",") if part.strip()]:
        return dict.fromkeys(parts, "")
    skeleton = _skeleton(document)
    count = skeleton.count if skeleton else 1
    return {str(number): "" for number in range(1, count + 1)}


def _actor_triggers(document: Document) -> list[str]:
    """Return NAME.ANIMAL for each trigger on pairs that has no ACTOR of its own."""
    if document.settings is None:
        return []
    on_pairs = {
        name: maker
        for name, maker in document.settings.triggers.items()
        if "." not in name and not actor_trigger_problem(name, maker, "")
    }
    # the names may have to be read from the network's folder
    animals = _animals(document) if on_pairs else ()
    return [
        f"{name}.{animal}"
        for name, maker in on_pairs.items()
        for animal in animals
        if not actor_trigger_problem(name, maker, animal)
    ]


def _animals_of_pairs(document: Document) -> Suggested:
    return {ANY: "", ALL: "", **_animals(document)}


def _skeleton(document: Document) -> Skeleton | None:
    """Return the body parts of the rig's network; None: they are not known."""
    model = _model(document)
    if model == BACKGROUND and document.settings is not None:
        rig = document.settings
        return replace(rig.background.skeleton, animals=rig.animals.names)
    return network_skeleton(model)


def _model(document: Document) -> str:
    if document.settings is not None:
        return document.settings.model
    return document.values.get("Pose Estimation", {}).get("MODEL", "")


def _behaviours(document: Document) -> Suggested:
    if document.settings is None:
        return {}
    folders, _ = read_classifiers(document.settings)
    return {
        behaviour: f"[Classifier {name}]"
        for name, folder in folders.items()
        for behaviour in folder.behaviours
    }


def serial_ports() -> Suggested:
    """Return the serial ports of this computer; those of USB devices come first."""
    try:
        from serial.tools.list_ports import comports
    except ImportError:
        return {}
    ports = sorted(comports(), key=lambda port: (port.vid is None, port.device))
    return {port.device: str(port.description or "") for port in ports}


def usb_ports() -> list[str]:
    """Return the serial ports of USB devices."""
    try:
        from serial.tools.list_ports import comports
    except ImportError:
        return []
    return sorted(port.device for port in comports() if port.vid is not None)


def _devices(kind: Any, key: str) -> Suggested:
    """Return the connected devices of a kind of camera."""
    try:
        devices = kind.connected_devices()
    except (DeepLabStreamError, ImportError, OSError):
        return {}
    return dict(_chosen(devices, key))


def _chosen(devices: Iterable[Any], key: str) -> Iterable[tuple[str, str]]:
    for device in devices:
        name, _, word = device.choose.partition("=")
        if name.strip() == key:
            yield word.strip(), device.label
