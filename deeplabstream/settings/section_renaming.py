"""Giving a section of the settings another NAME, wherever it is named."""

from collections.abc import Mapping
from typing import Any

from deeplabstream.core.command import InputName, OutputName, TriggerName
from deeplabstream.settings.fields import keys_of
from deeplabstream.settings.ini_editing import renamed, with_word
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.kinds import kind_of
from deeplabstream.settings.validation_messages import leaves

_TYPES: Mapping[str, Any] = {
    "Trigger": TriggerName,
    "Output": OutputName,
    "Input": InputName,
}
_KEYS = {"Camera": "CAMERA", "Experiment": "EXP_NAME"}


def with_name(text: str, title: str, name: str) -> str:
    """Return `text` with another NAME of the section `title`, and of all who name it."""
    family, _, old = title.partition(" ")
    text = renamed(text, title, f"{family} {name}")
    if family == "Camera":
        text = renamed(text, f"Tracking {old}", f"Tracking {name}")
    for place, words in read_sections(text).words.items():
        kind = kind_of(place, words)
        for key, (_, info) in keys_of(kind).items() if kind else ():
            naming = key == _KEYS.get(family) or _TYPES.get(family) in leaves(
                info.annotation
            )
            parts = [part.strip() for part in words.get(key, "").split(",")]
            if naming and old in parts:
                new = ", ".join(name if part == old else part for part in parts)
                text = with_word(text, place, key, new)
    return text
