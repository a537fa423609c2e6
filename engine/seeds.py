"""Numbers drawn for each `SEED = new` before a run, so that its record can repeat it."""

from secrets import randbelow

from engine.ini import read_sections
from engine.ini_editing import with_word
from engine.sections import Settings
from engine.settings import parse
from experiments.seed import DRAWN

_NUMBERS = 1_000_000


def settled(settings: Settings) -> Settings:
    """Return the settings with a new number for each `SEED = new`, in their text too."""
    text = settings.text
    for title, words in read_sections(text).words.items():
        chance = title.partition(" ")[0] in ("Experiment", "Trigger")
        if chance and words.get("SEED", "").casefold() == DRAWN:
            text = with_word(text, title, "SEED", str(randbelow(_NUMBERS)))
    return settings if text == settings.text else parse(text, settings.folder)
