"""Which class a section of the settings fills."""

from collections.abc import Mapping

from deeplabstream.plugins.discovery import discover
from deeplabstream.settings.loading import FAMILIES, FIXED, NAMED


def kinds_of(family: str) -> Mapping[str, type]:
    """Return the classes that KIND may name in sections of a family, by name."""
    folder, contract = FAMILIES[family]
    return dict(sorted(discover(folder, contract).classes.items()))


def kind_of(title: str, words: Mapping[str, str]) -> type | None:
    """Return the class of a section with these words; None: there is no such class."""
    if title in FIXED:
        return FIXED[title]
    family, _, name = title.partition(" ")
    if family in NAMED and name:
        return NAMED[family]
    if family not in FAMILIES:
        return None
    return kinds_of(family).get(
        words.get("KIND", name if family == "Experiment" else "")
    )
