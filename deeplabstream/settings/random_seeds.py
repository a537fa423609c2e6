"""Numbers drawn for each `SEED = new` before a run, so that its record can repeat it."""

from secrets import randbelow

from deeplabstream.plugins.random_seed import DRAWN
from deeplabstream.settings.ini_editing import with_word
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings

_NUMBERS = 1_000_000


def settled(settings: Settings) -> Settings:
    """Return the settings with a new number for each `SEED = new`, in their text too."""
    text = settings.text
    for title, words in read_sections(text).words.items():
        chance = title.partition(" ")[0] in ("Experiment", "Trigger")
        if chance and words.get("SEED", "").casefold() == DRAWN:
            text = with_word(text, title, "SEED", str(randbelow(_NUMBERS)))
    return settings if text == settings.text else parse(text, settings.folder)
