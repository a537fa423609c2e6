"""Decision texts: conditions of triggers and outputs in words, from the settings of a run."""

from collections.abc import Mapping
from typing import TypeAlias

from deeplabstream.settings.fields import about_kind, keys_of, label_of
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import kind_of

SectionTexts: TypeAlias = Mapping[str, str]


class DecisionTexts:
    """Describes the triggers and outputs of a settings file."""

    def __init__(self, settings_text: str) -> None:
        self._sections: Mapping[str, SectionTexts] = read_sections(settings_text).texts

    def trigger(self, name: str) -> str:
        """Return the condition of a trigger, with the values of its settings."""
        return self._described(f"Trigger {name}")

    def output(self, name: str) -> str:
        """Return what an output is, and the experiment that switches it."""
        text = self._described(f"Output {name}")
        chosen = self._sections.get("Experiment", {}).get("EXP_NAME", "")
        if not chosen:
            return text
        rule = self._described(f"Experiment {chosen}")
        return f"{text}\n\nSwitched by the experiment {chosen}. {rule}"

    def _described(self, title: str) -> str:
        """Return what the KIND of a section does, and the values of the section."""
        texts = self._sections.get(title)
        if texts is None:
            return f"The settings of the run have no section [{title}]."
        kind = kind_of(title, texts)
        if kind is None:  # the plug-in was removed after the run
            values = ", ".join(f"{key} = {text}" for key, text in texts.items())
            return f"{values}."
        keys = keys_of(kind)
        # numbers mean nothing without their unit, also where it is the default
        unit = {"UNIT": str(keys["UNIT"][1].default)} if "UNIT" in keys else {}
        values = "; ".join(
            f"{label_of(key, keys[key][1])}: {text}"
            for key, text in {**texts, **unit, **texts}.items()
            if key in keys and text
        )
        return f"{about_kind(kind)}\n{values}".strip()
