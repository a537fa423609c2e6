"""Rewriting of a settings text: renamed sections, relocated paths, fixed seeds."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from secrets import randbelow
from typing import Any

from deeplabstream.core.command import CameraName, InputName, OutputName, TriggerName
from deeplabstream.files.paths import is_folder
from deeplabstream.plugins.camera import Camera
from deeplabstream.plugins.random_seed import DRAWN
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.settings.fields import keys_of
from deeplabstream.settings.ini_editing import rename_section, set_value
from deeplabstream.settings.ini_reading import SectionTexts, read_sections
from deeplabstream.settings.loading import kind_of, parse
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.validation_messages import leaves

_NUMBERS = 1_000_000
_TYPES: Mapping[str, Any] = {
    "Trigger": TriggerName,
    "Output": OutputName,
    "Input": InputName,
    "Camera": CameraName,
}
_KEYS = {"Camera": "CAMERA", "Experiment": "EXP_NAME"}
_NETWORKS = {
    "Pose Estimation": ("MODEL", "INFRARED_MODEL", "DETECTOR"),
    "Camera": ("MODEL",),
    "Classifier": ("FOLDER",),
}
"""Keys that name a model folder, by section or family."""


def with_name(text: str, title: str, name: str) -> str:
    """Return `text` with a renamed section `title`, and its references updated."""
    family, _, old = title.partition(" ")
    text = rename_section(text, title, f"{family} {name}")
    if family == "Camera":
        text = rename_section(text, f"Tracking {old}", f"Tracking {name}")

    sections = read_sections(text).texts
    for place, texts in sections.items():
        kind = kind_of(place, texts)
        for key, (_, info) in keys_of(kind).items() if kind else ():
            naming = key == _KEYS.get(family) or _TYPES.get(family) in leaves(
                info.annotation
            )
            if not naming:
                continue
            parts = [part.strip() for part in texts.get(key, "").split(",")]
            renamed = [
                name + part.removeprefix(old)
                if part == old or _is_actor_trigger(sections, family, old, part)
                else part
                for part in parts
            ]
            if renamed != parts:
                text = set_value(text, place, key, ", ".join(renamed))
    return text


def _is_actor_trigger(
    sections: Mapping[str, object], family: str, name: str, reference: str
) -> bool:
    """Return whether a reference is NAME.ANIMAL, and no section has that name itself."""
    return (
        family == "Trigger"
        and reference.startswith(f"{name}.")
        and f"Trigger {reference}" not in sections
    )


def with_subject(rig: Settings, other: Settings) -> Settings:
    """Return the settings of `rig` with [Session] of `other`."""
    before = read_sections(rig.text).texts.get("Session", {})
    texts, text = read_sections(other.text).texts.get("Session", {}), rig.text
    for key in {**before, **texts}:
        if texts.get(key) != before.get(key):
            text = set_value(text, "Session", key, texts.get(key))
    return replace(rig, subject=other.subject, text=text)


def relocate_paths(text: str, old: Path, new: Path) -> str:
    """Return `text` of a file in the folder `old`, for a file in the folder `new`.

    Relative paths still lead to the same files. A network of the folder `old` becomes a
    path, even if `new` or the program has a network of the same name. A built-in network
    keeps its name unless `new` has one of that name. Keys that are missing stay missing:
    their defaults may lead to other folders.
    """
    if old.resolve() == new.resolve():
        return text
    for title, texts in read_sections(text).texts.items():
        for key, word in _paths(title, texts):
            text = set_value(text, title, key, _from(new, old / word))
    return relocate_networks(text, old, new)


def relocate_networks(text: str, old: Path, new: Path) -> str:
    """Return `text` with its networks and classifiers relocated; see `relocate_paths`."""
    for title, texts in read_sections(text).texts.items():
        for key in _network_keys(title):
            word = texts.get(key, "")
            if place := _place_of_network(word, old, new):
                text = set_value(text, title, key, _from(new, place))
    return text


def with_drawn_seeds(settings: Settings) -> Settings:
    """Return the settings with a new number for each `SEED = new`, in their text too."""
    text = settings.text
    for title, texts in read_sections(text).texts.items():
        chance = title.partition(" ")[0] in ("Experiment", "Trigger")
        if chance and texts.get("SEED", "").casefold() == DRAWN:
            text = set_value(text, title, "SEED", str(randbelow(_NUMBERS)))
    return settings if text == settings.text else parse(text, settings.folder)


def _paths(title: str, texts: SectionTexts) -> Iterator[tuple[str, str]]:
    """Yield the keys of a section that contain a path, except networks, and their words."""
    kind = kind_of(title, texts)
    for key, (_, info) in keys_of(kind).items() if kind else ():
        word = texts.get(key, "")
        network = key in _network_keys(title)
        if word and leaves(info.annotation) == {Path} and not network:
            yield key, word


def _network_keys(title: str) -> tuple[str, ...]:
    return _NETWORKS.get(title, ()) or _NETWORKS.get(title.partition(" ")[0], ())


def _place_of_network(word: str, old: Path, new: Path) -> Path | None:
    """Return the model folder that `word` means in `old`; None: `word` means it in `new`."""
    if not word or Path(word).is_absolute():
        return None
    if own := _own_network(word, old):
        return own
    built_in = MODELS / word
    hidden = is_folder(built_in) and _own_network(word, new) is not None
    return built_in if hidden else None


def _own_network(word: str, folder: Path) -> Path | None:
    """Return the model folder of that name or path in a rig's folder, not a built-in one."""
    for place in (folder / word, folder / "models" / word):
        if is_folder(place) and place.resolve() != (MODELS / word).resolve():
            return place
    return None


def _from(folder: Path, path: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive
        return path.as_posix()


def with_camera_kind(text: str, camera: str, keys: Mapping[str, str]) -> str:
    """Return settings in which a camera has the KIND and the keys of `words`.

    Keys of all cameras stay, except CROP: frames may have another size now.
    """
    title = f"Camera {camera}"
    kept = {field.name.upper() for field in fields(Camera)} - {"CROP"}
    for key in read_sections(text).texts.get(title, {}):
        if key not in kept:
            text = set_value(text, title, key, None)
    for key, word in keys.items():
        text = set_value(text, title, key, word)
    return text
