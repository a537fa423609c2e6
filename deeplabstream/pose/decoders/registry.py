"""Registry of decoders; a new decoder needs its own file and one line here."""

from collections.abc import Sequence

from deeplabstream.pose.decoders.centres import Centres
from deeplabstream.pose.decoders.coordinates import Coordinates
from deeplabstream.pose.decoders.decoder import Decoder, Sections
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.multi_animal import MultiAnimalDecoder
from deeplabstream.pose.decoders.offsets import Offsets

DECODERS: list[type[Decoder]] = [
    MultiAnimalDecoder,
    Heatmaps,
    Offsets,
    Centres,
    Coordinates,
]
"""The first whose section is present is taken; `animals` extends another section."""


def decoder_from_json(sections: Sections, bodyparts: Sequence[str]) -> Decoder:
    """Return the decoder that sections of `model.json` describe.

    Parameters
    ----------
    sections
        Sections of registered decoders; those that are null do not count.
    bodyparts
        Names of the skeleton's body parts, in their order.

    Raises
    ------
    ValueError
        When no section, or more than one way of decoding, is present, or one is faulty.
    """
    present = {name: value for name, value in sections.items() if value is not None}
    for kind in DECODERS:
        if kind.section in present:
            decoder = kind.from_json(present, bodyparts)
            if {*present} == {*decoder.to_json(bodyparts)}:
                return decoder
            break
    raise ValueError(f"it must say one of {alternatives()}")


def decoder_sections() -> set[str]:
    """Return the names of all decoders' sections."""
    return {kind.section for kind in DECODERS}


def alternatives() -> str:
    """Return the alternative sections, one of them required, for messages."""
    names = [
        kind.section for kind in DECODERS if kind.section != MultiAnimalDecoder.section
    ]
    return f"{', '.join(names[:-1])} and {names[-1]}"
