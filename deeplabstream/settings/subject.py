"""Subject: experimenter, animal and session, stored with every run."""

import re
from dataclasses import fields
from datetime import datetime
from functools import partial
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, field_validator
from pydantic.dataclasses import dataclass as settings

_PLACES = ("date", "time", "experimenter", "animal", "group", "experiment")
_PLACEHOLDERS = ", ".join(f"{{{place}}}" for place in _PLACES)
SEXES = ("M", "F", "O", "U")
_TIME = r"P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?"
FORMS = {
    "species": (
        re.compile(
            r"[A-Z][a-z]+ [a-z]+|http://purl\.obolibrary\.org/obo/NCBITaxon_\d+"
        ),
        "a Latin name such as Mus musculus",
    ),
    "age": (
        re.compile(rf"{_TIME}(/({_TIME})?)?"),
        "a duration by ISO 8601, such as P90D (90 days) or P8W/P10W",
    ),
}
"""Forms that NWB files require, and their descriptions."""


def _of_form(name: str, text: str) -> str:
    form, expected = FORMS[name]
    if text and not form.fullmatch(text):
        raise ValueError(f"expected {expected}")
    return text


Species: TypeAlias = Annotated[str, AfterValidator(partial(_of_form, "species"))]
Age: TypeAlias = Annotated[str, AfterValidator(partial(_of_form, "age"))]


@settings(frozen=True, kw_only=True)
class Subject:
    """Experimenter, animal and group of a run; saved in run.json."""

    experimenter: str = Field("", description="experimenter")
    animal: str = Field("", description="name or number of the animal")
    group: str = Field("", description="group of the animal, such as control")
    species: Species = Field(
        "", description="Latin name of the species, such as Mus musculus"
    )
    sex: Literal["M", "F", "O", "U"] = Field(
        "U", description="sex of the animal; O: other, U: unknown"
    )
    age: Age = Field(
        "", description="age by ISO 8601, such as P90D (90 days) or P8W/P10W"
    )
    notes: str = Field("", description="notes, in one line")
    run_name: str = Field(
        "{date}_{time}",
        min_length=1,
        description=f"name of run folders; may contain {_PLACEHOLDERS}",
        title="Name of run folders",
    )

    progress_folder: Path | None = Field(
        None,
        description="folder with a file for each ANIMAL, which several rigs may share: what "
        "the animal has reached there replaces settings of the experiment; empty: none",
    )

    @field_validator("run_name")
    @classmethod
    def _known_places(cls, word: str) -> str:
        refused = f"may contain only {_PLACEHOLDERS} in braces"
        try:
            places = [place[1:] for place in Formatter().parse(word)]
        except ValueError as error:
            raise ValueError(refused) from error
        for name, form, conversion in places:
            if name is not None and (name not in _PLACES or form or conversion):
                raise ValueError(refused)
        return word

    @property
    def named_in_folder(self) -> frozenset[str]:
        """Fields whose values are part of the names of run folders."""
        places = {place for _, place, _, _ in Formatter().parse(self.run_name)}
        return frozenset(place for place in places if place and hasattr(self, place))

    def changes(self, other: "Subject") -> dict[str, str]:
        """Return the fields with another value in `other`, and a sentence on each."""
        return {
            field.name: f"{field.name.upper()} = {new or 'empty'} (was {old or 'empty'})"
            for field in fields(type(self))
            if (old := getattr(self, field.name)) != (new := getattr(other, field.name))
        }

    def folder_name(self, started: datetime, experiment: str) -> str:
        """Return the name of a run's folder; empty parts leave no gap."""
        filled = self.run_name.format(
            date=started.strftime("%Y-%m-%d"),
            time=started.strftime("%H-%M-%S"),
            experimenter=self.experimenter,
            animal=self.animal,
            group=self.group,
            experiment=experiment,
        )
        name = re.sub(r'[<>:"/\\|?*%\x00-\x1f]+', "-", filled)
        name = re.sub(r"([_ -])[_ -]*(?=\1)", "", name).lstrip("_ ").rstrip("_. ")
        return name or started.strftime("%Y-%m-%d_%H-%M-%S")

    def facts(self) -> dict[str, str]:
        """Return its entry in run.json."""
        return {
            "experimenter": self.experimenter,
            "animal": self.animal,
            "group": self.group,
            "species": self.species,
            "sex": self.sex,
            "age": self.age,
            "notes": self.notes,
        }
