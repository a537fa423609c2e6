"""Subject: experimenter, animal and session, stored with every run."""

import re
from datetime import datetime
from string import Formatter

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass as settings

_PLACES = ("date", "time", "experimenter", "animal", "group", "experiment")
_WORDS = ", ".join(f"{{{place}}}" for place in _PLACES)


@settings(frozen=True, kw_only=True)
class Subject:
    """Experimenter, animal and group of a run; saved in run.json."""

    experimenter: str = Field("", description="experimenter")
    animal: str = Field("", description="name or number of the animal")
    group: str = Field("", description="group of the animal, such as control")
    notes: str = Field("", description="notes, in one line")
    run_name: str = Field(
        "{date}_{time}",
        min_length=1,
        description=f"name of run folders; may contain {_WORDS}",
        title="Name of run folders",
    )

    @field_validator("run_name")
    @classmethod
    def _known_places(cls, word: str) -> str:
        refused = f"may contain only {_WORDS} in braces"
        try:
            places = [place[1:] for place in Formatter().parse(word)]
        except ValueError as error:
            raise ValueError(refused) from error
        for name, form, conversion in places:
            if name is not None and (name not in _PLACES or form or conversion):
                raise ValueError(refused)
        return word

    def folder_name(self, started: datetime, experiment: str) -> str:
        """Return the name of a run's folder; places that are empty leave no gap."""
        filled = self.run_name.format(
            date=started.strftime("%Y-%m-%d"),
            time=started.strftime("%H-%M-%S"),
            experimenter=self.experimenter,
            animal=self.animal,
            group=self.group,
            experiment=experiment,
        )
        name = re.sub(r'[<>:"/\\|?*%\x00-\x1f]+', "-", filled)
        name = re.sub(r"([_ -])[_ -]*(?=\1)|[. ]+$", "", name).strip("_ ")
        return name or started.strftime("%Y-%m-%d_%H-%M-%S")

    def facts(self) -> dict[str, str]:
        """Return what run.json says of it."""
        return {
            "experimenter": self.experimenter,
            "animal": self.animal,
            "group": self.group,
            "notes": self.notes,
        }
